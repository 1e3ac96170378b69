//! What can be wrong with the folder of a run.

use std::io;
use std::path::PathBuf;

/// The folder of a run cannot be used, or a result could not be put into it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A file is where a folder is needed.
    #[error("{} is a file, where a folder is needed; choose another --out", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// A symbolic link to nothing is where a folder is needed.
    #[error("{} is a symbolic link that leads nowhere; choose another --out", path.display())]
    BrokenLink {
        /// The link.
        path: PathBuf,
    },
    /// A folder that a person named has something in it.
    #[error("{} exists and is not empty; choose another --out, or add --force to put the results into it", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The default folder has something in it that no earlier run wrote.
    #[error(
        "{} holds {holds}, but no manifest.json of an earlier run; choose another --out, or add --force to put the \
         results into it",
        path.display()
    )]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// A few names of what is in it.
        holds: String,
    },
    /// Something that may not be replaced has the name of a result.
    #[error("{} is in the way: it is {what}", path.display())]
    InTheWay {
        /// What is in the way.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Two results of one run want the same place.
    #[error("{} was written by this run already", path.display())]
    Taken {
        /// The place.
        path: PathBuf,
    },
    /// A result's name is no name of a folder.
    #[error("{name:?} cannot name a sub-folder; expected a plain file name")]
    Name {
        /// The name.
        name: String,
    },
    /// A file or folder could not be looked at.
    #[error("cannot look at {}", path.display())]
    Inspect {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A folder could not be created.
    #[error("cannot create the folder {}", path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Nothing can be written into a folder.
    #[error("cannot write into {}", path.display())]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file could not be moved.
    #[error("cannot move {} to {}", from.display(), to.display())]
    Move {
        /// Where it is.
        from: PathBuf,
        /// Where it should be.
        to: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A result could not be put in place, nor could all that had been moved be moved back.
    #[error("{cause}; not everything could be put back: what was replaced is kept in {}", kept.display())]
    Stranded {
        /// Where the replaced files are.
        kept: PathBuf,
        /// What went wrong first.
        cause: Box<FolderError>,
        /// What went wrong while putting things back.
        source: io::Error,
    },
}

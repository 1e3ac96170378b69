//! What can be wrong with a labelled set, and with what is asked of one.

use std::io;

use super::Split;
use super::matching::UnknownClass;

/// The layouts that are read, for messages.
const LAYOUTS: &str = "FOLDER/<class>/*.jpg (or FOLDER/train/<class>/*.jpg and FOLDER/test/<class>/*.jpg), \
     CIFAR binaries (data_batch_1.bin, test_batch.bin; train.bin, test.bin) or \
     IDX files (train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., also gzipped)";

/// Why a labelled set could not be had, split or matched. Paths are as given, or below the path given.
///
/// The messages leave the source out: walk [`source`](std::error::Error::source) to print it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
    /// Nothing has this path.
    #[error("{path}: there is no such file or folder")]
    Missing {
        /// The path.
        path: String,
    },
    /// A file or folder exists but cannot be read, or its compressed data make no sense.
    #[error("{path}: cannot be read")]
    Unreadable {
        /// The path.
        path: String,
        /// What the operating system or the decompressor said.
        source: io::Error,
    },
    /// A file that is no set of a kind that is read.
    #[error("{path}: is no labelled set; expected {LAYOUTS}")]
    NotASet {
        /// The path.
        path: String,
    },
    /// A folder without class folders in it.
    #[error(
        "{folder}: has no class folders{}; expected {LAYOUTS}",
        match .loose { 0 => String::new(), n => format!(", only {n} loose picture(s) whose class nobody says") }
    )]
    NoClassFolders {
        /// The folder.
        folder: String,
        /// Pictures that lie in it directly.
        loose: usize,
    },
    /// A set without a single picture.
    #[error("{path}: has no pictures in its {classes} class(es)")]
    NoPictures {
        /// The path.
        path: String,
        /// The number of class folders.
        classes: usize,
    },
    /// The name of a class folder is not UTF-8, so that the class cannot be named anywhere.
    #[error("{folder}: the name of this class folder is not UTF-8; rename it")]
    FolderName {
        /// The class folder, with replacement characters.
        folder: String,
    },
    /// A symbolic link leads back to a folder that it lies in.
    #[error("{folder}: a link leads in a circle back to this folder; remove it")]
    LinkCircle {
        /// The folder that is reached again.
        folder: String,
    },
    /// The set has parts and none was chosen.
    #[error("{path}: has several parts ({}); say which is meant", .parts.join(", "))]
    WhichSplit {
        /// The path.
        path: String,
        /// The parts' names.
        parts: Vec<String>,
    },
    /// The part that was chosen is not there.
    #[error("{path}: has no {split} part, only {}", .parts.join(", "))]
    NoSplit {
        /// The path.
        path: String,
        /// What was asked for.
        split: Split,
        /// The parts that are there.
        parts: Vec<String>,
    },
    /// CIFAR's batches as Python pickles.
    #[error(
        "{folder}: these are CIFAR's batches as Python pickles, which are not read; \
         download the binary version (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz)"
    )]
    PickledCifar {
        /// The folder.
        folder: String,
    },
    /// The content contradicts its format, or another file of the same set.
    #[error("{file}: {problem}")]
    Damaged {
        /// The file.
        file: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// More pixels than are kept in memory.
    #[error(
        "{file}: holds {bytes} bytes of pixels; at most {limit} are kept in memory, so make it an image folder"
    )]
    TooLarge {
        /// The file.
        file: String,
        /// Its pixels.
        bytes: u64,
        /// The most bytes, [`MAX_SET_BYTES`](super::MAX_SET_BYTES).
        limit: u64,
    },
    /// Class names were given for a set whose folders name its classes.
    #[error(
        "{folder}: the classes of an image folder are named by its folders; give no class names"
    )]
    NamesGiven {
        /// The folder.
        folder: String,
    },
    /// Fewer class names than labels.
    #[error("{path}: label {label} has no name: only {names} class name(s) were found{}",
        match .from { Some(file) => format!(" in {file}"), None => " among those given".to_owned() })]
    TooFewNames {
        /// The set.
        path: String,
        /// The first label beyond the names.
        label: usize,
        /// How many names there are.
        names: usize,
        /// The file that they are from; `None` for [`OpenOptions::class_names`](super::OpenOptions::class_names).
        from: Option<String>,
    },
    /// The share to hold out is not between 0 and 1.
    #[error("a share of {share} cannot be held out; it must lie between 0 and 1, both excluded")]
    Share {
        /// The share.
        share: f64,
    },
    /// Holding out would take nothing, or the last example of a class.
    #[error(
        "{share} of {examples} example(s) in {classes} class(es) cannot be held out: every class keeps one, \
         so nothing is left to take; use more pictures or a larger share"
    )]
    TooFew {
        /// The share.
        share: f64,
        /// Number of examples.
        examples: usize,
        /// Number of classes that have examples.
        classes: usize,
    },
    /// Classes that the network does not know.
    #[error(
        "the network (with {network} classes) does not know {}; \
         name the class folders as the network names its classes, or by their indices (0 to {})",
        super::matching::listed(.unknown), .network.saturating_sub(1)
    )]
    UnknownClasses {
        /// Each with the network's closest names.
        unknown: Vec<UnknownClass>,
        /// The number of the network's classes.
        network: usize,
    },
    /// A class whose name the network gives to several classes.
    #[error(
        "class {class:?} could be any of the network's classes {} of that name; name the class folder by one of these indices",
        .indices.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
    )]
    AmbiguousClass {
        /// The set's class.
        class: String,
        /// The network's classes of that name.
        indices: Vec<usize>,
    },
    /// Two classes of the set are the same class of the network.
    #[error(
        "classes {first:?} and {second:?} are both the network's class {index}; put them together or rename one"
    )]
    DoubledClass {
        /// One class of the set.
        first: String,
        /// Another.
        second: String,
        /// The network's class.
        index: usize,
    },
}

impl SetError {
    /// Sorts what the operating system said about `path`.
    pub(super) fn io(path: &std::path::Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Unreadable { path, source },
        }
    }

    /// A file that contradicts its format.
    pub(super) fn damaged(file: &std::path::Path, problem: impl Into<String>) -> Self {
        Self::Damaged { file: file.display().to_string(), problem: problem.into() }
    }
}

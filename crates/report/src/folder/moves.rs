//! Moves that can be taken back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::FolderError;

/// A list of things done to files, to be undone backwards if one of them fails.
pub(super) struct Moves {
    /// A folder for what makes way, created when needed; the caller deletes it.
    aside: PathBuf,
    done: Vec<Done>,
}

enum Done {
    Moved { from: PathBuf, to: PathBuf },
    Made(PathBuf),
    Removed(PathBuf),
}

impl Moves {
    pub(super) fn new(aside: PathBuf) -> Self {
        Moves { aside, done: Vec::new() }
    }

    /// Moves a file or a folder; nothing may be at `to`.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<(), FolderError> {
        let moved = |source| FolderError::Move { from: from.to_owned(), to: to.to_owned(), source };
        fs::rename(from, to).map_err(moved)?;
        self.done.push(Done::Moved { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    /// Takes a file out of the way.
    pub(super) fn put_aside(&mut self, file: &Path) -> Result<(), FolderError> {
        if !self.aside.is_dir() {
            fs::create_dir(&self.aside)
                .map_err(|source| FolderError::Create { path: self.aside.clone(), source })?;
        }
        let kept = self.aside.join(self.done.len().to_string());
        self.rename(file, &kept)
    }

    /// Moves `from` over the file `to`.
    pub(super) fn replace(&mut self, from: &Path, to: &Path) -> Result<(), FolderError> {
        self.put_aside(to)?;
        self.rename(from, to)
    }

    /// Creates a folder.
    pub(super) fn make(&mut self, path: &Path) -> Result<(), FolderError> {
        fs::create_dir(path)
            .map_err(|source| FolderError::Create { path: path.to_owned(), source })?;
        self.done.push(Done::Made(path.to_owned()));
        Ok(())
    }

    /// Removes the folders above `file`, up to but not `top`, as far as they are empty.
    pub(super) fn remove_emptied(&mut self, file: &Path, top: &Path) {
        let above =
            file.ancestors().skip(1).take_while(|path| *path != top && path.starts_with(top));
        for path in above {
            if fs::remove_dir(path).is_err() {
                return;
            }
            self.done.push(Done::Removed(path.to_owned()));
        }
    }

    /// Takes everything back, as far as possible; the first thing that could not be is the error.
    pub(super) fn undo(self) -> io::Result<()> {
        let mut outcome = Ok(());
        for done in self.done.into_iter().rev() {
            let undone = match done {
                Done::Moved { from, to } => fs::rename(to, from),
                Done::Made(path) => fs::remove_dir(path),
                Done::Removed(path) => fs::create_dir(path),
            };
            outcome = outcome.and(undone);
        }
        outcome
    }
}

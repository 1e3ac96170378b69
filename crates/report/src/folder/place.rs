//! What is at a path, and the folders above it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::FolderError;

/// Folders that were created above a run's folder; those still empty go when the run ends.
#[derive(Debug, Default)]
pub(super) struct MadeParents(Vec<PathBuf>);

impl MadeParents {
    pub(super) fn above(dir: &Path) -> Result<Self, FolderError> {
        let mut missing = Vec::new();
        let mut above = parent(dir);
        while !is_folder(above)? {
            missing.push(above.to_owned());
            above = parent(above);
        }
        let mut made = MadeParents::default();
        for path in missing.into_iter().rev() {
            fs::create_dir(&path)
                .map_err(|source| FolderError::Create { path: path.clone(), source })?;
            made.0.push(path);
        }
        Ok(made)
    }
}

impl Drop for MadeParents {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // Fails, as it should, where something has been put into it.
            let _ = fs::remove_dir(path);
        }
    }
}

/// The folder around a path.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether a folder is there, links followed; an error when there is something else.
pub(super) fn is_folder(path: &Path) -> Result<bool, FolderError> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => Ok(true),
        Ok(_) => Err(FolderError::NotAFolder { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::symlink_metadata(path) {
            Ok(_) => Err(FolderError::BrokenLink { path: path.to_owned() }),
            Err(_) => Ok(false),
        },
        // Below a file: going up finds it and names it.
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
        Err(source) => Err(FolderError::Inspect { path: path.to_owned(), source }),
    }
}

/// Whether a folder is there that is no link to one.
pub(super) fn is_real_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.is_dir())
}

//! Which pictures are meant: files and folders to a list of files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file-name extensions that make a file in a folder a picture, in lower case. Names are only
/// used to look through folders: what a file is, its content says.
pub const EXTENSIONS: [&str; 16] = [
    "bmp", "dib", "gif", "jfif", "jpe", "jpeg", "jpg", "pam", "pbm", "pgm", "png", "pnm", "ppm",
    "tif", "tiff", "webp",
];

/// Why the pictures of a folder could not be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The folder has no picture in it.
    #[error(
        "{}: no pictures in this folder (looked for *.{}; folders within it and hidden files are not looked at)",
        .folder.display(), EXTENSIONS.join(", *.")
    )]
    NoPictures {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be looked through.
    #[error("{}: this folder cannot be read", .folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// The pictures that `inputs` mean, in the order of `inputs`.
///
/// - A folder gives the files in it whose extension is one of [`EXTENSIONS`] in any case, sorted
///   by name byte by byte. Folders within it and hidden files (a name that begins with a dot) are
///   left out.
/// - Anything else is taken as it is, whatever its name. It need not exist: reading it later
///   reports the error for that picture alone, and the others are not lost.
///
/// # Errors
/// [`ListError`] for a folder without pictures or one that cannot be read.
pub fn find_pictures(inputs: &[PathBuf]) -> Result<Vec<PathBuf>, ListError> {
    let mut pictures = Vec::with_capacity(inputs.len());
    for input in inputs {
        if !input.is_dir() {
            pictures.push(input.clone());
            continue;
        }
        let found = pictures_in(input)
            .map_err(|source| ListError::Unreadable { folder: input.clone(), source })?;
        if found.is_empty() {
            return Err(ListError::NoPictures { folder: input.clone() });
        }
        pictures.extend(found);
    }
    Ok(pictures)
}

/// The pictures in one folder, sorted.
fn pictures_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut pictures = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if has_picture_name(&path) && may_be_a_file(&path) {
            pictures.push(path);
        }
    }
    pictures.sort_by(|a, b| {
        let name = |path: &Path| path.file_name().map(|name| name.as_encoded_bytes().to_vec());
        name(a).cmp(&name(b))
    });
    Ok(pictures)
}

pub(crate) fn has_picture_name(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path.extension().map(|e| e.to_ascii_lowercase());
    !hidden && extension.is_some_and(|e| EXTENSIONS.iter().any(|known| e == *known))
}

/// True for files, also through links, and for broken links: somebody meant a picture there, and
/// reading it says what is wrong.
fn may_be_a_file(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |metadata| metadata.is_file())
}

//! What a folder holds: nothing, the files of our earlier run, or somebody else's.

use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::place::is_real_folder;
use super::{FolderError, MANIFEST, STAGING};

/// What lies in a folder.
pub(super) enum Contents {
    /// Nothing at all.
    Nothing,
    /// An earlier run of ours: the files that it wrote and that are still there, relative to the folder, manifests
    /// included. Other files may lie beside them.
    Ours(Vec<PathBuf>),
    /// Something else; a few names of it, as a phrase.
    Foreign(String),
}

/// What is read of a manifest.
#[derive(Deserialize)]
struct Mark {
    tool: String,
    files: Vec<String>,
}

/// Finds out what lies in `dir`. Staging folders (of a run at work, or one that was killed) do not count.
pub(super) fn survey(dir: &Path) -> Result<Contents, FolderError> {
    let names = names(dir)?;
    if names.is_empty() {
        return Ok(Contents::Nothing);
    }
    if let Some(files) = own_files(dir) {
        return Ok(Contents::Ours(files));
    }
    let mut files = Vec::new();
    for name in &names {
        let part = own_files(&dir.join(name)).filter(|_| is_real_folder(&dir.join(name)));
        match part {
            Some(part) => files.extend(part.into_iter().map(|file| Path::new(name).join(file))),
            None => return Ok(Contents::Foreign(phrase(&names))),
        }
    }
    Ok(Contents::Ours(files))
}

/// The files that the manifest in `dir` lists and that are there, or `None` if no manifest of ours is.
///
/// A manifest with a name that leads out of the folder is not one we wrote. Links are passed over: we write none, so
/// a person put them there.
fn own_files(dir: &Path) -> Option<Vec<PathBuf>> {
    let manifest = dir.join(MANIFEST);
    if !fs::symlink_metadata(&manifest).ok()?.is_file() {
        return None;
    }
    let mark: Mark = serde_json::from_slice(&fs::read(manifest).ok()?).ok()?;
    if mark.tool != "introspect" || !mark.files.iter().all(|name| stays_inside(name)) {
        return None;
    }
    let mut files = vec![PathBuf::from(MANIFEST)];
    for name in mark.files {
        let path = dir.join(&name);
        if passes_a_link(dir, Path::new(&name)) {
            continue;
        }
        match fs::symlink_metadata(&path) {
            Ok(there) if there.is_file() => files.push(PathBuf::from(name)),
            // Of a sub-folder only what its own manifest lists, for a person may have added to it.
            Ok(there) if there.is_dir() => {
                let inner = own_files(&path).unwrap_or_default();
                files.extend(inner.into_iter().map(|file| Path::new(&name).join(file)));
            }
            _ => {}
        }
    }
    files.sort();
    files.dedup();
    Some(files)
}

fn stays_inside(name: &str) -> bool {
    !name.is_empty()
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Whether a folder on the way from `dir` to `name` is a symbolic link.
fn passes_a_link(dir: &Path, name: &Path) -> bool {
    name.ancestors()
        .skip(1)
        .filter(|above| !above.as_os_str().is_empty())
        .any(|above| !is_real_folder(&dir.join(above)))
}

fn names(dir: &Path) -> Result<Vec<String>, FolderError> {
    let inspect = |source| FolderError::Inspect { path: dir.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(inspect)? {
        let name = entry.map_err(inspect)?.file_name().to_string_lossy().into_owned();
        if !name.starts_with(STAGING) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// "a.txt, b.txt, c.txt and 4 more".
fn phrase(names: &[String]) -> String {
    let shown = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

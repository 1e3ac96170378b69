//! Image folders: one folder of pictures a class.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use super::error::SetError;
use super::{Split, split};
use crate::list::has_picture_name;

/// What an image folder holds, without a picture having been opened.
pub(super) struct Listing {
    /// Names of the class folders, sorted by bytes.
    pub classes: Vec<String>,
    pub labels: Vec<usize>,
    /// Paths below the folder, class by class, each class in torchvision's order.
    pub files: Vec<PathBuf>,
    /// Files in class folders whose names say that they are no pictures.
    pub passed_over: usize,
    /// Pictures beside the class folders.
    pub loose: usize,
}

/// Names of a split's folder, the first that is there.
fn folder_names(split: Split) -> &'static [&'static str] {
    match split {
        Split::Train => &["train"],
        Split::Test => &["test", "val", "valid", "validation"],
    }
}

/// Finds the folder of the part that `wanted` picks, where `root` has parts: all its folders are
/// named like parts, or there is one for training and one for testing. Otherwise its folders are
/// classes, of which one may well be called `train`.
pub(super) fn part(root: &Path, wanted: Option<Split>) -> Result<Option<String>, SetError> {
    let folders = visible(root)?.folders;
    let find = |split| {
        folder_names(split).iter().find_map(|name| {
            folders.iter().find(|folder| folder.eq_ignore_ascii_case(name)).and_then(|f| f.to_str())
        })
    };
    let is_part = |folder: &OsString| {
        let names = [Split::Train, Split::Test].into_iter().flat_map(folder_names);
        names.into_iter().any(|name| folder.eq_ignore_ascii_case(name))
    };
    let (train, test) = (find(Split::Train), find(Split::Test));
    let has_parts =
        train.is_some() && test.is_some() || !folders.is_empty() && folders.iter().all(is_part);
    if !has_parts {
        return Ok(None);
    }
    let chosen = split::choose(root, wanted, train.is_some(), test.is_some(), || {
        folders.iter().map(|folder| folder.to_string_lossy().into_owned()).collect()
    })?;
    Ok(match chosen {
        Split::Train => train,
        Split::Test => test,
    }
    .map(str::to_owned))
}

/// Lists the class folders of `root` and the pictures in and below them.
pub(super) fn list(root: &Path) -> Result<Listing, SetError> {
    let top = visible(root)?;
    let loose = top.files.iter().filter(|name| has_picture_name(Path::new(name))).count();
    if top.folders.is_empty() {
        return Err(SetError::NoClassFolders { folder: root.display().to_string(), loose });
    }
    let mut listing = Listing {
        classes: Vec::with_capacity(top.folders.len()),
        labels: Vec::new(),
        files: Vec::new(),
        passed_over: 0,
        loose,
    };
    for folder in top.folders {
        let Some(class) = folder.to_str() else {
            return Err(SetError::FolderName { folder: root.join(&folder).display().to_string() });
        };
        let label = listing.classes.len();
        listing.classes.push(class.to_owned());
        let mut found = Found::default();
        walk(root, PathBuf::from(class), &mut Vec::new(), &mut found)?;
        listing.passed_over += found.passed_over;
        // torchvision sorts folders by their whole path, so that `a-b` comes between `a` and `a/c`
        found.folders.sort_by(|a, b| bytes(a.0.as_os_str()).cmp(bytes(b.0.as_os_str())));
        for (folder, names) in found.folders {
            listing.labels.extend(names.iter().map(|_| label));
            listing.files.extend(names.iter().map(|name| folder.join(name)));
        }
    }
    if listing.files.is_empty() {
        let (path, classes) = (root.display().to_string(), listing.classes.len());
        return Err(SetError::NoPictures { path, classes });
    }
    Ok(listing)
}

/// Pictures of one class, folder by folder.
#[derive(Default)]
struct Found {
    folders: Vec<(PathBuf, Vec<OsString>)>,
    passed_over: usize,
}

/// Collects the pictures in `root/below` and the folders within. `above` are the folders that led
/// here, links resolved: reaching one again means that a link goes in a circle.
fn walk(
    root: &Path,
    below: PathBuf,
    above: &mut Vec<PathBuf>,
    found: &mut Found,
) -> Result<(), SetError> {
    let folder = root.join(&below);
    let real = fs::canonicalize(&folder).map_err(|source| SetError::io(&folder, source))?;
    if above.contains(&real) {
        return Err(SetError::LinkCircle { folder: folder.display().to_string() });
    }
    above.push(real);
    let here = visible(&folder)?;
    let all = here.files.len();
    let pictures: Vec<_> =
        here.files.into_iter().filter(|name| has_picture_name(Path::new(name))).collect();
    found.passed_over += all - pictures.len();
    for deeper in here.folders {
        walk(root, below.join(deeper), above, found)?;
    }
    found.folders.push((below, pictures));
    above.pop();
    Ok(())
}

/// What a folder holds but hidden things, each sorted by name byte by byte.
struct Visible {
    folders: Vec<OsString>,
    files: Vec<OsString>,
}

fn visible(folder: &Path) -> Result<Visible, SetError> {
    let told = |source| SetError::io(folder, source);
    let mut visible = Visible { folders: Vec::new(), files: Vec::new() };
    for entry in fs::read_dir(folder).map_err(told)? {
        let entry = entry.map_err(told)?;
        let name = entry.file_name();
        if bytes(&name).starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(told)?;
        // a broken link is taken for a file: somebody meant a picture there, and reading it says what is wrong
        let is_folder = kind.is_dir()
            || kind.is_symlink() && fs::metadata(entry.path()).is_ok_and(|target| target.is_dir());
        if is_folder { &mut visible.folders } else { &mut visible.files }.push(name);
    }
    visible.folders.sort_by(|a, b| bytes(a).cmp(bytes(b)));
    visible.files.sort_by(|a, b| bytes(a).cmp(bytes(b)));
    Ok(visible)
}

fn bytes(name: &OsStr) -> &[u8] {
    name.as_encoded_bytes()
}

//! Labelled sets of pictures: image folders, CIFAR binaries, IDX files.
//!
//! What a set is, its content says ([`LabelledSet::open`]). Image folders are listed and their
//! pictures decoded when they are asked for; the others, of small pictures of one size, are kept in
//! memory as bytes.

mod cifar;
mod error;
mod fingerprint;
mod folder;
mod held_out;
mod idx;
mod matching;
mod names;
mod records;
mod split;

use std::path::{Path, PathBuf};

use crate::error::PictureError;
use crate::picture::{self, Picture};

pub use error::SetError;
pub use held_out::{Held, held_out};
pub use matching::{MatchedBy, Matching, UnknownClass, match_classes};
pub use split::Split;

use records::Records;

/// The most bytes of pixels that are kept in memory of CIFAR binaries or IDX files: 4 GiB.
pub const MAX_SET_BYTES: u64 = 1 << 32;

/// What to take of a set, and how to call its classes. The default takes a set without parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The part to take where the set has parts. A set without parts is taken whole, whatever this
    /// says; of a set with a single part, that one is taken where this is `None`.
    pub split: Option<Split>,
    /// Class names, by label, for CIFAR binaries and IDX files, in place of those beside the files.
    pub class_names: Option<Vec<String>>,
}

/// The kind of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SetKind {
    /// One folder of pictures a class.
    Folder,
    /// Binary version of CIFAR-10.
    Cifar10,
    /// Binary version of CIFAR-100, with its fine labels.
    Cifar100,
    /// IDX files.
    Idx,
}

impl SetKind {
    /// `"image folder"`, `"CIFAR-10"`, `"CIFAR-100"` or `"IDX"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "image folder",
            Self::Cifar10 => cifar::Variant::Ten.called(),
            Self::Cifar100 => cifar::Variant::Hundred.called(),
            Self::Idx => "IDX",
        }
    }
}

/// Pictures, each with the class it belongs to.
///
/// Examples are numbered from 0 to [`len`](Self::len), classes from 0 to the number of
/// [`classes`](Self::classes). Asking for an example that is not there panics, as indexing does.
pub struct LabelledSet {
    root: PathBuf,
    kind: SetKind,
    part: Option<String>,
    classes: Vec<String>,
    labels: Vec<usize>,
    contents: Contents,
    passed_over: usize,
    loose: usize,
}

enum Contents {
    /// Paths below the root.
    Files(Vec<PathBuf>),
    Records(Records),
}

/// Names of classes, and the file they are from.
struct Named {
    names: Vec<String>,
    from: Option<String>,
}

impl LabelledSet {
    /// Opens the set at `path`, whose kind is told from what is there:
    ///
    /// 1. **CIFAR binaries**: a folder with `data_batch_*.bin` and `test_batch.bin` (class names in
    ///    `batches.meta.txt`), or with `train.bin` and `test.bin` (`fine_label_names.txt`), or a
    ///    single `.bin` file, which is taken whole. Records are 3073 bytes (CIFAR-10) or 3074
    ///    (CIFAR-100, whose coarse labels are skipped).
    /// 2. **IDX files**: a folder with `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or
    ///    with `t10k-...`, also gzipped (`.gz`) or with a dot before `idx`. Unsigned bytes only. Class names
    ///    are in `classes.txt`, one a line; without it they are numbers.
    /// 3. **An image folder**: `PATH/<class>/...`, or `PATH/train/<class>/...` and
    ///    `PATH/test/<class>/...` (`val`, `valid` or `validation` where there is no `test`).
    ///    Classes are the folders' names sorted by bytes; a class's pictures are the files below
    ///    its folder, at any depth, whose extension is one of [`EXTENSIONS`](crate::EXTENSIONS).
    ///    Hidden files and folders are left out. The order is that of torchvision's `ImageFolder`:
    ///    by class, then by folder, then by file name.
    ///
    /// No picture of an image folder is opened yet.
    ///
    /// # Errors
    /// [`SetError`]: nothing there, or of another layout; the part asked for is not there, or none
    /// was asked for and there are two; contents that contradict their format.
    pub fn open(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self, SetError> {
        let path = path.as_ref();
        let metadata = std::fs::metadata(path).map_err(|source| SetError::io(path, source))?;
        if !metadata.is_dir() {
            if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("bin")) {
                return Err(SetError::NotASet { path: path.display().to_string() });
            }
            return Self::from_cifar(path, cifar::open_file(path)?, options.class_names);
        }
        if let Some(files) = cifar::find(path)? {
            let read = cifar::open(path, files, options.split)?;
            return Self::from_cifar(path, read, options.class_names);
        }
        if let Some(files) = idx::find(path)? {
            let read = idx::open(path, files, options.split)?;
            let named = given(options.class_names, read.names);
            let part = Some(read.split.to_string());
            return Self::from_records(path, SetKind::Idx, part, read.records, read.labels, named);
        }
        Self::from_folder(path, &options)
    }

    fn from_folder(path: &Path, options: &OpenOptions) -> Result<Self, SetError> {
        if options.class_names.is_some() {
            return Err(SetError::NamesGiven { folder: path.display().to_string() });
        }
        let part = folder::part(path, options.split)?;
        let root = part.as_ref().map_or_else(|| path.to_owned(), |part| path.join(part));
        let listing = folder::list(&root)?;
        Ok(Self {
            root,
            kind: SetKind::Folder,
            part,
            classes: listing.classes,
            labels: listing.labels,
            contents: Contents::Files(listing.files),
            passed_over: listing.passed_over,
            loose: listing.loose,
        })
    }

    fn from_cifar(
        path: &Path,
        read: cifar::Cifar,
        names: Option<Vec<String>>,
    ) -> Result<Self, SetError> {
        let kind = match read.variant {
            cifar::Variant::Ten => SetKind::Cifar10,
            cifar::Variant::Hundred => SetKind::Cifar100,
        };
        let part = read.split.map(|split| split.to_string());
        Self::from_records(path, kind, part, read.records, read.labels, given(names, read.names))
    }

    fn from_records(
        path: &Path,
        kind: SetKind,
        part: Option<String>,
        records: Records,
        labels: Vec<usize>,
        named: Named,
    ) -> Result<Self, SetError> {
        let names = named.names.len();
        if let Some(&label) = labels.iter().find(|&&label| label >= names) {
            let path = path.display().to_string();
            return Err(SetError::TooFewNames { path, label, names, from: named.from });
        }
        Ok(Self {
            root: path.to_owned(),
            kind,
            part,
            classes: named.names,
            labels,
            contents: Contents::Records(records),
            passed_over: 0,
            loose: 0,
        })
    }

    /// The number of examples, at least 1.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no examples; a set that was opened has some.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// What the set is.
    pub fn kind(&self) -> SetKind {
        self.kind
    }

    /// The part that was taken: the name of an image folder's part, `"train"` or `"test"` of
    /// other sets, `None` where the set has no parts.
    pub fn part(&self) -> Option<&str> {
        self.part.as_deref()
    }

    /// The folder (of the part) or file that names are relative to.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Names of the classes, by label.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The class of example `index`.
    pub fn label(&self, index: usize) -> usize {
        self.labels[index]
    }

    /// The classes of all examples.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// What example `index` is called: its path below [`root`](Self::root), or its file and its
    /// number in it, counted from 0 (`data_batch_1.bin#17`).
    pub fn name(&self, index: usize) -> String {
        match &self.contents {
            Contents::Files(files) => files[index].display().to_string(),
            Contents::Records(records) => records.name(index),
        }
    }

    /// The file of example `index` of an image folder; `None` where the pictures lie in memory.
    pub fn file(&self, index: usize) -> Option<PathBuf> {
        match &self.contents {
            Contents::Files(files) => Some(self.root.join(&files[index])),
            Contents::Records(_) => None,
        }
    }

    /// Example `index` as upright RGB, height x width x 3; a grey one has three equal channels.
    ///
    /// # Errors
    /// Those of [`read`](crate::read), for image folders only.
    pub fn picture(&self, index: usize) -> Result<Picture, PictureError> {
        match &self.contents {
            Contents::Files(files) => picture::read(&self.root.join(&files[index])),
            Contents::Records(records) => Ok(records.picture(index)),
        }
    }

    /// Whether all pictures are known to be grey, which they are in IDX files. Of an image folder
    /// nothing is known before its pictures are read.
    pub fn grey(&self) -> bool {
        matches!(&self.contents, Contents::Records(records) if records.channels == 1)
    }

    /// Classes that have no examples, in order.
    pub fn empty_classes(&self) -> Vec<usize> {
        let mut seen = vec![false; self.classes.len()];
        for &label in &self.labels {
            seen[label] = true;
        }
        (0..seen.len()).filter(|&class| !seen[class]).collect()
    }

    /// The number of files in class folders that are no pictures by their names. Hidden ones are
    /// not counted.
    pub fn passed_over(&self) -> usize {
        self.passed_over
    }

    /// The number of pictures that lie beside the class folders, which belong to no class and were
    /// left out.
    pub fn loose(&self) -> usize {
        self.loose
    }

    /// SHA-256, as 64 hexadecimal digits, by which a later run notices other data.
    ///
    /// It covers the kind of the set, the names of its classes in order, and of each example its
    /// name and label, in order; of image folders the length of each file in bytes, of other sets
    /// their sizes and every pixel. So it changes when a file is added, removed, renamed, put into another
    /// class or replaced by one of another length. It does not notice a picture of an image folder that was
    /// replaced by one of equal length, and does not change when the whole set is moved.
    pub fn fingerprint(&self) -> String {
        fingerprint::of(self)
    }
}

/// The names given, before those found.
fn given(names: Option<Vec<String>>, found: Named) -> Named {
    names.map_or(found, |names| Named { names, from: None })
}

/// The last part of a path, for names and errors.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

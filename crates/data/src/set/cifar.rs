//! The binary versions of CIFAR-10 and CIFAR-100: records of a label and 32 x 32 x 3 bytes.
//!
//! <https://www.cs.toronto.edu/~kriz/cifar.html>, section "Binary version".

use std::fs;
use std::path::{Path, PathBuf};

use super::error::SetError;
use super::records::{Input, Records};
use super::{MAX_SET_BYTES, Named, Split, file_name, names, split};

const SIDE: usize = 32;
const PIXELS: usize = 3 * SIDE * SIDE;

/// The two record formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// One label, below 10.
    Ten,
    /// A coarse label, which is skipped, and a fine one, below 100.
    Hundred,
}

impl Variant {
    fn record(self) -> usize {
        PIXELS + self.label_bytes()
    }

    fn label_bytes(self) -> usize {
        match self {
            Self::Ten => 1,
            Self::Hundred => 2,
        }
    }

    fn classes(self) -> usize {
        match self {
            Self::Ten => 10,
            Self::Hundred => 100,
        }
    }

    pub fn called(self) -> &'static str {
        match self {
            Self::Ten => "CIFAR-10",
            Self::Hundred => "CIFAR-100",
        }
    }
}

/// What was read.
pub(super) struct Cifar {
    pub variant: Variant,
    pub split: Option<Split>,
    pub records: Records,
    pub labels: Vec<usize>,
    pub names: Named,
}

/// The files of both parts of a folder, if they are CIFAR binaries.
pub(super) struct Files {
    train: Vec<PathBuf>,
    test: Vec<PathBuf>,
}

/// Looks for CIFAR binaries in `folder`.
///
/// # Errors
/// [`SetError::PickledCifar`], and what listing the folder says.
pub(super) fn find(folder: &Path) -> Result<Option<Files>, SetError> {
    let told = |source| SetError::io(folder, source);
    let (mut batches, mut pickled) = (Vec::new(), false);
    for entry in fs::read_dir(folder).map_err(told)? {
        let name = entry.map_err(told)?.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.starts_with("data_batch_") && name.ends_with(".bin") {
            batches.push(name.to_owned());
        }
        pickled |= name == "data_batch_1";
    }
    // by number: `data_batch_10` comes after `data_batch_9`
    batches.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    let one = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
    let mut train: Vec<_> = batches.iter().map(|name| folder.join(name)).collect();
    let mut test: Vec<_> = one("test_batch.bin").into_iter().collect();
    if train.is_empty() && test.is_empty() {
        train.extend(one("train.bin"));
        test.extend(one("test.bin"));
    }
    if train.is_empty() && test.is_empty() {
        return match pickled {
            true => Err(SetError::PickledCifar { folder: folder.display().to_string() }),
            false => Ok(None),
        };
    }
    Ok(Some(Files { train, test }))
}

/// Reads the part of `folder` that `wanted` picks.
pub(super) fn open(folder: &Path, files: Files, wanted: Option<Split>) -> Result<Cifar, SetError> {
    let chosen =
        split::choose(folder, wanted, !files.train.is_empty(), !files.test.is_empty(), || {
            files.train.iter().chain(&files.test).map(|path| file_name(path)).collect()
        })?;
    let files = match chosen {
        Split::Train => files.train,
        Split::Test => files.test,
    };
    Ok(Cifar { split: Some(chosen), ..read(&files, folder)? })
}

/// Reads a single file of records; names of classes are looked for beside it.
pub(super) fn open_file(file: &Path) -> Result<Cifar, SetError> {
    read(&[file.to_owned()], file.parent().unwrap_or(Path::new(".")))
}

fn read(files: &[PathBuf], folder: &Path) -> Result<Cifar, SetError> {
    let mut labels = Vec::new();
    let mut records = Records {
        pixels: Vec::new(),
        height: SIDE,
        width: SIDE,
        channels: 3,
        files: Vec::new(),
        format: "cifar",
    };
    let mut variant = None;
    let mut total = 0;
    for file in files {
        let mut input = Input::open(file)?;
        if !input.exact {
            return Err(SetError::damaged(file, "is gzipped; unpack it first"));
        }
        total += input.at_most;
        if total > MAX_SET_BYTES {
            let file = file.display().to_string();
            return Err(SetError::TooLarge { file, bytes: total, limit: MAX_SET_BYTES });
        }
        let bytes = input.read(input.at_most, file)?;
        let this = told_by(&bytes, file)?;
        if *variant.get_or_insert(this) != this {
            let problem = format!("holds {} records, the files before hold others", this.called());
            return Err(SetError::damaged(file, problem));
        }
        append(&bytes, this, file, &mut records.pixels, &mut labels)?;
        records.files.push((file_name(file), labels.len()));
    }
    let Some(variant) = variant else {
        return Err(SetError::NotASet { path: folder.display().to_string() });
    };
    let list = match variant {
        Variant::Ten => "batches.meta.txt",
        Variant::Hundred => "fine_label_names.txt",
    };
    let names = match names::read(&folder.join(list))? {
        Some(names) => Named { names, from: Some(list.to_owned()) },
        None => Named { names: names::numbers(variant.classes()), from: None },
    };
    Ok(Cifar { variant, split: None, records, labels, names })
}

/// Which variant a file is of, by its length, and where that fits both, by the labels.
fn told_by(bytes: &[u8], file: &Path) -> Result<Variant, SetError> {
    let fits = |variant: Variant| {
        let length = variant.record();
        let label = variant.label_bytes() - 1;
        bytes.len().is_multiple_of(length)
            && bytes.chunks(length).all(|record| usize::from(record[label]) < variant.classes())
    };
    let lengths = |variant: Variant| bytes.len().is_multiple_of(variant.record());
    let problem = match [Variant::Ten, Variant::Hundred].map(lengths) {
        _ if bytes.is_empty() => "is empty, not CIFAR records".to_owned(),
        [true, false] => return Ok(Variant::Ten),
        [false, true] => return Ok(Variant::Hundred),
        [true, true] if fits(Variant::Ten) => return Ok(Variant::Ten),
        [true, true] => return Ok(Variant::Hundred),
        [false, false] => format!(
            "has {} bytes, which is no whole number of CIFAR records (3073 bytes each in CIFAR-10, 3074 in CIFAR-100): \
             it is cut short or something else",
            bytes.len()
        ),
    };
    Err(SetError::damaged(file, problem))
}

fn append(
    bytes: &[u8],
    variant: Variant,
    file: &Path,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<usize>,
) -> Result<(), SetError> {
    let count = bytes.len() / variant.record();
    let told = |source| SetError::io(file, std::io::Error::other(source));
    pixels.try_reserve_exact(count * PIXELS).map_err(told)?;
    labels.try_reserve_exact(count).map_err(told)?;
    for (number, record) in bytes.chunks_exact(variant.record()).enumerate() {
        let (label, picture) = record.split_at(variant.label_bytes());
        let label = usize::from(label[label.len() - 1]);
        if label >= variant.classes() {
            let problem = format!(
                "record {number} has label {label}; {} has labels 0 to {}",
                variant.called(),
                variant.classes() - 1
            );
            return Err(SetError::damaged(file, problem));
        }
        labels.push(label);
        pixels.extend_from_slice(picture);
    }
    Ok(())
}

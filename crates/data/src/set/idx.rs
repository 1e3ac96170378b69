//! IDX files, as MNIST and Fashion-MNIST are given out: grey pictures of one size and their labels.
//!
//! A header of big-endian numbers: two zero bytes, the type (8 for unsigned bytes), the number of
//! dimensions, and each dimension as 32 bits; then the values. <http://yann.lecun.com/exdb/mnist>

use std::path::{Path, PathBuf};

use super::error::SetError;
use super::records::{Input, Records};
use super::{Named, Split, file_name, names, split};
use crate::picture::MAX_PIXELS;

/// What was read.
pub(super) struct Idx {
    pub split: Split,
    pub records: Records,
    pub labels: Vec<usize>,
    pub names: Named,
}

/// The two files of one part.
struct Pair {
    images: PathBuf,
    labels: PathBuf,
}

/// The files of both parts.
pub(super) struct Files {
    train: Option<Pair>,
    test: Option<Pair>,
}

/// Looks for IDX files in `folder`.
///
/// # Errors
/// Pictures without labels, or labels without pictures.
pub(super) fn find(folder: &Path) -> Result<Option<Files>, SetError> {
    let files = Files { train: pair(folder, "train")?, test: pair(folder, "t10k")? };
    Ok((files.train.is_some() || files.test.is_some()).then_some(files))
}

fn pair(folder: &Path, prefix: &str) -> Result<Option<Pair>, SetError> {
    let find = |kind: &str, dimensions: u8| {
        ["-", "."].iter().flat_map(|dash| ["", ".gz"].map(|end| (dash, end))).find_map(
            |(dash, end)| {
                let path = folder.join(format!("{prefix}-{kind}{dash}idx{dimensions}-ubyte{end}"));
                path.is_file().then_some(path)
            },
        )
    };
    match (find("images", 3), find("labels", 1)) {
        (Some(images), Some(labels)) => Ok(Some(Pair { images, labels })),
        (None, None) => Ok(None),
        (Some(images), None) => {
            let problem = format!(
                "has no labels beside it ({prefix}-labels-idx1-ubyte or the same with .gz)"
            );
            Err(SetError::damaged(&images, problem))
        }
        (None, Some(labels)) => {
            let problem = format!(
                "has no pictures beside it ({prefix}-images-idx3-ubyte or the same with .gz)"
            );
            Err(SetError::damaged(&labels, problem))
        }
    }
}

/// Reads the part of `folder` that `wanted` picks.
pub(super) fn open(folder: &Path, files: Files, wanted: Option<Split>) -> Result<Idx, SetError> {
    let names = || {
        let pairs = files.train.iter().chain(&files.test);
        pairs.map(|pair| file_name(&pair.images)).collect()
    };
    let split = split::choose(folder, wanted, files.train.is_some(), files.test.is_some(), names)?;
    let (this, other) = match split {
        Split::Train => (files.train, files.test),
        Split::Test => (files.test, files.train),
    };
    let Some(this) = this else {
        return Err(SetError::NotASet { path: folder.display().to_string() });
    };
    let labels = read_labels(&this.labels)?;
    let records = read_images(&this.images, labels.len(), &this.labels)?;
    let names = match names::read(&folder.join("classes.txt"))? {
        Some(names) => Named { names, from: Some("classes.txt".to_owned()) },
        None => {
            // both parts have the same classes, even where one of them lacks the last
            let mut classes = count(&labels);
            if let Some(other) = other {
                classes = classes.max(count(&read_labels(&other.labels)?));
            }
            Named { names: names::numbers(classes), from: None }
        }
    };
    Ok(Idx { split, records, labels: labels.into_iter().map(usize::from).collect(), names })
}

fn count(labels: &[u8]) -> usize {
    labels.iter().max().map_or(0, |&label| usize::from(label) + 1)
}

/// Reads the header: the dimensions, of which there must be `N`.
fn header<const N: usize>(
    input: &mut Input,
    path: &Path,
    what: &str,
) -> Result<[u64; N], SetError> {
    let start = input.read(4, path)?;
    let expected = [0, 0, 8, N as u8];
    if start != expected {
        let problem = match start[..] {
            [0, 0, 8, dimensions] => format!("has {dimensions} dimension(s); {what} have {N}"),
            [0, 0, kind @ (9 | 11..=14), _] => {
                format!("holds numbers of type {kind:#04x}; only unsigned bytes (0x08) are read")
            }
            _ => format!(
                "begins with {start:02x?}, not with {expected:02x?} as IDX files of {what} do"
            ),
        };
        return Err(SetError::damaged(path, problem));
    }
    let bytes = input.read(4 * N as u64, path)?;
    let (numbers, _) = bytes.as_chunks::<4>();
    let dimensions: Vec<_> = numbers.iter().map(|&n| u64::from(u32::from_be_bytes(n))).collect();
    dimensions.try_into().map_err(|_| SetError::damaged(path, "ends within its header"))
}

fn read_labels(path: &Path) -> Result<Vec<u8>, SetError> {
    let mut input = Input::open(path)?;
    let [count] = header(&mut input, path, "labels")?;
    read_exactly(&mut input, count, path, &format!("{count} labels"))
}

fn read_images(path: &Path, labels: usize, labels_path: &Path) -> Result<Records, SetError> {
    let mut input = Input::open(path)?;
    let [count, height, width] = header(&mut input, path, "pictures")?;
    let stated = format!("{count} pictures of {height} x {width}");
    if count == 0 {
        return Err(SetError::NoPictures { path: path.display().to_string(), classes: 0 });
    }
    let plane = height * width;
    if plane == 0 || plane > MAX_PIXELS {
        let problem =
            format!("says that it holds {stated} pixels; a picture has 1 to {MAX_PIXELS} pixels");
        return Err(SetError::damaged(path, problem));
    }
    if count != labels as u64 {
        let problem = format!(
            "says that it holds {stated}, but {} has {labels} labels",
            file_name(labels_path)
        );
        return Err(SetError::damaged(path, problem));
    }
    let pixels = read_exactly(&mut input, count.saturating_mul(plane), path, &stated)?;
    Ok(Records {
        pixels,
        height: height as usize,
        width: width as usize,
        channels: 1,
        files: vec![(file_name(path), labels)],
        format: "idx",
    })
}

/// Reads all that is left, which must be `count` bytes.
fn read_exactly(
    input: &mut Input,
    count: u64,
    path: &Path,
    stated: &str,
) -> Result<Vec<u8>, SetError> {
    if count > input.at_most {
        let problem = format!(
            "says that it holds {stated}, more than {} bytes can be",
            if input.exact { "its" } else { "its gzipped" }
        );
        return Err(SetError::damaged(path, problem));
    }
    let bytes = input.read(count, path)?;
    if (bytes.len() as u64) < count {
        let problem =
            format!("says that it holds {stated}, but ends after {} bytes of them", bytes.len());
        return Err(SetError::damaged(path, problem));
    }
    if !input.at_end(path)? {
        return Err(SetError::damaged(
            path,
            format!("goes on after the {stated} that it says it holds"),
        ));
    }
    Ok(bytes)
}

//! Writing arrays: whole or not at all.

use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use ndarray::{Array, ArrayViewD, Dimension};
use rawzip::ZipArchiveWriter;
use serde_json::{Map, Value, json};

use super::error::ArraysError;
use super::npy;

/// What to write under a name.
#[derive(Clone, Debug)]
pub enum Values<'a> {
    /// An array of f32, of any shape and layout.
    Floats(ArrayViewD<'a, f32>),
    /// An array of i64, of any shape and layout.
    Integers(ArrayViewD<'a, i64>),
    /// Texts, one dimension. NumPy's strings cannot end in zeros (`\0`), so these would be lost in an `.npz`.
    Strings(&'a [String]),
}

impl<'a, D: Dimension> From<&'a Array<f32, D>> for Values<'a> {
    fn from(array: &'a Array<f32, D>) -> Self {
        Self::Floats(array.view().into_dyn())
    }
}

impl<'a, D: Dimension> From<&'a Array<i64, D>> for Values<'a> {
    fn from(array: &'a Array<i64, D>) -> Self {
        Self::Integers(array.view().into_dyn())
    }
}

impl<'a> From<&'a [String]> for Values<'a> {
    fn from(texts: &'a [String]) -> Self {
        Self::Strings(texts)
    }
}

/// Writes `arrays` into an uncompressed `.npz`, as `numpy.load` reads it; texts become an array
/// of NumPy's type `<U`.
///
/// The same arrays give the same bytes: no time of day is stored. An existing file is replaced when all is
/// written, and stays as it is if something fails.
///
/// # Errors
/// [`ArraysError::Name`] for names that are empty, doubled or hold a path separator;
/// [`ArraysError::Unwritable`].
pub fn write_npz(path: impl AsRef<Path>, arrays: &[(&str, Values<'_>)]) -> Result<(), ArraysError> {
    atomically(path.as_ref(), arrays, |out| {
        let mut archive = ZipArchiveWriter::new(out);
        for (name, values) in arrays {
            let file = format!("{name}.npy");
            let (mut entry, config) = archive.new_file(&file).start().map_err(io::Error::other)?;
            let mut writer = config.wrap(&mut entry);
            npy_values(&mut writer, values)?;
            let (_, descriptor) = writer.finish().map_err(io::Error::other)?;
            entry.finish(descriptor).map_err(io::Error::other)?;
        }
        archive.finish().map_err(io::Error::other).map(drop)
    })
}

/// Writes `arrays` into a safetensors file; texts go into its metadata as lists in JSON.
///
/// The rest is as in [`write_npz`].
///
/// # Errors
/// As [`write_npz`]; an array cannot be called `__metadata__`.
pub fn write_safetensors(
    path: impl AsRef<Path>,
    arrays: &[(&str, Values<'_>)],
) -> Result<(), ArraysError> {
    atomically(path.as_ref(), arrays, |out| {
        let mut metadata = Map::new();
        let mut header = Map::new();
        let mut end = 0;
        // wide values first, so that all begin at a multiple of their size
        let wide = arrays.iter().filter(|(_, values)| matches!(values, Values::Integers(_)));
        let narrow = arrays.iter().filter(|(_, values)| matches!(values, Values::Floats(_)));
        let tensors: Vec<_> = wide.chain(narrow).collect();
        for (name, values) in &tensors {
            let (dtype, shape, bytes) = match values {
                Values::Floats(array) => ("F32", array.shape(), 4 * array.len()),
                Values::Integers(array) => ("I64", array.shape(), 8 * array.len()),
                Values::Strings(_) => continue,
            };
            let offsets = [end, end + bytes];
            header.insert(
                (*name).to_owned(),
                json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets }),
            );
            end += bytes;
        }
        for (name, values) in arrays {
            if let Values::Strings(texts) = values {
                metadata.insert((*name).to_owned(), Value::String(serde_json::to_string(texts)?));
            }
        }
        if !metadata.is_empty() {
            header.insert("__metadata__".to_owned(), Value::Object(metadata));
        }
        let mut header = serde_json::to_vec(&header)?;
        header.resize(header.len().next_multiple_of(8), b' ');
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for (_, values) in tensors {
            match values {
                Values::Floats(array) => all(out, array, |value| value.to_le_bytes())?,
                Values::Integers(array) => all(out, array, |value| value.to_le_bytes())?,
                Values::Strings(_) => (),
            }
        }
        Ok(())
    })
}

/// Lets `write` fill a file beside `path`, which then takes its place.
fn atomically(
    path: &Path,
    arrays: &[(&str, Values<'_>)],
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), ArraysError> {
    let file = path.display().to_string();
    check_names(&file, arrays)?;
    let written = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        // as for any new file: what the user's mask leaves of it
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut temporary =
            builder.prefix(".arrays-").tempfile_in(folder.unwrap_or(Path::new(".")))?;
        let mut out = BufWriter::with_capacity(1 << 16, temporary.as_file_mut());
        write(&mut out)?;
        out.flush()?;
        drop(out);
        temporary.persist(path).map_err(|error| error.error).map(drop)
    };
    written().map_err(|source| ArraysError::Unwritable { file, source })
}

/// `numpy.load` finds an array by its member's name, so a name that is doubled or reads as a path would
/// be lost.
fn check_names(file: &str, arrays: &[(&str, Values<'_>)]) -> Result<(), ArraysError> {
    let mut seen = HashSet::new();
    for (name, _) in arrays {
        let problem = if name.is_empty() {
            "the name is empty"
        } else if name.contains(['/', '\\']) {
            "it holds a path separator"
        } else if *name == "__metadata__" {
            "safetensors files keep this name for themselves"
        } else if name.len() > 1000 {
            "it is longer than 1000 bytes"
        } else if !seen.insert(*name) {
            "an array of that name is there already"
        } else {
            continue;
        };
        return Err(ArraysError::Name {
            file: file.to_owned(),
            array: (*name).to_owned(),
            problem,
        });
    }
    Ok(())
}

/// Header and values as in a `.npy` file.
fn npy_values(out: &mut dyn Write, values: &Values<'_>) -> io::Result<()> {
    match values {
        Values::Floats(array) if array.ndim() > npy::MAX_DIMENSIONS => Err(too_deep(array.ndim())),
        Values::Integers(array) if array.ndim() > npy::MAX_DIMENSIONS => {
            Err(too_deep(array.ndim()))
        }
        Values::Floats(array) => {
            out.write_all(&npy::write("<f4", array.shape()))?;
            all(out, array, |value| value.to_le_bytes())
        }
        Values::Integers(array) => {
            out.write_all(&npy::write("<i8", array.shape()))?;
            all(out, array, |value| value.to_le_bytes())
        }
        Values::Strings(texts) => {
            let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
            out.write_all(&npy::write(&format!("<U{longest}"), &[texts.len()]))?;
            for text in *texts {
                let codes = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(longest);
                out.write_all(&codes.flat_map(u32::to_le_bytes).collect::<Vec<u8>>())?;
            }
            Ok(())
        }
    }
}

fn too_deep(dimensions: usize) -> io::Error {
    let problem = format!(
        "an array has {dimensions} dimensions, NumPy's have at most {}",
        npy::MAX_DIMENSIONS
    );
    io::Error::new(io::ErrorKind::InvalidInput, problem)
}

/// All values in standard order, some thousand at a time, so that the array is not copied as a whole.
fn all<T: Copy, const N: usize>(
    out: &mut (impl Write + ?Sized),
    array: &ArrayViewD<'_, T>,
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(super::CHUNK);
    for &value in array {
        buffer.extend_from_slice(&bytes(value));
        if buffer.len() + N > super::CHUNK {
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    out.write_all(&buffer)
}

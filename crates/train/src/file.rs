//! safetensors files, written so that the same contents give the same bytes and so that a file is there whole or not at
//! all.
//!
//! (The crate `safetensors` writes its strings in an order that changes from run to run.)

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// A tensor of float32: name, shape, values.
pub type Entry<'a> = (&'a str, &'a [usize], &'a [f32]);

/// Writes the tensors, in this order, and the strings of the header.
///
/// The file appears under its name when it is complete; until then, and if it fails, what was there stays.
///
/// # Errors
/// Those of the file system.
pub fn write(path: &Path, tensors: &[Entry<'_>], metadata: &[(&str, String)]) -> io::Result<()> {
    let mut header = Map::new();
    let strings =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str())));
    header.insert("__metadata__".to_owned(), Value::Object(strings.collect()));
    let mut end = 0;
    for (name, shape, values) in tensors {
        let start = end;
        end += size_of_val(*values);
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]});
        header.insert((*name).to_owned(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // tensors begin at a multiple of eight
    header.resize(header.len().next_multiple_of(8), b' ');
    replace(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for (_, _, values) in tensors {
            for value in *values {
                out.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    })
}

/// Writes a file beside its place and moves it there.
///
/// # Errors
/// Those of the file system; then what was there is still there.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it has no file name"))?;
    // a name that the next run uses again, if this one is killed
    let hidden = format!(".{}.part", name.to_string_lossy());
    let draft = path.with_file_name(hidden);
    let written = (|| {
        let mut out = BufWriter::with_capacity(1 << 16, File::create(&draft)?);
        write(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(&draft, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

/// `model.safetensors` -> `model.checkpoint.safetensors`: another file beside one.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_extension(ending)
}

//! The zip archive that `torch.save` writes since PyTorch 1.6.
//!
//! Its entries are stored, not compressed, each at a multiple of 64 bytes, so tensors can stay where
//! they are in the file. Nothing is ever decompressed here: an entry is a range of the file or an error.
//!
//! The crate `zip` would do, but reserves memory for as many entries as a file claims to have (a
//! hundred bytes and more for each byte of the file) and starts again at every earlier end record;
//! `rawzip` goes through the directory in place.

use std::collections::HashMap;
use std::ops::Range;

use rawzip::{CompressionMethod, ZipArchive};

use super::error::{CheckpointError, Result};
use super::value::shown;

/// Most entries; a large network has some thousand.
const MAX_ENTRIES: usize = 1 << 20;

/// Where the entries of an archive lie in the file.
#[derive(Debug)]
pub(super) struct Archive {
    entries: HashMap<String, Range<usize>>,
}

impl Archive {
    /// Reads the directory. `foreign` looks at all names first and says if this is something else,
    /// whose entries would be faulted for the wrong reasons.
    ///
    /// # Errors
    /// The directory is damaged; an entry is compressed, encrypted, there twice, reaches beyond the
    /// file or into another one.
    pub fn open<E: From<CheckpointError>>(
        bytes: &[u8],
        foreign: impl FnOnce(&[String]) -> Option<E>,
    ) -> Result<Self, E> {
        let damaged = |error: rawzip::Error| CheckpointError::Archive(error.to_string());
        let archive = ZipArchive::from_slice(bytes).map_err(damaged)?;
        let mut records = Vec::new();
        let mut names = Vec::new();
        for record in archive.entries() {
            let record = record.map_err(damaged)?;
            if record.is_dir() {
                continue;
            }
            if names.len() == MAX_ENTRIES {
                let what = "its zip archive has more entries".to_owned();
                return Err(CheckpointError::Limit { what, limit: MAX_ENTRIES }.into());
            }
            names.push(String::from_utf8_lossy(record.file_path().as_ref()).into_owned());
            records.push(record);
        }
        if let Some(error) = foreign(&names) {
            return Err(error);
        }

        let mut entries = HashMap::with_capacity(names.len());
        for (name, record) in names.into_iter().zip(records) {
            let wrong = |problem: &str| CheckpointError::Entry {
                name: shown(&name),
                problem: problem.to_owned(),
            };
            if record.flags().is_encrypted() {
                return Err(wrong("is encrypted").into());
            }
            let stored = record.compression_method() == CompressionMethod::STORE
                && record.compressed_size_hint() == record.uncompressed_size_hint();
            if !stored {
                return Err(wrong("is compressed, which torch.save never does").into());
            }
            let range = archive
                .get_entry(record.wayfinder())
                .ok()
                .and_then(|entry| {
                    let (start, end) = entry.compressed_data_range();
                    Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
                })
                .filter(|range| bytes.get(range.clone()).is_some())
                .ok_or_else(|| wrong("reaches beyond the file, or its header is damaged"))?;
            if entries.contains_key(&name) {
                return Err(wrong("is in it twice").into());
            }
            entries.insert(name, range);
        }
        let archive = Self { entries };
        archive.check_overlaps()?;
        Ok(archive)
    }

    fn check_overlaps(&self) -> Result<()> {
        let mut ranges: Vec<_> =
            self.entries.iter().filter(|(_, range)| !range.is_empty()).collect();
        ranges.sort_by_key(|(name, range)| (range.start, *name));
        match ranges.windows(2).find(|pair| pair[0].1.end > pair[1].1.start) {
            Some(pair) => Err(CheckpointError::Entry {
                name: shown(pair[1].0),
                problem: format!("overlaps entry {}", shown(pair[0].0)),
            }),
            None => Ok(()),
        }
    }

    /// Where an entry's bytes lie.
    pub fn range(&self, name: &str) -> Option<Range<usize>> {
        self.entries.get(name).cloned()
    }
}

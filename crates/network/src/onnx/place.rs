//! Constants into place: large ones side by side in one aligned buffer, which the runtime reads as the
//! graph's weights; small ones stay in the graph.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Component, Path};

use rten_onnx::onnx::DataType;
use sha2::{Digest, Sha256};

use super::tensor::{ParsedTensor, Payload};
use crate::error::{NetworkError, Result};
use crate::graph::{Data, Initializer};

/// Runtimes read tensors fastest from addresses of this multiple.
const ALIGNMENT: usize = 64;
/// Smaller constants are written into the graph.
const SMALL: usize = 1024;

/// Files that tensors lie in, opened once.
struct Files<'a> {
    folder: &'a Path,
    origin: &'a str,
    open: HashMap<String, (File, usize)>,
}

impl Files<'_> {
    /// The file and its length in bytes.
    fn get(&mut self, location: &str) -> Result<&mut (File, usize)> {
        let refused = |reason: String| NetworkError::CorruptOnnx {
            origin: self.origin.to_owned(),
            reason: format!("its external data {location:?} {reason}"),
        };
        // a model must not be a way to read whatever lies on the disk
        let inside =
            Path::new(location).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            return Err(refused("points out of the model's folder".to_owned()));
        }
        if !self.open.contains_key(location) {
            let path = self.folder.join(location);
            let missing = |error: std::io::Error| {
                refused(format!("cannot be read ({error}); it must lie beside the .onnx file"))
            };
            let file = File::open(&path).map_err(missing)?;
            let length = file.metadata().map_err(missing)?.len();
            let length = usize::try_from(length).map_err(|_| refused("is too large".into()))?;
            self.open.insert(location.to_owned(), (file, length));
        }
        self.open.get_mut(location).ok_or_else(|| NetworkError::CorruptOnnx {
            origin: self.origin.to_owned(),
            reason: format!("its external data {location:?} was lost"),
        })
    }
}

/// Initialisers, the buffer that the external ones point into, and the SHA-256 of all files' bytes
/// that belong to the model.
pub(super) fn place(
    tensors: Vec<ParsedTensor>,
    file: &[u8],
    folder: &Path,
    origin: &str,
) -> Result<(Vec<Initializer>, Vec<u8>, String)> {
    let mut files = Files { folder, origin, open: HashMap::new() };
    let corrupt = |reason: String| NetworkError::CorruptOnnx { origin: origin.to_owned(), reason };

    // where each large tensor goes; what several tensors share is stored once
    let mut places: HashMap<(String, Range<usize>), usize> = HashMap::new();
    let mut reads = Vec::new();
    let mut end: usize = 0;
    let mut inline: usize = 0;
    let mut initializers = Vec::with_capacity(tensors.len());
    let mut digest = Sha256::new_with_prefix(file);
    for ParsedTensor { name, dims, element, payload } in tensors {
        let (location, span) = match payload {
            Payload::Inline(raw) => {
                initializers.push(Initializer { name, dims, element, data: Data::Inline(raw) });
                continue;
            }
            Payload::Raw(span) => (String::new(), span),
            Payload::External { location, offset, length } => {
                let (_, available) = files.get(&location)?;
                let last = offset.checked_add(length).filter(|last| last <= available);
                let last = last.ok_or_else(|| {
                    corrupt(format!(
                        "tensor {name} wants bytes {offset} to {} of {location}, which has {available}",
                        offset.saturating_add(length)
                    ))
                })?;
                (location, offset..last)
            }
        };
        let length = span.len();
        let large = length >= SMALL && matches!(element, DataType::FLOAT | DataType::FLOAT16);
        let data = if large {
            let offset = *places.entry((location.clone(), span.clone())).or_insert_with(|| {
                let offset = end.next_multiple_of(ALIGNMENT);
                end = offset.saturating_add(length);
                reads.push((location, span, offset));
                offset
            });
            Data::External { offset, length }
        } else {
            inline = inline.saturating_add(length);
            let stored = files.open.values().map(|(_, length)| *length).sum::<usize>();
            if inline > stored.saturating_add(file.len()) {
                return Err(corrupt("its tensors overlap each other in the file".to_owned()));
            }
            let mut raw = vec![0; length];
            read(&mut files, file, &location, &span, &mut raw)?;
            if !location.is_empty() {
                digest.update(&raw);
            }
            Data::Inline(raw)
        };
        initializers.push(Initializer { name, dims, element, data });
    }

    // tensors that overlap could make a small file ask for any amount of memory
    let stored: usize = files.open.values().map(|(_, length)| *length).sum();
    let padding = reads.len().saturating_mul(ALIGNMENT);
    if end > stored.saturating_add(file.len()).saturating_add(padding) {
        return Err(corrupt("its tensors overlap each other in the file".to_owned()));
    }
    let mut buffer = vec![0; end];
    for (location, span, offset) in reads {
        let target = &mut buffer[offset..offset + span.len()];
        read(&mut files, file, &location, &span, target)?;
        if !location.is_empty() {
            digest.update(target);
        }
    }
    let sha256 = crate::weights::hex(&digest.finalize());
    Ok((initializers, buffer, sha256))
}

fn read(
    files: &mut Files<'_>,
    file: &[u8],
    location: &str,
    span: &Range<usize>,
    target: &mut [u8],
) -> Result<()> {
    let origin = files.origin.to_owned();
    if location.is_empty() {
        let bytes = file.get(span.clone()).filter(|bytes| bytes.len() == target.len());
        let bytes = bytes.ok_or_else(|| NetworkError::CorruptOnnx {
            origin,
            reason: format!("bytes {span:?} lie outside the file"),
        })?;
        target.copy_from_slice(bytes);
        return Ok(());
    }
    let (source, _) = files.get(location)?;
    source.seek(SeekFrom::Start(span.start as u64)).and_then(|_| source.read_exact(target)).map_err(
        |error| NetworkError::CorruptOnnx {
            origin,
            reason: format!("its external data {location:?} cannot be read: {error}"),
        },
    )
}

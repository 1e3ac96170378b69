//! Safetensors: <https://github.com/huggingface/safetensors>
//!
//! The header's length as 64 bits, the header in JSON, and the values; read by place, so that a file of
//! gigabytes is never in memory as a whole.

use std::collections::HashMap;

use rawzip::{RangeReader, ReaderAt};
use safetensors::Dtype as Kind;
use safetensors::tensor::Metadata;

use super::dtype::Dtype;
use super::entry::{Entry, Place, Stored};
use super::npy::Header;
use super::source::Source;

/// The longest header, as in the reference implementation.
const MAX_HEADER: u64 = 100_000_000;

/// A file whose header was read.
pub(super) struct Tensors {
    source: Source,
    pub metadata: HashMap<String, String>,
}

/// Whether a file that begins with these bytes and is so long may be one.
pub(super) fn may_be(start: &[u8], length: u64) -> bool {
    let header = start.first_chunk().map(|&header| u64::from_le_bytes(header));
    let fits = header.is_some_and(|header| header <= MAX_HEADER && header < length);
    fits && start.get(8) == Some(&b'{')
}

impl Tensors {
    /// Reads the header, which must account for every byte of the file.
    pub fn open(source: Source) -> Result<(Self, Vec<Entry>), String> {
        let told = |error: std::io::Error| format!("its header cannot be read: {error}");
        let mut start = [0; 8];
        source.read_exact_at(&mut start, 0).map_err(told)?;
        let length = u64::from_le_bytes(start);
        let values = length.saturating_add(8);
        if length > MAX_HEADER || values > source.length() {
            return Err(format!("its header is said to have {length} bytes"));
        }
        let mut header = vec![0; length as usize];
        source.read_exact_at(&mut header, 8).map_err(told)?;
        let header: Metadata =
            serde_json::from_slice(&header).map_err(|error| format!("its header: {error}"))?;
        let expected = values.saturating_add(header.data_len() as u64);
        if expected != source.length() {
            let length = source.length();
            return Err(format!("it has {length} bytes, but its header describes {expected}"));
        }
        let mut entries = Vec::new();
        for name in header.offset_keys() {
            let Some(info) = header.info(&name) else { continue };
            let stored = match dtype(info.dtype) {
                Some(dtype) => {
                    let (start, end) = info.data_offsets;
                    let place = Place::Range(values + start as u64..values + end as u64);
                    let shape = info.shape.clone();
                    let header = Header { dtype, big_endian: false, fortran: false, shape };
                    Ok(Stored { header, place })
                }
                None => Err(format!("of type {}, which is not read", info.dtype)),
            };
            entries.push(Entry { name, stored });
        }
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok((Self { source, metadata }, entries))
    }

    /// The bytes of a tensor.
    pub fn values(&self, range: std::ops::Range<u64>) -> RangeReader<&Source> {
        RangeReader::new(&self.source, range)
    }
}

fn dtype(kind: Kind) -> Option<Dtype> {
    Some(match kind {
        Kind::F16 => Dtype::F16,
        Kind::BF16 => Dtype::Bf16,
        Kind::F32 => Dtype::F32,
        Kind::F64 => Dtype::F64,
        Kind::I8 => Dtype::I8,
        Kind::I16 => Dtype::I16,
        Kind::I32 => Dtype::I32,
        Kind::I64 => Dtype::I64,
        Kind::U8 => Dtype::U8,
        Kind::U16 => Dtype::U16,
        Kind::U32 => Dtype::U32,
        Kind::U64 => Dtype::U64,
        Kind::BOOL => Dtype::Bool,
        _ => return None,
    })
}

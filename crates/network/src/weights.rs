//! A state dict: named tensors over the bytes of a safetensors file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use ndarray::ArrayD;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::error::{NetworkError, Result};

/// One tensor of a state dict: its type, its shape, and where its bytes lie in the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub dtype: Element,
    pub shape: Vec<usize>,
    pub offset: usize,
    pub length: usize,
}

/// Element types that weights may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    F16,
    Bf16,
}

impl Element {
    fn size(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::F16 | Self::Bf16 => size_of::<u16>(),
        }
    }
}

/// Named tensors of a trained network, in torchvision's names.
///
/// The bytes stay as they were read, and are handed to the runtime without a copy (which turns float16
/// tensors into float32 ones of its own when it loads a graph). Only a file with bfloat16 tensors, or with tensors at unaligned offsets, is rewritten once (as float32).
#[derive(Clone)]
pub struct Weights {
    bytes: Cow<'static, [u8]>,
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
    sha256: String,
    origin: String,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Weights")
            .field("origin", &self.origin)
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

impl Weights {
    /// Reads a safetensors file with tensors of type F32, F16 or BF16.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or holds a tensor of another type
    /// (`num_batches_tracked` counters of batch normalisation are passed over).
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .map_err(|source| NetworkError::ReadWeights { path: path.to_owned(), source })?;
        Self::from_bytes(bytes, &path.display().to_string())
    }

    /// Like [`Weights::read`], from bytes in memory; `origin` is what errors call them.
    ///
    /// # Errors
    /// As [`Weights::read`].
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>, origin: &str) -> Result<Self> {
        let bytes = bytes.into();
        let corrupt = |source| NetworkError::CorruptWeights { origin: origin.to_owned(), source };
        let (header, parsed) = SafeTensors::read_metadata(&bytes).map_err(corrupt)?;
        let base = header + size_of::<u64>();
        let metadata = parsed.metadata().clone().unwrap_or_default().into_iter().collect();

        let mut tensors = BTreeMap::new();
        let mut rewrite = !(bytes.as_ptr() as usize).is_multiple_of(size_of::<f32>());
        // in order of names, so that of several faults always the same one is named
        let infos: BTreeMap<_, _> = parsed.tensors().into_iter().collect();
        for (name, info) in infos {
            if name.ends_with("num_batches_tracked") {
                continue;
            }
            let (start, end) = info.data_offsets;
            let dtype = match info.dtype {
                Dtype::F32 => Element::F32,
                Dtype::F16 => Element::F16,
                Dtype::BF16 => Element::Bf16,
                other => {
                    return Err(NetworkError::ElementType {
                        origin: origin.to_owned(),
                        name,
                        dtype: other.to_string(),
                    });
                }
            };
            let offset = base + start;
            rewrite |= dtype == Element::Bf16 || !offset.is_multiple_of(dtype.size());
            // the engine's ReLU turns NaN into zero, so nothing would show later
            if !all_finite(&bytes[offset..base + end], dtype) {
                return Err(NetworkError::WeightNotFinite { origin: origin.to_owned(), name });
            }
            let shape = info.shape.clone();
            tensors.insert(name, Tensor { dtype, shape, offset, length: end - start });
        }

        let mut weights = Self {
            sha256: hex(&Sha256::digest(&bytes)),
            bytes,
            tensors,
            metadata,
            origin: origin.to_owned(),
        };
        if rewrite {
            weights.rewrite_as_f32();
        }
        Ok(weights)
    }

    /// Tensors of these names and shapes, all zero (memory that is never touched costs nothing).
    pub(crate) fn zeros(shapes: Vec<(String, Vec<usize>)>) -> Self {
        let mut end = 0;
        let tensors = shapes
            .into_iter()
            .map(|(name, shape)| {
                let length = shape.iter().product::<usize>() * size_of::<f32>();
                let offset = end;
                end += length;
                (name, Tensor { dtype: Element::F32, shape, offset, length })
            })
            .collect();
        Self {
            bytes: Cow::Owned(vec![0; end]),
            tensors,
            metadata: BTreeMap::new(),
            sha256: String::new(),
            origin: "no weights".to_owned(),
        }
    }

    /// The runtime knows no bfloat16 and wants aligned tensors: one pass makes every tensor an
    /// aligned float32 one.
    fn rewrite_as_f32(&mut self) {
        let total = self.tensors.values().map(|t| t.length / t.dtype.size()).sum::<usize>();
        let mut out = Vec::with_capacity(total * size_of::<f32>());
        for tensor in self.tensors.values_mut() {
            let raw = &self.bytes[tensor.offset..tensor.offset + tensor.length];
            let offset = out.len();
            for value in to_f32(raw, tensor.dtype) {
                out.extend_from_slice(&value.to_le_bytes());
            }
            tensor.dtype = Element::F32;
            tensor.offset = offset;
            tensor.length = out.len() - offset;
        }
        self.bytes = Cow::Owned(out);
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor, if there is one of that name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// The values of a tensor as float32, if there is one of that name.
    pub fn values(&self, name: &str) -> Option<ArrayD<f32>> {
        let tensor = self.tensors.get(name)?;
        let raw = self.bytes.get(tensor.offset..tensor.offset + tensor.length)?;
        let values = to_f32(raw, tensor.dtype).collect();
        ArrayD::from_shape_vec(tensor.shape.clone(), values).ok()
    }

    /// SHA-256 of the file's bytes, as 64 lower-case hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The string metadata in the file's header (often just `format: pt`).
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Where the weights came from: a path, or a word for embedded ones.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    pub(crate) fn into_bytes(self) -> Cow<'static, [u8]> {
        self.bytes
    }
}

/// An exponent of all ones means infinity or NaN, in each of the formats.
pub(crate) fn all_finite(raw: &[u8], dtype: Element) -> bool {
    let half = |mask: u16| {
        raw.as_chunks::<2>().0.iter().all(|&pair| u16::from_le_bytes(pair) & mask != mask)
    };
    match dtype {
        Element::F32 => raw
            .as_chunks::<4>()
            .0
            .iter()
            .all(|&word| u32::from_le_bytes(word) & 0x7f80_0000 != 0x7f80_0000),
        Element::F16 => half(0x7c00),
        Element::Bf16 => half(0x7f80),
    }
}

pub(crate) fn to_f32(raw: &[u8], dtype: Element) -> impl Iterator<Item = f32> {
    raw.chunks_exact(dtype.size()).map(move |bytes| match (dtype, bytes) {
        (Element::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
        (Element::F16, &[a, b]) => half::f16::from_le_bytes([a, b]).to_f32(),
        (_, &[a, b]) => half::bf16::from_le_bytes([a, b]).to_f32(),
        // chunks_exact gives no other lengths
        _ => f32::NAN,
    })
}

pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::with_capacity(2 * digest.len()), |mut text, byte| {
        // writing to a String cannot fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}

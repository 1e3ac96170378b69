//! A state dict: named tensors over the bytes of a file.
//!
//! [`Weights::read`] takes a safetensors file or a PyTorch checkpoint and tells them apart by their
//! content ([`format`]). Both end as tensors under torchvision's names ([`names`]) in one buffer that
//! the runtime reads ([`settle`]): the file's own bytes, wherever its tensors are float32 or float16,
//! dense and aligned, as they are in what PyTorch writes today.

mod format;
pub(crate) mod names;
mod settle;
pub(crate) mod strided;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use ndarray::ArrayD;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use sha2::{Digest, Sha256};

use self::format::Format;
use self::names::Renamed;
pub(crate) use self::settle::all_finite;
use self::strided::Strided;
use crate::checkpoint::{self, Failure};
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
    // weights have none, since the runtime cannot read them, but graphs know the type
    #[allow(dead_code)]
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
/// # What is read
/// - safetensors files, and PyTorch checkpoints in both formats of `torch.save`: bare state dicts,
///   state dicts under a key such as `state_dict` or `model` (the first of a list of usual keys, else
///   the only dict that holds tensors), and whole modules. A checkpoint is parsed for its tensors;
///   nothing in it is ever executed.
/// - Tensors of types float32, float16, bfloat16 and float64, in any memory layout.
///
/// # Names
/// Prefixes that all tensors share are stripped: `module.`, `model.`, `net.`, `network.`, `_orig_mod.`,
/// also several of them. Old DenseNet names (`norm.1`) get their present form (`norm1`), and the batch
/// counters `num_batches_tracked` are dropped. Errors name tensors by the names after this.
///
/// # Memory
/// The bytes stay as they were read, and are handed to the runtime without a copy (which turns float16
/// tensors into float32 ones of its own when it loads a graph). Only tensors of other types, of another
/// layout than the order of their indices, or at unaligned offsets are copied once (as float32).
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
    /// Reads a safetensors file or a PyTorch checkpoint.
    ///
    /// # Errors
    /// The file cannot be read, is of another format, damaged or hostile, holds no state dict or
    /// several, or holds a tensor that is not of a float type or not finite.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .map_err(|source| NetworkError::ReadWeights { path: path.to_owned(), source })?;
        Self::from_bytes(bytes, &path.display().to_string())
    }

    /// Like [`Weights::read`], from bytes in memory; `origin` is what errors call them.
    ///
    /// # Errors
    /// As [`Weights::read`]. Time and memory are bounded by a small multiple of the bytes' length,
    /// whatever they say.
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>, origin: &str) -> Result<Self> {
        let bytes = bytes.into();
        let named = || origin.to_owned();
        let failed = |failure| match failure {
            Failure::Foreign(found) => NetworkError::UnknownWeights { origin: named(), found },
            Failure::Broken(source) => NetworkError::Checkpoint { origin: named(), source },
            Failure::Twice(name) => NetworkError::TensorTwice { origin: named(), name },
        };
        let mut metadata = BTreeMap::new();
        let tensors = match Format::of(&bytes) {
            Format::Safetensors => from_safetensors(&bytes, &mut metadata, origin)?,
            Format::Zip => checkpoint::from_zip(&bytes).map_err(failed)?,
            Format::LegacyCheckpoint => checkpoint::from_legacy(&bytes).map_err(failed)?,
            Format::Foreign(found) => return Err(failed(Failure::Foreign(found))),
        };
        let sha256 = hex(&Sha256::digest(&bytes));
        let (bytes, tensors) = settle::settle(bytes, tensors, origin)?;
        Ok(Self { bytes, tensors, metadata, sha256, origin: named() })
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

    /// Gives tensors other names, and other shapes of as many values, as `new` says for each name and shape
    /// (`None`: the shape stays). A tensor keeps its name where the new one is taken.
    pub(crate) fn rename(&mut self, new: impl Fn(&str, &[usize]) -> (String, Option<Vec<usize>>)) {
        let old = std::mem::take(&mut self.tensors);
        for (name, tensor) in &old {
            let (renamed, shape) = new(name, &tensor.shape);
            let taken = renamed != *name
                && (old.contains_key(&renamed) || self.tensors.contains_key(&renamed));
            let mut tensor = tensor.clone();
            // a shape with a 0 in it may have any numbers beside it
            let values = |shape: &[usize]| shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
            if let Some(shape) = shape.filter(|shape| values(shape) == values(&tensor.shape)) {
                tensor.shape = shape;
            }
            self.tensors.insert(if taken { name.clone() } else { renamed }, tensor);
        }
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    pub(crate) fn into_bytes(self) -> Cow<'static, [u8]> {
        self.bytes
    }
}

/// The tensors of a safetensors file; the header's strings go into `metadata`.
///
/// The parser sees to it that the tensors follow each other, without gap or overlap, from the header
/// to the end of the file, and that their shapes match their lengths.
fn from_safetensors(
    bytes: &[u8],
    metadata: &mut BTreeMap<String, String>,
    origin: &str,
) -> Result<Renamed<Strided>> {
    let corrupt = |source| NetworkError::CorruptWeights { origin: origin.to_owned(), source };
    let (header, parsed) = SafeTensors::read_metadata(bytes).map_err(corrupt)?;
    let base = header + size_of::<u64>();
    metadata.extend(parsed.metadata().clone().unwrap_or_default());
    let infos = names::tidy(parsed.tensors())
        .map_err(|name| NetworkError::TensorTwice { origin: origin.to_owned(), name })?;
    let located = infos.into_iter().map(|(name, info)| {
        let (start, end) = info.data_offsets;
        let (dtype, shape) = (info.dtype, info.shape.clone());
        if !matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64) {
            let (origin, dtype) = (origin.to_owned(), dtype.to_string());
            return Err(NetworkError::ElementType { origin, name, dtype });
        }
        let tensor = Strided::dense(dtype, shape, base + start, base + end)
            .ok_or_else(|| corrupt(SafeTensorError::InvalidOffset(name.clone())))?;
        Ok((name, tensor))
    });
    located.collect()
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

//! PyTorch checkpoints (`.pth`, `.pt`, `.ckpt`, whatever the file is called), read for their tensors
//! and never executed.
//!
//! # What is read
//! Both formats of `torch.save`: the zip archive written since PyTorch 1.6 ([`archive`]) and the
//! pickles written before ([`legacy`]), in pickle protocols 2 to 5, little-endian. Tensors of types
//! float32, float16, bfloat16 and float64, wrapped as parameters or not, in any memory layout:
//! transposed, expanded, channels-last, several in one storage.
//!
//! # Where the state dict is found
//! In the file's object, and then again in what these rules lead to:
//! 1. a whole module (`torch.save(model)`) gives the tensors of its `state_dict()`;
//! 2. a dict with tensors under dotted names (`conv1.weight`) is the state dict;
//! 3. otherwise it is under the first of these keys that leads to one: `state_dict`, `model`,
//!    `model_state_dict`, `model_state`, `net`, `network`, `module`, `weights`, `params`, `ema`,
//!    `model_ema`, `ema_state_dict`, `state_dict_ema`, `params_ema`;
//! 4. otherwise it is under the only other key that leads to one; several are an error that names them;
//! 5. if there is none, the same again with names without dots, for networks of a single layer.
//!
//! Whatever lies elsewhere (epochs, optimisers, schedulers, arguments) is not looked at.
//!
//! # What is refused
//! Compressed, encrypted, overlapping or repeated archive entries; big-endian files; sparse, quantised,
//! sharded and lazily negated tensors; TorchScript and `torch.export` archives. A view must lie within
//! its storage, a storage within the file. What a pickle would import or call is neither imported nor
//! called ([`pickle`]), wherever it stands.

mod archive;
mod error;
mod legacy;
mod module;
mod pickle;
mod reader;
mod state_dict;
mod tensors;
mod value;

use std::collections::HashMap;
use std::ops::Range;

pub use error::CheckpointError;
pub(crate) use legacy::is_legacy;

use self::archive::Archive;
use self::error::Result;
use self::tensors::View;
use self::value::{Id, Pickle, shown};
use crate::weights::names::{self, Renamed};
use crate::weights::strided::{Strided, element_size};

/// Why a file gives no tensors.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is something else than a checkpoint; the words say what.
    Foreign(&'static str),
    /// It is a checkpoint, but cannot be read.
    Broken(CheckpointError),
    /// Two tensors have the same name once prefixes are stripped.
    Twice(String),
}

impl From<CheckpointError> for Failure {
    fn from(error: CheckpointError) -> Self {
        Self::Broken(error)
    }
}

/// The tensors of a zip archive.
pub(crate) fn from_zip(bytes: &[u8]) -> Result<Renamed<Strided>, Failure> {
    let mut root = String::new();
    let archive = Archive::open(bytes, |names| match checkpoint_root(names) {
        Ok(found) => {
            root = found;
            None
        }
        Err(what) => Some(Failure::Foreign(what)),
    })?;
    let entry = |name: &str| archive.range(&format!("{root}{name}"));
    if entry("byteorder").is_some_and(|range| bytes[range].trim_ascii() == b"big") {
        return Err(CheckpointError::BigEndian.into());
    }
    // checkpoint_root has seen it among the names
    let range = entry("data.pkl").unwrap_or_default();
    let pickle = Pickle::parse(&bytes[range])?;
    resolve(&pickle, |key| entry(&format!("data/{key}")))
}

/// The tensors of a file in the format before PyTorch 1.6.
pub(crate) fn from_legacy(bytes: &[u8]) -> Result<Renamed<Strided>, Failure> {
    let (pickle, storages): (_, HashMap<_, _>) = legacy::open(bytes)?;
    resolve(&pickle, |key| storages.get(key).cloned())
}

/// The folder in the archive that everything lies in, with its slash; or what the archive is instead.
fn checkpoint_root(names: &[String]) -> Result<String, &'static str> {
    let ends = |end: &str| names.iter().any(|name| name.ends_with(end));
    let mut roots = names.iter().filter_map(|name| name.strip_suffix("data.pkl"));
    let root = roots.find(|root| root.is_empty() || root.ends_with('/'));
    let Some(root) = root else {
        return Err(if ends(".npy") {
            "a NumPy archive"
        } else if ends("serialized_exported_program.json") || ends("models/model.json") {
            "an archive of torch.export"
        } else if ends("model.weights.h5") {
            "a Keras archive"
        } else {
            "a zip archive without data.pkl"
        });
    };
    let script = names.iter().any(|name| {
        let inner = name.strip_prefix(root);
        inner.is_some_and(|name| name == "constants.pkl" || name.starts_with("code/"))
    });
    if script { Err("a TorchScript archive") } else { Ok(root.to_owned()) }
}

/// Finds the state dict and holds each of its tensors against the storages.
fn resolve(
    pickle: &Pickle<'_>,
    storage: impl Fn(&str) -> Option<Range<usize>>,
) -> Result<Renamed<Strided>, Failure> {
    let tensors = names::tidy(state_dict::find(pickle)?).map_err(Failure::Twice)?;
    let locate = |name: &str, id: Id| {
        let wrong = |problem| CheckpointError::Tensor { name: shown(name), problem };
        let view = tensors::view(pickle, id).map_err(wrong)?;
        let range = storage(view.storage.key);
        let range = range.ok_or_else(|| {
            wrong(format!("lies in storage {}, which the file lacks", shown(view.storage.key)))
        })?;
        within(view, range).map_err(wrong)
    };
    let located = tensors.into_iter().map(|(name, id)| {
        let tensor = locate(&name, id)?;
        Ok((name, tensor))
    });
    located.collect()
}

/// The view as bytes of the file, if it lies within its storage and that within `range`.
fn within(view: View<'_>, range: Range<usize>) -> Result<Strided, String> {
    let View { storage, dtype, offset, shape, strides } = view;
    let length = storage.elements.checked_mul(storage.element_size);
    let length = length.filter(|&length| length <= range.len()).ok_or_else(|| {
        format!(
            "lies in a storage of {} elements of {} bytes, of which the file has {} bytes",
            storage.elements,
            storage.element_size,
            range.len()
        )
    })?;
    let outside = || {
        format!(
            "of shape {shape:?} and strides {strides:?} reaches beyond its storage of {} elements",
            storage.elements
        )
    };
    let place = || {
        let first = offset.checked_add(storage.first)?.checked_mul(element_size(dtype))?;
        let offset = range.start.checked_add(first)?;
        Strided::within(dtype, shape.clone(), strides.clone(), offset, range.start + length)
    };
    place().ok_or_else(outside)
}

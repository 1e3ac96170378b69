//! A folder with a `config.json` beside the weights, as the Hugging Face hub keeps networks.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::keys::{Object, top};
use super::{timm, transformers};
use crate::error::{NetworkError, Result};
use crate::open::Opened;
use crate::weights::Weights;
use crate::zoo::Architecture;

const CONFIG: &str = "config.json";

/// Names of weight files, in the order in which they are looked for: timm's own.
const WEIGHTS: [&str; 4] =
    ["model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth"];

/// The largest configuration that is read, in bytes; one with 21,843 named and described classes has 3 MB.
const MAX_CONFIG: u64 = 1 << 24;

/// Opens a folder. `wanted` is the architecture that somebody named beside it.
///
/// # Errors
/// The folder lacks a file, its configuration cannot be followed, or the weights do not fit it.
pub(crate) fn open(folder: &Path, wanted: Option<Architecture>) -> Result<Opened> {
    let path = folder.join(CONFIG);
    if !path.is_file() {
        return Err(without_config(folder));
    }
    let value = read_json(&path)?;
    let origin = path.display().to_string();
    let config = top(&origin, &value)?;
    if config.get("architecture").is_some() {
        let architecture = timm::architecture(&config)?;
        agree(&config, "architecture", architecture, wanted)?;
        let weights = Weights::read(&weights_of(folder)?)?;
        timm::open(&config, architecture, weights)
    } else if config.get("architectures").is_some() || config.get("model_type").is_some() {
        let architecture = transformers::architecture(&config)?;
        agree(&config, "architectures", architecture, wanted)?;
        let path = folder.join(transformers::PREPROCESSOR);
        let steps = if path.is_file() { Some(read_json(&path)?) } else { None };
        let weights = Weights::read(&weights_of(folder)?)?;
        let origin = path.display().to_string();
        let steps = steps.as_ref().map(|value| top(&origin, value)).transpose()?;
        transformers::open(&config, steps.as_ref(), architecture, weights)
    } else {
        Err(config.wrong("architecture", "an architecture's name, as timm writes it"))
    }
}

fn without_config(folder: &Path) -> NetworkError {
    let hint = match weights_of(folder) {
        Ok(weights) => format!("; its weights alone are {}", weights.display()),
        Err(_) => String::new(),
    };
    let problem =
        format!("has no {CONFIG}, which timm and transformers write beside the weights{hint}");
    NetworkError::Folder { path: folder.to_owned(), problem }
}

/// An architecture that was named beside the folder must be the folder's.
fn agree(
    config: &Object<'_>,
    key: &str,
    found: Architecture,
    wanted: Option<Architecture>,
) -> Result<()> {
    match wanted {
        Some(wanted) if wanted != found => {
            Err(config.found(key, found, format!("{wanted}, the architecture asked for")))
        }
        _ => Ok(()),
    }
}

/// The file with the weights: one of the usual names, else the only one that looks like one.
fn weights_of(folder: &Path) -> Result<PathBuf> {
    let usual = WEIGHTS.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    if let Some(path) = usual {
        return Ok(path);
    }
    let unreadable = |source| NetworkError::ReadWeights { path: folder.to_owned(), source };
    let mut found: Vec<PathBuf> = Vec::new();
    let mut onnx = None;
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors" | "bin" | "pth" | "pt") if path.is_file() => found.push(path),
            Some("onnx") => onnx = Some(path),
            _ => {}
        }
    }
    found.sort();
    let names = |paths: &[PathBuf]| -> String {
        let names = paths.iter().filter_map(|path| path.file_name());
        names.map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(", ")
    };
    let problem = match (&found[..], onnx) {
        ([only], _) => return Ok(only.clone()),
        ([], Some(onnx)) => format!("has no weights for PyTorch; name {} itself", onnx.display()),
        ([], None) => format!("has no weights; expected one of {}", WEIGHTS.join(", ")),
        (several, _) => {
            format!(
                "has several weight files, none of them called {}: {}",
                WEIGHTS[0],
                names(several)
            )
        }
    };
    Err(NetworkError::Folder { path: folder.to_owned(), problem })
}

fn read_json(path: &Path) -> Result<Value> {
    let unreadable = |source| NetworkError::ReadConfig { path: path.to_owned(), source };
    let corrupt = |reason| NetworkError::CorruptConfig { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_CONFIG + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_CONFIG {
        return Err(corrupt(format!("it is larger than {MAX_CONFIG} bytes")));
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(text).map_err(|error| corrupt(error.to_string()))
}

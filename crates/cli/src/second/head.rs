//! Which head the flags mean.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use introspective_reflect::{Head, Scaling};

use crate::args::NetworkArgs;

/// A head's name beside the network it is for.
const BESIDE: &str = "head.safetensors";

/// The head named by `--head`, else the one that lies beside the network's file; `None` if there is neither.
///
/// # Errors
/// It cannot be read.
pub fn open(flag: Option<&Path>, network: &NetworkArgs) -> Result<Option<(Head, PathBuf)>> {
    let path = match flag {
        Some(path) => path.to_owned(),
        None => match beside(network) {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    let head = Head::read(&path).context("--head")?;
    Ok(Some((head, path)))
}

fn beside(network: &NetworkArgs) -> Option<PathBuf> {
    let file = match (&network.weights, &network.model) {
        (Some(weights), _) => weights.clone(),
        (None, Some(model)) => PathBuf::from(model),
        (None, None) => return None,
    };
    let folder = if file.is_dir() { file } else { file.parent()?.to_owned() };
    let path = folder.join(BESIDE);
    path.is_file().then_some(path)
}

/// The scaling of a name that the flags let through.
pub fn scaling(name: &str) -> Result<Scaling> {
    let found = Scaling::ALL.into_iter().find(|scaling| scaling.name() == name);
    found.with_context(|| format!("--scaling {name}: no such scaling"))
}

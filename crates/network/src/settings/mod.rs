//! What files say about a network beside its weights: architecture, classes, preprocessing.
//!
//! - [`metadata`]: strings in the header of a safetensors file, written by this software;
//! - [`folder`]: a `config.json` beside the weights, in one of the layouts of the Hugging Face hub,
//!   [`timm`]'s or [`transformers`]'.
//!
//! Whatever they say that cannot be followed exactly is an error that names the key ([`keys`]):
//! a network that runs on a picture prepared otherwise gives plausible and wrong answers.

pub(crate) mod folder;
pub(crate) mod keys;
pub(crate) mod metadata;
mod timm;
mod transformers;

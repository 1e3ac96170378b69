//! What the commands about the second stage share.

mod bar;
pub mod corrupted;
pub mod corruption;
pub mod extract;
pub mod head;
pub mod opinion;
pub mod predictor;
pub mod recipe;
pub mod sensing;
pub mod source;

use anyhow::{Context, Result};

pub use bar::bar;

/// The one of that name; the flags let only names of `all` through.
pub fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, wanted: &str) -> Result<T> {
    let found = all.iter().copied().find(|&one| name(one) == wanted);
    found.with_context(|| format!("there is no `{wanted}`"))
}

//! What processing does to pictures.

pub(crate) mod contrast;
pub(crate) mod elastic;
pub(crate) mod jpeg;
pub(crate) mod pixelate;
pub(crate) mod saturate;

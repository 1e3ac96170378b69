//! What training spends its time on, for processors: convolutions of one group and normalisation over a batch.
//!
//! Everything here works on slices of float32 and knows no tensors; [`super::operations`] puts it into burn's
//! gradients.

pub mod convolution;
pub mod geometry;
pub mod lanes;
pub mod normalisation;

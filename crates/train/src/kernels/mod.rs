//! Loops.
pub mod geometry;
pub mod lanes;
pub mod convolution;

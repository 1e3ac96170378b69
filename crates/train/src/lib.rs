//! The room that trains networks: the zoo's own graphs, walked over tensors of burn with gradients.
//!
//! There is one definition of every architecture, the one that explains it: its interpreter reads the graph that
//! `introspective-network` writes. What comes out is a safetensors file that says what it is, with its classes
//! and its preprocessing, and opens like any other.
//!
//! Everything is behind the feature `engine`; without it this crate is empty.
#![cfg(feature = "engine")]

mod checkpoint;
mod consistency;
mod constants;
mod curve;
mod error;
mod file;
mod gather;
mod initial;
mod kernels;
mod network;
mod operations;
mod optimizer;
mod pictures;
mod pillow;
mod program;
mod robust;
mod run;
mod schedule;
mod start;
#[cfg(test)]
mod tests;
mod training;

pub use error::{Result, TrainError};
pub use network::Score;
pub use optimizer::Optimizer;
pub use pictures::{Augmentation, Normal};
pub use robust::Robust;
pub use run::{Begin, Outcome, Plan, Processor, Report, run};
pub use schedule::Schedule;
pub use start::Start;
pub use training::{End, Epoch, News, Settings};

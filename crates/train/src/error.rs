//! What can go wrong in training.

use std::io;
use std::path::PathBuf;

use introspective_data::SetError;
use introspective_network::{NetworkError, PreprocessError};

/// An error of this room.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The graph cannot be trained here.
    #[error("{architecture} cannot be trained: {reason}")]
    Untrainable {
        /// Whose graph.
        architecture: String,
        /// Why.
        reason: String,
    },
    /// The data cannot be split as asked.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The network to go on from cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The pictures cannot be prepared so.
    #[error(transparent)]
    Preprocessing(#[from] PreprocessError),
    /// No picture is left to train on.
    #[error(
        "no picture of {root} can be read, so there is nothing to train on; the first of {count}: {first}"
    )]
    NothingReadable {
        /// The folder.
        root: String,
        /// How many.
        count: usize,
        /// What is wrong with the first of them.
        first: String,
    },
    /// A setting is out of its range.
    #[error("{name} is {found}, expected {expected}")]
    Setting {
        /// What it is called.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The loss left the numbers.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step}, at a learning rate of {rate}; {kept}"
    )]
    Diverged {
        /// The loss.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// Learning rate of the step.
        rate: f64,
        /// A tenth of the highest one, which may do.
        suggested: f64,
        /// What is on the disk.
        kept: String,
    },
    /// A checkpoint does not fit.
    #[error("the checkpoint {path} cannot be gone on from: {reason}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is there already.
    #[error("{path} is there already")]
    Exists {
        /// The file.
        path: PathBuf,
        /// Whether it is a checkpoint, from which training can go on.
        checkpoint: bool,
    },
    /// A network to go on from is for pictures of other channels.
    #[error("{origin} looks at {found} channels, and {expected} are asked for")]
    Channels {
        /// Where the network is from.
        origin: String,
        /// Its channels.
        found: usize,
        /// What was asked for.
        expected: usize,
    },
    /// The device failed.
    #[error("the device failed: {reason}")]
    Device {
        /// What it said.
        reason: String,
    },
}

/// A result of this room.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

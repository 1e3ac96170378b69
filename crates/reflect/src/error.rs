//! What can go wrong in this room.

use std::path::PathBuf;

/// The result of this room's functions.
pub type Result<T, E = ReflectError> = std::result::Result<T, E>;

/// Why a second stage could not be fitted, read or applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReflectError {
    /// An array has another shape than the others ask for.
    #[error("{what} has shape {found:?}; expected {expected}")]
    Shape {
        /// Which array.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// What would have been right.
        expected: String,
    },
    /// A value is NaN or infinite.
    #[error("{what} has a value that is not finite ({value}) in row {row}, column {column}")]
    NotFinite {
        /// Which array.
        what: &'static str,
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// The value.
        value: f32,
    },
    /// A label is no class.
    #[error("label {label} of example {row} is no class: there are {classes}, 0 to {}", .classes - 1)]
    Label {
        /// Which example.
        row: usize,
        /// Its label.
        label: i64,
        /// Number of classes.
        classes: usize,
    },
    /// Nothing to train on.
    #[error("{found} examples are too few: at least {needed} are needed{what}")]
    TooFew {
        /// How many there are.
        found: usize,
        /// How many are needed.
        needed: usize,
        /// For what.
        what: &'static str,
    },
    /// The stages were asked for and are not there.
    #[error(
        "the pooled activations of the stages are not known, and an H that reads activations needs them: features need an \
         array `stages` (n, S)"
    )]
    NoStages,
    /// An average with the second pass was asked for, and there is none.
    #[error(
        "H is to be averaged with the classifier's prediction from a second pass: that needs h of such a pass (`own_share`) and \
         the last layer's `weight` and `bias`, and an H that reads activations"
    )]
    NoSecondPass,
    /// A setting outside its range.
    #[error("{what} is {found}; expected {expected}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// Its value.
        found: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// The loss became NaN or infinite.
    #[error(
        "training {method} (seed {seed}) stopped: the loss is {loss} at epoch {epoch}, step {step}, with a \
         learning rate of {learning_rate:?}; try a lower --lr, or --scaler zscore if features are far from [-1, 1]"
    )]
    Diverged {
        /// What was trained.
        method: String,
        /// Its seed.
        seed: u64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step within the epoch, from 1.
        step: usize,
        /// The rate then.
        learning_rate: f64,
        /// The loss.
        loss: f64,
    },
    /// A scaling that the head cannot do.
    #[error("scaling `{asked}` is not possible: {reason}")]
    Scaling {
        /// Which.
        asked: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// The head was fitted for another classifier.
    #[error("the head belongs to another classifier: {reason}")]
    Foreign {
        /// In what they differ.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {reason}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What about it.
        reason: String,
    },
    /// The operating system refused.
    #[error("{}: cannot be {doing}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// What it said.
        source: std::io::Error,
    },
    /// A file of arrays cannot be read or written.
    #[error(transparent)]
    Arrays(#[from] introspective_data::arrays::ArraysError),
    /// A temperature could not be fitted.
    #[error("the temperature cannot be fitted")]
    Temperature(#[source] introspective_measure::MeasureError),
    /// The caller stopped the work.
    #[error("stopped")]
    Stopped,
}

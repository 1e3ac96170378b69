//! What can go wrong in training.

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
}

/// A result of this room.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

//! What can be wrong with a PyTorch checkpoint.

/// Why a PyTorch checkpoint cannot be read. Names of tensors are those after prefixes are stripped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The zip archive has no readable directory.
    #[error("its zip archive is damaged or cut short: {0}")]
    Archive(String),
    /// An entry of the archive is not as `torch.save` writes it.
    #[error("entry {name} of its zip archive {problem}")]
    Entry {
        /// The entry.
        name: String,
        /// What about it.
        problem: String,
    },
    /// The numbers were written on a big-endian machine.
    #[error("it was written on a big-endian machine; only little-endian files are read")]
    BigEndian,
    /// A file in the old format is not laid out as it should be.
    #[error("it is in the format of before PyTorch 1.6, and {0}")]
    Legacy(String),
    /// The pickle makes no sense.
    #[error("its pickle is damaged, cut short or hostile at byte {at}: {problem}")]
    Pickle {
        /// Offset of the opcode within the pickle.
        at: usize,
        /// What the opcode failed at.
        problem: String,
    },
    /// A tensor of the state dict cannot be read.
    #[error("tensor {name} {problem}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What about it.
        problem: String,
    },
    /// Reading it would take more time or memory than a file of its size deserves.
    #[error("{what}; at most {limit} are read")]
    Limit {
        /// What there is too much of.
        what: String,
        /// How much is allowed.
        limit: usize,
    },
    /// No dict of tensors and no module is in it.
    #[error("it holds no state dict: found {found}")]
    NoStateDict {
        /// What is in it.
        found: String,
    },
    /// Several state dicts are in it, under names that say nothing about which one is meant.
    #[error("it holds several state dicts: {}", .candidates.join(", "))]
    SeveralStateDicts {
        /// Where they are.
        candidates: Vec<String>,
    },
}

pub(super) type Result<T, E = CheckpointError> = std::result::Result<T, E>;

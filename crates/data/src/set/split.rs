//! Parts of a set: for training, and for testing.

use std::fmt;
use std::path::Path;

use super::error::SetError;

/// Which part of a set that has parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// The part to learn from: folder `train`, `data_batch_*.bin`, `train.bin`, `train-images-...`.
    Train,
    /// The part to be judged on: folder `test` (else `val`, `valid`, `validation`), `test_batch.bin`,
    /// `test.bin`, `t10k-images-...`.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}

/// The part that is meant: the one that is wanted, or the only one that is there. `parts` names
/// them for errors.
pub(super) fn choose(
    path: &Path,
    wanted: Option<Split>,
    train: bool,
    test: bool,
    parts: impl FnOnce() -> Vec<String>,
) -> Result<Split, SetError> {
    let path = || path.display().to_string();
    match (wanted, train, test) {
        (Some(Split::Train), true, _) | (None, true, false) => Ok(Split::Train),
        (Some(Split::Test), _, true) | (None, false, true) => Ok(Split::Test),
        (Some(split), ..) => Err(SetError::NoSplit { path: path(), split, parts: parts() }),
        (None, ..) => Err(SetError::WhichSplit { path: path(), parts: parts() }),
    }
}

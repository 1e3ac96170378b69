//! What is known of a file and its arrays before values are read.

use std::ops::Range;

use super::npy::Header;
use super::npz::Member;

/// A name, and what is stored under it or why it cannot be read.
pub(super) struct Entry {
    pub name: String,
    pub stored: Result<Stored, String>,
}

pub(super) struct Stored {
    pub header: Header,
    pub place: Place,
}

pub(super) enum Place {
    Member(Member),
    Range(Range<u64>),
}

impl Stored {
    /// How many bytes the values take; `None` beyond what can be counted.
    pub fn bytes(&self) -> Option<u64> {
        let size = self.header.dtype.size()?;
        let count = self.header.shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))?;
        u64::try_from(count.checked_mul(size)?).ok()
    }

    /// Type and shape in words.
    pub fn described(&self) -> String {
        let shape: Vec<_> = self.header.shape.iter().map(usize::to_string).collect();
        let comma = if shape.len() == 1 { "," } else { "" };
        format!("{} of shape ({}{comma})", self.header.dtype, shape.join(", "))
    }
}

/// What a file that holds no named arrays is, and what to do about it.
pub(super) fn looks_like(start: &[u8]) -> (&'static str, &'static str) {
    match start {
        [] => ("empty", ""),
        _ if start.starts_with(b"\x93NUMPY") => {
            ("a single array (.npy)", "; save it with its name: np.savez(file, h=array)")
        }
        _ if start.starts_with(b"\x89HDF") => ("an HDF5 file", "; save its arrays with np.savez"),
        [0x80, ..] => ("a Python pickle", "; save its arrays with np.savez"),
        _ => ("something else", ""),
    }
}

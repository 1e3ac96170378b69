//! What can be wrong with what is to be corrupted.

/// A picture could not be corrupted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorruptError {
    /// A severity that does not exist.
    #[error("found severity {found}, expected 1, 2, 3, 4 or 5")]
    Severity {
        /// What was asked for.
        found: u8,
    },
    /// A picture that is neither grey nor in colour.
    #[error(
        "found a picture of {found} channels, expected 1 (grey) or 3 (red, green, blue), as height x width x channels"
    )]
    Channels {
        /// The length of the third axis.
        found: usize,
    },
    /// A picture without pixels.
    #[error("found a picture of {height} x {width} pixels, expected at least one")]
    Empty {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// A picture too large to work on.
    #[error(
        "found a picture of {height} x {width} pixels, expected at most {limit} along each side; make it smaller first"
    )]
    TooLarge {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// The longest side allowed.
        limit: usize,
    },
}

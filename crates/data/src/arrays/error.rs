//! What can be wrong with a file of arrays.

use std::io;

/// Why an array could not be had or written. `file` is the path as given.
///
/// The messages leave the source out: walk [`source`](std::error::Error::source) to print it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArraysError {
    /// The file is not there or cannot be read.
    #[error("{file}: cannot be read")]
    Unreadable {
        /// The file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// Neither an `.npz` nor a safetensors file.
    #[error("{file}: is {found}, not a file of named arrays (.npz or .safetensors){way_out}")]
    NotArrays {
        /// The file.
        file: String,
        /// What it looks like.
        found: String,
        /// What to do, beginning with `"; "`, or nothing.
        way_out: &'static str,
    },
    /// The file contradicts its format.
    #[error("{file}: is damaged: {problem}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// No array of that name.
    #[error("{file}: has no array {array:?}, only {}",
        if .found.is_empty() { "nothing at all".to_owned() } else { .found.join(", ") })]
    NoArray {
        /// The file.
        file: String,
        /// The name.
        array: String,
        /// The names that are there.
        found: Vec<String>,
    },
    /// The array holds something else, or has another shape.
    #[error("{file}: array {array:?} is {found}; expected {expected}{way_out}")]
    Unexpected {
        /// The file.
        file: String,
        /// The array's name.
        array: String,
        /// Its type and shape.
        found: String,
        /// What was asked for.
        expected: &'static str,
        /// What to do, beginning with `"; "`, or nothing.
        way_out: String,
    },
    /// The array is stored in a way that is not read.
    #[error("{file}: array {array:?} is {problem}")]
    Unfit {
        /// The file.
        file: String,
        /// The array's name.
        array: String,
        /// How it is stored, and what to do.
        problem: String,
    },
    /// A `.npy` file, whose array has no name, is none or holds something else.
    #[error("{file}: is {problem}")]
    UnfitFile {
        /// The file.
        file: String,
        /// What it is, what was expected, and what to do.
        problem: String,
    },
    /// The values of an array cannot be read, or not as what they are to be.
    #[error("{file}: array {array:?}: {problem}")]
    Values {
        /// The file.
        file: String,
        /// The array's name.
        array: String,
        /// What is wrong.
        problem: String,
    },
    /// The name cannot be written so that it is found again.
    #[error("{file}: an array cannot be called {array:?}: {problem}")]
    Name {
        /// The file.
        file: String,
        /// The name.
        array: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The file cannot be written.
    #[error("{file}: cannot be written")]
    Unwritable {
        /// The file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
}

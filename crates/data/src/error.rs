//! What can be wrong with a picture.

use std::error::Error;
use std::io;

use crate::picture::MAX_FILE_BYTES;

/// The formats that are read, for messages.
const READABLE: &str = "PNG, JPEG, WebP, BMP, GIF, TIFF and PNM are";

/// Why a picture could not be had. `name` is the path given to [`read`](crate::read) or the name
/// given to [`decode`](crate::decode); `format` is what the content says (`"png"`, `"jpeg"`, ...).
///
/// The messages leave the source out: walk [`source`](std::error::Error::source) to print it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// No file has this name.
    #[error("{name}: there is no such file")]
    Missing {
        /// The path.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A folder was given where one picture was expected.
    #[error("{name}: is a folder, not a picture")]
    Folder {
        /// The path.
        name: String,
    },
    /// The file exists but cannot be read (permissions, a failing disk, ...).
    #[error("{name}: cannot be read")]
    Unreadable {
        /// The path.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is longer than [`MAX_FILE_BYTES`].
    #[error("{name}: is longer than {MAX_FILE_BYTES} bytes, the most that is read of one picture")]
    LongFile {
        /// The path.
        name: String,
    },
    /// The file has no content at all.
    #[error("{name}: is empty (0 bytes), not a picture")]
    Empty {
        /// The picture.
        name: String,
    },
    /// The content is no picture, or a picture of a format that is not read.
    #[error("{name}: is {found}, not a picture of a format that is read ({READABLE})")]
    NotAPicture {
        /// The picture.
        name: String,
        /// What the content looks like, with its article: `"text"`, `"a HEIC picture"`, ...
        found: String,
    },
    /// The picture has more pixels than may be read: [`MAX_PIXELS`](crate::MAX_PIXELS), or the caller's own limit.
    #[error("{name}: is {width} x {height} pixels; at most {most} pixels are read")]
    TooLarge {
        /// The picture.
        name: String,
        /// Stored width in pixels.
        width: usize,
        /// Stored height in pixels.
        height: usize,
        /// The limit.
        most: u64,
    },
    /// Decoding would take more memory than a picture of [`MAX_PIXELS`](crate::MAX_PIXELS) can need.
    #[error("{name}: decoding this {format} picture would take too much memory")]
    TooMuchMemory {
        /// The picture.
        name: String,
        /// Its format.
        format: &'static str,
        /// What the decoder said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The file stops before the picture does.
    #[error("{name}: this {format} picture is cut short: its data ends before the picture does")]
    Truncated {
        /// The picture.
        name: String,
        /// Its format.
        format: &'static str,
        /// What the decoder said, where it noticed by itself.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The content contradicts its format.
    #[error("{name}: this {format} picture is broken")]
    Broken {
        /// The picture.
        name: String,
        /// Its format.
        format: &'static str,
        /// What the decoder said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A correct picture that uses a part of its format that is not read.
    #[error("{name}: this {format} picture uses a part of the format that is not read")]
    Unsupported {
        /// The picture.
        name: String,
        /// Its format.
        format: &'static str,
        /// What the decoder said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The third-party decoder panicked. A defect of the decoder, set off by this file.
    #[error("{name}: the {format} decoder failed on this picture ({message})")]
    Decoder {
        /// The picture.
        name: String,
        /// Its format.
        format: &'static str,
        /// The text of the panic.
        message: String,
    },
}

//! What can go wrong while a picture is drawn or written.

use std::path::PathBuf;

use crate::{Colormap, Style};

/// A picture could not be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// A picture is not H x W x 3.
    #[error("{what} has {channels} channels; expected the 3 of RGB")]
    NotRgb {
        /// Which picture.
        what: String,
        /// Its third axis.
        channels: usize,
    },
    /// A picture has no pixels.
    #[error("{what} has {height} x {width} pixels; expected at least one")]
    Empty {
        /// Which picture.
        what: String,
        /// Its height.
        height: usize,
        /// Its width.
        width: usize,
    },
    /// A photograph and its map differ in size.
    #[error(
        "the map has {} x {} values (height x width) but the photograph {} x {} pixels; upsample the map first",
        map.0, map.1, photo.0, photo.1
    )]
    SizeMismatch {
        /// Height and width of the photograph.
        photo: (usize, usize),
        /// Height and width of the map.
        map: (usize, usize),
    },
    /// A signed style was given a colour map without a zero.
    #[error(
        "the style {style} draws signs and needs a diverging colour map (red-blue, purple-green); found {colormap}"
    )]
    NeedsDiverging {
        /// The style.
        style: Style,
        /// The colour map.
        colormap: Colormap,
    },
    /// An unsigned style was given a colour map whose middle means zero.
    #[error(
        "the style {style} draws heat from none to much and needs a sequential colour map; found the diverging {colormap}"
    )]
    NeedsSequential {
        /// The style.
        style: Style,
        /// The colour map.
        colormap: Colormap,
    },
    /// A picture could not be encoded as PNG.
    #[error("the picture cannot be encoded as PNG")]
    Encode {
        /// What the encoder said.
        source: image::ImageError,
    },
    /// What a page shows could not be written as JSON.
    #[error("the page's data cannot be written as JSON")]
    Json {
        /// What the serialiser said.
        source: serde_json::Error,
    },
    /// A panel of nothing.
    #[error("a panel needs at least one picture; found none")]
    NoTiles,
    /// The embedded font could not be read: a fault of this build.
    #[error("the embedded font {name} cannot be read")]
    Font {
        /// The font.
        name: &'static str,
        /// What the parser said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A picture could not be scaled.
    #[error(
        "cannot scale a picture of {} x {} pixels (height x width) to {} x {}",
        from.0, from.1, to.0, to.1
    )]
    Scale {
        /// Height and width before.
        from: (usize, usize),
        /// Height and width wanted.
        to: (usize, usize),
        /// What the resizer said.
        source: introspective_network::PreprocessError,
    },
}

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The picture is not one that can be written.
    #[error("cannot write {}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong with the picture.
        source: DrawError,
    },
    /// The picture could not be encoded.
    #[error("cannot encode {} as PNG", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What the encoder said.
        source: image::ImageError,
    },
    /// The file could not be created or written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An array could not be put into an archive.
    #[error("cannot write the array {name:?} into {}", path.display())]
    Array {
        /// The file.
        path: PathBuf,
        /// The array.
        name: String,
        /// What the writer said.
        source: ndarray_npy::WriteNpzError,
    },
    /// Two arrays of one archive have the same name, or a name is not fit for a member of an archive.
    #[error("{name:?} cannot name an array in {}: {reason}", path.display())]
    ArrayName {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A table could not be put together.
    #[error("cannot write {}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What the writer said.
        source: csv::Error,
    },
    /// A manifest could not be put into words.
    #[error("cannot write {}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What the writer said.
        source: serde_json::Error,
    },
    /// An archive could not be finished.
    #[error("cannot finish {}", path.display())]
    Finish {
        /// The file.
        path: PathBuf,
        /// What the writer said.
        source: ndarray_npy::WriteNpzError,
    },
}

//! Photographs, labelled sets and arrays in; pixels, labels and numbers out.
//!
//! Everything that enters the workspace as data enters through this room.
//!
//! - *Which files are meant?* [`find_pictures`]. *What does the person who took this photograph
//!   see?* [`read`], [`decode`]: a [`Picture`], which is an upright array of 8-bit RGB, height x width x 3,
//!   and a few words about how it was stored. Resizing and normalising belong to the network,
//!   which knows what it was trained on.
//! - *Which pictures are of which class?* [`LabelledSet`]: image folders, CIFAR binaries, IDX
//!   files. [`held_out`] sets a part of it aside, [`match_classes`] finds its classes among a
//!   network's, [`read_batches`] reads it on several threads and in order.
//! - *Which numbers are in this file?* [`arrays`]: `.npz` and safetensors, also written; pictures and labels of `.npy`
//!   files, read one at a time.
//!
//! Files come from anywhere, so nothing in them is believed. The format is told from the content,
//! never from the name; the size is checked before memory is asked for; a file that stops early
//! is an error and not a picture with a grey lower half; and a decoder that panics is an error
//! like any other. Headers of sets and arrays are held against the bytes that are there before
//! memory is asked for. Each error says which file, what was found, and what would have been right.
//!
//! The room knows no other room of the workspace, and the types of the decoding crates do not
//! leave it.
//!
//! ```
//! let ppm = b"P6 2 1 255 \xff\x00\x00\x00\x00\xff"; // one red pixel, one blue
//! let picture = introspective_data::decode(ppm, "flag.ppm")?;
//! assert_eq!(picture.pixels.dim(), (1, 2, 3)); // height, width, RGB
//! assert_eq!(picture.pixels[[0, 1, 2]], 255);
//! # Ok::<(), introspective_data::PictureError>(())
//! ```

pub mod arrays;
mod augment;
mod batches;
mod colour;
mod error;
mod formats;
mod jpeg;
mod list;
mod orientation;
mod picture;
mod set;
mod unpacked;

pub use augment::Augmentation;
pub use batches::{Batch, Batches, in_batches, read_batches};
pub use error::PictureError;
pub use list::{EXTENSIONS, ListError, find_pictures};
pub use picture::{MAX_FILE_BYTES, MAX_PIXELS, Picture, PictureInfo, decode, decode_within, read};
pub use set::{
    Held, LabelledSet, MAX_SET_BYTES, MatchedBy, Matching, OpenOptions, SetError, SetKind, Split,
    UnknownClass, held_out, match_classes,
};

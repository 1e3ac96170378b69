//! What can be wrong with a preprocessing or with what it is given.

use super::MAX_SIDE;

/// Why a picture cannot be prepared, or a preprocessing is none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessError {
    /// A side is 0 or more than [`MAX_SIDE`].
    #[error("a {what} of {found} pixels is impossible; it must be 1 to {MAX_SIDE}")]
    Side {
        /// `"size"`, `"crop"`, `"width"` or `"height"`.
        what: &'static str,
        /// The side asked for.
        found: usize,
    },
    /// The crop is larger than the resized picture may be.
    #[error(
        "a crop of {crop} pixels does not fit into a picture whose short side is resized to {size}; torchvision would \
         fill the border with black: ask for a size of at least {crop}"
    )]
    Crop {
        /// The short side after resizing.
        size: usize,
        /// The side of the crop.
        crop: usize,
    },
    /// Means and standard deviations do not give a number of channels that a picture has.
    #[error(
        "the preprocessing has {mean} means and {std} standard deviations; both must be 3 (RGB), or both 1 (grey)"
    )]
    Channels {
        /// How many means.
        mean: usize,
        /// How many standard deviations.
        std: usize,
    },
    /// A mean is not finite, or a standard deviation is not finite and positive.
    #[error("the {what} of channel {channel} is {found}; it must be {expected}")]
    Normalisation {
        /// `"mean"` or `"standard deviation"`.
        what: &'static str,
        /// Index of the channel.
        channel: usize,
        /// Its value, in words because NaN equals nothing.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The strength of a denoising is not finite and positive.
    #[error("a denoising of strength {found} is none; it must be greater than 0, such as 0.8")]
    Strength {
        /// Its value, in words because NaN equals nothing.
        found: String,
    },
    /// The array is no RGB picture, or has no pixels.
    #[error("the picture has shape {found:?}; expected height x width x 3, with pixels in it")]
    Shape {
        /// The shape of the array.
        found: [usize; 3],
    },
    /// The part of a picture that should be resized is empty or reaches outside.
    #[error(
        "the part of {} x {} pixels (width x height) from ({}, {}) on is not inside a picture of {} x {}",
        size.0, size.1, corner.0, corner.1, picture.0, picture.1
    )]
    Part {
        /// Upper left corner (x, y).
        corner: (usize, usize),
        /// Width and height of the part.
        size: (usize, usize),
        /// Width and height of the picture.
        picture: (usize, usize),
    },
}

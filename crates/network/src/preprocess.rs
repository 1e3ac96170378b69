//! From a photograph to a network's input.

mod antialias;
mod denoise;
mod error;

use ndarray::{Array3, ArrayView3};
use serde::Serialize;

use crate::bilinear::taps;
pub use antialias::Interpolation;
use antialias::{Source, Window, resize};
pub use denoise::NonLocalMeans;
pub use error::PreprocessError;

/// The largest side in pixels that a picture may be resized or cropped to.
pub const MAX_SIDE: usize = 8192;

/// Mean of red, green and blue over ImageNet, of values in 0..1: torchvision's default.
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// Standard deviation of red, green and blue over ImageNet, of values in 0..1.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// How a picture comes to the size of a network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum Method {
    /// What torchvision's `Resize(size, interpolation)` (on a PIL image, antialiased) and
    /// `CenterCrop(crop)` do: the short side becomes `size`, the long side
    /// `floor(size * long / short)`, and the middle `crop` x `crop` pixels are kept, beginning at
    /// `round((side - crop) / 2)` with halves to even. The bytes are Pillow's.
    Torchvision {
        /// Short side after resizing, in pixels, 1..=[`MAX_SIDE`].
        size: usize,
        /// Side of the crop in pixels, 1..=`size`.
        crop: usize,
        /// The filter.
        interpolation: Interpolation,
    },
    /// The whole picture to `size` x `size` whatever its shape, bilinear without antialiasing
    /// ([`resize_bilinear`](crate::resize_bilinear)) on values divided by 255: the demo of the
    /// paper's authors.
    Squash {
        /// Side in pixels, 1..=[`MAX_SIDE`].
        size: usize,
    },
}

/// How a picture becomes a network's input: `x = (v / 255 - mean) / std` for each channel of the
/// picture brought to size by a [`Method`], `v` in 0..=255.
///
/// A network with one channel sees grey: `L = (19595 R + 38470 G + 7471 B + 32768) >> 16`, Pillow's
/// conversion, taken before resizing.
///
/// With [`with_denoising`](Self::with_denoising) the picture brought to size is filtered before it is normalised.
///
/// Serialises as one flat map: `method`, `size`, `crop` and `interpolation` (torchvision only), `mean`, `std`, and
/// `denoise` if there is any.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preprocessing {
    #[serde(flatten)]
    method: Method,
    mean: Vec<f32>,
    std: Vec<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    denoise: Option<NonLocalMeans>,
}

/// A picture as the network's input, and what of the photograph that is.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Channels x side x side, normalised; the side is [`Preprocessing::input_size`].
    pub input: Array3<f32>,
    /// Width and height in pixels that the whole picture was resized to, before any crop.
    pub resized: (usize, usize),
    /// The part of the photograph that the network sees.
    pub seen: Region,
}

/// A rectangle of a photograph, in its own pixels; (0, 0) is the upper left corner of the upper
/// left pixel. Borders may run through pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Region {
    /// Left border.
    pub x: f64,
    /// Upper border.
    pub y: f64,
    /// Width, greater than 0.
    pub width: f64,
    /// Height, greater than 0.
    pub height: f64,
}

impl Preprocessing {
    /// A preprocessing of these steps; `mean` and `std` have one value for each channel of the
    /// network's input, for pixel values in 0..1.
    ///
    /// # Errors
    /// [`PreprocessError::Side`], [`Crop`](PreprocessError::Crop),
    /// [`Channels`](PreprocessError::Channels), [`Normalisation`](PreprocessError::Normalisation).
    pub fn new(method: Method, mean: Vec<f32>, std: Vec<f32>) -> Result<Self, PreprocessError> {
        let side = |what, found| match found {
            1..=MAX_SIDE => Ok(()),
            _ => Err(PreprocessError::Side { what, found }),
        };
        match method {
            Method::Torchvision { size, crop, interpolation: _ } => {
                side("size", size)?;
                side("crop", crop)?;
                if crop > size {
                    return Err(PreprocessError::Crop { size, crop });
                }
            }
            Method::Squash { size } => side("size", size)?,
        }
        if mean.len() != std.len() || !matches!(mean.len(), 1 | 3) {
            let (mean, std) = (mean.len(), std.len());
            return Err(PreprocessError::Channels { mean, std });
        }
        let wrong = |what, expected, values: &[f32], right: fn(f32) -> bool| {
            let channel = values.iter().position(|&value| !right(value))?;
            let found = values[channel].to_string();
            Some(PreprocessError::Normalisation { what, channel, found, expected })
        };
        let mean_wrong = wrong("mean", "finite", &mean, f32::is_finite);
        let std_wrong = wrong("standard deviation", "finite and positive", &std, |value| {
            value.is_finite() && value > 0.0
        });
        match mean_wrong.or(std_wrong) {
            Some(error) => Err(error),
            None => Ok(Self { method, mean, std, denoise: None }),
        }
    }

    /// What torchvision's ImageNet classifiers were evaluated with: short side 256, bilinear, crop 224,
    /// [`IMAGENET_MEAN`], [`IMAGENET_STD`].
    pub fn imagenet() -> Self {
        let interpolation = Interpolation::Bilinear;
        Self {
            method: Method::Torchvision { size: 256, crop: 224, interpolation },
            mean: IMAGENET_MEAN.to_vec(),
            std: IMAGENET_STD.to_vec(),
            denoise: None,
        }
    }

    /// The same with a denoising front end, or without one.
    pub fn with_denoising(self, denoise: Option<NonLocalMeans>) -> Self {
        Self { denoise, ..self }
    }

    /// The denoising front end, if there is one.
    pub fn denoising(&self) -> Option<NonLocalMeans> {
        self.denoise
    }

    /// How the picture comes to size.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Mean of each channel, for values in 0..1.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Standard deviation of each channel, for values in 0..1; greater than 0.
    pub fn std(&self) -> &[f32] {
        &self.std
    }

    /// Number of channels of the input: 3 (RGB) or 1 (grey).
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// Side in pixels of the (square) input.
    pub fn input_size(&self) -> usize {
        match self.method {
            Method::Torchvision { crop, .. } => crop,
            Method::Squash { size } => size,
        }
    }

    /// Prepares a picture: height x width x 3 (RGB), upright.
    ///
    /// Memory beyond the result is small whatever the picture's shape: only what the crop shows is
    /// resized.
    ///
    /// # Errors
    /// [`PreprocessError::Shape`] if `picture` has not three channels or no pixels.
    pub fn apply(&self, picture: ArrayView3<u8>) -> Result<Prepared, PreprocessError> {
        let (height, width, channels) = picture.dim();
        let found = [height, width, channels];
        if channels != 3 || picture.is_empty() {
            return Err(PreprocessError::Shape { found });
        }
        let picture = picture.as_standard_layout();
        let rgb = picture.as_slice().ok_or(PreprocessError::Shape { found })?;
        let mut prepared = match self.channels() {
            1 => self.prepare::<1>(&grey(rgb), (width, height)),
            _ => self.prepare::<3>(rgb, (width, height)),
        };
        if let Some(filter) = self.denoise {
            self.denoise(&mut prepared.input, filter);
        }
        Ok(prepared)
    }

    /// Filters a normalised picture as one of values in 0..1.
    fn denoise(&self, input: &mut Array3<f32>, filter: NonLocalMeans) {
        for (c, mut channel) in input.outer_iter_mut().enumerate() {
            channel.mapv_inplace(|value| value * self.std[c] + self.mean[c]);
        }
        filter.apply(input);
        for (c, mut channel) in input.outer_iter_mut().enumerate() {
            channel.mapv_inplace(|value| self.normalise(c, value));
        }
    }

    /// Prepares interleaved pixels of the input's channels; `size` is (width, height).
    fn prepare<const C: usize>(&self, pixels: &[u8], size: (usize, usize)) -> Prepared {
        let (width, height) = size;
        match self.method {
            Method::Torchvision { size: short, crop, interpolation } => {
                let resized = resized_size(size, short);
                let window = Window {
                    left: centred(resized.0, crop),
                    top: centred(resized.1, crop),
                    width: crop,
                    height: crop,
                };
                let bytes = {
                    let source = Source::<C>::whole(pixels, size);
                    resize(source, resized, window, interpolation)
                };
                let normal: Vec<_> = (0..C).map(|c| self.each_byte(c)).collect();
                let scale_x = width as f64 / resized.0 as f64;
                let scale_y = height as f64 / resized.1 as f64;
                Prepared {
                    input: Array3::from_shape_fn((C, crop, crop), |(c, y, x)| {
                        normal[c][usize::from(bytes[C * (y * crop + x) + c])]
                    }),
                    resized,
                    seen: Region {
                        x: window.left as f64 * scale_x,
                        y: window.top as f64 * scale_y,
                        width: crop as f64 * scale_x,
                        height: crop as f64 * scale_y,
                    },
                }
            }
            Method::Squash { size: side } => Prepared {
                input: self.squash::<C>(pixels, size, side),
                resized: (side, side),
                seen: Region { x: 0.0, y: 0.0, width: width as f64, height: height as f64 },
            },
        }
    }

    /// Same numbers as [`resize_bilinear`](crate::resize_bilinear) on each channel, without making
    /// floats of pixels that are not looked at.
    fn squash<const C: usize>(
        &self,
        pixels: &[u8],
        (width, height): (usize, usize),
        side: usize,
    ) -> Array3<f32> {
        let (columns, rows) = (taps(width, side), taps(height, side));
        let unit: [f32; 256] = std::array::from_fn(|byte| byte as f32 / 255.0);
        Array3::from_shape_fn((C, side, side), |(c, y, x)| {
            let (row, column) = (&rows[y], &columns[x]);
            let at = |y: usize, x: usize| unit[usize::from(pixels[C * (y * width + x) + c])];
            let along = |y: usize| column.mix(at(y, column.low), at(y, column.high));
            self.normalise(c, row.mix(along(row.low), along(row.high)))
        })
    }

    /// A value in 0..1 of channel `c` as the network sees it.
    fn normalise(&self, c: usize, value: f32) -> f32 {
        (value - self.mean[c]) / self.std[c]
    }

    /// What each of the 256 bytes is to the network in channel `c`.
    fn each_byte(&self, c: usize) -> [f32; 256] {
        std::array::from_fn(|byte| self.normalise(c, byte as f32 / 255.0))
    }
}

/// Resizes an RGB picture, or the part of it that begins `corner` (x, y) below and right of its
/// upper left corner and is `size` (width, height) large, to `resized` (width, height) pixels:
/// Pillow's bytes, antialiased. The part is read where it lies, not copied first.
///
/// Gives height x width x 3.
///
/// # Errors
/// [`PreprocessError::Shape`] if `picture` has not three channels, [`PreprocessError::Part`] if the
/// part is empty or reaches outside, [`PreprocessError::Side`] if a side of `resized` is not
/// 1..=[`MAX_SIDE`].
pub fn resize_rgb(
    picture: ArrayView3<u8>,
    corner: (usize, usize),
    size: (usize, usize),
    resized: (usize, usize),
    interpolation: Interpolation,
) -> Result<Array3<u8>, PreprocessError> {
    let (height, width, channels) = picture.dim();
    let found = [height, width, channels];
    if channels != 3 {
        return Err(PreprocessError::Shape { found });
    }
    let fits = |at: usize, side: usize, all| {
        at.checked_add(side).is_some_and(|end| side > 0 && end <= all)
    };
    if !fits(corner.0, size.0, width) || !fits(corner.1, size.1, height) {
        return Err(PreprocessError::Part { corner, size, picture: (width, height) });
    }
    for (what, side) in [("width", resized.0), ("height", resized.1)] {
        if !(1..=MAX_SIDE).contains(&side) {
            return Err(PreprocessError::Side { what, found: side });
        }
    }
    let picture = picture.as_standard_layout();
    let samples = picture.as_slice().ok_or(PreprocessError::Shape { found })?;
    let first = 3 * (corner.1 * width + corner.0);
    let source = Source::<3> {
        samples: &samples[first..],
        stride: 3 * width,
        width: size.0,
        height: size.1,
    };
    let window = Window { left: 0, top: 0, width: resized.0, height: resized.1 };
    let bytes = resize(source, resized, window, interpolation);
    Array3::from_shape_vec((resized.1, resized.0, 3), bytes)
        .map_err(|_| PreprocessError::Shape { found })
}

/// Width and height after the short side became `short`, as torchvision computes them.
fn resized_size((width, height): (usize, usize), short: usize) -> (usize, usize) {
    // Python divides integers exactly and rounds once, as this does below 2^53.
    let long = |long: usize, of: usize| ((short * long) as f64 / of as f64) as usize;
    if width <= height { (short, long(height, width)) } else { (long(width, height), short) }
}

/// Where a crop in the middle of `side` begins. Python's `round`: halves go to the even number.
fn centred(side: usize, crop: usize) -> usize {
    ((side - crop) as f64 / 2.0).round_ties_even() as usize
}

/// Pillow's grey.
fn grey(rgb: &[u8]) -> Vec<u8> {
    let (pixels, _) = rgb.as_chunks::<3>();
    let weigh = |&[r, g, b]: &[u8; 3]| {
        let sum = 19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b);
        ((sum + 32768) >> 16) as u8
    };
    pixels.iter().map(weigh).collect()
}

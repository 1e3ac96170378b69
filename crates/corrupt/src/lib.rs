//! The corruptions of ImageNet-C and CIFAR-10-C, for pictures of any size.
//!
//! This room knows no other: pictures come and go as arrays of bytes, height x width x channels (1 or 3).
//! [`corrupt`] applies one of the nineteen [`Corruption`]s at one of five [`Severity`]s. The published parameters for 32 x 32
//! and for 224 x 224 are used at these sizes and scaled to others. Random corruptions take a seed and the index of the image,
//! and give the same bytes for the same four things whatever the number of threads, the order of the images or the x86-64
//! machine: nothing is taken from the platform's mathematical library, and no sum depends on the width of its vectors.
//!
//! ```
//! use introspective_corrupt::{Corruption, Severity, corrupt};
//! use ndarray::Array3;
//!
//! let picture = Array3::<u8>::from_shape_fn((32, 32, 3), |(y, x, c)| (4 * y + 3 * x + 20 * c) as u8);
//! let fog = Corruption::from_name("fog").unwrap();
//! let seed = 7;
//! let foggy = corrupt(picture.view(), fog, Severity::new(3)?, seed, 0)?;
//! assert_eq!(foggy.dim(), (32, 32, 3));
//! assert_eq!(foggy, corrupt(picture.view(), fog, Severity::new(3)?, seed, 0)?);
//! assert_ne!(foggy, corrupt(picture.view(), fog, Severity::new(3)?, seed, 1)?); // another image, other fog
//! # Ok::<(), introspective_corrupt::CorruptError>(())
//! ```

mod bilinear;
mod blur;
mod border;
mod convolve;
mod corruption;
mod digital;
mod error;
mod noise;
mod parameters;
mod picture;
mod random;
mod vectors;
mod weather;

use ndarray::{Array3, ArrayView3};

pub use corruption::{Corruption, Family, Severity};
pub use error::CorruptError;

use picture::Picture;
use random::Stream;

/// The longest side of a picture, in pixels; the sum of all samples within a blur's disc must fit into 31 bits.
const LONGEST: usize = 1 << 15;

/// A corrupted copy of a picture.
///
/// `pixels` is height x width x channels, with 1 channel (grey) or 3 (red, green, blue); what comes back has the same shape.
/// The random stream depends on `seed`, `index`, the corruption and the severity, and on nothing else; `index` is the
/// number of the image in its set, so that every image gets noise of its own. What each corruption computes is
/// said where it is defined. Grey pictures are treated as such: `imagecorruptions` makes three channels of them first, which
/// turns noise on a grey picture into coloured noise. A grey picture has no saturation, and `saturate` returns it as it is.
///
/// # Errors
///
/// If the picture has no pixels, a side of more than 32,768, or another number of channels.
pub fn corrupt(
    pixels: ArrayView3<'_, u8>,
    corruption: Corruption,
    severity: Severity,
    seed: u64,
    index: u64,
) -> Result<Array3<u8>, CorruptError> {
    let (height, width, channels) = pixels.dim();
    if channels != 1 && channels != 3 {
        return Err(CorruptError::Channels { found: channels });
    }
    if height == 0 || width == 0 {
        return Err(CorruptError::Empty { height, width });
    }
    if height.max(width) > LONGEST {
        return Err(CorruptError::TooLarge { height, width, limit: LONGEST });
    }
    let samples: Vec<u8>;
    let run = match pixels.as_slice() {
        Some(run) => run,
        None => {
            samples = pixels.iter().copied().collect();
            &samples
        }
    };
    let picture = Picture { pixels: run, height, width, channels };
    let mut stream = Stream::new(seed, index, corruption, severity);
    let bytes = apply(picture, corruption, severity, &mut stream);
    let mut corrupted = Array3::zeros((height, width, channels));
    // always so for a new array; copying leaves no error to handle, and costs nothing beside the rest
    if let Some(run) = corrupted.as_slice_mut() {
        run.copy_from_slice(&bytes);
    }
    Ok(corrupted)
}

fn apply(
    picture: Picture<'_>,
    corruption: Corruption,
    severity: Severity,
    stream: &mut Stream,
) -> Vec<u8> {
    match corruption {
        Corruption::GaussianNoise => noise::gaussian(picture, severity, stream),
        Corruption::ShotNoise => noise::shot::shot(picture, severity, stream),
        Corruption::ImpulseNoise => noise::impulse(picture, severity, stream),
        Corruption::SpeckleNoise => noise::speckle(picture, severity, stream),
        Corruption::DefocusBlur => blur::defocus::defocus(picture, severity),
        Corruption::GlassBlur => blur::glass::glass(picture, severity, stream),
        Corruption::MotionBlur => blur::motion::motion(picture, severity, stream),
        Corruption::ZoomBlur => blur::zoom::zoom(picture, severity),
        Corruption::GaussianBlur => blur::gaussian::gaussian(picture, severity),
        Corruption::Snow => weather::snow::snow(picture, severity, stream),
        Corruption::Frost => weather::frost::frost(picture, severity, stream),
        Corruption::Fog => weather::fog::fog(picture, severity, stream),
        Corruption::Brightness => weather::brightness::brightness(picture, severity),
        Corruption::Spatter => weather::spatter::spatter(picture, severity, stream),
        Corruption::Contrast => digital::contrast::contrast(picture, severity),
        Corruption::ElasticTransform => digital::elastic::elastic(picture, severity, stream),
        Corruption::Pixelate => digital::pixelate::pixelate(picture, severity),
        Corruption::JpegCompression => digital::jpeg::jpeg(picture, severity),
        Corruption::Saturate => digital::saturate::saturate(picture, severity),
    }
}

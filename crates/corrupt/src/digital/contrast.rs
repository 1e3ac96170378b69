//! Less contrast.

use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, to_byte};

/// What is left of the contrast.
const CONTRAST: Table<1> = Table {
    small: [[0.75], [0.5], [0.4], [0.3], [0.15]],
    large: [[0.4], [0.3], [0.2], [0.1], [0.05]],
    kinds: [Kind::Amount],
};

/// mean + c (x - mean), with the mean of each channel over the picture.
pub(crate) fn contrast(picture: Picture<'_>, severity: Severity) -> Vec<u8> {
    let [left] = CONTRAST.at(severity, picture.size());
    let channels = picture.channels;
    let mut sums = [0u64; 3];
    for pixel in picture.pixels.chunks_exact(channels) {
        for (sum, &x) in sums.iter_mut().zip(pixel) {
            *sum += u64::from(x);
        }
    }
    let count = (picture.height * picture.width) as f64;
    let bytes: [[u8; 256]; 3] = sums.map(|sum| {
        let mean = sum as f64 / count;
        std::array::from_fn(|x| to_byte(((x as f64 - mean) * left + mean) as f32))
    });
    let mut out = picture.pixels.to_vec();
    for pixel in out.chunks_exact_mut(channels) {
        for (x, bytes) in pixel.iter_mut().zip(&bytes) {
            *x = bytes[usize::from(*x)];
        }
    }
    out
}

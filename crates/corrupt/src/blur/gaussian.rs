//! The normal blur.

use crate::border::Border;
use crate::convolve::{gaussian_kernel, separable};
use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, to_byte};

/// The standard deviation, in pixels.
const SIGMA: Table<1> = Table {
    small: [[0.4], [0.6], [0.7], [0.8], [1.0]],
    large: [[1.0], [2.0], [3.0], [4.0], [6.0]],
    kinds: [Kind::Length],
};

/// The picture filtered with exp(-(x^2 + y^2) / (2 sigma^2)) / Z, cut at 4 sigma; the outermost pixels go on beyond the border.
pub(crate) fn gaussian(picture: Picture<'_>, severity: Severity) -> Vec<u8> {
    let [sigma] = SIGMA.at(severity, picture.size());
    blurred(&picture.to_f32(), picture, sigma).into_iter().map(to_byte).collect()
}

/// The same, of samples that may be no bytes.
pub(super) fn blurred(samples: &[f32], picture: Picture<'_>, sigma: f64) -> Vec<f32> {
    let kernel = gaussian_kernel(sigma, 4.0);
    let shape = (picture.height, picture.width, picture.channels);
    separable(samples, shape, (&kernel, &kernel), Border::Nearest)
}

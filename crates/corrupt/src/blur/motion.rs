//! Motion in a straight line.

use crate::border::Border;
use crate::convolve::{Tap, pad, shifted_sum};
use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, to_byte};
use crate::random::Stream;

/// The radius and the standard deviation of the kernel, in pixels.
const MOTION: Table<2> = Table {
    small: [[6.0, 1.0], [6.0, 1.5], [6.0, 2.0], [8.0, 2.0], [9.0, 2.5]],
    large: [[10.0, 3.0], [15.0, 5.0], [15.0, 8.0], [15.0, 12.0], [20.0, 15.0]],
    kinds: [Kind::Length, Kind::Length],
};

/// Motion in a direction drawn uniformly from -45 to 45 degrees; see [`trail`].
pub(crate) fn motion(picture: Picture<'_>, severity: Severity, stream: &mut Stream) -> Vec<u8> {
    let [radius, sigma] = MOTION.at(severity, picture.size());
    let angle = stream.uniform(-45.0, 45.0);
    let shape = (picture.height, picture.width, picture.channels);
    trail(&picture.to_f32(), shape, (radius, sigma), f64::from(angle))
        .into_iter()
        .map(to_byte)
        .collect()
}

/// The sum over i from 0 to 2 radius of w_i x the image moved by i pixels in a direction, w_i = exp(-i^2 / (2 sigma^2)) / Z.
///
/// Half a normal distribution: the trail lies behind. Moves are rounded to whole pixels, and what comes in over the border is
/// the outermost pixel. The angle is in degrees; 0 looks to the left, 90 up. (ImageMagick's motion blur, which CIFAR-10-C was
/// made with, and `imagecorruptions` after it. The latter drops moves longer than the picture, which darkens it.)
pub(crate) fn trail(
    image: &[f32],
    shape: (usize, usize, usize),
    (radius, sigma): (f64, f64),
    angle: f64,
) -> Vec<f32> {
    let (height, width, channels) = shape;
    let moves = 2 * radius.ceil() as usize + 1;
    let (sine, cosine) = libm::sincos(angle.to_radians());
    let weight = |i: usize| libm::exp(-0.5 * (i * i) as f64 / (sigma * sigma));
    let sum: f64 = (0..moves).map(weight).sum();
    let moved = |i: usize, part: f64| -((i as f64 * part - 0.5).ceil() as isize);
    let steps: Vec<(isize, isize)> =
        (0..moves).map(|i| (moved(i, sine), moved(i, cosine))).collect();
    let rows = steps.iter().map(|step| step.0.unsigned_abs()).max().unwrap_or(0);
    let columns = steps.iter().map(|step| step.1.unsigned_abs()).max().unwrap_or(0);
    let padded = pad(image, shape, (rows, columns), Border::Nearest);
    let taps: Vec<Tap> = steps
        .iter()
        .enumerate()
        .map(|(i, (down, right))| {
            let row = rows.saturating_add_signed(-down);
            let column = columns.saturating_add_signed(-right);
            (row * padded.stride + column * channels, (weight(i) / sum) as f32)
        })
        .collect();
    shifted_sum(&padded, &taps, height, width * channels)
}

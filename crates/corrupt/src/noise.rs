//! Noise that is independent from sample to sample.

pub(crate) mod shot;

use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, to_byte};
use crate::random::{Stream, Ziggurat};

/// The standard deviation, of a range of 1.
const GAUSSIAN: Table<1> = Table {
    small: [[0.04], [0.06], [0.08], [0.09], [0.10]],
    large: [[0.08], [0.12], [0.18], [0.26], [0.38]],
    kinds: [Kind::Amount],
};

/// x + 255 sigma n, with n from the standard normal distribution, for each sample.
pub(crate) fn gaussian(picture: Picture<'_>, severity: Severity, stream: &mut Stream) -> Vec<u8> {
    let [sigma] = GAUSSIAN.at(severity, picture.size());
    let (sigma, ziggurat) = (255.0 * sigma as f32, Ziggurat::get());
    let noisy = |&x: &u8| to_byte(f32::from(x) + sigma * stream.normal(ziggurat));
    picture.pixels.iter().map(noisy).collect()
}

/// The standard deviation, of the sample.
const SPECKLE: Table<1> = Table {
    small: [[0.06], [0.1], [0.12], [0.16], [0.2]],
    large: [[0.15], [0.2], [0.35], [0.45], [0.6]],
    kinds: [Kind::Amount],
};

/// x + sigma x n, with n from the standard normal distribution, for each sample.
pub(crate) fn speckle(picture: Picture<'_>, severity: Severity, stream: &mut Stream) -> Vec<u8> {
    let [sigma] = SPECKLE.at(severity, picture.size());
    let (sigma, ziggurat) = (sigma as f32, Ziggurat::get());
    let noisy = |&x: &u8| {
        let x = f32::from(x);
        to_byte(x + sigma * x * stream.normal(ziggurat))
    };
    picture.pixels.iter().map(noisy).collect()
}

/// The share of samples that are replaced.
const IMPULSE: Table<1> = Table {
    small: [[0.01], [0.02], [0.03], [0.05], [0.07]],
    large: [[0.03], [0.06], [0.09], [0.17], [0.27]],
    kinds: [Kind::Amount],
};

/// Each sample becomes 0 with probability p / 2, 255 with probability p / 2, and else stays.
///
/// Samples, not pixels: a replaced sample of a colour picture gives a coloured dot.
pub(crate) fn impulse(picture: Picture<'_>, severity: Severity, stream: &mut Stream) -> Vec<u8> {
    let [share] = IMPULSE.at(severity, picture.size());
    let replaced = (share * 4_294_967_296.0) as u32;
    let noisy = |&x: &u8| {
        let bits = stream.bits();
        // among the replaced, the lowest bit is as good as any other
        let stuck = if bits & 1 == 0 { 0 } else { 255 };
        if bits < replaced { stuck } else { x }
    };
    picture.pixels.iter().map(noisy).collect()
}

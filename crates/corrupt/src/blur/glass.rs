//! Frosted glass.

use super::gaussian::blurred;
use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, to_byte};
use crate::random::Stream;

/// The blur's standard deviation, how far a pixel may come from, how often all are moved.
const GLASS: Table<3> = Table {
    small: [[0.05, 1.0, 1.0], [0.25, 1.0, 1.0], [0.4, 1.0, 1.0], [0.25, 1.0, 2.0], [0.4, 1.0, 2.0]],
    large: [[0.7, 1.0, 2.0], [0.9, 2.0, 1.0], [1.0, 2.0, 3.0], [1.1, 3.0, 2.0], [1.5, 4.0, 2.0]],
    kinds: [Kind::Length, Kind::Length, Kind::Amount],
};

/// Blurred, then pixel by pixel replaced by a neighbour at (dy, dx), each uniform from -d to d - 1, then blurred again.
///
/// Pixels are taken from the lower right to the upper left, without those within d of the border, so that a neighbour may have
/// been replaced before. The reference means to swap the two pixels, but its assignment goes through views of one array, and
/// the neighbour is copied instead, so that some pixels are lost; the published pictures were made that way, and so are these.
/// Its offsets leave out +d, which moves the picture by half a pixel.
pub(crate) fn glass(picture: Picture<'_>, severity: Severity, stream: &mut Stream) -> Vec<u8> {
    let [sigma, reach, rounds] = GLASS.at(severity, picture.size());
    let reach = (reach.round() as usize).max(1);
    let rounds = rounds.round() as usize;
    let mut pixels: Vec<f32> = blurred(&picture.to_f32(), picture, sigma)
        .into_iter()
        .map(|value| f32::from(to_byte(value)))
        .collect();
    for _ in 0..rounds {
        match picture.channels {
            1 => shuffle::<1>(&mut pixels, picture, reach, stream),
            _ => shuffle::<3>(&mut pixels, picture, reach, stream),
        }
    }
    blurred(&pixels, picture, sigma).into_iter().map(to_byte).collect()
}

fn shuffle<const C: usize>(
    pixels: &mut [f32],
    picture: Picture<'_>,
    reach: usize,
    stream: &mut Stream,
) {
    let (pixels, _) = pixels.as_chunks_mut::<C>();
    let (height, width) = (picture.height, picture.width);
    let choices = 2 * reach as u32;
    for y in (reach + 1..(height + 1).saturating_sub(reach)).rev() {
        for x in (reach + 1..(width + 1).saturating_sub(reach)).rev() {
            // two choices from one random number: they are even to within choices / 2^16
            let bits = stream.bits();
            let down = ((bits & 0xffff) * choices) >> 16;
            let right = ((bits >> 16) * choices) >> 16;
            pixels[y * width + x] =
                pixels[(y + down as usize - reach) * width + x + right as usize - reach];
        }
    }
}

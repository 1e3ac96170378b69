//! Fog.

use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::Picture;
use crate::random::Stream;

/// How thick, and how fast smaller clouds are fainter: by the square of this at half the size.
const FOG: Table<2> = Table {
    small: [[0.2, 3.0], [0.5, 3.0], [0.75, 2.5], [1.0, 2.0], [1.5, 1.75]],
    large: [[1.5, 2.0], [2.0, 2.0], [2.5, 1.7], [2.5, 1.5], [3.0, 1.4]],
    kinds: [Kind::Amount, Kind::Amount],
};

/// A larger plasma would take more memory than the picture.
const LARGEST: usize = 4096;

/// (x + 255 c plasma) m / (m + 255 c), with m the largest sample of the picture and plasma from 0 to 1, one for all channels.
///
/// The plasma is as large as the power of two that holds the picture, and at most 4096; as it has no borders, it is repeated
/// over a longer picture. A black picture stays black, for m is 0.
pub(crate) fn fog(picture: Picture<'_>, severity: Severity, stream: &mut Stream) -> Vec<u8> {
    let [thickness, decay] = FOG.at(severity, picture.size());
    let thickness = 255.0 * thickness as f32;
    let brightest = f32::from(picture.pixels.iter().copied().max().unwrap_or(0));
    let gain = brightest / (brightest + thickness);
    let side = picture.height.max(picture.width).next_power_of_two().min(LARGEST);
    let plasma = Plasma::new(side, decay as f32, stream);
    let scale = thickness / (plasma.highest - plasma.lowest).max(f32::MIN_POSITIVE);
    let rows = plasma.heights.chunks_exact(side).cycle();
    let heights = rows.flat_map(|row| row.iter().cycle().take(picture.width));
    picture.mixed(heights, |x, _, height| (x + (*height - plasma.lowest) * scale) * gain)
}

/// A random landscape by the diamond-square algorithm, on a torus.
pub(super) struct Plasma {
    heights: Vec<f32>,
    lowest: f32,
    highest: f32,
}

impl Plasma {
    /// `side` is a power of two. From a single point on, the distance of points is halved: a new point is the mean of its four
    /// nearest plus noise, uniform up to the square of `wibble`, which starts at 100 and is divided by `decay` each time.
    pub(super) fn new(side: usize, decay: f32, stream: &mut Stream) -> Plasma {
        let mut heights = vec![0.0f32; side * side];
        let mut wibble = 100.0f32;
        let mut step = side;
        while step >= 2 {
            let half = step / 2;
            let reach = wibble * wibble;
            // the centres of the squares
            for y in (0..side).step_by(step) {
                let (above, below) = (y * side, ((y + step) & (side - 1)) * side);
                for x in (0..side).step_by(step) {
                    let next = (x + step) & (side - 1);
                    let sum = heights[above + x]
                        + heights[above + next]
                        + heights[below + x]
                        + heights[below + next];
                    heights[(y + half) * side + x + half] =
                        sum / 4.0 + stream.uniform(-reach, reach);
                }
            }
            // the middles of their sides: first of those above, then of those on the left
            for y in (0..side).step_by(step) {
                let (row, centres) = (y * side, (y + half) * side);
                let before = ((y + side - half) & (side - 1)) * side;
                for x in (0..side).step_by(step) {
                    let (middle, next) = (x + half, (x + step) & (side - 1));
                    let sum = heights[before + middle]
                        + heights[centres + middle]
                        + heights[row + x]
                        + heights[row + next];
                    heights[row + middle] = sum / 4.0 + stream.uniform(-reach, reach);
                }
                let below = ((y + step) & (side - 1)) * side;
                for x in (0..side).step_by(step) {
                    let before = (x + side - half) & (side - 1);
                    let sum = heights[centres + before]
                        + heights[centres + x + half]
                        + heights[row + x]
                        + heights[below + x];
                    heights[centres + x] = sum / 4.0 + stream.uniform(-reach, reach);
                }
            }
            step = half;
            wibble /= decay;
        }
        let (mut lowest, mut highest) = (f32::INFINITY, f32::NEG_INFINITY);
        for &height in &heights {
            lowest = lowest.min(height);
            highest = highest.max(height);
        }
        Plasma { heights, lowest, highest }
    }

    /// The heights, from 0 to 1.
    pub(super) fn scaled(self) -> Vec<f32> {
        let scale = 1.0 / (self.highest - self.lowest).max(f32::MIN_POSITIVE);
        self.heights.into_iter().map(|height| (height - self.lowest) * scale).collect()
    }
}

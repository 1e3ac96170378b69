//! Falling snow.

use crate::bilinear::Axis;
use crate::blur::motion::trail;
use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, luma};
use crate::random::{Stream, Ziggurat};

/// Mean and standard deviation of the noise that flakes are made from, their size, the threshold they must reach, radius and
/// standard deviation of their trail, and the share of the picture in the whitish mixture.
const SNOW: Table<7> = Table {
    small: [
        [0.1, 0.2, 1.0, 0.6, 8.0, 3.0, 0.95],
        [0.1, 0.2, 1.0, 0.5, 10.0, 4.0, 0.9],
        [0.15, 0.3, 1.75, 0.55, 10.0, 4.0, 0.9],
        [0.25, 0.3, 2.25, 0.6, 12.0, 6.0, 0.85],
        [0.3, 0.3, 1.25, 0.65, 14.0, 12.0, 0.8],
    ],
    large: [
        [0.1, 0.3, 3.0, 0.5, 10.0, 4.0, 0.8],
        [0.2, 0.3, 2.0, 0.5, 12.0, 4.0, 0.7],
        [0.55, 0.3, 4.0, 0.9, 12.0, 8.0, 0.7],
        [0.55, 0.3, 4.5, 0.85, 12.0, 8.0, 0.65],
        [0.55, 0.3, 2.5, 0.85, 12.0, 12.0, 0.55],
    ],
    kinds: [
        Kind::Amount,
        Kind::Amount,
        Kind::Length,
        Kind::Amount,
        Kind::Length,
        Kind::Length,
        Kind::Amount,
    ],
};

/// w x + (1 - w) max(x, 1.5 luma + 0.5) + s + s turned by 180 degrees, on a scale from 0 to 1.
///
/// The layer s: normal noise, enlarged, set to 0 below a threshold, and drawn out downwards by [`trail`] at an angle between -135
/// and -45 degrees. Turning it makes flakes fall and rise in both directions, as in the reference.
pub(crate) fn snow(picture: Picture<'_>, severity: Severity, stream: &mut Stream) -> Vec<u8> {
    let [mean, deviation, flake, threshold, radius, sigma, share] =
        SNOW.at(severity, picture.size());
    let (height, width) = (picture.height, picture.width);
    let flakes = enlarged_noise((height, width), (mean, deviation), flake.max(1.0), stream);
    let kept: Vec<f32> = flakes
        .into_iter()
        .map(|x| if x < threshold as f32 { 0.0 } else { x.clamp(0.0, 1.0) })
        .collect();
    let angle = f64::from(stream.uniform(-135.0, -45.0));
    let layer: Vec<f32> = trail(&kept, (height, width, 1), (radius, sigma), angle)
        .into_iter()
        .map(|x| (255.0 * x).round())
        .collect();

    let share = share as f32;
    let whitish = |x: f32, luma: f32| share * x + (1.0 - share) * x.max(1.5 * luma + 127.5);
    let snow = layer.iter().zip(layer.iter().rev()).map(|(falling, rising)| falling + rising);
    if picture.channels == 1 {
        return picture.mixed(snow, |x, _, snow| whitish(x, x) + snow);
    }
    let lumas = picture.pixels.as_chunks::<3>().0.iter().map(|pixel| {
        let [r, g, b] = pixel.map(f32::from);
        luma(r, g, b)
    });
    picture.mixed(snow.zip(lumas), |x, _, (snow, luma)| whitish(x, *luma) + snow)
}

/// Normal noise for the middle of an image, enlarged to the whole of it.
fn enlarged_noise(
    (height, width): (usize, usize),
    (mean, deviation): (f64, f64),
    factor: f64,
    stream: &mut Stream,
) -> Vec<f32> {
    let (rows, columns) = (Axis::new(height, factor), Axis::new(width, factor));
    let ziggurat = Ziggurat::get();
    let noise: Vec<f32> = (0..rows.length * columns.length)
        .map(|_| mean as f32 + deviation as f32 * stream.normal(ziggurat))
        .collect();
    let mut out = Vec::with_capacity(height * width);
    let mut line = vec![0.0; columns.length];
    for &(y, down) in &rows.places {
        let above = &noise[y * columns.length..][..columns.length];
        let below = &noise[(y + 1).min(rows.length - 1) * columns.length..][..columns.length];
        for ((line, a), b) in line.iter_mut().zip(above).zip(below) {
            *line = a + down * (b - a);
        }
        out.extend(columns.places.iter().map(|&(x, right)| {
            let (a, b) = (line[x], line[(x + 1).min(columns.length - 1)]);
            a + right * (b - a)
        }));
    }
    out
}

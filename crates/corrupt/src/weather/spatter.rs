//! Drops on the lens.

mod distances;
mod drops;
mod outlines;

use crate::border::Border;
use crate::convolve::{gaussian_kernel, separable};
use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, to_byte};
use crate::random::{Stream, Ziggurat};

/// Mean and standard deviation of noise, standard deviation of the blur that makes drops of it, the threshold they must reach,
/// and how opaque water is (severities 1 to 3) or how smooth mud is (4 and 5).
///
/// The noise's deviation is treated as a length: what is left of it after the blur is its quotient with the blur's, and must
/// not change with the size of the picture, or no drop would reach the threshold.
const SPATTER: Table<5> = Table {
    small: [
        [0.62, 0.1, 0.7, 0.7, 0.5],
        [0.65, 0.1, 0.8, 0.7, 0.5],
        [0.65, 0.3, 1.0, 0.69, 0.5],
        [0.65, 0.1, 0.7, 0.69, 0.6],
        [0.65, 0.1, 0.5, 0.68, 0.6],
    ],
    large: [
        [0.65, 0.3, 4.0, 0.69, 0.6],
        [0.65, 0.3, 3.0, 0.68, 0.6],
        [0.65, 0.3, 2.0, 0.68, 0.5],
        [0.65, 0.3, 1.0, 0.65, 1.5],
        [0.67, 0.4, 1.0, 0.65, 1.5],
    ],
    kinds: [Kind::Amount, Kind::Length, Kind::Length, Kind::Amount, Kind::Amount],
};

/// From this severity on the drops are mud.
const MUD: u8 = 4;

/// Water: x + m (175, 238, 238), m from 0 to the opacity; see [`drops::reflections`]. Mud: (1 - m) x + m (63, 42, 20),
/// m from 0.8 to 1 or 0.
///
/// Drops are where normal noise, blurred, is above a threshold; mud is that area, blurred again, without the rim.
pub(crate) fn spatter(picture: Picture<'_>, severity: Severity, stream: &mut Stream) -> Vec<u8> {
    let [mean, deviation, sigma, threshold, strength] = SPATTER.at(severity, picture.size());
    let shape = (picture.height, picture.width, 1);
    let ziggurat = Ziggurat::get();
    let noise: Vec<f32> = (0..picture.height * picture.width)
        .map(|_| mean as f32 + deviation as f32 * stream.normal(ziggurat))
        .collect();
    let blurred = |layer: &[f32], sigma: f64| {
        let kernel = gaussian_kernel(sigma, 4.0);
        separable(layer, shape, (&kernel, &kernel), Border::Nearest)
    };
    let liquid = blurred(&noise, sigma);
    let threshold = threshold as f32;
    if severity.get() < MUD {
        // the reference's bytes wrap around where liquid is above 1, which is rare; here they stay at 255
        let liquid: Vec<u8> = liquid
            .into_iter()
            .map(|x| if x < threshold { 0 } else { to_byte(255.0 * x) })
            .collect();
        let light = drops::reflections(&liquid, picture.height, picture.width, strength as f32);
        return paint(picture, [175.0, 238.0, 238.0], &light, |x, colour, m| x + m * colour);
    }
    let area: Vec<f32> =
        liquid.into_iter().map(|x| if x > threshold { 1.0 } else { 0.0 }).collect();
    let mud: Vec<f32> = blurred(&area, mud_sigma(strength, picture))
        .into_iter()
        .map(|x| if x < 0.8 { 0.0 } else { x })
        .collect();
    paint(picture, [63.0, 42.0, 20.0], &mud, |x, colour, m| (1.0 - m) * x + m * colour)
}

/// The smoothness of mud is a length; in water's column of the table stands an opacity, which is not.
fn mud_sigma(strength: f64, picture: Picture<'_>) -> f64 {
    let size = picture.size() as f64;
    strength * if size < 32.0 { size / 32.0 } else { (size / 224.0).max(1.0) }
}

/// Every sample mixed with its channel's colour, by the layer at its pixel.
fn paint(
    picture: Picture<'_>,
    colour: [f32; 3],
    layer: &[f32],
    mix: impl Fn(f32, f32, f32) -> f32,
) -> Vec<u8> {
    let [r, g, b] = colour;
    // the grey that imagecorruptions makes of a colour
    let grey = [0.2989 * r + 0.587 * g + 0.114 * b; 3];
    let colour = if picture.channels == 1 { grey } else { colour };
    picture.mixed(layer.iter(), |x, channel, &&m| mix(x, colour[channel], m))
}

//! A window covered with ice.
//!
//! The reference mixes in crops of photographs of frost. Here the windows are drawn, in `window.rs`.

mod window;

use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, luma};
use crate::random::Stream;
use window::{SIDE, Window};

/// The weights of the picture and of the frost, and how many pixels of the picture a pixel of the window takes.
const FROST: Table<3> = Table {
    small: [[1.0, 0.2, 0.2], [1.0, 0.3, 0.2], [0.9, 0.4, 0.2], [0.85, 0.4, 0.2], [0.75, 0.45, 0.2]],
    large: [[1.0, 0.4, 1.1], [0.8, 0.6, 1.1], [0.7, 0.7, 1.1], [0.65, 0.7, 1.1], [0.6, 0.75, 1.1]],
    kinds: [Kind::Amount, Kind::Amount, Kind::Length],
};

/// a x + b frost, with frost a part of one of five windows, drawn uniformly, at a place drawn uniformly, in one of the eight
/// ways to turn and mirror a square.
///
/// As in the reference, windows are sampled point by point, so that 32 x 32 pixels see ice as sharp as 224 x 224 do. The windows'
/// means and spreads are near those of the reference's photographs; their crystals are not.
pub(crate) fn frost(picture: Picture<'_>, severity: Severity, stream: &mut Stream) -> Vec<u8> {
    let [of_picture, of_frost, zoom] = FROST.at(severity, picture.size());
    let window = Window::number(stream.below(Window::COUNT));
    let mut origin = || stream.unit() * SIDE as f32;
    let (top, left) = (origin(), origin());
    let turn = stream.below(8);
    // along each axis of the picture: the whole place in the window, the one after it, and the way between
    let places = |n: usize, start: f32, backwards: bool| -> Vec<(usize, usize, f32)> {
        (0..n)
            .map(|i| {
                let way = ((i as f64 + 0.5) / zoom) as f32;
                let at = if backwards { start - way } else { start + way }.rem_euclid(SIDE as f32);
                let before = (at as usize) % SIDE;
                (before, (before + 1) % SIDE, at.fract())
            })
            .collect()
    };
    let rows = places(picture.height, top, turn & 1 != 0);
    let columns = places(picture.width, left, turn & 2 != 0);
    let swapped = turn & 4 != 0;

    let (of_picture, of_frost) = (of_picture as f32, of_frost as f32);
    let grey = picture.channels == 1;
    let ice = rows.iter().flat_map(|&(above, below, down)| {
        columns.iter().map(move |&(before, after, right)| {
            let at = |y: usize, x: usize| {
                let place = if swapped { x * SIDE + y } else { y * SIDE + x };
                window.pixels[place].map(f32::from)
            };
            let corners =
                [at(above, before), at(above, after), at(below, before), at(below, after)];
            let ice: [f32; 3] = std::array::from_fn(|c| {
                let upper = corners[0][c] + right * (corners[1][c] - corners[0][c]);
                let lower = corners[2][c] + right * (corners[3][c] - corners[2][c]);
                upper + down * (lower - upper)
            });
            if grey { [luma(ice[0], ice[1], ice[2]); 3] } else { ice }
        })
    });
    picture.mixed(ice, |x, channel, ice| of_picture * x + of_frost * ice[channel])
}

//! Answers drawn small, for pages that show many of them.

use introspective_explain::Explanation;
use introspective_network::{ClassNames, Prepared};
use ndarray::{Array3, ArrayView3};

use crate::error::DrawError;
use crate::overlay::{Style, overlay};
use crate::picture::crop_and_fit;
use crate::words::{note, title};

/// A picture with words: the photograph, or an answer over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Height x width x RGB.
    pub picture: Array3<u8>,
    /// The question in words; empty for the photograph.
    pub title: String,
    /// How much of the map is positive.
    pub note: String,
}

/// Draws what the network saw of a photograph, then each answer of `explanation` over it ([`Style::Blend`]), with `side`
/// pixels or less along the longer side. A photograph of at most half of that is enlarged by a whole factor, its pixels as
/// squares, so that maps are not.
///
/// # Errors
/// The photograph is not RGB, or empty.
pub fn draw_answers(
    pixels: ArrayView3<'_, u8>,
    prepared: &Prepared,
    explanation: Option<&Explanation>,
    classes: &ClassNames,
    side: usize,
) -> Result<Vec<Drawn>, DrawError> {
    let seen = prepared.seen;
    let photo = enlarged(crop_and_fit(pixels, seen.x, seen.y, seen.width, seen.height, side), side);
    let (height, width, _) = photo.dim();
    let style = Style::Blend;
    let mut drawn = Vec::new();
    for answer in explanation.iter().flat_map(|explanation| &explanation.answers) {
        let display = answer.display(height, width);
        drawn.push(Drawn {
            picture: overlay(photo.view(), display.map.view(), style, style.default_colormap())?,
            title: title(classes, answer),
            note: note(display.empty, answer.evidence()),
        });
    }
    drawn.insert(0, Drawn { picture: photo, title: String::new(), note: String::new() });
    Ok(drawn)
}

/// Each pixel as a square, as large as `side` allows.
fn enlarged(photo: Array3<u8>, side: usize) -> Array3<u8> {
    let (height, width, channels) = photo.dim();
    let factor = side / height.max(width).max(1);
    if factor < 2 {
        return photo;
    }
    Array3::from_shape_fn((factor * height, factor * width, channels), |(y, x, channel)| {
        photo[[y / factor, x / factor, channel]]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pictures_become_squares_and_others_stay() {
        let photo = Array3::from_shape_fn((3, 2, 3), |(y, x, c)| (100 * y + 10 * x + c) as u8);
        let large = enlarged(photo.clone(), 10);
        assert_eq!(large.dim(), (9, 6, 3));
        for ((y, x, c), &value) in large.indexed_iter() {
            assert_eq!(value, photo[[y / 3, x / 3, c]]);
        }
        assert_eq!(enlarged(photo.clone(), 5), photo);
        assert_eq!(enlarged(photo.clone(), 0), photo);
    }
}

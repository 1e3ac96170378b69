//! Colours too pale or too strong.

use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, to_byte};

/// What the saturation is multiplied by, and what is added to it.
const SATURATION: Table<2> = Table {
    small: [[0.3, 0.0], [0.1, 0.0], [1.5, 0.0], [2.0, 0.1], [2.5, 0.2]],
    large: [[0.3, 0.0], [0.1, 0.0], [2.0, 0.0], [5.0, 0.1], [20.0, 0.2]],
    kinds: [Kind::Amount, Kind::Amount],
};

/// S' = a S + b, cut to 0 to 1; hue and value stay. With V the largest sample of a pixel and m the smallest, S = (V - m) / V
/// and a sample x becomes V (1 - S' (V - x) / (V - m)).
///
/// A grey pixel has no hue; red stands for it, so that greys of a colour picture turn reddish at severities 4 and 5,
/// as in the reference. A picture of one channel has no colours and stays as it is.
pub(crate) fn saturate(picture: Picture<'_>, severity: Severity) -> Vec<u8> {
    if picture.channels == 1 {
        return picture.pixels.to_vec();
    }
    let [factor, more] = SATURATION.at(severity, picture.size()).map(|x| x as f32);
    let (pixels, _) = picture.pixels.as_chunks::<3>();
    let mut bytes = vec![0; picture.pixels.len()];
    for (out, &pixel) in bytes.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
        let [r, g, b] = pixel.map(f32::from);
        let (value, least) = (r.max(g).max(b), r.min(g).min(b));
        let spread = value - least;
        // for black, S is 0 by definition, and V makes everything 0
        let saturation = (factor * spread / value.max(1.0) + more).clamp(0.0, 1.0);
        *out = if spread > 0.0 {
            let paler = value * saturation / spread;
            [r, g, b].map(|x| to_byte(value - paler * (value - x)))
        } else {
            let other = to_byte(value * (1.0 - saturation));
            [pixel[0], other, other]
        };
    }
    bytes
}

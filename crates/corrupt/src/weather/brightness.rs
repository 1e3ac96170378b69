//! More light.

use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, to_byte};

/// What is added, of a range of 1.
const LIGHT: Table<1> = Table {
    small: [[0.05], [0.1], [0.15], [0.2], [0.3]],
    large: [[0.1], [0.2], [0.3], [0.4], [0.5]],
    kinds: [Kind::Amount],
};

/// V' = min(V + 255 c, 255), with V the largest sample of a pixel; hue and saturation stay, that is, samples become x V' / V.
///
/// Black has neither hue nor saturation and becomes a grey.
pub(crate) fn brightness(picture: Picture<'_>, severity: Severity) -> Vec<u8> {
    let [light] = LIGHT.at(severity, picture.size());
    let light = 255.0 * light as f32;
    let brighter = |value: usize| (value as f32 + light).min(255.0);
    if picture.channels == 1 {
        let bytes: [u8; 256] = std::array::from_fn(|x| to_byte(brighter(x)));
        return picture.pixels.iter().map(|&x| bytes[usize::from(x)]).collect();
    }
    let black = to_byte(brighter(0));
    let gains: [f32; 256] = std::array::from_fn(|v| brighter(v) / v.max(1) as f32);
    let (pixels, _) = picture.pixels.as_chunks::<3>();
    let mut bytes = vec![0; picture.pixels.len()];
    for (out, &[r, g, b]) in bytes.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
        let value = r.max(g).max(b);
        let gain = gains[usize::from(value)];
        *out = match value {
            0 => [black; 3],
            _ => [r, g, b].map(|x| to_byte(gain * f32::from(x))),
        };
    }
    bytes
}

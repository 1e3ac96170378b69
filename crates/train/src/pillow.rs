//! Operations on pictures with Pillow's arithmetic, byte for byte: those that AugMix chains.
//!
//! A picture is its bytes, channel after channel, each channel `side x side`; every operation treats channels alike, so
//! that grey pictures need nothing of their own.

/// What is done to a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// Each channel's lowest byte becomes 0 and its highest 255, linearly between.
    AutoContrast,
    /// Each channel's histogram becomes as even as a table of bytes makes it.
    Equalize,
    /// Only so many high bits of each byte are kept, 1 to 8.
    Posterize(u32),
    /// Turned counter-clockwise about the middle by so many degrees.
    Rotate(f64),
    /// Bytes from this one on become `255 - byte`.
    Solarize(u32),
    /// Row y moves left by `factor * (y + 1/2)`.
    ShearX(f64),
    /// Column x moves up by `factor * (x + 1/2)`.
    ShearY(f64),
    /// Moves left by so many pixels.
    TranslateX(f64),
    /// Moves up by so many pixels.
    TranslateY(f64),
}

impl Operation {
    /// The changed picture. What comes in from outside is black; between pixels it is interpolated linearly and rounded
    /// down.
    pub fn apply(self, picture: &mut Vec<u8>, side: usize) {
        match self {
            Self::AutoContrast => by_histogram(picture, side, auto_contrast),
            Self::Equalize => by_histogram(picture, side, equalize),
            Self::Posterize(bits) => {
                let mask = u8::MAX.checked_shl(8 - bits.min(8)).unwrap_or(0);
                picture.iter_mut().for_each(|byte| *byte &= mask);
            }
            Self::Solarize(threshold) => {
                let invert = |byte: &mut u8| {
                    if u32::from(*byte) >= threshold {
                        *byte = u8::MAX - *byte;
                    }
                };
                picture.iter_mut().for_each(invert);
            }
            Self::Rotate(degrees) => *picture = affine(picture, side, rotation(degrees, side)),
            Self::ShearX(factor) => {
                *picture = affine(picture, side, [1.0, factor, 0.0, 0.0, 1.0, 0.0]);
            }
            Self::ShearY(factor) => {
                *picture = affine(picture, side, [1.0, 0.0, 0.0, factor, 1.0, 0.0]);
            }
            Self::TranslateX(by) => *picture = affine(picture, side, [1.0, 0.0, by, 0.0, 1.0, 0.0]),
            Self::TranslateY(by) => *picture = affine(picture, side, [1.0, 0.0, 0.0, 0.0, 1.0, by]),
        }
    }
}

/// Looks every byte of a channel up in a table that is made from the channel's histogram; none leaves it as it is.
fn by_histogram(
    picture: &mut [u8],
    side: usize,
    table: impl Fn(&[usize; 256]) -> Option<[u8; 256]>,
) {
    for plane in picture.chunks_exact_mut(side * side) {
        let mut histogram = [0; 256];
        plane.iter().for_each(|&byte| histogram[usize::from(byte)] += 1);
        if let Some(table) = table(&histogram) {
            plane.iter_mut().for_each(|byte| *byte = table[usize::from(*byte)]);
        }
    }
}

fn auto_contrast(histogram: &[usize; 256]) -> Option<[u8; 256]> {
    let lowest = histogram.iter().position(|&count| count > 0)?;
    let highest = histogram.iter().rposition(|&count| count > 0)?;
    if highest <= lowest {
        return None;
    }
    let scale = 255.0 / (highest - lowest) as f64;
    let offset = -(lowest as f64) * scale;
    // a cast rounds towards zero and keeps within bytes, as Pillow does
    Some(std::array::from_fn(|byte| (byte as f64 * scale + offset) as u8))
}

fn equalize(histogram: &[usize; 256]) -> Option<[u8; 256]> {
    let highest = histogram.iter().rposition(|&count| count > 0)?;
    let step = histogram[..highest].iter().sum::<usize>() / 255;
    if step == 0 {
        return None;
    }
    let mut sum = step / 2;
    Some(std::array::from_fn(|byte| {
        let level = (sum / step).min(255) as u8;
        sum += histogram[byte];
        level
    }))
}

/// From a place in the turned picture to one in the picture: `x' = a x + b y + c`, `y' = d x + e y + f`.
fn rotation(degrees: f64, side: usize) -> [f64; 6] {
    let turned = -(degrees.rem_euclid(360.0)).to_radians();
    // Pillow rounds to 15 places, so that right angles are right
    let round = |value: f64| (value * 1e15).round() / 1e15;
    let (cos, sin) = (round(turned.cos()), round(turned.sin()));
    let centre = side as f64 / 2.0;
    [
        cos,
        sin,
        cos * -centre + sin * -centre + centre,
        -sin,
        cos,
        -sin * -centre + cos * -centre + centre,
    ]
}

/// Pixel (x, y) is what lies at `(a x + b y + c, d x + e y + f)`, for middles of pixels.
fn affine(picture: &[u8], side: usize, [a, b, c, d, e, f]: [f64; 6]) -> Vec<u8> {
    let area = side * side;
    let extent = side as f64;
    let inside = |place: f64| (0.0..extent).contains(&place);
    let last = side as isize - 1;
    let within = |index: isize| index.clamp(0, last).cast_unsigned();
    let mut out = vec![0; picture.len()];
    for y in 0..side {
        for x in 0..side {
            let (middle_x, middle_y) = (x as f64 + 0.5, y as f64 + 0.5);
            let from_x = a * middle_x + b * middle_y + c;
            let from_y = d * middle_x + e * middle_y + f;
            if !(inside(from_x) && inside(from_y)) {
                continue;
            }
            let (from_x, from_y) = (from_x - 0.5, from_y - 0.5);
            let (left, top) = (from_x.floor(), from_y.floor());
            let (along, down) = (from_x - left, from_y - top);
            let (left, top) = (left as isize, top as isize);
            let columns = [within(left), within(left + 1)];
            let rows = [within(top) * side, within(top + 1) * side];
            let planes = out.chunks_exact_mut(area).zip(picture.chunks_exact(area));
            for (out, plane) in planes {
                let row = |row: usize| {
                    let [left, right] = columns.map(|column| f64::from(plane[row + column]));
                    left + (right - left) * along
                };
                let [upper, lower] = rows.map(row);
                out[y * side + x] = (upper + (lower - upper) * down) as u8;
            }
        }
    }
    out
}

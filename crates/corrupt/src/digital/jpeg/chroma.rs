//! Colours of JPEG (JFIF 1.02): luma and two chroma channels, halved and enlarged again.

use super::Plane;
use crate::picture::Picture;
use crate::vectors::vectorized;

/// round(65536 x).
const fn fixed(x: f64) -> i32 {
    (x * 65536.0 + 0.5) as i32
}

const HALF: i32 = 1 << 15;
/// 128, and a half of the last digit less one, as libjpeg rounds chroma.
const CENTRE: i32 = (128 << 16) + HALF - 1;

/// Luma, blue and red chroma, on whole blocks of 16 x 16; the outermost pixels are repeated.
pub(super) fn from_rgb(picture: Picture<'_>) -> [Plane; 3] {
    let mut planes = [(); 3].map(|()| Plane::empty(picture, 16));
    let width = planes[0].width;
    // the colours of a row, apart from each other, for vectors
    let mut colours = [(); 3].map(|()| vec![0i32; width]);
    let [y, blue, red] = &mut planes;
    let [y, blue, red] = [y, blue, red].map(|plane| plane.samples.chunks_exact_mut(width));
    let rows = picture.pixels.chunks_exact(picture.stride());
    vectorized(
        #[inline(always)]
        || {
            for (((row, y), blue), red) in rows.zip(y).zip(blue).zip(red) {
                let [r, g, b] = &mut colours;
                let (pixels, _) = row.as_chunks::<3>();
                for (((pixel, r), g), b) in pixels.iter().zip(&mut *r).zip(&mut *g).zip(&mut *b) {
                    [*r, *g, *b] = pixel.map(i32::from);
                }
                for colour in [&mut *r, g, b] {
                    let last = colour[picture.width - 1];
                    colour[picture.width..].fill(last);
                }
                mix(y, [r, g, b], [fixed(0.299), fixed(0.587), fixed(0.114)], HALF);
                let weights = [-fixed(0.168_735_892), -fixed(0.331_264_108), fixed(0.5)];
                mix(blue, [r, g, b], weights, CENTRE);
                let weights = [fixed(0.5), -fixed(0.418_687_589), -fixed(0.081_312_411)];
                mix(red, [r, g, b], weights, CENTRE);
            }
        },
    );
    for plane in &mut planes {
        plane.repeat_last_row(picture.height);
    }
    planes
}

#[inline(always)]
fn mix(out: &mut [u8], [r, g, b]: [&[i32]; 3], weights: [i32; 3], more: i32) {
    for (((out, r), g), b) in out.iter_mut().zip(r).zip(g).zip(b) {
        *out = ((weights[0] * r + weights[1] * g + weights[2] * b + more) >> 16) as u8;
    }
}

/// Means of 2 x 2 samples; halves are rounded down in even columns and up in odd ones.
pub(super) fn halve(plane: &Plane) -> Plane {
    let (height, width) = (plane.height / 2, plane.width / 2);
    let mut samples = Vec::with_capacity(height * width);
    for rows in plane.samples.chunks_exact(2 * plane.width) {
        let (above, below) = rows.split_at(plane.width);
        let pairs = above.as_chunks::<2>().0.iter().zip(below.as_chunks::<2>().0);
        samples.extend(pairs.enumerate().map(|(x, (a, b))| {
            let sum = u32::from(a[0]) + u32::from(a[1]) + u32::from(b[0]) + u32::from(b[1]);
            ((sum + 1 + (x as u32 & 1)) >> 2) as u8
        }));
    }
    Plane { samples, height, width }
}

/// The picture of a luma plane and two chroma planes of half its sides.
///
/// A sample is 3/4 of the nearer and 1/4 of the farther chroma sample, in both directions; beyond the border
/// stands the outermost.
pub(super) fn to_rgb(picture: Picture<'_>, luma: &Plane, chroma: &[Plane; 2]) -> Vec<u8> {
    let (height, width) = (picture.height, picture.width);
    let columns = chroma[0].width;
    let mut out = vec![0; picture.pixels.len()];
    // one more sample on either side
    let mut sums = [vec![0i32; columns + 2], vec![0i32; columns + 2]];
    let mut wide = [vec![0i32; 2 * columns], vec![0i32; 2 * columns]];
    let mut colours = [(); 3].map(|()| vec![0u8; width]);
    vectorized(
        #[inline(always)]
        || {
            for (y, out) in out.chunks_exact_mut(3 * width).enumerate() {
                let near = y / 2;
                let far = if y % 2 == 0 {
                    near.saturating_sub(1)
                } else {
                    (near + 1).min(height.div_ceil(2) - 1)
                };
                for ((plane, sums), wide) in chroma.iter().zip(&mut sums).zip(&mut wide) {
                    let row = |y: usize| &plane.samples[y * columns..][..columns];
                    for ((sum, &a), &b) in sums[1..].iter_mut().zip(row(near)).zip(row(far)) {
                        *sum = 3 * i32::from(a) + i32::from(b);
                    }
                    sums[0] = sums[1];
                    sums[columns + 1] = sums[columns];
                    let (before, after) = (&sums[..columns], &sums[2..]);
                    let pairs = wide.as_chunks_mut::<2>().0.iter_mut();
                    for (((pair, this), before), after) in
                        pairs.zip(&sums[1..]).zip(before).zip(after)
                    {
                        *pair = [(3 * this + before + 8) >> 4, (3 * this + after + 7) >> 4];
                    }
                }
                let luma = &luma.samples[y * luma.width..][..width];
                let [red, green, blue] = &mut colours;
                let reds = red.iter_mut().zip(green.iter_mut()).zip(blue.iter_mut());
                for (((((r, g), b), &y), cb), cr) in reds.zip(luma).zip(&wide[0]).zip(&wide[1]) {
                    let (y, cb, cr) = (i32::from(y), cb - 128, cr - 128);
                    let byte = |x: i32| x.clamp(0, 255) as u8;
                    *r = byte(y + ((fixed(1.402) * cr + HALF) >> 16));
                    *g = byte(
                        y + ((HALF - fixed(0.344_136_286) * cb - fixed(0.714_136_286) * cr) >> 16),
                    );
                    *b = byte(y + ((fixed(1.772) * cb + HALF) >> 16));
                }
                let pixels = out.as_chunks_mut::<3>().0.iter_mut();
                for (((pixel, &r), &g), &b) in pixels.zip(&*red).zip(&*green).zip(&*blue) {
                    *pixel = [r, g, b];
                }
            }
        },
    );
    out
}

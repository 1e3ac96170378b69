//! Colours of JPEG (JFIF 1.02): luma and two chroma channels, halved and enlarged again.

use super::Plane;
use crate::picture::Picture;

/// round(65536 x).
const fn fixed(x: f64) -> i32 {
    (x * 65536.0 + 0.5) as i32
}

const HALF: i32 = 1 << 15;
/// 128, and a half of the last digit less one, as libjpeg rounds chroma.
const CENTRE: i32 = (128 << 16) + HALF - 1;

/// Luma, blue and red chroma, on whole blocks of 16 x 16.
pub(super) fn from_rgb(picture: Picture<'_>) -> [Plane; 3] {
    let channel = |r: i32, g: i32, b: i32, more: i32| {
        Plane::of(picture, 16, move |pixel| {
            let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(i32::from);
            ((r * red + g * green + b * blue + more) >> 16) as u8
        })
    };
    [
        channel(fixed(0.299), fixed(0.587), fixed(0.114), HALF),
        channel(-fixed(0.168_735_892), -fixed(0.331_264_108), fixed(0.5), CENTRE),
        channel(fixed(0.5), -fixed(0.418_687_589), -fixed(0.081_312_411), CENTRE),
    ]
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
            let (pairs, _) = wide.as_chunks_mut::<2>();
            for (pair, sums) in pairs.iter_mut().zip(sums.windows(3)) {
                *pair = [(3 * sums[1] + sums[0] + 8) >> 4, (3 * sums[1] + sums[2] + 7) >> 4];
            }
        }
        let luma = &luma.samples[y * luma.width..][..width];
        let pixels = out.as_chunks_mut::<3>().0.iter_mut();
        for (((pixel, &luma), &blue), &red) in pixels.zip(luma).zip(&wide[0]).zip(&wide[1]) {
            let (luma, blue, red) = (i32::from(luma), blue - 128, red - 128);
            *pixel = [
                luma + ((fixed(1.402) * red + HALF) >> 16),
                luma + ((-fixed(0.344_136_286) * blue - fixed(0.714_136_286) * red + HALF) >> 16),
                luma + ((fixed(1.772) * blue + HALF) >> 16),
            ]
            .map(|x| x.clamp(0, 255) as u8);
        }
    }
    out
}

//! A lens out of focus.

use crate::vectors::vectorized;

use crate::border::Border;
use crate::convolve::{gaussian_of_radius, separable};
use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, to_byte};

/// The disc's radius in pixels, and the standard deviation of the blur that smooths its rim.
const DEFOCUS: Table<2> = Table {
    small: [[0.3, 0.4], [0.4, 0.5], [0.5, 0.6], [1.0, 0.2], [1.5, 0.1]],
    large: [[3.0, 0.1], [4.0, 0.5], [6.0, 0.5], [8.0, 0.5], [10.0, 0.5]],
    kinds: [Kind::Length, Kind::Amount],
};

/// The picture filtered with a disc of all (x, y) with x^2 + y^2 <= r^2, and its rim smoothed by a small normal kernel:
/// of 3 x 3 pixels for radii up to 8, of 5 x 5 above. Beyond the border the picture is mirrored at the outermost pixels.
///
/// The disc is summed row by row from running sums of whole numbers, so that the cost grows with r and not with its square.
/// The reference smooths the disc in a square that ends where the disc does for radii of 8 and 10, by a
/// filter that mirrors there; its weights then add up to 1.01, and pictures come out that much brighter. So they do here.
pub(crate) fn defocus(picture: Picture<'_>, severity: Severity) -> Vec<u8> {
    let [radius, sigma] = DEFOCUS.at(severity, picture.size());
    let smoothing = if radius <= 8.0 { 1 } else { 2 };
    let kernel = gaussian_of_radius(sigma, smoothing);
    let widths = half_widths(radius);
    let area = widths.iter().map(|w| 2 * w + 1).sum::<usize>() as f64;
    let gain = weight_of_square(radius, &kernel) / (area * area);

    let (height, width, channels) = (picture.height, picture.width, picture.channels);
    let margin = smoothing as usize;
    let grown = (height + 2 * margin, width + 2 * margin, channels);
    let sums = disc_sums(picture, &widths, margin);
    let smooth = separable(&sums, grown, (&kernel, &kernel), Border::Nearest);
    let mut bytes = Vec::with_capacity(picture.pixels.len());
    for row in smooth.chunks_exact(grown.1 * channels).skip(margin).take(height) {
        let row = &row[margin * channels..][..width * channels];
        bytes.extend(row.iter().map(|&sum| to_byte(sum * gain as f32)));
    }
    bytes
}

/// For each row of the disc, from its topmost, how far it reaches to either side.
fn half_widths(radius: f64) -> Vec<usize> {
    let reach = radius.floor() as i64;
    (-reach..=reach)
        .map(|y| libm::sqrt(radius * radius - (y * y) as f64).floor() as usize)
        .collect()
}

/// For each pixel, and those up to `margin` beyond the border, the sum of the samples within the disc around it.
fn disc_sums(picture: Picture<'_>, widths: &[usize], margin: usize) -> Vec<f32> {
    let (height, width, channels) = (picture.height, picture.width, picture.channels);
    let reach = widths.len() / 2;
    let around = reach + margin;
    let columns: Vec<usize> = (0..width + 2 * around)
        .map(|x| Border::Mirror.at(x as isize - around as isize, width) * channels)
        .collect();
    // running sums along each row, mirrored on both sides; they may wrap, their differences do not
    let stride = (width + 2 * around + 1) * channels;
    let mut running = vec![0u32; height * stride];
    for (row, sums) in
        picture.pixels.chunks_exact(picture.stride()).zip(running.chunks_exact_mut(stride))
    {
        let mut sum = [0u32; 3];
        for (&from, sums) in columns.iter().zip(sums[channels..].chunks_exact_mut(channels)) {
            for c in 0..channels {
                sum[c] = sum[c].wrapping_add(u32::from(row[from + c]));
                sums[c] = sum[c];
            }
        }
    }
    let row = (width + 2 * margin) * channels;
    let mut total = vec![0u32; row];
    let mut out = vec![0.0; (height + 2 * margin) * row];
    vectorized(
        #[inline(always)]
        || {
            for (y, out) in out.chunks_exact_mut(row).enumerate() {
                total.fill(0);
                for (dy, &w) in widths.iter().enumerate() {
                    let from = Border::Mirror.at((y + dy) as isize - around as isize, height);
                    let sums = &running[from * stride..][..stride];
                    let left = &sums[(reach - w) * channels..][..row];
                    let right = &sums[(reach + w + 1) * channels..][..row];
                    for ((total, right), left) in total.iter_mut().zip(right).zip(left) {
                        *total = total.wrapping_add(right.wrapping_sub(*left));
                    }
                }
                for (out, total) in out.iter_mut().zip(&total) {
                    *out = *total as i32 as f32;
                }
            }
        },
    );
    out
}

/// The sum of the reference's kernel for a disc of ones: smoothed within a square of 17 x 17, or of side 2 radius + 1 above
/// radius 8, that is mirrored at its outermost cells.
fn weight_of_square(radius: f64, kernel: &[f32]) -> f64 {
    let half = if radius <= 8.0 { 8 } else { radius.floor() as isize };
    let side = 2 * half as usize + 1;
    let smoothing = kernel.len() as isize / 2;
    // how often a cell is counted along one axis, with what comes back from beyond the rim
    let mut counted = vec![0.0; side];
    for to in 0..side as isize {
        for (k, &w) in kernel.iter().enumerate() {
            counted[Border::Mirror.at(to + k as isize - smoothing, side)] += f64::from(w);
        }
    }
    let mut sum = 0.0;
    for (y, row) in counted.iter().enumerate() {
        for (x, column) in counted.iter().enumerate() {
            let (y, x) = (y as isize - half, x as isize - half);
            if (x * x + y * y) as f64 <= radius * radius {
                sum += row * column;
            }
        }
    }
    sum
}

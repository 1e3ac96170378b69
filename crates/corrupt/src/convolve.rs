//! Sums of shifted runs: what all blurs come down to.

use crate::vectors::vectorized;

use crate::border::Border;

/// A tap of a filter: how far the run is shifted, and its weight.
pub(crate) type Tap = (usize, f32);

/// out\[i\] = sum over taps of weight x source\[i + shift\], in the order of the taps.
///
/// The order of the additions is the same for every width of vectors, and products are rounded before they are added, so
/// that the result does not depend on the machine.
#[inline(always)]
fn weighted_runs(out: &mut [f32], source: &[f32], taps: &[Tap]) {
    const LANES: usize = 32;
    let whole = out.len() / LANES * LANES;
    let (blocks, rest) = out.split_at_mut(whole);
    for (block, out) in blocks.chunks_exact_mut(LANES).enumerate() {
        let mut sums = [0.0f32; LANES];
        for &(shift, weight) in taps {
            let run = &source[block * LANES + shift..][..LANES];
            for (sum, value) in sums.iter_mut().zip(run) {
                *sum += weight * value;
            }
        }
        out.copy_from_slice(&sums);
    }
    for (i, out) in rest.iter_mut().enumerate() {
        let mut sum = 0.0;
        for &(shift, weight) in taps {
            sum += weight * source[whole + i + shift];
        }
        *out = sum;
    }
}

/// Rows of samples with room around them.
pub(crate) struct Padded {
    pub(crate) values: Vec<f32>,
    /// Samples from one row to the next.
    pub(crate) stride: usize,
}

/// An image with `rows` more rows above and below and `columns` more pixels left and right, as the border says.
pub(crate) fn pad(
    source: &[f32],
    (height, width, channels): (usize, usize, usize),
    (rows, columns): (usize, usize),
    border: Border,
) -> Padded {
    let stride = (width + 2 * columns) * channels;
    let mut values = Vec::with_capacity((height + 2 * rows) * stride);
    let pixel = |row: &[f32], x: usize| -> [f32; 3] {
        std::array::from_fn(|c| if c < channels { row[x * channels + c] } else { 0.0 })
    };
    for y in 0..height + 2 * rows {
        let row = border.at(y as isize - rows as isize, height);
        let row = &source[row * width * channels..][..width * channels];
        for x in 0..columns {
            let from = border.at(x as isize - columns as isize, width);
            values.extend_from_slice(&pixel(row, from)[..channels]);
        }
        values.extend_from_slice(row);
        for x in width..width + columns {
            values.extend_from_slice(&pixel(row, border.at(x as isize, width))[..channels]);
        }
    }
    Padded { values, stride }
}

/// A weighted sum of shifted copies of a padded image: for each row of the result, `row` samples long, the taps' shifts count from
/// the beginning of the padded row of the same number.
pub(crate) fn shifted_sum(padded: &Padded, taps: &[Tap], height: usize, row: usize) -> Vec<f32> {
    let mut out = vec![0.0; height * row];
    vectorized(
        #[inline(always)]
        || {
            for (y, out) in out.chunks_exact_mut(row).enumerate() {
                weighted_runs(out, &padded.values[y * padded.stride..], taps);
            }
        },
    );
    out
}

/// The image filtered with one kernel along columns and another along rows; both of odd length and symmetric.
pub(crate) fn separable(
    source: &[f32],
    (height, width, channels): (usize, usize, usize),
    (vertical, horizontal): (&[f32], &[f32]),
    border: Border,
) -> Vec<f32> {
    let row = width * channels;
    let (above, beside) = (vertical.len() / 2, horizontal.len() / 2);
    let padded = pad(source, (height, width, channels), (above, 0), border);
    let down: Vec<Tap> = vertical.iter().enumerate().map(|(k, &w)| (k * row, w)).collect();
    let across: Vec<Tap> = horizontal.iter().enumerate().map(|(k, &w)| (k * channels, w)).collect();
    let left: Vec<usize> =
        (0..beside).map(|x| border.at(x as isize - beside as isize, width)).collect();
    let right: Vec<usize> = (0..beside).map(|x| border.at((width + x) as isize, width)).collect();
    let mut line = vec![0.0; row + 2 * beside * channels];
    let mut out = vec![0.0; height * row];
    vectorized(
        #[inline(always)]
        || {
            for (y, out) in out.chunks_exact_mut(row).enumerate() {
                let inside = beside * channels..beside * channels + row;
                weighted_runs(&mut line[inside.clone()], &padded.values[y * row..], &down);
                for (x, &from) in left.iter().enumerate() {
                    let from = (beside + from) * channels;
                    line.copy_within(from..from + channels, x * channels);
                }
                for (x, &from) in right.iter().enumerate() {
                    let from = (beside + from) * channels;
                    line.copy_within(from..from + channels, inside.end + x * channels);
                }
                weighted_runs(out, &line, &across);
            }
        },
    );
    out
}

/// w\[k\] = exp(-k^2 / (2 sigma^2)) for |k| up to truncate x sigma, rounded, divided by their sum; sigma 0 is no blur.
pub(crate) fn gaussian_kernel(sigma: f64, truncate: f64) -> Vec<f32> {
    let radius = (truncate * sigma + 0.5) as i64;
    gaussian_of_radius(sigma, radius)
}

/// The same for |k| up to a radius.
pub(crate) fn gaussian_of_radius(sigma: f64, radius: i64) -> Vec<f32> {
    let weight = |k: i64| {
        if k == 0 { 1.0 } else { libm::exp(-0.5 * (k * k) as f64 / (sigma * sigma)) }
    };
    let sum: f64 = (-radius..=radius).map(weight).sum();
    (-radius..=radius).map(|k| (weight(k) / sum) as f32).collect()
}

//! Antialiased bilinear resizing of 8-bit pixels with Pillow's arithmetic, to the last bit.
//!
//! torchvision's `Resize` hands a PIL image to Pillow, so networks were trained on what Pillow
//! computes: a triangle filter as wide as two output pixels, its weights rounded to 22 bits after
//! the point, applied along one axis, rounded to 8 bits, then along the other. A resizer that
//! rounds elsewhere or takes the axes in the other order is off by one level on every seventh
//! sample (the crates `image` and `fast_image_resize` both are), which moves maps by about 1 %.

use std::ops::Range;

/// Bits after the point of a weight: with 8 of a sample and 2 to spare, 32 in all.
const BITS: u32 = 22;

/// A part of the resized picture, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// Resizes `pixels` (`size.1` rows of `size.0` pixels of `C` samples) to `resized` (width, height)
/// and cuts `window` out of it; only what the window shows is computed.
///
/// `pixels` must have `C * size.0 * size.1` samples, none of the sizes may be 0, and `window` must
/// lie within `resized`.
pub(crate) fn resize<const C: usize>(
    pixels: &[u8],
    size: (usize, usize),
    resized: (usize, usize),
    window: Window,
) -> Vec<u8> {
    let mut columns = filters(size.0, resized.0, window.left, window.width);
    let mut rows = filters(size.1, resized.1, window.top, window.height);
    let stride = C * size.0;
    let mut out = Vec::with_capacity(C * window.width * window.height);

    // The axis that goes first is filtered only where the second will ask for it.
    if columns_first(size, resized) {
        let used = shift_to_used(&mut columns);
        let used = C * used.start..C * used.end;
        let mut low = Vec::with_capacity(used.len() * window.height);
        along_columns(pixels, stride, used.clone(), &rows, &mut low);
        for row in low.chunks_exact(used.len()) {
            along_row::<C>(row, &columns, &mut out);
        }
    } else {
        let used = shift_to_used(&mut rows);
        let mut narrow = Vec::with_capacity(C * window.width * used.len());
        for row in pixels[stride * used.start..stride * used.end].chunks_exact(stride) {
            along_row::<C>(row, &columns, &mut narrow);
        }
        let stride = C * window.width;
        along_columns(&narrow, stride, 0..stride, &rows, &mut out);
    }
    out
}

/// Whether Pillow filters along the columns first: since version 13.0, when the height loses more
/// than twice what the width loses. Before, rows always went first; for a picture that shrinks the
/// two differ only if it is more than twice as high as wide.
fn columns_first(size: (usize, usize), resized: (usize, usize)) -> bool {
    let loss = |from: usize, to: usize| from as i64 - to as i64;
    let (width, height) = (loss(size.0, resized.0), loss(size.1, resized.1));
    height > 0 && height > 2 * width
}

/// The inputs that `filters` use; the filters then count from the first of them.
fn shift_to_used(filters: &mut [Filter]) -> Range<usize> {
    let first = filters.iter().map(|filter| filter.start).min().unwrap_or(0);
    let last = filters.iter().map(Filter::end).max().unwrap_or(0);
    for filter in filters {
        filter.start -= first;
    }
    first..last
}

/// The weights of one output position over the inputs from `start` on.
struct Filter {
    start: usize,
    /// In units of 2^-[`BITS`]; they add up to about 1.
    weights: Vec<i32>,
}

impl Filter {
    fn end(&self) -> usize {
        self.start + self.weights.len()
    }
}

/// The filters of the outputs `from..from + count` of an axis that shrinks or grows from `input`
/// to `output`.
///
/// In Pillow's order of operations, so that every rounding is the same.
fn filters(input: usize, output: usize, from: usize, count: usize) -> Vec<Filter> {
    let scale = input as f64 / output as f64;
    // Growing interpolates between neighbours: the triangle never gets narrower than that.
    let support = scale.max(1.0);
    let filter = |position: usize| {
        let centre = (position as f64 + 0.5) * scale;
        // These conversions cut towards zero and stop at 0, on purpose.
        let start = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(input);
        let triangle = |x: usize| {
            let distance = (x as f64 - centre + 0.5) * (1.0 / support);
            (1.0 - distance.abs()).max(0.0)
        };
        let total: f64 = (start..end).map(triangle).sum();
        let weight = |x| (0.5 + triangle(x) / total * f64::from(1 << BITS)) as i32;
        Filter { start, weights: (start..end).map(weight).collect() }
    };
    (from..from + count).map(filter).collect()
}

/// Appends one narrowed (or widened) row to `out`.
fn along_row<const C: usize>(row: &[u8], columns: &[Filter], out: &mut Vec<u8>) {
    let (row, _) = row.as_chunks::<C>();
    for column in columns {
        let mut sums = [HALF; C];
        for (pixel, &weight) in row[column.start..].iter().zip(&column.weights) {
            for (sum, &sample) in sums.iter_mut().zip(pixel) {
                *sum += i32::from(sample) * weight;
            }
        }
        out.extend(sums.map(to_sample));
    }
}

/// Appends one row for each of `rows`, filtered from the samples `part` of the rows of `pixels`,
/// which are `stride` samples long.
fn along_columns(
    pixels: &[u8],
    stride: usize,
    part: Range<usize>,
    rows: &[Filter],
    out: &mut Vec<u8>,
) {
    let mut sums = vec![HALF; part.len()];
    for row in rows {
        sums.fill(HALF);
        let inputs = pixels[stride * row.start..].chunks_exact(stride);
        for (input, &weight) in inputs.zip(&row.weights) {
            for (sum, &sample) in sums.iter_mut().zip(&input[part.clone()]) {
                *sum += i32::from(sample) * weight;
            }
        }
        out.extend(sums.iter().map(|&sum| to_sample(sum)));
    }
}

/// What a sum begins with so that cutting its fraction off rounds to nearest.
const HALF: i32 = 1 << (BITS - 1);

fn to_sample(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texture(width: usize, height: usize) -> Vec<u8> {
        (0..3 * width * height).map(|i| (i * i % 251 + i % 5) as u8).collect()
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let pixels = texture(9, 7);
        let whole = Window { left: 0, top: 0, width: 9, height: 7 };
        assert_eq!(resize::<3>(&pixels, (9, 7), (9, 7), whole), pixels);
    }

    /// Computing less must not change what is computed.
    #[test]
    fn a_window_is_a_part_of_the_whole() {
        for (size, resized) in
            [((40, 31), (17, 13)), ((13, 11), (29, 23)), ((50, 4), (20, 30)), ((20, 90), (11, 30))]
        {
            let pixels = texture(size.0, size.1);
            let (width, height) = resized;
            let all = Window { left: 0, top: 0, width, height };
            let whole = resize::<3>(&pixels, size, resized, all);
            let window = Window { left: 3, top: 2, width: width - 7, height: height - 3 };
            let part = resize::<3>(&pixels, size, resized, window);
            for (y, row) in part.chunks_exact(3 * window.width).enumerate() {
                let at = 3 * ((window.top + y) * width + window.left);
                assert_eq!(row, &whole[at..at + 3 * window.width], "row {y} of {resized:?}");
            }
        }
    }

    #[test]
    fn every_filter_keeps_a_flat_picture_flat() {
        for (input, output) in [(1, 1), (1, 256), (2797, 256), (256, 2797), (3, 2), (1000, 999)] {
            for filter in filters(input, output, 0, output) {
                assert!(filter.end() <= input && !filter.weights.is_empty());
                let total: i32 = filter.weights.iter().sum();
                // At most half a unit of rounding per weight: far from one level in 255.
                let allowed = filter.weights.len() as i32;
                assert!((total - (1 << BITS)).abs() <= allowed, "{input} -> {output}: {total}");
            }
        }
    }

    /// By hand: 4 -> 2 has the weights 3/8 3/8 1/8 ... clipped at the border and made to sum to 1:
    /// centre 1, support 2, inputs 0..3, triangle 0.75 0.75 0.25.
    #[test]
    fn four_samples_to_two() {
        let window = Window { left: 0, top: 0, width: 2, height: 1 };
        let expected =
            [(0.0 * 3.0 + 70.0 * 3.0 + 140.0) / 7.0, (70.0 + 3.0 * 140.0 + 3.0 * 255.0) / 7.0];
        let found = resize::<1>(&[0, 70, 140, 255], (4, 1), (2, 1), window);
        assert_eq!(found, expected.map(|v: f64| v.round() as u8));
    }
}

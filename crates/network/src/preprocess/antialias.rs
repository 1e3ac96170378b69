//! Antialiased resizing of 8-bit pixels with Pillow's arithmetic, to the last bit.
//!
//! torchvision's `Resize` hands a PIL image to Pillow, so networks were trained on what Pillow
//! computes: a filter that widens with the output pixel, its weights rounded to 22 bits after
//! the point, applied along one axis, rounded to 8 bits, then along the other. A resizer that
//! rounds elsewhere or takes the axes in the other order is off by one level on every seventh
//! sample (the crates `image` and `fast_image_resize` both are), which moves maps by about 1 %.

use std::ops::Range;

use serde::Serialize;

/// Bits after the point of a weight: with 8 of a sample and 2 to spare, 32 in all.
const BITS: u32 = 22;

/// The filter with which a picture is resized; all are antialiased, that is, stretched to the
/// distance of the output pixels where the picture shrinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// A triangle: `1 - |x|` for `|x| < 1`.
    #[default]
    Bilinear,
    /// Keys' cubic with a = -1/2 (Catmull-Rom), which is Pillow's: `1.5 |x|^3 - 2.5 x^2 + 1` for
    /// `|x| < 1`, `-0.5 |x|^3 + 2.5 x^2 - 4 |x| + 2` for `|x| < 2`.
    Bicubic,
}

impl Interpolation {
    /// `bilinear` or `bicubic`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
        }
    }

    /// The filter of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Bilinear, Self::Bicubic].into_iter().find(|filter| filter.name() == name)
    }

    /// Where the filter becomes 0, in output pixels (input pixels where the picture grows).
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// The filter at a distance, in Pillow's order of operations.
    fn at(self, distance: f64) -> f64 {
        const A: f64 = -0.5;
        let x = distance.abs();
        match self {
            Self::Bilinear => (1.0 - x).max(0.0),
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            Self::Bicubic => 0.0,
        }
    }
}

/// Rows of pixels with `C` samples each, possibly a part of a larger picture.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a, const C: usize> {
    /// From the first sample on.
    pub(crate) samples: &'a [u8],
    /// From the beginning of a row to that of the next, in samples.
    pub(crate) stride: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl<'a, const C: usize> Source<'a, C> {
    /// A whole picture; `size` is (width, height).
    pub(crate) fn whole(samples: &'a [u8], size: (usize, usize)) -> Self {
        Self { samples, stride: C * size.0, width: size.0, height: size.1 }
    }

    fn row(&self, y: usize) -> &'a [u8] {
        &self.samples[self.stride * y..][..C * self.width]
    }
}

/// A part of the resized picture, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// Resizes `source` to `resized` (width, height) and cuts `window` out of it; only what the window
/// shows is computed.
///
/// The samples of `source` must reach to its last row, no size may be 0, and `window` must lie
/// within `resized`.
pub(crate) fn resize<const C: usize>(
    source: Source<'_, C>,
    resized: (usize, usize),
    window: Window,
    interpolation: Interpolation,
) -> Vec<u8> {
    let filters = |input, output, from, count| filters(interpolation, input, output, from, count);
    let mut columns = filters(source.width, resized.0, window.left, window.width);
    let mut rows = filters(source.height, resized.1, window.top, window.height);
    let mut out = Vec::with_capacity(C * window.width * window.height);

    // The axis that goes first is filtered only where the second will ask for it.
    if columns_first((source.width, source.height), resized) {
        let used = shift_to_used(&mut columns);
        let used = C * used.start..C * used.end;
        let mut low = Vec::with_capacity(used.len() * window.height);
        along_columns(source, used.clone(), &rows, &mut low);
        for row in low.chunks_exact(used.len()) {
            along_row::<C>(row, &columns, &mut out);
        }
    } else {
        let used = shift_to_used(&mut rows);
        let height = used.len();
        let mut narrow = Vec::with_capacity(C * window.width * height);
        for y in used {
            along_row::<C>(source.row(y), &columns, &mut narrow);
        }
        let narrow = Source::<C>::whole(&narrow, (window.width, height));
        along_columns(narrow, 0..narrow.stride, &rows, &mut out);
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
fn filters(
    interpolation: Interpolation,
    input: usize,
    output: usize,
    from: usize,
    count: usize,
) -> Vec<Filter> {
    let scale = input as f64 / output as f64;
    // Growing interpolates between neighbours: the filter never gets narrower than that.
    let stretch = scale.max(1.0);
    let support = interpolation.support() * stretch;
    let filter = |position: usize| {
        let centre = (position as f64 + 0.5) * scale;
        // These conversions cut towards zero and stop at 0, on purpose.
        let start = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(input);
        let value = |x: usize| interpolation.at((x as f64 - centre + 0.5) * (1.0 / stretch));
        let total: f64 = (start..end).map(value).sum();
        let weight = |x| {
            let units = value(x) / total * f64::from(1 << BITS);
            (units + 0.5_f64.copysign(units)) as i32
        };
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

/// Appends one row for each of `rows`, filtered from the samples `part` of the rows of `source`.
fn along_columns<const C: usize>(
    source: Source<'_, C>,
    part: Range<usize>,
    rows: &[Filter],
    out: &mut Vec<u8>,
) {
    let mut sums = vec![HALF; part.len()];
    for row in rows {
        sums.fill(HALF);
        for (y, &weight) in (row.start..).zip(&row.weights) {
            for (sum, &sample) in sums.iter_mut().zip(&source.row(y)[part.clone()]) {
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

    const BOTH: [Interpolation; 2] = [Interpolation::Bilinear, Interpolation::Bicubic];

    #[test]
    fn the_same_size_changes_nothing() {
        let pixels = texture(9, 7);
        let whole = Window { left: 0, top: 0, width: 9, height: 7 };
        for interpolation in BOTH {
            let source = Source::<3>::whole(&pixels, (9, 7));
            assert_eq!(resize(source, (9, 7), whole, interpolation), pixels);
        }
    }

    /// Computing less must not change what is computed.
    #[test]
    fn a_window_is_a_part_of_the_whole() {
        let sizes =
            [((40, 31), (17, 13)), ((13, 11), (29, 23)), ((50, 4), (20, 30)), ((20, 90), (11, 30))];
        for (interpolation, (size, resized)) in
            BOTH.into_iter().flat_map(|way| sizes.map(|sizes| (way, sizes)))
        {
            let pixels = texture(size.0, size.1);
            let source = Source::<3>::whole(&pixels, size);
            let (width, height) = resized;
            let all = Window { left: 0, top: 0, width, height };
            let whole = resize(source, resized, all, interpolation);
            let window = Window { left: 3, top: 2, width: width - 7, height: height - 3 };
            let part = resize(source, resized, window, interpolation);
            for (y, row) in part.chunks_exact(3 * window.width).enumerate() {
                let at = 3 * ((window.top + y) * width + window.left);
                assert_eq!(row, &whole[at..at + 3 * window.width], "row {y} of {resized:?}");
            }
        }
    }

    #[test]
    fn a_part_of_a_larger_picture_is_resized_as_if_it_were_all() {
        let pixels = texture(30, 20);
        let corner = 3 * (4 * 30 + 7);
        let part = Source::<3> { samples: &pixels[corner..], stride: 90, width: 23, height: 16 };
        let copy: Vec<u8> = (0..16).flat_map(|y| part.row(y)).copied().collect();
        for resized in [(11, 9), (40, 21), (20, 3)] {
            let window = Window { left: 0, top: 0, width: resized.0, height: resized.1 };
            for interpolation in BOTH {
                assert_eq!(
                    resize(part, resized, window, interpolation),
                    resize(Source::<3>::whole(&copy, (23, 16)), resized, window, interpolation)
                );
            }
        }
    }

    #[test]
    fn every_filter_keeps_a_flat_picture_flat() {
        for (input, output) in [(1, 1), (1, 256), (2797, 256), (256, 2797), (3, 2), (1000, 999)] {
            for filter in BOTH.into_iter().flat_map(|way| filters(way, input, output, 0, output)) {
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
        let source = Source::<1>::whole(&[0, 70, 140, 255], (4, 1));
        let found = resize(source, (2, 1), window, Interpolation::Bilinear);
        assert_eq!(found, expected.map(|v: f64| v.round() as u8));
    }
}

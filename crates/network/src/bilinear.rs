//! Bilinear interpolation without antialiasing, as PyTorch defines it.

use ndarray::{Array2, ArrayView2};

/// Bilinear resampling of one map: what PyTorch's
/// `interpolate(mode="bilinear", align_corners=False)` computes.
///
/// With `s = max(0, (i + 1/2) * in / out - 1/2)`, output `i` of an axis lies between the inputs
/// `floor(s)` and `floor(s) + 1` (the last one is its own neighbour) with weight `s - floor(s)` for
/// the upper one; rows and columns are treated alike. Coordinates are computed in `f32`, as PyTorch
/// does. There is no antialiasing: shrinking by more than 2 skips inputs.
///
/// `map` has any shape H x W; the result has shape `height` x `width`. A map without elements has
/// nothing to interpolate and gives zeros.
pub fn resize_bilinear(map: ArrayView2<f32>, height: usize, width: usize) -> Array2<f32> {
    let (in_height, in_width) = map.dim();
    let mut resized = Array2::zeros((height, width));
    if map.is_empty() || resized.is_empty() {
        return resized;
    }
    let columns = taps(in_width, width);
    let map = map.as_standard_layout();
    let (Some(values), Some(out)) = (map.as_slice(), resized.as_slice_mut()) else {
        return resized; // not reached: both were just made contiguous
    };
    let row = |y: usize| &values[y * in_width..(y + 1) * in_width];
    for (out, tap) in out.chunks_exact_mut(width).zip(taps(in_height, height)) {
        let (low, high) = (row(tap.low), row(tap.high));
        for (out, column) in out.iter_mut().zip(&columns) {
            let above = column.mix(low[column.low], low[column.high]);
            let below = column.mix(high[column.low], high[column.high]);
            *out = tap.mix(above, below);
        }
    }
    resized
}

/// Where one output of an axis of [`resize_bilinear`] lies among the inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tap {
    /// The input at or below it.
    pub low: usize,
    /// The input above it; `low` itself at the end of the axis.
    pub high: usize,
    /// Share of `high`, 0..1.
    pub weight: f32,
}

impl Tap {
    /// The value between the two inputs: `(1 - weight) low + weight high`.
    pub fn mix(&self, low: f32, high: f32) -> f32 {
        (1.0 - self.weight) * low + self.weight * high
    }
}

/// The taps of all `output` positions of an axis over its `input` inputs, ascending; none if there are no inputs.
pub fn taps(input: usize, output: usize) -> Vec<Tap> {
    let Some(last) = input.checked_sub(1) else { return Vec::new() };
    let scale = input as f32 / output as f32;
    let tap = |i| {
        let source = (scale * (i as f32 + 0.5) - 0.5).max(0.0);
        let low = (source as usize).min(last);
        Tap { low, high: (low + 1).min(last), weight: (source - low as f32).clamp(0.0, 1.0) }
    };
    (0..output).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    /// By hand: 2 -> 4 has the sources 0 (clamped), 0.25, 0.75, 1.25 (upper neighbour clamped).
    #[test]
    fn two_by_two_to_four_by_four() {
        let map = array![[0.0, 4.0], [8.0, 12.0]];
        let expected = array![
            [0.0, 1.0, 3.0, 4.0],
            [2.0, 3.0, 5.0, 6.0],
            [6.0, 7.0, 9.0, 10.0],
            [8.0, 9.0, 11.0, 12.0],
        ];
        assert_eq!(resize_bilinear(map.view(), 4, 4), expected);
    }

    #[test]
    fn shrinking_does_not_average_what_lies_between() {
        let map = array![[0.0, 0.0, 0.0, 100.0, 0.0, 0.0, 0.0, 0.0]];
        // The sources are 1.5 and 5.5: input 3 is not looked at.
        assert_eq!(resize_bilinear(map.view(), 1, 2), array![[0.0, 0.0]]);
    }

    #[test]
    fn the_same_size_and_a_transposed_view_keep_every_value() {
        let map = Array2::from_shape_fn((5, 3), |(y, x)| (10 * y + x) as f32);
        assert_eq!(resize_bilinear(map.view(), 5, 3), map);
        assert_eq!(resize_bilinear(map.t(), 3, 5), map.t());
    }

    #[test]
    fn nothing_in_or_out_gives_zeros_or_nothing() {
        let empty = Array2::<f32>::zeros((0, 7));
        assert_eq!(resize_bilinear(empty.view(), 2, 3), Array2::<f32>::zeros((2, 3)));
        let map = array![[1.0, 2.0]];
        assert_eq!(resize_bilinear(map.view(), 0, 3).dim(), (0, 3));
        assert_eq!(resize_bilinear(map.view(), 3, 0).dim(), (3, 0));
    }
}

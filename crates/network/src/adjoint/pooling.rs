//! Poolings.

use super::Tape;
use super::convolution::Windows;
use crate::error::Result;
use crate::graph::{Node, int, ints};

impl Tape<'_> {
    /// Averaging is a matrix product over rows and one over columns, y = R x C^T, where entry (o, i) of
    /// R is 1 / (rows that window o averages) for each row i it covers  =>  dx = R^T g C.
    pub(super) fn average_pool(&mut self, node: &Node, g: &str) -> Result<()> {
        let input = self.input(node, 0)?;
        let [_, _, height, width] = self.image_shape(node, input)?;
        let [_, _, out_height, out_width] = self.image_shape(node, &node.outputs[0])?;
        let windows = Windows::of(node, &node.ints("kernel_shape", &[]), [height, width])?;
        let whole = node.int("count_include_pad", 0) != 0;
        let columns: Vec<f32> = windows.shares(1, width, out_width, whole).concat();
        let columns = self.floats("columns", &[out_width, width], &columns);
        let shares = windows.shares(0, height, out_height, whole);
        let rows: Vec<f32> =
            (0..height).flat_map(|i| shares.iter().map(move |share| share[i])).collect();
        let rows = self.floats("rows", &[height, out_height], &rows);
        let spread = self.emit("MatMul", &[g, &columns]);
        let spread = self.emit("MatMul", &[&rows, &spread]);
        self.contribute(input, spread);
        Ok(())
    }

    /// Routes each output's gradient to the first position of its window that holds the maximum
    /// (PyTorch's choice among ties).
    ///
    /// The windows are unfolded by a depthwise convolution with one-hot kernels (exact: every output
    /// is one input plus zeros), and the masked gradients folded back by the transposed convolution with
    /// the same kernels.
    pub(super) fn max_pool(&mut self, node: &Node, g: &str) -> Result<()> {
        let input = self.input(node, 0)?;
        let [_, channels, height, width] = self.image_shape(node, input)?;
        let [_, _, out_height, out_width] = self.image_shape(node, &node.outputs[0])?;
        let windows = Windows::of(node, &node.ints("kernel_shape", &[]), [height, width])?;
        let Windows { kernel: [kh, kw], strides, dilations, pads: [top, left, ..] } = windows;
        // what the windows cover, `ceil_mode` included, may end before or after the padded input
        let (bottom, unused_h) = overhang(windows.covered(0, out_height), top + height);
        let (right, unused_w) = overhang(windows.covered(1, out_width), left + width);

        let x = self.save(input);
        // finite, because the one-hot kernels multiply it by zero
        let lowest = self.scalar(f32::MIN);
        let amounts =
            self.integers(&[0, 0, top as i64, left as i64, 0, 0, bottom as i64, right as i64]);
        let padded = self.emit("Pad", &[&x, &amounts, &lowest]);

        let window = kh * kw;
        let identity: Vec<f32> = (0..channels * window * window)
            .map(|i| if (i / window) % window == i % window { 1.0 } else { 0.0 })
            .collect();
        let kernels = self.floats("one_hot", &[channels * window, 1, kh, kw], &identity);
        let unfold = vec![
            int("group", channels as i64),
            ints("kernel_shape", &[kh, kw]),
            ints("strides", &strides),
            ints("dilations", &dilations),
        ];
        let patches = self.emit_with("Conv", &[&padded, &kernels], unfold.clone());
        let (c, w) = (channels as i64, window as i64);
        let (oh, ow) = (out_height as i64, out_width as i64);
        let dims = self.integers(&[1, c, w, oh, ow]);
        let patches = self.emit("Reshape", &[&patches, &dims]);
        let mask = self.first_largest(&patches, 2, &[1, 1, window, 1, 1]);

        let dims = self.integers(&[-1, c, 1, oh, ow]);
        let g = self.emit("Reshape", &[g, &dims]);
        let zero = self.scalar(0.0);
        let routed = self.emit("Where", &[&mask, &g, &zero]);
        let dims = self.integers(&[-1, c * w, oh, ow]);
        let routed = self.emit("Reshape", &[&routed, &dims]);
        let mut fold = unfold;
        fold.push(ints("pads", &[top, left, bottom, right]));
        fold.push(ints("output_padding", &[unused_h, unused_w]));
        let gradient = self.emit_with("ConvTranspose", &[&routed, &kernels], fold);
        // a whole window's worth of gradients for every output
        self.largest = self.largest.max(channels * window * out_height * out_width);
        self.contribute(input, gradient);
        Ok(())
    }

    /// True at the first place along `axis` that holds the largest value. `along` is the value's shape
    /// with ones on its other axes. (Engines disagree on which of several equals ArgMax gives.)
    pub(super) fn first_largest(&mut self, value: &str, axis: usize, along: &[usize]) -> String {
        let best = self.over("ReduceMax", value, &[axis]);
        let equal = self.emit("Equal", &[value, &best]);
        let count: usize = along.iter().product();
        let ranks: Vec<f32> = (0..count).map(|place| (count - place) as f32).collect();
        let ranks = self.floats("ranks", along, &ranks);
        let zero = self.scalar(0.0);
        let ranked = self.emit("Where", &[&equal, &ranks, &zero]);
        let first = self.over("ReduceMax", &ranked, &[axis]);
        self.emit("Equal", &[&ranked, &first])
    }
}

impl Windows {
    /// For each window along an axis, the weight of every row (or column) of the input in its average.
    ///
    /// `whole` counts padding as well, but nothing past it: a window that `ceil_mode` lets reach over
    /// the padded input's end averages what lies inside.
    fn shares(&self, axis: usize, size: usize, outputs: usize, whole: bool) -> Vec<Vec<f32>> {
        let (before, after) = (self.pads[axis], self.pads[axis + 2]);
        let window = |output: usize| {
            let places = (0..self.kernel[axis])
                .map(|k| output * self.strides[axis] + k * self.dilations[axis]);
            let places: Vec<usize> = places.filter(|&p| p < before + size + after).collect();
            let inside = places.iter().filter_map(|p| p.checked_sub(before)).filter(|&i| i < size);
            let inside: Vec<usize> = inside.collect();
            let count = if whole { places.len() } else { inside.len() };
            let mut share = vec![0.0; size];
            inside.into_iter().for_each(|i| share[i] = 1.0 / count as f32);
            share
        };
        (0..outputs).map(window).collect()
    }
}

/// How far the windows reach past the input, and how much of the input they leave out.
fn overhang(covered: usize, size: usize) -> (usize, usize) {
    (covered.saturating_sub(size), size.saturating_sub(covered))
}

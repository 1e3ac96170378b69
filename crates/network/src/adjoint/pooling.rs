//! Poolings.

use super::{Tape, unsupported};
use std::collections::HashMap;

use super::convolution::Windows;
use crate::error::Result;
use crate::graph::{Node, int};

/// A max-pooling's window has at most so many places: each takes a handful of nodes.
const MAX_PLACES: usize = 1 << 10;
/// An average pooling's matrices have at most so many elements.
const MAX_MATRIX: usize = 1 << 24;

impl Tape<'_> {
    /// Averaging is a matrix product over rows and one over columns, y = R x C^T, where entry (o, i) of
    /// R is 1 / (rows that window o averages) for each row i it covers  =>  dx = R^T g C.
    pub(super) fn average_pool(&mut self, node: &Node, g: &str) -> Result<()> {
        let input = self.input(node, 0)?;
        let [_, _, height, width] = self.image_shape(node, input)?;
        let [_, _, out_height, out_width] = self.image_shape(node, &node.outputs[0])?;
        let windows = Windows::of(node, &node.ints("kernel_shape", &[]), [height, width])?;
        let whole = node.int("count_include_pad", 0) != 0;
        let size = height.saturating_mul(out_height).max(width.saturating_mul(out_width));
        if size > MAX_MATRIX {
            return Err(unsupported(node, format!("its input, {height} x {width}, is very large")));
        }
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
    /// (PyTorch's choice among equals).
    ///
    /// Place k of all windows is a strided slice of the input, so where it holds the maximum is found
    /// once for all questions. The gradients that place k takes land on every stride-th row and column:
    /// they are added up in one plane for each remainder, and the planes interleaved.
    pub(super) fn max_pool(&mut self, node: &Node, g: &str) -> Result<()> {
        let input = self.input(node, 0)?;
        let [_, channels, height, width] = self.image_shape(node, input)?;
        let [_, _, out_height, out_width] = self.image_shape(node, &node.outputs[0])?;
        let windows = Windows::of(node, &node.ints("kernel_shape", &[]), [height, width])?;
        let ([sh, sw], [top, left, ..]) = (windows.strides, windows.pads);
        if windows.kernel == [height, width] && windows.pads == [0; 4] {
            self.y(node); // so that what is saved does not depend on the picture's size
            return self.global_max_pool(node, g);
        }
        let count = |sizes: [usize; 2]| sizes[0] * sizes[1];
        if count(windows.kernel).max(count(windows.strides)) > MAX_PLACES {
            let detail = format!("its window, {:?}, is very large", windows.kernel);
            return Err(unsupported(node, detail));
        }
        let masks = self.first_maxima(node, &windows)?;

        // a place at offset o of the window at output i is at row (i + o / s) s + o % s
        let reach = |axis: usize| windows.dilations[axis] * (windows.kernel[axis] - 1);
        let rows = out_height + reach(0) / sh;
        let columns = out_width + reach(1) / sw;
        let mut planes: HashMap<[usize; 2], String> = HashMap::new();
        for ([row, column], mask) in masks {
            let taken = self.emit("Mul", &[g, &mask]);
            let (above, before) = (row / sh, column / sw);
            let plane = self.pad(&taken, 4, 2, above, rows - out_height - above);
            let plane = self.pad(&plane, 4, 3, before, columns - out_width - before);
            let remainder = [row % sh, column % sw];
            let plane = match planes.remove(&remainder) {
                Some(sum) => self.emit("Add", &[&sum, &plane]),
                None => plane,
            };
            planes.insert(remainder, plane);
        }
        let [c, r, w] = [channels, rows, columns];
        let zero = self.scalar(0.0);
        let mut stripes = Vec::new();
        for a in 0..sh {
            let mut parts = Vec::new();
            for b in 0..sw {
                // a stride wider than the kernel leaves places that no window has
                let plane = match planes.get(&[a, b]) {
                    Some(plane) => plane.clone(),
                    None => self.emit("Mul", &[&planes[&[0, 0]], &zero]),
                };
                parts.push(self.reshape(&plane, &[1, c, r, 1, w, 1]));
            }
            stripes.push(self.join(&parts, 5));
        }
        let joined = self.join(&stripes, 3);
        let image = self.reshape(&joined, &[1, c, r * sh, w * sw]);
        self.largest = self.largest.max(c * r * sh * w * sw);

        let image = self.fitted(&image, 2, r * sh, top, height);
        let gradient = self.fitted(&image, 3, w * sw, left, width);
        self.contribute(input, gradient);
        Ok(())
    }

    /// For each place of the window, its offset from the window's corner and where it is the first to
    /// hold the maximum, as ones and zeros.
    fn first_maxima(
        &mut self,
        node: &Node,
        windows: &Windows,
    ) -> Result<Vec<([usize; 2], String)>> {
        let (x, y) = (self.x(node)?, self.y(node));
        let [_, _, height, width] = self.image_shape(node, &x)?;
        let [_, _, out_height, out_width] = self.image_shape(node, &y)?;
        let [top, left, ..] = windows.pads;
        // what the windows cover, `ceil_mode` included, may end before or after the padded input
        let covered = [windows.covered(0, out_height), windows.covered(1, out_width)];
        let below = covered[0].saturating_sub(top + height);
        let behind = covered[1].saturating_sub(left + width);
        let amounts = [0, 0, top, left, 0, 0, below, behind].map(|amount| amount as i64);
        let padded = if amounts == [0; 8] {
            x
        } else {
            let (amounts, lowest) = (self.integers(&amounts), self.scalar(f32::MIN));
            self.emit("Pad", &[&x, &amounts, &lowest])
        };
        let axes = self.integers(&[2, 3]);
        let steps = self.integers(&windows.strides.map(|step| step as i64));
        let mut seen: Option<String> = None;
        let mut masks = Vec::new();
        for place in 0..windows.kernel[0] * windows.kernel[1] {
            let row = place / windows.kernel[1] * windows.dilations[0];
            let column = place % windows.kernel[1] * windows.dilations[1];
            let starts = self.integers(&[row as i64, column as i64]);
            let last = |start: usize, axis: usize, outputs: usize| {
                (start + outputs.saturating_sub(1) * windows.strides[axis] + 1) as i64
            };
            let ends = [last(row, 0, out_height), last(column, 1, out_width)];
            let ends = self.integers(&ends);
            let values = self.emit("Slice", &[&padded, &starts, &ends, &axes, &steps]);
            let equal = self.emit("Equal", &[&values, &y]);
            let (first, found) = match &seen {
                None => (equal.clone(), equal),
                Some(seen) => {
                    let unseen = self.emit("Not", &[seen]);
                    (self.emit("And", &[&equal, &unseen]), self.emit("Or", &[seen, &equal]))
                }
            };
            seen = Some(found);
            masks.push(([row, column], self.ones_where(&first)));
        }
        Ok(masks)
    }

    /// Rows (or columns) of a gradient from `start` on, so many of them; zeros where it has none.
    fn fitted(&mut self, g: &str, axis: usize, has: usize, start: usize, size: usize) -> String {
        let end = has.min(start + size);
        let part =
            if (start, end) == (0, has) { g.to_owned() } else { self.slice(g, axis, start, end) };
        self.pad(&part, 4, axis, 0, start + size - end)
    }

    fn join(&mut self, parts: &[String], axis: i64) -> String {
        match parts {
            [part] => part.clone(),
            _ => {
                let names: Vec<&str> = parts.iter().map(String::as_str).collect();
                self.emit_with("Concat", &names, vec![int("axis", axis)])
            }
        }
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
            let places: Vec<usize> = places.take_while(|&p| p < before + size + after).collect();
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

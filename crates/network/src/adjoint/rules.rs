//! The adjoint of each operator: from the gradient of its output to those of its inputs.

use super::{Tape, unsupported};
use crate::error::Result;
use crate::graph::{Node, int, ints};

impl<'g> Tape<'g> {
    /// Emits the gradients that `node` passes on to its inputs, given the gradient `g` of its `output`.
    pub(super) fn differentiate(&mut self, node: &'g Node, output: &str, g: &str) -> Result<()> {
        let input = node.inputs.first().map(String::as_str).unwrap_or_default();
        match node.operator.as_str() {
            "Identity" | "Dropout" => self.contribute(input, g.to_owned()),
            "Add" => {
                for operand in &node.inputs {
                    if self.active.contains(operand.as_str()) {
                        if self.shape(node, operand)? != self.shape(node, output)? {
                            return Err(unsupported(node, "it broadcasts its operands".into()));
                        }
                        self.contribute(operand, g.to_owned());
                    }
                }
            }
            "Relu" => {
                let y = self.save(output);
                let zero = self.zero();
                let open = self.emit("Greater", &[&y, &zero], Vec::new());
                let masked = self.emit("Where", &[&open, g, &zero], Vec::new());
                self.contribute(input, masked);
            }
            "Concat" => self.concat(node, g)?,
            "Flatten" => {
                let shape = self.shape(node, input)?;
                if node.int("axis", 1) != 1 {
                    return Err(unsupported(node, "it keeps more than the batch axis".into()));
                }
                let dims: Vec<i64> =
                    std::iter::once(-1).chain(shape[1..].iter().map(|&d| d as i64)).collect();
                let dims = self.integers(&dims);
                let unflattened = self.emit("Reshape", &[g, &dims], Vec::new());
                self.contribute(input, unflattened);
            }
            "Gemm" => self.gemm(node, input, g)?,
            "GlobalAveragePool" => {
                let [_, _, height, width] = self.image_shape(node, input)?;
                let area = height * width;
                let share = self.fresh("share");
                let values = vec![1.0 / area as f32; area];
                self.graph.floats(&share, &[1, 1, height, width], &values);
                let spread = self.emit("Mul", &[g, &share], Vec::new());
                self.contribute(input, spread);
            }
            "BatchNormalization" => self.batch_norm(node, input, g)?,
            "Conv" => self.conv(node, input, output, g)?,
            "MaxPool" => self.max_pool(node, input, output, g)?,
            other => {
                return Err(unsupported(node, format!("no rule for {other}")));
            }
        }
        Ok(())
    }

    fn zero(&mut self) -> String {
        let name = "adjoint/zero";
        if self.copied.insert(name.to_owned()) {
            self.graph.floats(name, &[], &[0.0]);
        }
        name.to_owned()
    }

    /// y = x W^T + b  =>  dx = g W.
    fn gemm(&mut self, node: &Node, input: &str, g: &str) -> Result<()> {
        let plain = node.float("alpha", 1.0) == 1.0 && node.int("transA", 0) == 0;
        if !plain {
            return Err(unsupported(node, "alpha is not 1 or transA is set".into()));
        }
        let (weight, _) = self.weight(node, 1)?;
        let flip = int("transB", i64::from(node.int("transB", 0) == 0));
        let gradient = self.emit("Gemm", &[g, &weight], vec![flip]);
        self.contribute(input, gradient);
        Ok(())
    }

    /// y = (x - mean) s + bias with s = scale / sqrt(var + eps) per channel  =>  dx = g s.
    fn batch_norm(&mut self, node: &Node, input: &str, g: &str) -> Result<()> {
        let (scale, shape) = self.weight(node, 1)?;
        let (variance, _) = self.weight(node, 4)?;
        let channels = shape.first().copied().unwrap_or(0);
        let epsilon = self.fresh("epsilon");
        self.graph.floats(&epsilon, &[], &[node.float("epsilon", 1e-5)]);
        let sum = self.emit("Add", &[&variance, &epsilon], Vec::new());
        let deviation = self.emit("Sqrt", &[&sum], Vec::new());
        let slope = self.emit("Div", &[&scale, &deviation], Vec::new());
        let dims = self.integers(&[1, channels as i64, 1, 1]);
        let slope = self.emit("Reshape", &[&slope, &dims], Vec::new());
        let gradient = self.emit("Mul", &[g, &slope], Vec::new());
        self.contribute(input, gradient);
        Ok(())
    }

    /// The transposed convolution, padded to the input's size where the stride did not divide it.
    fn conv(&mut self, node: &Node, input: &str, output: &str, g: &str) -> Result<()> {
        let (weight, kernel) = self.weight(node, 1)?;
        let [_, _, height, width] = self.image_shape(node, input)?;
        let [_, _, out_height, out_width] = self.image_shape(node, output)?;
        let strides = node.ints("strides", &[1, 1]);
        let pads = node.ints("pads", &[0; 4]);
        let dilations = node.ints("dilations", &[1, 1]);
        let (&[_, _, kh, kw], &[sh, sw], &[top, left, bottom, right], &[dh, dw]) =
            (&kernel[..], &strides[..], &pads[..], &dilations[..])
        else {
            return Err(unsupported(node, "it is not a two-dimensional convolution".into()));
        };
        let reached = |out: usize, stride: usize, dilation: usize, size: usize| {
            (out - 1) * stride + dilation * (size - 1) + 1
        };
        let rest = |whole: usize, covered: usize| {
            whole.checked_sub(covered).ok_or_else(|| {
                unsupported(node, format!("its padding {pads:?} reaches past the input"))
            })
        };
        let rest_h = rest(height + top + bottom, reached(out_height, sh, dh, kh))?;
        let rest_w = rest(width + left + right, reached(out_width, sw, dw, kw))?;
        let gradient = self.emit(
            "ConvTranspose",
            &[g, &weight],
            vec![
                int("group", node.int("group", 1)),
                ints("kernel_shape", &[kh, kw]),
                ints("strides", &strides),
                ints("dilations", &dilations),
                ints("pads", &pads),
                ints("output_padding", &[rest_h, rest_w]),
            ],
        );
        self.contribute(input, gradient);
        Ok(())
    }

    /// Each operand of a concatenation gets its own slice of the gradient.
    fn concat(&mut self, node: &Node, g: &str) -> Result<()> {
        if node.int("axis", 1) != 1 {
            return Err(unsupported(node, "it does not join channels".into()));
        }
        let mut start = 0;
        for operand in &node.inputs {
            let channels = self.shape(node, operand)?.get(1).copied().unwrap_or(0) as i64;
            if self.active.contains(operand.as_str()) {
                let from = self.integers(&[start]);
                let to = self.integers(&[start + channels]);
                let axis = self.integers(&[1]);
                let slice = self.emit("Slice", &[g, &from, &to, &axis], Vec::new());
                self.contribute(operand, slice);
            }
            start += channels;
        }
        Ok(())
    }

    /// Routes each output's gradient to the first position of its window that holds the maximum
    /// (PyTorch's choice among ties).
    ///
    /// The windows are unfolded by a depthwise convolution with one-hot kernels (exact: every output
    /// is one input plus zeros), the winner found by ArgMax, and the masked gradients folded back by
    /// the transposed convolution with the same kernels.
    fn max_pool(&mut self, node: &Node, input: &str, output: &str, g: &str) -> Result<()> {
        let [_, channels, height, width] = self.image_shape(node, input)?;
        let [_, _, out_height, out_width] = self.image_shape(node, output)?;
        let kernel = node.ints("kernel_shape", &[]);
        let strides = node.ints("strides", &[1, 1]);
        let pads = node.ints("pads", &[0; 4]);
        let (&[kh, kw], &[sh, sw], &[top, left, ..]) = (&kernel[..], &strides[..], &pads[..])
        else {
            return Err(unsupported(node, "it is not a two-dimensional pooling".into()));
        };
        if node.ints("dilations", &[1, 1]) != [1, 1] {
            return Err(unsupported(node, "its window is dilated".into()));
        }
        // what the windows cover, `ceil_mode` included, may end before or after the padded input
        let covered_h = (out_height - 1) * sh + kh;
        let covered_w = (out_width - 1) * sw + kw;
        let (bottom, unused_h) = overhang(covered_h, top + height);
        let (right, unused_w) = overhang(covered_w, left + width);

        let x = self.save(input);
        let lowest = self.fresh("lowest");
        // finite, because the one-hot kernels multiply it by zero
        self.graph.floats(&lowest, &[], &[f32::MIN]);
        let amounts =
            self.integers(&[0, 0, top as i64, left as i64, 0, 0, bottom as i64, right as i64]);
        let padded = self.emit("Pad", &[&x, &amounts, &lowest], Vec::new());

        let window = kh * kw;
        let kernels = self.fresh("one_hot");
        let identity: Vec<f32> = (0..channels * window * window)
            .map(|i| if (i / window) % window == i % window { 1.0 } else { 0.0 })
            .collect();
        self.graph.floats(&kernels, &[channels * window, 1, kh, kw], &identity);
        let unfold = vec![
            int("group", channels as i64),
            ints("kernel_shape", &[kh, kw]),
            ints("strides", &[sh, sw]),
        ];
        let patches = self.emit("Conv", &[&padded, &kernels], unfold.clone());
        let (c, w) = (channels as i64, window as i64);
        let (oh, ow) = (out_height as i64, out_width as i64);
        let dims = self.integers(&[1, c, w, oh, ow]);
        let patches = self.emit("Reshape", &[&patches, &dims], Vec::new());
        let winner = self.emit("ArgMax", &[&patches], vec![int("axis", 2), int("keepdims", 1)]);
        let places = self.fresh("places");
        let count: Vec<i64> = (0..w).collect();
        self.graph.integers(&places, &[1, 1, window, 1, 1], &count);
        let mask = self.emit("Equal", &[&winner, &places], Vec::new());

        let dims = self.integers(&[-1, c, 1, oh, ow]);
        let g = self.emit("Reshape", &[g, &dims], Vec::new());
        let zero = self.zero();
        let routed = self.emit("Where", &[&mask, &g, &zero], Vec::new());
        let dims = self.integers(&[-1, c * w, oh, ow]);
        let routed = self.emit("Reshape", &[&routed, &dims], Vec::new());
        let mut fold = unfold;
        fold.push(ints("pads", &[top, left, bottom, right]));
        fold.push(ints("output_padding", &[unused_h, unused_w]));
        let gradient = self.emit("ConvTranspose", &[&routed, &kernels], fold);
        // nine windows' worth of gradients at once
        self.largest = self.largest.max(channels * window * out_height * out_width);
        self.contribute(input, gradient);
        Ok(())
    }
}

/// How far the windows reach past the input, and how much of the input they leave out.
fn overhang(covered: usize, size: usize) -> (usize, usize) {
    (covered.saturating_sub(size), size.saturating_sub(covered))
}

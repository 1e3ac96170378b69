//! The gradient of the logits as a graph of its own.
//!
//! Only the nodes between the target layer and the logits are differentiated. The adjoint graph reads
//! the forward values it needs (ReLU outputs, the windows of a max-pooling) as inputs, and a batch of
//! upstream gradients `g` (B x N): `B` questions are answered in one run. Its output is
//! `alpha[b, k] = mean over (u, v) of sum_n g[b, n] dz_n / dA[k, u, v]` (METHOD section 4), B x K.

use std::collections::{HashMap, HashSet};

use crate::error::{NetworkError, Result};
use crate::graph::{Attribute, Axis, Graph, Node, int, ints};

/// Name of the adjoint graph's upstream input.
const UPSTREAM: &str = "upstream";
/// Name of its only output.
pub(crate) const ALPHA: &str = "alpha";

/// The adjoint of the nodes between a layer and the logits, for one input size.
pub(crate) struct Adjoint {
    pub graph: Graph,
    /// Forward values that are its inputs, in order; the upstream gradient follows as the last one.
    pub saved: Vec<String>,
    /// Elements of the largest gradient for one row of the upstream batch.
    pub elements_per_row: usize,
}

/// Builds the adjoint of `forward` from `logits` back to `target`.
///
/// `shapes` has the shape of every forward value on the way, for a batch of one.
///
/// # Errors
/// No path leads from the layer to the logits, or an operator on it has no adjoint here.
pub(crate) fn adjoint(
    forward: &Graph,
    target: &str,
    logits: &str,
    shapes: &HashMap<String, Vec<usize>>,
) -> Result<Adjoint> {
    let path = forward.between(target, logits);
    let mut tape = Tape {
        forward,
        shapes,
        graph: Graph::default(),
        active: HashSet::from([target]),
        saved: Vec::new(),
        gradients: HashMap::new(),
        copied: HashSet::new(),
        counter: 0,
        largest: 0,
    };
    for &index in &path {
        tape.active.extend(forward.nodes[index].outputs.iter().map(String::as_str));
    }
    if !tape.active.contains(logits) {
        return Err(NetworkError::NoPath { layer: target.to_owned() });
    }
    tape.gradients.insert(logits.to_owned(), vec![UPSTREAM.to_owned()]);
    for &index in path.iter().rev() {
        let node = &forward.nodes[index];
        let Some(output) = node.outputs.first() else { continue };
        // the target's own gradient is asked for, so nothing that computes it is on the path
        if let Some(gradient) = tape.total(output) {
            tape.differentiate(node, output, &gradient)?;
        }
    }
    let gradient =
        tape.total(target).ok_or_else(|| NetworkError::NoPath { layer: target.to_owned() })?;
    tape.graph.integers("spatial_axes", &[2], &[2, 3]);
    tape.graph.node(
        "ReduceMean",
        ALPHA,
        &[&gradient, "spatial_axes"],
        &[ALPHA],
        vec![int("keepdims", 0)],
    );
    let classes = shapes.get(logits).and_then(|shape| shape.last()).copied().unwrap_or(0);
    let Tape { mut graph, saved, largest, .. } = tape;
    for name in &saved {
        let shape = shapes.get(name).cloned().unwrap_or_default();
        let axes: Vec<Axis> = shape.into_iter().map(Axis::Fixed).collect();
        graph.input(name, &axes);
    }
    graph.input(UPSTREAM, &[Axis::Free("questions"), Axis::Fixed(classes)]);
    Ok(Adjoint { graph, saved, elements_per_row: largest })
}

struct Tape<'g> {
    forward: &'g Graph,
    shapes: &'g HashMap<String, Vec<usize>>,
    graph: Graph,
    /// Forward values that depend on the target.
    active: HashSet<&'g str>,
    saved: Vec<String>,
    /// Contributions to the gradient of each forward value.
    gradients: HashMap<String, Vec<String>>,
    /// Initialisers already taken over into the adjoint graph.
    copied: HashSet<String>,
    counter: usize,
    largest: usize,
}

impl<'g> Tape<'g> {
    /// The sum of all contributions to a value's gradient.
    fn total(&mut self, value: &str) -> Option<String> {
        let parts = self.gradients.remove(value)?;
        let mut parts = parts.into_iter();
        let first = parts.next()?;
        Some(parts.fold(first, |sum, part| self.emit("Add", &[&sum, &part], Vec::new())))
    }

    fn contribute(&mut self, value: &str, gradient: String) {
        if self.active.contains(value) {
            let elements = self.shapes.get(value).map_or(0, |shape| shape.iter().product());
            self.largest = self.largest.max(elements);
            self.gradients.entry(value.to_owned()).or_default().push(gradient);
        }
    }

    fn emit(&mut self, operator: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let name = self.fresh(operator);
        self.graph.node(operator, &name, inputs, &[&name], attributes);
        name
    }

    fn fresh(&mut self, what: &str) -> String {
        self.counter += 1;
        format!("adjoint/{what}_{}", self.counter)
    }

    /// A forward value as an input of the adjoint graph.
    fn save(&mut self, value: &str) -> String {
        if !self.saved.iter().any(|name| name == value) {
            self.saved.push(value.to_owned());
        }
        value.to_owned()
    }

    /// A weight as an initialiser of the adjoint graph.
    fn weight(&mut self, node: &Node, position: usize) -> Result<(String, Vec<usize>)> {
        let name = node.inputs.get(position).map(String::as_str).unwrap_or_default();
        let missing = || unsupported(node, format!("input {position} is not a stored weight"));
        let tensor = self.forward.initializer(name).ok_or_else(missing)?;
        if self.copied.insert(name.to_owned()) {
            self.graph.initializers.push(tensor.clone());
        }
        Ok((name.to_owned(), tensor.dims.clone()))
    }

    fn shape(&self, node: &Node, value: &str) -> Result<&'g [usize]> {
        self.shapes
            .get(value)
            .map(Vec::as_slice)
            .ok_or_else(|| unsupported(node, format!("the shape of {value} is unknown")))
    }

    fn image_shape(&self, node: &Node, value: &str) -> Result<[usize; 4]> {
        let shape = self.shape(node, value)?;
        shape
            .try_into()
            .map_err(|_| unsupported(node, format!("{value} has shape {shape:?}, not four axes")))
    }

    fn integers(&mut self, values: &[i64]) -> String {
        let name = self.fresh("integers");
        self.graph.integers(&name, &[values.len()], values);
        name
    }

    fn differentiate(&mut self, node: &'g Node, output: &str, g: &str) -> Result<()> {
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

fn unsupported(node: &Node, detail: String) -> NetworkError {
    NetworkError::NotDifferentiable {
        node: node.name.clone(),
        operator: node.operator.clone(),
        detail,
    }
}

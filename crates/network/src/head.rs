//! Closed forms of the gradient, where what follows the target layer allows one.
//!
//! Both are read off the graph, so they hold for any network with such a head. Formulas: METHOD
//! section 4, derived; each is tested against the adjoint graph and against PyTorch.

use ndarray::{Array1, Array2, ArrayD, ArrayView2, Axis, Ix4};

use crate::graph::{Graph, Node};

/// How alpha, the spatially averaged gradient of the logits at the target layer, is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Global average pooling and a linear layer: `alpha_ck = W_ck / (uv)`, whatever the picture.
    PooledLinear,
    /// A 1x1 convolution to the classes, ReLU, global average pooling: `alpha_ck = W_ck n_c / (uv)^2`
    /// with `n_c` the number of positive values of class c. The layer may be one operand of the
    /// concatenation that the convolution reads: then its columns of W start at `offset`.
    PooledRelu {
        /// Value with the rectified class scores, 1 x N x u x v.
        scores: String,
        /// First channel of the target layer among the convolution's inputs.
        offset: usize,
    },
}

/// A closed form of the gradient.
pub(crate) struct Head {
    pub form: Form,
}

impl Head {
    /// The form of the head behind `target`, if it is one of the two, and its weight's name.
    pub fn find(graph: &Graph, target: &str, logits: &str) -> Option<(Form, String)> {
        let walk = Walk { graph, consumers: graph.consumers() };
        let (mut value, mut offset) = (target, 0);
        if let Some((node, next)) = walk.step(value, "Concat") {
            let before = node.inputs.iter().take_while(|input| *input != target);
            for input in before {
                offset += walk.channels(input)?;
            }
            value = next;
        }
        if let Some((_, pooled)) = walk.step(value, "GlobalAveragePool") {
            let (_, flat) = walk.step(pooled, "Flatten")?;
            let (node, out) = walk.step(flat, "Gemm")?;
            let plain = node.int("transB", 0) == 1 && node.float("alpha", 1.0) == 1.0;
            let whole = value == target && out == logits && plain;
            return whole.then(|| (Form::PooledLinear, node.inputs[1].clone()));
        }
        let (conv, x) = walk.step(value, "Conv")?;
        let pointwise = conv.ints("kernel_shape", &[]) == [1, 1]
            && conv.ints("strides", &[1, 1]) == [1, 1]
            && conv.ints("pads", &[0; 4]) == [0; 4];
        let pointwise = pointwise && conv.int("group", 1) == 1;
        let (_, scores) = walk.step(x, "Relu")?;
        let (_, pooled) = walk.step(scores, "GlobalAveragePool")?;
        let (_, out) = walk.step(pooled, "Flatten")?;
        (pointwise && out == logits).then(|| {
            (Form::PooledRelu { scores: scores.to_owned(), offset }, conv.inputs[1].clone())
        })
    }

    /// The forward value that the form reads, if it reads one.
    pub fn scores(&self) -> Option<&String> {
        match &self.form {
            Form::PooledRelu { scores, .. } => Some(scores),
            Form::PooledLinear => None,
        }
    }

    /// `alpha = upstream . dz/dA`, averaged over the layer's positions: B x N in, B x K out.
    ///
    /// `weight` is the head's, N x all its input channels; `scores` the value that
    /// [`Form::PooledRelu`] names, for one picture.
    pub fn alpha(
        &self,
        upstream: ArrayView2<'_, f32>,
        weight: ArrayView2<'_, f32>,
        channels: usize,
        positions: usize,
        scores: Option<&ArrayD<f32>>,
    ) -> Option<Array2<f32>> {
        let area = positions as f32;
        match &self.form {
            Form::PooledLinear => Some(upstream.dot(&weight) / area),
            Form::PooledRelu { offset, .. } => {
                let scores = scores?.view().into_dimensionality::<Ix4>().ok()?;
                let open: Array1<f32> = scores
                    .index_axis(Axis(0), 0)
                    .outer_iter()
                    .map(|map| map.iter().filter(|&&v| v > 0.0).count() as f32 / (area * area))
                    .collect();
                let columns = weight.slice(ndarray::s![.., *offset..offset + channels]);
                Some((&upstream * &open).dot(&columns))
            }
        }
    }
}

/// The head's weight as an N x K matrix.
pub(crate) fn matrix(graph: &Graph, buffer: &[u8], name: &str) -> Option<Array2<f32>> {
    let tensor = graph.initializer(name)?;
    let (rows, columns) = (*tensor.dims.first()?, *tensor.dims.get(1)?);
    Array2::from_shape_vec((rows, columns), tensor.floats(buffer)?).ok()
}

struct Walk<'g> {
    graph: &'g Graph,
    consumers: std::collections::HashMap<&'g str, Vec<usize>>,
}

impl<'g> Walk<'g> {
    /// The only node that reads `value`, if it is of this operator, and that node's output.
    fn step(&self, value: &str, wanted: &str) -> Option<(&'g Node, &'g str)> {
        let [index] = self.consumers.get(value)?[..] else { return None };
        let node = &self.graph.nodes[index];
        (node.operator == wanted).then(|| (node, node.outputs[0].as_str()))
    }

    /// Output channels of the convolution behind a value (through ReLUs).
    fn channels(&self, value: &str) -> Option<usize> {
        let node = self.graph.nodes.iter().find(|n| n.outputs.iter().any(|o| o == value))?;
        match node.operator.as_str() {
            "Conv" => self.graph.initializer_shape(node.inputs.get(1)?)?.first().copied(),
            "Relu" => self.channels(node.inputs.first()?),
            _ => None,
        }
    }
}

//! From a layer towards the logits, along a chain of nodes without branches.

use std::collections::HashMap;

use crate::graph::{Graph, Node};

pub(super) struct Walk<'g> {
    graph: &'g Graph,
    consumers: HashMap<&'g str, Vec<usize>>,
    /// The value reached so far.
    pub value: &'g str,
    /// The value that the last node read.
    input: &'g str,
}

impl<'g> Walk<'g> {
    pub fn new(graph: &'g Graph, target: &'g str) -> Self {
        Self { graph, consumers: graph.consumers(), value: target, input: target }
    }

    /// The only node that reads the value, but for those that only ask for its shape.
    fn reader(&self, value: &str) -> Option<&'g Node> {
        let nodes = self.consumers.get(value)?.iter().map(|&index| &self.graph.nodes[index]);
        let mut readers = nodes.filter(|node| node.operator != "Shape");
        let only = readers.next()?;
        (readers.next().is_none() && only.domain.is_empty()).then_some(only)
    }

    /// Steps over the node that reads the value, to its output.
    pub fn next(&mut self) -> Option<&'g Node> {
        let node = self.reader(self.value)?;
        self.input = self.value;
        self.value = node.outputs.first()?;
        Some(node)
    }

    /// The next node that computes something.
    pub fn peek(&self) -> Option<&'g Node> {
        let mut node = self.reader(self.value)?;
        while matches!(node.operator.as_str(), "Identity" | "Dropout") {
            node = self.reader(node.outputs.first()?)?;
        }
        Some(node)
    }

    /// Steps over a concatenation of channels right behind the target: `Some(Some(offset))` is the
    /// target's first channel in it, `Some(None)` that there is none.
    #[allow(clippy::option_option)]
    pub fn concatenated(&mut self) -> Option<Option<usize>> {
        match self.peek() {
            Some(node) if node.operator == "Concat" && node.int("axis", 1) == 1 => {
                while self.next()?.operator != "Concat" {}
                let before = node.inputs.iter().take_while(|input| *input != self.input);
                let offset = before.map(|input| self.channels(input)).sum::<Option<usize>>()?;
                Some(Some(offset))
            }
            _ => Some(None),
        }
    }

    /// Output channels of the convolution behind a value (through ReLUs).
    fn channels(&self, value: &str) -> Option<usize> {
        let node = self.graph.producer(value)?;
        match node.operator.as_str() {
            "Conv" => self.graph.initializer_shape(node.inputs.get(1)?)?.first().copied(),
            "Relu" => self.channels(node.inputs.first()?),
            _ => None,
        }
    }

    /// Whether a product with the maps is a weighted average along one axis: `P x` or `x P^T` where
    /// every row of P was divided by its sum.
    pub fn averages(&self, node: &Node) -> bool {
        let [left, right] = &node.inputs[..] else { return false };
        let averaging = |value: &str| {
            self.graph.producer(value).is_some_and(|div| {
                let [part, whole] = &div.inputs[..] else { return false };
                div.operator == "Div"
                    && self.graph.producer(whole).is_some_and(|sum| {
                        sum.operator == "ReduceSum"
                            && sum.inputs.first() == Some(part)
                            && axes(self.graph, sum).as_deref() == Some(&[-1])
                            && sum.int("keepdims", 1) == 1
                    })
            })
        };
        let transposed = |value: &str| {
            self.graph.producer(value).is_some_and(|node| {
                node.operator == "Transpose"
                    && matches!(node.signed("perm"), None | Some([1, 0]))
                    && node.inputs.first().is_some_and(|input| averaging(input))
            })
        };
        node.operator == "MatMul"
            && if left == self.input { transposed(right) } else { averaging(left) }
    }

    /// Whether the node makes a row of everything a picture has. (What comes next rules out that a
    /// batch of one picture becomes several rows: there would be more logits than classes.)
    pub fn flattens(&self, node: &Node) -> bool {
        if node.operator == "Flatten" {
            return node.int("axis", 1) == 1;
        }
        let into_rows = || self.peek().is_some_and(|next| next.operator == "Gemm");
        let stored = node.inputs.get(1).and_then(|shape| self.graph.initializer(shape)?.integers());
        stored.map_or_else(into_rows, |shape| matches!(shape[..], [-1..=1, _]))
    }

    /// The stored weight of a linear layer on the value, and whether it is out x in.
    pub fn weight(&self, node: &Node) -> Option<(String, bool)> {
        let [x, weight, ..] = &node.inputs[..] else { return None };
        let matrix = self.graph.initializer_shape(weight).is_some_and(|shape| shape.len() == 2);
        let plain = node.float("alpha", 1.0) == 1.0 && node.int("transA", 0) == 0;
        let out_first = node.operator == "Gemm" && node.int("transB", 0) == 1;
        (x == self.input && matrix && plain).then(|| (weight.clone(), out_first))
    }

    /// Whether the other operand of an addition is stored.
    pub fn adds_constant(&self, node: &Node) -> bool {
        let stored = |value: &String| self.graph.initializer(value).is_some();
        node.inputs.len() == 2 && node.inputs.iter().any(stored)
    }
}

/// A 1x1 convolution that reads every position once.
pub(crate) fn is_pointwise(node: &Node) -> bool {
    node.ints("kernel_shape", &[]) == [1, 1]
        && node.ints("strides", &[1, 1]) == [1, 1]
        && node.ints("pads", &[0; 4]) == [0; 4]
        && node.int("group", 1) == 1
}

/// Whether a pooling hands each output's gradient out in shares that sum to one. An average that
/// counts padding does not.
pub(super) fn keeps_sums(node: &Node) -> bool {
    match node.operator.as_str() {
        "MaxPool" => true,
        "AveragePool" => {
            let padded = node.ints("pads", &[0; 4]) != [0; 4] || node.text("auto_pad").is_some();
            node.int("ceil_mode", 0) == 0 && (!padded || node.int("count_include_pad", 0) == 0)
        }
        _ => false,
    }
}

/// Whether a node averages over all positions, and then whether it keeps their axes.
pub(crate) fn mean(graph: &Graph, node: &Node) -> Option<bool> {
    match node.operator.as_str() {
        "GlobalAveragePool" => Some(true),
        "ReduceMean" => {
            let spatial = matches!(axes(graph, node)?[..], [2, 3] | [3, 2] | [-2, -1] | [-1, -2]);
            spatial.then(|| node.int("keepdims", 1) == 1)
        }
        _ => None,
    }
}

/// The axes of a reduction: a stored input in newer operator sets, an attribute in older ones.
fn axes(graph: &Graph, node: &Node) -> Option<Vec<i64>> {
    match node.inputs.get(1) {
        Some(name) => graph.initializer(name)?.integers(),
        None => node.signed("axes").map(<[i64]>::to_vec),
    }
}

//! The penultimate features: what the last linear layer reads.
//!
//! From the logits z back over what only changes shape, constants that are added or multiplied, and Dropout, one
//! comes to the last linear layer: `Gemm`, `MatMul` with a constant, or a convolution that sees its whole input at
//! once. Its input is h, d numbers a picture, and `z = W h + b` with all constants on the way folded into W and b.
//!
//! Where a 1x1 convolution comes first and the average over positions after it, as in SqueezeNet, h is the average
//! over positions of what the convolution reads. Without a ReLU between the two, `z = W h + b` still holds, since an
//! average is linear. With one it does not: row c of the gradient averages over the positions where class c is
//! positive. Then h is an approximation (pooled features), and there is no [`LastLayer`].

mod constants;
mod last_layer;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::{HashMap, HashSet};

pub use self::last_layer::LastLayer;
use crate::classifier::Classifier;
use crate::error::{NetworkError, Result};
use crate::graph::{Graph, Node};
use crate::head::{is_pointwise, mean};

/// Side of the picture that shapes are found for if the network takes any.
pub(crate) const USUAL_SIZE: [usize; 2] = [224, 224];
/// The average over positions, where that is no value of the graph.
const POOLED: &str = "penultimate/pooled";

/// Where the penultimate features stand in a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Penultimate {
    /// The value, d numbers a picture, or maps of d channels.
    value: String,
    /// The value is averaged over its positions.
    averaged: bool,
    /// d.
    pub width: usize,
    /// What is computed of them up to the logits; `None` where that is not affine.
    linear: Option<Linear>,
}

/// A linear layer and what follows it, in the order of computation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Linear {
    weight: String,
    /// Stored as N x d, else as d x N.
    out_first: bool,
    steps: Vec<Step>,
}

/// An operation with a constant, one number or one a class.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// `alpha x`, with alpha's bits.
    Scale(u32),
    /// `x + beta c`, with beta's bits.
    AddScaled(u32, String),
    /// `x + c`.
    Add(String),
    /// `x - c`.
    Subtract(String),
    /// `c - x`.
    SubtractFrom(String),
    /// `c x`.
    Multiply(String),
    /// `x / c`.
    Divide(String),
}

/// What stands between a value and the logits, on the way back.
#[derive(Default)]
struct Behind {
    /// In reverse order of computation.
    steps: Vec<Step>,
    averaged: bool,
    /// A ReLU, behind which nothing is affine.
    rectified: bool,
}

impl Penultimate {
    /// Finds the features from the graph; `shapes` are those for one picture.
    ///
    /// # Errors
    /// What stands where a linear layer was expected, in words.
    pub fn find(
        graph: &Graph,
        logits: &str,
        classes: usize,
        shapes: &HashMap<String, Vec<usize>>,
    ) -> Result<Self, String> {
        let walk = Walk { graph, shapes, computed: from_the_picture(graph) };
        let mut behind = Behind::default();
        let mut value = logits;
        // the nodes are in topological order, so this ends; a graph that is not would lead in circles
        for _ in 0..=graph.nodes.len() {
            let node = graph
                .producer(value)
                .ok_or_else(|| format!("its logits come from {value} without a linear layer"))?;
            let before = match walk.over(node, &mut behind) {
                Some(before) => before,
                None => return walk.linear(node, classes, behind),
            };
            value = before;
        }
        Err("its nodes depend on each other in a circle".to_owned())
    }

    /// Sees to it that the features are a value of the graph, and returns its name.
    pub fn declare(&self, graph: &mut Graph) -> String {
        if !self.averaged {
            return self.value.clone();
        }
        graph.node("GlobalAveragePool", POOLED, &[&self.value], &[POOLED], Vec::new());
        POOLED.to_owned()
    }
}

struct Walk<'g> {
    graph: &'g Graph,
    shapes: &'g HashMap<String, Vec<usize>>,
    /// Values that depend on the picture.
    computed: HashSet<&'g str>,
}

/// Values that depend on a graph's input.
pub(crate) fn from_the_picture(graph: &Graph) -> HashSet<&str> {
    let mut computed: HashSet<&str> =
        graph.inputs.iter().filter_map(|input| input.name.as_deref()).collect();
    for node in &graph.nodes {
        if node.inputs.iter().any(|input| computed.contains(input.as_str())) {
            computed.extend(node.outputs.iter().map(String::as_str));
        }
    }
    computed
}

impl<'g> Walk<'g> {
    /// Notes what a node does to the logits and returns what it reads; `None` if it is none of those that are
    /// passed over.
    fn over(&self, node: &'g Node, behind: &mut Behind) -> Option<&'g str> {
        let first = node.inputs.first().map(String::as_str)?;
        match node.operator.as_str() {
            "Identity" | "Dropout" => {}
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" if !behind.averaged => {}
            "Transpose" if !behind.averaged && self.keeps_order(node) => {}
            "Relu" => behind.rectified = true,
            "Add" | "Sub" | "Mul" | "Div" => return self.over_constant(node, behind),
            _ if !behind.averaged && self.averages(node) => behind.averaged = true,
            _ => return None,
        }
        Some(first)
    }

    /// Arithmetic of a computed value with a constant.
    fn over_constant(&self, node: &'g Node, behind: &mut Behind) -> Option<&'g str> {
        let [left, right] = &node.inputs[..] else { return None };
        let (x, constant, x_first) = match (self.is_computed(left), self.is_computed(right)) {
            (true, false) => (left, right.clone(), true),
            (false, true) => (right, left.clone(), false),
            _ => return None,
        };
        behind.steps.push(match (node.operator.as_str(), x_first) {
            ("Add", _) => Step::Add(constant),
            ("Sub", true) => Step::Subtract(constant),
            ("Sub", false) => Step::SubtractFrom(constant),
            ("Mul", _) => Step::Multiply(constant),
            ("Div", true) => Step::Divide(constant),
            _ => return None,
        });
        Some(x)
    }

    fn is_computed(&self, value: &str) -> bool {
        self.computed.contains(value)
    }

    fn shape(&self, value: &str) -> Option<&[usize]> {
        self.shapes.get(value).map(Vec::as_slice)
    }

    /// Whether a transposition moves axes of size one only.
    fn keeps_order(&self, node: &Node) -> bool {
        let (Some(perm), Some(shape)) =
            (node.signed("perm"), node.inputs.first().and_then(|input| self.shape(input)))
        else {
            return false;
        };
        // the batch is one axis of shapes for one picture, and has to stay in front
        let long = perm.iter().filter_map(|&axis| {
            let axis = usize::try_from(axis).ok()?;
            (*shape.get(axis)? > 1).then_some(axis)
        });
        perm.first() == Some(&0) && long.is_sorted()
    }

    /// Whether a node averages over all positions of its input.
    fn averages(&self, node: &Node) -> bool {
        let covers = || {
            let maps = node.inputs.first().and_then(|input| self.shape(input)?.get(2..));
            node.operator == "AveragePool"
                && maps.is_some_and(|sizes| node.ints("kernel_shape", &[]) == sizes)
                && node.ints("pads", &[0; 4]).iter().all(|&pad| pad == 0)
                && !node.text("auto_pad").is_some_and(|mode| mode.starts_with("SAME"))
        };
        mean(self.graph, node).is_some() || covers()
    }

    /// The features, if the node is a linear layer.
    fn linear(&self, node: &Node, classes: usize, behind: Behind) -> Result<Penultimate, String> {
        let named = format!("{} ({})", node.name, node.operator);
        let Behind { mut steps, averaged, rectified } = behind;
        let (weight, out_first) = match node.operator.as_str() {
            "Gemm" if !averaged && node.int("transA", 0) == 0 => {
                if let Some(bias) = node.inputs.get(2).filter(|name| !name.is_empty()) {
                    let beta = node.float("beta", 1.0).to_bits();
                    steps.push(Step::AddScaled(beta, bias.clone()));
                }
                steps.push(Step::Scale(node.float("alpha", 1.0).to_bits()));
                (node.inputs.get(1), node.int("transB", 0) == 1)
            }
            "MatMul" if !averaged => (node.inputs.get(1), false),
            "Conv" if averaged && is_pointwise(node) || !averaged && self.sees_all(node) => {
                if let Some(bias) = node.inputs.get(2).filter(|name| !name.is_empty()) {
                    steps.push(Step::Add(bias.clone()));
                }
                (node.inputs.get(1), true)
            }
            _ => {
                return Err(format!(
                    "its logits come from node {named}, where a linear layer was expected"
                ));
            }
        };
        let (Some(value), Some(weight)) = (node.inputs.first(), weight) else {
            return Err(format!("node {named} lacks an input"));
        };
        if !self.is_computed(value) || self.is_computed(weight) {
            return Err(format!(
                "its logits come from node {named}, which does not multiply features by a constant weight"
            ));
        }
        let dims = self.shape(weight).map(<[usize]>::to_vec);
        let dims = dims.or_else(|| self.graph.initializer_shape(weight));
        let dims = dims.ok_or_else(|| format!("the shape of the weight {weight} is not known"))?;
        let (outputs, width) = match dims[..] {
            [rows, columns] if out_first => (rows, columns),
            [rows, columns] => (columns, rows),
            [outputs, ref kernel @ ..] if node.operator == "Conv" => {
                (outputs, kernel.iter().product())
            }
            _ => return Err(format!("the weight {weight} of node {named} has shape {dims:?}")),
        };
        let a_picture = self.shape(value).map(|shape| shape.iter().skip(1).product::<usize>());
        let rows_fit = averaged || a_picture.is_none_or(|features| features == width);
        if outputs != classes || width == 0 || !rows_fit {
            return Err(format!(
                "its logits come from node {named}, whose weight {weight} of shape {dims:?} does not make {classes} logits of a picture's features at once"
            ));
        }
        steps.reverse();
        let linear = Linear { weight: weight.clone(), out_first, steps };
        let linear = (!rectified).then_some(linear);
        Ok(Penultimate { value: value.clone(), averaged, width, linear })
    }

    /// Whether a convolution has one window, which is all of its input.
    fn sees_all(&self, node: &Node) -> bool {
        let kernel = node.ints("kernel_shape", &[]);
        let single = kernel.iter().all(|&size| size == 1);
        let same = node.text("auto_pad").is_some_and(|mode| mode.starts_with("SAME"));
        let maps = node.inputs.first().and_then(|input| self.shape(input)?.get(2..));
        node.int("group", 1) == 1
            && node.ints("pads", &[0; 4]).iter().all(|&pad| pad == 0)
            && (single || !same)
            && maps.is_none_or(|sizes| sizes == kernel)
            && (single || maps.is_some())
            && node.ints("dilations", &[1, 1]).iter().all(|&step| step == 1)
    }
}

impl Classifier {
    /// Number of penultimate features d: the width of what the last linear layer reads.
    ///
    /// # Errors
    /// [`NetworkError::NoPenultimate`] where they cannot be told.
    pub fn penultimate_width(&self) -> Result<usize> {
        Ok(self.penultimate()?.width)
    }

    /// Where the penultimate features are.
    pub(crate) fn penultimate(&self) -> Result<Penultimate> {
        let shapes = self.shapes(self.input_size().unwrap_or(USUAL_SIZE));
        Penultimate::find(&self.graph, &self.logits, self.classes(), &shapes)
            .map_err(|reason| NetworkError::NoPenultimate { model: self.name().to_owned(), reason })
    }
}

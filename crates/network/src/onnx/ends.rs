//! Where a graph begins and ends: the picture, the logits, and the layer that maps are drawn at.

use std::collections::{HashMap, HashSet};

use rten_onnx::onnx::DataType;

use super::layout::takes_channels_first;
use super::model::Value;
use crate::graph::{Axis, Graph, Node, int, ints};

/// Name of the node that makes one vector of logits with further axes.
const FLATTEN: &str = "logits/flatten";

/// The picture as the file wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub name: String,
    pub channels: usize,
    /// Height and width, where the file fixes them.
    pub size: Option<[usize; 2]>,
    /// True if the file fixes the batch to one picture.
    pub one_at_a_time: bool,
    /// True for batch x height x width x channels, as TensorFlow has it.
    channels_last: bool,
}

/// Finds the picture among the graph's inputs (those that are stored are none).
///
/// # Errors
/// None or several inputs, not float32, not four axes, a fixed batch of several, or neither axis can be
/// the channels; in words.
pub(super) fn picture(graph: &Graph, inputs: &[Value]) -> Result<Picture, String> {
    let stored = |name: &str| graph.initializer(name).is_some();
    let free: Vec<&Value> = inputs.iter().filter(|input| !stored(&input.name)).collect();
    let [input] = free[..] else {
        let names: Vec<&str> = free.iter().map(|input| input.name.as_str()).collect();
        return Err(format!(
            "it has {} inputs ({}); expected one picture",
            names.len(),
            names.join(", ")
        ));
    };
    let name = input.name.clone();
    if let Some(element) = input.element.filter(|&element| element != DataType::FLOAT) {
        let element = element.name().unwrap_or("unknown").to_lowercase();
        return Err(format!("its input {name} is of type {element}; expected float32"));
    }
    let Some(&[batch, a, height_or, c]) = input.shape.as_deref() else {
        return Err(format!(
            "its input {name} has shape {}; expected batch x channels x height x width",
            show(input.shape.as_deref())
        ));
    };
    if batch.is_some_and(|batch| batch != 1) {
        return Err(format!(
            "its input {name} has shape {}, a fixed batch of several; export it with a batch of 1 or a free batch axis",
            show(input.shape.as_deref())
        ));
    }
    let colours = |axis: Option<usize>| axis.filter(|channels| (1..=4).contains(channels));
    let from_weights = || first_convolution_channels(graph, &name);
    let (channels, size, channels_last) = match (colours(a), colours(c)) {
        (Some(channels), _) => (channels, (height_or, c), false),
        (None, Some(channels)) => (channels, (a, height_or), true),
        (None, None) => {
            let channels = a.or_else(from_weights).ok_or_else(|| {
                format!(
                    "its input {name} has shape {}, in which the channels cannot be told",
                    show(input.shape.as_deref())
                )
            })?;
            (channels, (height_or, c), false)
        }
    };
    let size = match size {
        (Some(height), Some(width)) => Some([height, width]),
        _ => None,
    };
    Ok(Picture { name, channels, size, one_at_a_time: batch.is_some(), channels_last })
}

fn show(shape: Option<&[Option<usize>]>) -> String {
    let axis = |axis: &Option<usize>| axis.map_or("?".to_owned(), |size| size.to_string());
    shape.map_or("unknown".to_owned(), |shape| {
        shape.iter().map(axis).collect::<Vec<_>>().join(" x ")
    })
}

fn first_convolution_channels(graph: &Graph, input: &str) -> Option<usize> {
    let conv = graph
        .nodes
        .iter()
        .find(|node| node.operator == "Conv" && node.inputs.first().is_some_and(|x| x == input))?;
    let per_group = *graph.initializer(conv.inputs.get(1)?)?.dims.get(1)?;
    per_group.checked_mul(usize::try_from(conv.int("group", 1)).ok()?)
}

impl Picture {
    /// Shape of the graph's own input for a picture of this size.
    pub fn shape(&self, [height, width]: [usize; 2]) -> [usize; 4] {
        if self.channels_last {
            [1, height, width, self.channels]
        } else {
            [1, self.channels, height, width]
        }
    }

    /// Declares the input, always as batch x channels x height x width.
    pub fn declare(&self, graph: &mut Graph) {
        let axis =
            |index: usize, name| self.size.map_or(Axis::Free(name), |s| Axis::Fixed(s[index]));
        let axes =
            [Axis::Free("batch"), Axis::Fixed(self.channels), axis(0, "height"), axis(1, "width")];
        if !self.channels_last {
            graph.input(&self.name, &axes);
            return;
        }
        let given = format!("{}/channels_first", self.name);
        graph.input(&given, &axes);
        graph.node(
            "Transpose",
            "channels_last",
            &[&given],
            &[&self.name],
            vec![ints("perm", &[0, 2, 3, 1])],
        );
        graph.nodes.rotate_right(1);
    }
}

/// The value with the logits, N a picture: the output, or what a final softmax is applied to. Logits with
/// further axes of size one are flattened.
///
/// # Errors
/// Several outputs, or a network that ends in a sigmoid; in words.
pub(super) fn logits(graph: &mut Graph, outputs: &[Value]) -> Result<String, String> {
    let [output] = outputs else {
        let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
        return Err(format!(
            "it has {} outputs ({}); expected one, the logits",
            names.len(),
            names.join(", ")
        ));
    };
    let mut value = output.name.clone();
    let mut rank = output.shape.as_ref().map(Vec::len);
    // a damaged graph may lead back to where it came from
    for _ in 0..=graph.nodes.len() {
        let Some(node) = graph.producer(&value) else { break };
        let input = node.inputs.first().cloned().unwrap_or_default();
        match node.operator.as_str() {
            "Softmax" | "LogSoftmax" | "Identity" | "Dropout" => value = input,
            // logits of shape batch x classes x 1 x 1 would be flattened again
            "Flatten" | "Reshape" | "Squeeze" if behind_softmax(graph, &input) => {
                value = input;
                rank = Some(4);
            }
            "Sigmoid" => {
                return Err(format!(
                    "it ends in a Sigmoid ({}), so its classes do not exclude each other; expected one answer of several, as logits or softmax",
                    node.name
                ));
            }
            _ => break,
        }
    }
    if rank.is_some_and(|rank| rank > 2) {
        graph.node("Flatten", FLATTEN, &[&value], &["logits/flat"], vec![int("axis", 1)]);
        value = "logits/flat".to_owned();
    }
    Ok(value)
}

/// Checks that logits with further axes, which [`logits`] flattens, have one value a class.
///
/// # Errors
/// They have more, or it cannot be told; in words.
pub(super) fn logits_are_one_vector(
    graph: &Graph,
    logits: &str,
    shapes: &HashMap<String, Vec<usize>>,
) -> Result<(), String> {
    let Some(node) = graph.producer(logits).filter(|node| node.name == FLATTEN) else {
        return Ok(());
    };
    let value = node.inputs.first().map(String::as_str).unwrap_or_default();
    match shapes.get(value) {
        Some(shape) if shape.iter().skip(2).all(|&size| size == 1) => Ok(()),
        Some(shape) => Err(format!("its output {value} has shape {shape:?}; expected 1 x classes")),
        None => {
            Err(format!("the shape of its output {value} cannot be told; expected 1 x classes"))
        }
    }
}

fn behind_softmax(graph: &Graph, value: &str) -> bool {
    graph
        .producer(value)
        .is_some_and(|node| matches!(node.operator.as_str(), "Softmax" | "LogSoftmax"))
}

/// The value that maps are drawn at unless another is named: the last one with height and width before the
/// final pooling or flattening, whose channels are not as many as `classes`; none if that value is among those with
/// their channels last, or its shape is not known.
pub(super) fn target(
    graph: &Graph,
    logits: &str,
    classes: Option<usize>,
    shapes: &HashMap<String, Vec<usize>>,
    channels_last: &HashSet<String>,
) -> Option<String> {
    let maps = |value: &str| match shapes.get(value).map(Vec::as_slice) {
        Some(&[_, channels, height, width]) if height * width > 1 => Some(channels),
        _ => None,
    };
    let mut value = logits.to_owned();
    // behind a linear layer no maps of classes can stand any more
    let mut linear = false;
    loop {
        let node = graph.producer(&value)?;
        let is_pooling = match node.operator.as_str() {
            "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" | "Identity"
            | "Dropout" | "Reshape" | "Pad" => true,
            // the averaging matrices of an adaptive pooling
            "MatMul" => is_pooling_matrix(graph, node),
            // into channels last: the maps are what it reads; out of it: what it gives
            "Transpose" => channels_last.contains(&value),
            _ => false,
        };
        // a value that may well be the one, were its shape known: an earlier one would be a guess
        if !is_pooling && takes_channels_first(node) && !shapes.contains_key(&value) {
            return None;
        }
        if !is_pooling && channels_last.contains(&value) {
            let shape = shapes.get(&value).map(Vec::as_slice);
            // a normalisation of what was pooled to one position may stand on the way
            if matches!(shape, Some(&[_, height, width, _]) if height * width > 1) {
                return None;
            }
        } else if !is_pooling
            && maps(&value).is_some_and(|channels| linear || Some(channels) != classes)
        {
            return Some(value);
        }
        let stored = |name: &String| graph.initializer(name).is_some();
        linear |= node.operator == "Gemm"
            || node.operator == "MatMul" && node.inputs.get(1).is_some_and(stored);
        data_input(graph, node)?.clone_into(&mut value);
    }
}

/// The input that carries the picture: the first that is computed.
fn data_input<'n>(graph: &Graph, node: &'n Node) -> Option<&'n str> {
    node.inputs
        .iter()
        .find(|input| !input.is_empty() && graph.initializer(input).is_none())
        .map(String::as_str)
}

/// A product of two computed values of which neither is stored.
fn is_pooling_matrix(graph: &Graph, node: &Node) -> bool {
    node.inputs.iter().all(|input| graph.initializer(input).is_none())
}

/// Number of classes where the shapes do not tell: outputs of the last layer with weights.
pub(super) fn classes(graph: &Graph, logits: &str) -> Option<usize> {
    let mut value = logits.to_owned();
    loop {
        let node = graph.producer(&value)?;
        let dims =
            |position: usize| Some(graph.initializer(node.inputs.get(position)?)?.dims.clone());
        let weight = match node.operator.as_str() {
            "Conv" => dims(1)?.first().copied(),
            "Gemm" if node.int("transB", 0) == 1 => dims(1)?.first().copied(),
            "Gemm" | "MatMul" => dims(1)?.last().copied(),
            _ => None,
        };
        if weight.is_some() {
            return weight;
        }
        data_input(graph, node)?.clone_into(&mut value);
    }
}

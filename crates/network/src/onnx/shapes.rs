//! Shapes of a graph's values for one input size, found without running it: so that a file which asks
//! for absurd amounts of memory is refused before anything is allocated, and to tell maps from vectors.

use std::collections::HashMap;

use rten_shape_inference::{
    BinaryOp, InferShapes, InferShapesContext, ReductionOp, SymExpr, SymTensor, SymbolGen, UnaryOp,
    VariadicOp, ops,
};

use crate::graph::{Graph, Initializer, Node, Setting};

/// A value of more elements than this (1 GiB of float32) is refused.
const MAX_ELEMENTS: usize = 1 << 28;
/// Integer constants up to this length may be shapes, axes or bounds, whose values matter.
const MAX_VALUES: usize = 64;

/// Shapes of the values whose shape is known, or the node that asks for too much, in words.
///
/// Where a shape cannot be found (an operator that computes it from data, an input size that does not fit),
/// the value and what follows from it are absent.
pub(crate) fn shapes(
    graph: &Graph,
    input: &str,
    size: &[usize],
) -> Result<HashMap<String, Vec<usize>>, String> {
    let mut symbols = SymbolGen::new();
    let mut known: HashMap<&str, SymTensor> = HashMap::new();
    for tensor in &graph.initializers {
        known.insert(&tensor.name, constant(tensor));
    }
    known.insert(input, SymTensor::from_fixed_shape(size));
    for node in &graph.nodes {
        let inputs: Vec<Option<SymTensor>> = node
            .inputs
            .iter()
            .map(|name| {
                (!name.is_empty()).then(|| {
                    known
                        .get(name.as_str())
                        .cloned()
                        .unwrap_or_else(|| SymTensor::unknown("unknown"))
                })
            })
            .collect();
        // the rules divide by what they are given
        if inputs.iter().flatten().any(|value| value.ndim().is_none()) {
            if makes_any_size(node) {
                return Err(unknown_size(node));
            }
            continue;
        }
        let outputs = infer(node, &inputs, &mut symbols).unwrap_or_default();
        let made = outputs.first().and_then(|value| fixed(&value.clone().simplify()));
        if makes_any_size(node) && made.is_none() {
            return Err(unknown_size(node));
        }
        for (name, value) in node.outputs.iter().zip(outputs) {
            let value = value.simplify();
            if let Some(shape) = fixed(&value) {
                let elements =
                    shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
                if elements.is_none_or(|elements| elements > MAX_ELEMENTS) {
                    return Err(format!(
                        "node {} ({}) makes a value of shape {shape:?}, which is too large to compute",
                        node.name, node.operator
                    ));
                }
            }
            known.insert(name, value);
        }
    }
    Ok(known
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), fixed(&value)?)))
        .collect())
}

/// Operators whose output can be as large as a number in their input says.
fn makes_any_size(node: &Node) -> bool {
    matches!(node.operator.as_str(), "ConstantOfShape" | "Expand" | "Tile" | "Range" | "OneHot")
}

fn unknown_size(node: &Node) -> String {
    format!(
        "node {} ({}) makes a value whose size cannot be told before it is computed",
        node.name, node.operator
    )
}

fn fixed(value: &SymTensor) -> Option<Vec<usize>> {
    value
        .shape()?
        .map(|size| match size {
            SymExpr::Value(size) => usize::try_from(size).ok(),
            _ => None,
        })
        .collect()
}

fn constant(tensor: &Initializer) -> SymTensor {
    let shape = || {
        let sizes = tensor.dims.iter().map(|&size| {
            i32::try_from(size).map_or_else(|_| SymExpr::Value(i32::MAX), SymExpr::Value)
        });
        SymTensor::from_shape(sizes.collect())
    };
    let count: usize = tensor.dims.iter().product();
    match integers(tensor) {
        Some(values) if tensor.dims.is_empty() => {
            values.first().map_or_else(shape, |&v| SymTensor::from_scalar(SymExpr::Value(v)))
        }
        Some(values) if tensor.dims.len() == 1 && count <= MAX_VALUES => {
            SymTensor::from_vec(values.into_iter().map(SymExpr::Value).collect())
        }
        _ => shape(),
    }
}

/// The values of an integer constant. Numbers out of range become the nearest in it: `i64::MAX` stands
/// for "to the end" in slices.
fn integers(tensor: &Initializer) -> Option<Vec<i32>> {
    let clamp = |v: i64| i32::try_from(v).unwrap_or(if v < 0 { i32::MIN } else { i32::MAX });
    Some(tensor.integers()?.into_iter().map(clamp).collect())
}

fn infer(
    node: &Node,
    inputs: &[Option<SymTensor>],
    symbols: &mut SymbolGen,
) -> Option<Vec<SymTensor>> {
    let rank = |position: usize| inputs.get(position)?.as_ref()?.ndim();
    let axis = |default: i64| i32::try_from(node.int("axis", default)).ok();
    let with_axes = |axes: Option<&[i64]>| -> Vec<Option<SymTensor>> {
        let mut inputs = inputs.to_vec();
        if let Some(axes) = axes {
            let axes = axes.iter().map(|&a| SymExpr::Value(a as i32)).collect();
            inputs.resize(2, None);
            inputs[1] = Some(SymTensor::from_vec(axes));
        }
        inputs
    };
    let mut run = |rule: &dyn InferShapes, inputs: &[Option<SymTensor>]| {
        rule.infer_shapes(InferShapesContext::new(inputs), symbols).ok()
    };
    match node.operator.as_str() {
        "Conv" => {
            let axes = rank(1)?.checked_sub(2)?;
            let window = Window::of(node, axes)?;
            let rule = ops::Conv {
                dilations: &window.dilations,
                strides: &window.strides,
                padding: window.padding(),
            };
            run(&rule, inputs)
        }
        "MaxPool" | "AveragePool" => {
            let kernel = node.ints("kernel_shape", &[]);
            let window = Window::of(node, kernel.len())?;
            let rule = ops::Pool {
                dilations: &window.dilations,
                kernel_size: &kernel,
                padding: window.padding(),
                strides: &window.strides,
                ceil_mode: node.int("ceil_mode", 0) == 1,
            };
            run(&rule, inputs)
        }
        "GlobalAveragePool" | "GlobalMaxPool" => run(&ops::GlobalPool, inputs),
        "Add" => run(&ops::Add, inputs),
        "Sub" => run(&ops::Sub, inputs),
        "Mul" => run(&ops::Mul, inputs),
        "Div" => run(&ops::Div, inputs),
        "Pow" | "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" | "And" | "Or"
        | "PRelu" | "Mod" => run(&BinaryOp, inputs),
        "Sum" | "Max" | "Min" | "Mean" => run(&VariadicOp, inputs),
        "Where" => run(&ops::Where, inputs),
        "Identity" => run(&ops::Identity, inputs),
        // a shape's values live on through a change of type
        "Cast" => Some(vec![inputs.first()?.clone()?]),
        "Neg" => run(&ops::Neg, inputs),
        "Relu"
        | "LeakyRelu"
        | "Elu"
        | "Selu"
        | "Clip"
        | "Sigmoid"
        | "HardSigmoid"
        | "HardSwish"
        | "Tanh"
        | "Softplus"
        | "Mish"
        | "Gelu"
        | "Erf"
        | "Exp"
        | "Log"
        | "Sqrt"
        | "Reciprocal"
        | "Abs"
        | "Floor"
        | "Ceil"
        | "Round"
        | "Sign"
        | "Not"
        | "Softmax"
        | "LogSoftmax"
        | "LayerNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "BatchNormalization"
        | "Dropout"
        | "LRN" => run(&UnaryOp, inputs),
        "Concat" => run(&ops::Concat { axis: axis(1)? }, inputs),
        "Flatten" => run(&ops::Flatten { axis: axis(1)? }, inputs),
        "Reshape" => run(&ops::Reshape { allow_zero: node.int("allowzero", 0) == 1 }, inputs),
        "Transpose" => {
            let perm = node.signed("perm").map(|_| node.ints("perm", &[]));
            run(&ops::Transpose { perm: perm.as_deref() }, inputs)
        }
        "Squeeze" => run(&ops::Squeeze, &with_axes(node.signed("axes"))),
        "Unsqueeze" => run(&ops::Unsqueeze, &with_axes(node.signed("axes"))),
        "Shape" => {
            let bound = |name: &str| match node.setting(name) {
                Some(Setting::Int(value)) => i32::try_from(*value).ok(),
                _ => None,
            };
            run(&ops::Shape { start: bound("start"), end: bound("end") }, inputs)
        }
        "Size" => run(&ops::Size, inputs),
        "Gather" => run(&ops::Gather { axis: axis(0)? }, inputs),
        "Slice" if rank(1).is_some() => run(&ops::Slice, inputs),
        "Pad" if rank(1).is_some() => run(&ops::Pad, inputs),
        "Expand" => run(&ops::Expand, inputs),
        "Tile" => run(&ops::Tile, inputs),
        "Resize" => run(&ops::Resize, inputs),
        "Upsample" => run(&ops::Upsample, inputs),
        "Range" => run(&ops::Range, inputs),
        "ConstantOfShape" => run(&ops::ConstantOfShape { value: None }, inputs),
        "OneHot" => run(&ops::OneHot { axis: axis(-1)? }, inputs),
        "Split" => {
            let sizes = match node.signed("split") {
                Some(sizes) => Some(sizes.to_vec()),
                None if rank(1).is_some() => None,
                None => Some(equal_parts(node, inputs.first()?.as_ref()?)?),
            };
            let rule = ops::Split { axis: axis(0)?, num_outputs: None };
            run(&rule, &with_axes(sizes.as_deref()))
        }
        "MatMul" => run(&ops::MatMul, inputs),
        "Gemm" => {
            let rule = ops::Gemm {
                transpose_a: node.int("transA", 0) == 1,
                transpose_b: node.int("transB", 0) == 1,
            };
            run(&rule, inputs)
        }
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceL2" | "ReduceProd" => {
            let axes: Option<Vec<i32>> =
                node.signed("axes").map(|axes| axes.iter().map(|&axis| axis as i32).collect());
            let keep_dims = node.int("keepdims", 1) == 1;
            run(&ReductionOp { axes: axes.as_deref(), keep_dims }, inputs)
        }
        _ => None,
    }
}

/// Sizes of a `Split` that names none: as many equal parts as outputs, the last one smaller.
fn equal_parts(node: &Node, data: &SymTensor) -> Option<Vec<i64>> {
    let shape = fixed(data)?;
    let axis = node.int("axis", 0);
    let axis = if axis < 0 { axis + shape.len() as i64 } else { axis };
    let whole = *shape.get(usize::try_from(axis).ok()?)?;
    let count = node.outputs.len();
    let part = whole.div_ceil(count.max(1));
    let sizes = (0..count).map(|i| whole.saturating_sub(i * part).min(part) as i64);
    Some(sizes.collect())
}

/// How a kernel moves over the axes of height and width.
struct Window {
    strides: Vec<usize>,
    dilations: Vec<usize>,
    pads: Vec<usize>,
    same: bool,
}

impl Window {
    /// `None` if an attribute does not have one entry an axis, or a step is zero.
    fn of(node: &Node, axes: usize) -> Option<Self> {
        let ones = vec![1; axes];
        let window = Self {
            strides: node.ints("strides", &ones),
            dilations: node.ints("dilations", &ones),
            pads: node.ints("pads", &vec![0; 2 * axes]),
            same: node.text("auto_pad").is_some_and(|mode| mode.starts_with("SAME")),
        };
        let fits = window.strides.len() == axes
            && window.dilations.len() == axes
            && window.pads.len() == 2 * axes
            && window.strides.iter().chain(&window.dilations).all(|&step| step > 0);
        fits.then_some(window)
    }

    fn padding(&self) -> ops::Padding<'_> {
        if self.same { ops::Padding::Same } else { ops::Padding::Fixed(&self.pads) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::graph::{Axis, int};

    #[test]
    fn a_split_without_sizes_makes_equal_parts() {
        for (count, expected) in [(2, vec![4, 3]), (3, vec![3, 3, 1])] {
            let mut graph = Graph::default();
            graph.input("x", &[Axis::Fixed(1), Axis::Fixed(7)]);
            let names: Vec<String> = (0..count).map(|i| format!("part{i}")).collect();
            let outputs: Vec<&str> = names.iter().map(String::as_str).collect();
            graph.node("Split", "split", &["x"], &outputs, vec![int("axis", -1)]);
            let shapes = shapes(&graph, "x", &[1, 7]).unwrap();
            let found: Vec<usize> = names.iter().map(|name| shapes[name][1]).collect();
            assert_eq!(found, expected);
        }
    }
}

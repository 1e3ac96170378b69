//! Closed forms of the gradient, where what follows the target layer allows one.
//!
//! A form is read off the graph, not off an architecture's name, so it holds for any network with such
//! a head. What is recognised is a chain without branches: max-pooling, average pooling, 1x1
//! convolutions, a ReLU right before a global average pooling; then flattening; then linear layers
//! with ReLUs between them. Anything else is left to the adjoint graph, which is exact too.
//!
//! Only the gradient's *sum* over positions is wanted, and that sum is simpler than the gradient:
//! a pooling passes it on unchanged (each output's gradient is handed out in shares that sum to one),
//! a 1x1 convolution multiplies it by its weight, and a linear layer over flattened maps acts on it by
//! its weight summed over the positions. A ReLU needs the gradient itself; right before a global
//! average it is the same at every position, and the sum is multiplied by the share of positions where
//! the ReLU is open. Formulas: METHOD section 4, derived; tested against the adjoint graph and against
//! PyTorch.
//!
//! A form is a product of matrices, so it can be multiplied out from either end: from rows of classes, which
//! gives alpha ([`closed`]), or from the activations, which gives the maps of all classes without any alpha
//! ([`maps`]).

mod closed;
mod maps;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use self::closed::Closed;
use self::walk::{Walk, keeps_sums};
pub(crate) use self::walk::{is_pointwise, mean};
use crate::graph::Graph;

/// One factor of the closed form, from the logits back to the target layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A linear layer or 1x1 convolution: `g -> g W` with W out x in.
    Linear(Linear),
    /// A ReLU between linear layers: g stays where `value`, the ReLU's output, is positive.
    Mask { value: String },
    /// A ReLU at every position before a global average: `g_c -> g_c n_c / (uv)` with n_c the number of
    /// positions where `value`, the ReLU's output, is positive.
    Share { value: String },
}

/// A stored weight that multiplies the gradient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Linear {
    pub weight: String,
    /// Stored as out x in (`Gemm` with `transB`, convolutions), or as in x out.
    pub out_first: bool,
    pub inputs: Inputs,
}

/// Which inputs of a linear layer the gradient goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inputs {
    All,
    /// The target layer's channels, from this one on: it is one operand of a concatenation.
    From(usize),
    /// Flattened maps: summed over their positions. The number of channels, if it is not the target's.
    Positions(Option<usize>),
}

/// A closed form of the gradient of the logits at a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub steps: Vec<Step>,
}

/// What the value under the walk looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Maps,
    /// Maps of one position.
    Pooled,
    Rows,
}

impl Head {
    /// The form of the head behind `target`, if it has one.
    pub fn find(graph: &Graph, target: &str, logits: &str) -> Option<Self> {
        let mut walk = Walk::new(graph, target);
        let mut steps = Vec::new();
        let mut form = Form::Maps;
        // the part of a concatenation that the target is, until a convolution has read it
        let mut offset = walk.concatenated()?;
        let mut flat = true;
        let mut channels = None;
        while walk.value != logits {
            let node = walk.next()?;
            let output = || walk.value.to_owned();
            match (form, node.operator.as_str()) {
                (_, "Identity" | "Dropout") => {}
                (Form::Maps | Form::Pooled, "Conv") if is_pointwise(node) => {
                    let weight = node.inputs.get(1)?;
                    channels = graph.initializer_shape(weight)?.first().copied();
                    let inputs = offset.take().map_or(Inputs::All, Inputs::From);
                    let weight = weight.clone();
                    steps.push(Step::Linear(Linear { weight, out_first: true, inputs }));
                }
                _ if offset.is_some() => return None,
                (Form::Maps, "Relu") if mean(graph, walk.peek()?).is_some() => {
                    steps.push(Step::Share { value: output() });
                }
                (Form::Pooled, "Relu") => steps.push(Step::Share { value: output() }),
                // rows of a map's positions: a mask of each would have to be summed with its weights
                (Form::Rows, "Relu") if flat => return None,
                (Form::Rows, "Relu") => steps.push(Step::Mask { value: output() }),
                (Form::Maps, _) if keeps_sums(node) || walk.averages(node) => {}
                (Form::Maps, _) if mean(graph, node).is_some() => {
                    let keeps_axes = mean(graph, node) == Some(true);
                    form = if keeps_axes { Form::Pooled } else { Form::Rows };
                }
                (_, "Flatten" | "Reshape") if walk.flattens(node) => form = Form::Rows,
                (Form::Rows, "Gemm" | "MatMul") => {
                    let (weight, out_first) = walk.weight(node)?;
                    let first = std::mem::take(&mut flat);
                    let inputs = if first { Inputs::Positions(channels) } else { Inputs::All };
                    steps.push(Step::Linear(Linear { weight, out_first, inputs }));
                }
                (Form::Rows, "Add") if walk.adds_constant(node) => {}
                _ => return None,
            }
        }
        let linear = steps.iter().any(|step| matches!(step, Step::Linear(_)));
        steps.reverse();
        (linear && form == Form::Rows).then_some(Self { steps })
    }

    /// The forward values that the form reads.
    pub fn saved(&self) -> impl Iterator<Item = &String> {
        self.steps.iter().filter_map(|step| match step {
            Step::Mask { value } | Step::Share { value } => Some(value),
            Step::Linear(_) => None,
        })
    }
}

//! The gradient of the logits as a graph of its own.
//!
//! Only the nodes between the target layer and the logits are differentiated. The adjoint graph reads
//! the forward values it needs (ReLU outputs, the windows of a max-pooling) as inputs, and a batch of
//! upstream gradients `g` (B x N): `B` questions are answered in one run. Its output is
//! `alpha[b, k] = mean over (u, v) of sum_n g[b, n] dz_n / dA[k, u, v]` (METHOD section 4), B x K.
//!
//! Forward values have a leading axis of one, gradients one of B: the former broadcast against the
//! latter, so nothing is computed B times that all questions share. This holds as long as the leading
//! axis stays the batch; a node that moves it is refused.
//!
//! Operators with a rule (any other, or a setting that its rule does not cover, is
//! [`NetworkError::NotDifferentiable`] and names the node):
//!
//! - activations: Relu, LeakyRelu, PRelu, Elu, Selu, Clip, Sigmoid, HardSigmoid, HardSwish, Tanh, Softplus,
//!   Softsign, Swish, Mish, Gelu, Erf, Exp, Log, Sqrt, Reciprocal, Abs, Neg;
//! - arithmetic with broadcasting: Add, Sub, Mul, Div, Sum, Max, Min, Pow (stored exponent), Where (stored
//!   condition);
//! - linear: Conv and ConvTranspose (two-dimensional: grouped, strided, dilated, padded in any way), Gemm
//!   (stored weight), MatMul (either or both operands);
//! - poolings and reductions: MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool, ReduceMean,
//!   ReduceSum, ReduceSumSquare, ReduceL2, ReduceMax, ReduceMin;
//! - normalisations: BatchNormalization, LayerNormalization, InstanceNormalization, Softmax, LogSoftmax;
//! - shapes: Flatten, Reshape, Squeeze, Unsqueeze, Transpose, Concat, Split, Slice (steps of one), Gather
//!   (one place), Pad (constant), Expand, Identity, Dropout, Cast (to float32).
//!
//! Sizes, indices and comparisons (Shape, ArgMax, Greater, Floor, ...) pass no gradient on, as in PyTorch.

mod activation;
mod arithmetic;
mod convolution;
mod linear;
mod normalisation;
mod plan;
mod pooling;
mod reduction;
mod rules;
mod shape;
mod tape;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub(crate) use self::plan::Plan;
use self::tape::{Tape, unsupported};
use crate::error::{NetworkError, Result};
use crate::graph::{Axis, Graph, int};

/// Name of the adjoint graph's upstream input.
const UPSTREAM: &str = "adjoint/upstream";
/// Name of its only output.
pub(crate) const ALPHA: &str = "adjoint/alpha";

/// The adjoint of the nodes between a layer and the logits, for one input size.
pub(crate) struct Adjoint {
    pub graph: Graph,
    /// Forward values that are its inputs, in order; the upstream gradient follows as the last one.
    pub saved: Vec<String>,
    /// Elements of the largest gradient for one row of the upstream batch.
    pub elements_per_row: usize,
}

/// Builds the adjoint of a plan's nodes.
///
/// `shapes` has the shape of every one of [`Plan::values`], for a batch of one.
///
/// # Errors
/// An operator on the way has no adjoint here.
pub(crate) fn adjoint(plan: &Plan<'_>, shapes: &HashMap<String, Vec<usize>>) -> Result<Adjoint> {
    let (mut adjoint, gradient) = gradient(plan, shapes)?;
    adjoint.graph.integers("adjoint/spatial_axes", &[2], &[2, 3]);
    adjoint.graph.node(
        "ReduceMean",
        ALPHA,
        &[&gradient, "adjoint/spatial_axes"],
        &[ALPHA],
        vec![int("keepdims", 0)],
    );
    Ok(adjoint)
}

/// The adjoint up to the gradient at every position of the target, and that gradient's name.
fn gradient(plan: &Plan<'_>, shapes: &HashMap<String, Vec<usize>>) -> Result<(Adjoint, String)> {
    let mut tape = Tape::new(plan, shapes);
    let logits = shapes.get(plan.logits).map_or(&[][..], Vec::as_slice);
    let classes: usize = logits.iter().product();
    let upstream = match logits {
        [_, _] => UPSTREAM.to_owned(),
        shape => tape.reshape(UPSTREAM, shape),
    };
    tape.contribute(plan.logits, upstream);
    for &index in plan.path.iter().rev() {
        let node = &plan.forward.nodes[index];
        tape.differentiate(node)?;
    }
    let no_path = || NetworkError::NoPath { layer: plan.target.to_owned() };
    let gradient = tape.total(plan.target).ok_or_else(no_path)?;
    let Tape { mut graph, saved, largest, .. } = tape;
    for name in &saved {
        let shape = shapes.get(name).cloned().unwrap_or_default();
        let axes: Vec<Axis> = shape.into_iter().map(Axis::Fixed).collect();
        graph.input(name, &axes);
    }
    graph.input(UPSTREAM, &[Axis::Free("questions"), Axis::Fixed(classes)]);
    Ok((Adjoint { graph, saved, elements_per_row: largest }, gradient))
}

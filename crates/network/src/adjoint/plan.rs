//! Which part of a graph an adjoint is about.

use std::collections::HashSet;

use crate::graph::{Graph, Node};

/// The nodes between a layer and the logits through which gradients flow, and the values they touch.
pub(crate) struct Plan<'g> {
    pub forward: &'g Graph,
    pub target: &'g str,
    pub logits: &'g str,
    /// Indices of the nodes on the way, in topological order.
    pub path: Vec<usize>,
    /// Values that depend on the target by a differentiable function: the target itself and outputs
    /// of the path's nodes.
    pub active: HashSet<&'g str>,
}

impl<'g> Plan<'g> {
    /// `None` if no path leads from the target to the logits.
    pub fn new(forward: &'g Graph, target: &'g str, logits: &'g str) -> Option<Self> {
        let mut active = HashSet::from([target]);
        let mut after = Vec::new();
        for index in forward.between(target, logits) {
            let node = &forward.nodes[index];
            if data(node).any(|input| active.contains(input)) && !is_step(&node.operator) {
                active.extend(outputs(node));
                after.push(index);
            }
        }
        // what only leads to sizes or masks is not on the way
        let mut wanted = HashSet::from([logits]);
        let mut path = Vec::new();
        for index in after.into_iter().rev() {
            let node = &forward.nodes[index];
            if outputs(node).any(|output| wanted.contains(output)) {
                wanted.extend(data(node).filter(|input| active.contains(input)));
                path.push(index);
            }
        }
        path.reverse();
        active.retain(|value| wanted.contains(value));
        (!path.is_empty()).then_some(Self { forward, target, logits, path, active })
    }

    /// Every value whose shape or content the adjoint may ask for, each once: the active ones, and
    /// those that the path's nodes read from beside it.
    pub fn values(&self) -> Vec<&'g str> {
        let computed: HashSet<&str> = self.forward.computed().collect();
        let mut seen = HashSet::from([self.target]);
        let mut values = vec![self.target];
        for &index in &self.path {
            let node = &self.forward.nodes[index];
            let read = data(node).filter(|value| computed.contains(value));
            let written = outputs(node).filter(|value| self.active.contains(value));
            values.extend(read.chain(written).filter(|value| seen.insert(value)));
        }
        values
    }
}

fn outputs(node: &Node) -> impl Iterator<Item = &str> {
    node.outputs.iter().map(String::as_str).filter(|name| !name.is_empty())
}

/// The inputs of a node that hold numbers to compute with, as opposed to sizes, axes or masks.
fn data(node: &Node) -> impl Iterator<Item = &str> {
    let settings: &[usize] = match node.operator.as_str() {
        "Expand" | "Reshape" | "Split" | "Squeeze" | "Tile" | "Unsqueeze" | "Gather"
        | "GatherElements" | "GatherND" | "TopK" | "CumSum" | "ReduceL1" | "ReduceL2"
        | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceMax" | "ReduceMean" | "ReduceMin"
        | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" => &[1],
        "Dropout" => &[1, 2],
        "Pad" => &[1, 3],
        "Resize" | "Slice" => &[1, 2, 3, 4],
        "Where" => &[0],
        _ => &[],
    };
    let inputs = node.inputs.iter().enumerate();
    let data = inputs.filter(|(position, _)| !settings.contains(position));
    data.map(|(_, name)| name.as_str()).filter(|name| !name.is_empty())
}

/// Operators whose outputs are sizes, indices or truth values, or have derivative zero: what follows
/// from them does not move with the target, so PyTorch's autograd stops there as well.
fn is_step(operator: &str) -> bool {
    matches!(
        operator,
        "And"
            | "ArgMax"
            | "ArgMin"
            | "Ceil"
            | "ConstantOfShape"
            | "Equal"
            | "EyeLike"
            | "Floor"
            | "Greater"
            | "GreaterOrEqual"
            | "IsInf"
            | "IsNaN"
            | "Less"
            | "LessOrEqual"
            | "NonZero"
            | "Not"
            | "OneHot"
            | "Or"
            | "Round"
            | "Shape"
            | "Sign"
            | "Size"
            | "Xor"
    )
}

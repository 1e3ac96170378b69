//! Which values have their channels last.
//!
//! Inside a ConvNeXt block, in a Swin transformer or in what TensorFlow exports, values of four axes are batch x
//! height x width x channels. Their shapes look like those of maps, and nothing but the way they came about tells.

use std::collections::HashSet;

use crate::graph::{Graph, Node};

/// Values between a transposition to channels last and one back, or an operator that takes channels first.
pub(super) fn channels_last(graph: &Graph) -> HashSet<String> {
    let mut last: HashSet<String> = HashSet::new();
    for node in &graph.nodes {
        let inherits = match permutation(node) {
            Some([0, 2, 3, 1]) => true,
            Some([0, 3, 1, 2]) => false,
            _ if takes_channels_first(node) => false,
            _ => node.inputs.iter().any(|input| last.contains(input)),
        };
        if inherits {
            last.extend(node.outputs.iter().cloned());
        }
    }
    last
}

/// The permutation of a `Transpose`.
fn permutation(node: &Node) -> Option<&[i64]> {
    node.signed("perm").filter(|_| node.operator == "Transpose")
}

/// ONNX gives these channels first, whatever the network around them does.
pub(super) fn takes_channels_first(node: &Node) -> bool {
    matches!(
        node.operator.as_str(),
        "Conv"
            | "ConvTranspose"
            | "MaxPool"
            | "AveragePool"
            | "GlobalMaxPool"
            | "GlobalAveragePool"
            | "BatchNormalization"
            | "InstanceNormalization"
            | "GroupNormalization"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ints;

    #[test]
    fn from_one_transposition_to_the_other_or_to_a_convolution() {
        let mut graph = Graph::default();
        let perm = |axes: &[usize]| vec![ints("perm", axes)];
        graph.node("Relu", "", &["x"], &["first"], Vec::new());
        graph.node("Transpose", "", &["first"], &["to_last"], perm(&[0, 2, 3, 1]));
        graph.node("LayerNormalization", "", &["to_last", "w"], &["normal"], Vec::new());
        graph.node("Mul", "", &["s", "normal"], &["scaled"], Vec::new());
        graph.node("Transpose", "", &["scaled"], &["back"], perm(&[0, 3, 1, 2]));
        graph.node("Add", "", &["back", "first"], &["sum"], Vec::new());
        graph.node("Conv", "", &["scaled", "w"], &["conv"], Vec::new());
        let mut found: Vec<String> = channels_last(&graph).into_iter().collect();
        found.sort();
        assert_eq!(found, ["normal", "scaled", "to_last"]);
    }
}

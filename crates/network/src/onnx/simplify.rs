//! Detours that exporters take, made straight.

use std::collections::HashMap;

use crate::graph::{Graph, Initializer};

/// Dropout does nothing outside of training, and not every runtime knows it: it becomes `Identity`. (Outputs
/// beyond the first, and a batch normalisation's running statistics, matter in training only.)
pub(super) fn drop_what_is_for_training(graph: &mut Graph) {
    for node in &mut graph.nodes {
        match node.operator.as_str() {
            "Dropout" => {
                "Identity".clone_into(&mut node.operator);
                node.inputs.truncate(1);
                node.outputs.truncate(1);
                node.attributes.clear();
            }
            "BatchNormalization" => node.outputs.truncate(1),
            _ => {}
        }
    }
}

/// PyTorch's newer exporter writes a change of shape as `as_strided`: the values in one row, then picked in
/// order into the new shape by a `Gather`. Makes that one `Reshape`, through which a batch can pass. `shapes` tell
/// whether all values are picked.
pub(super) fn straighten_strided_views(graph: &mut Graph, shapes: &HashMap<String, Vec<usize>>) {
    let elements = |value: &str| shapes.get(value).map(|shape| shape.iter().product::<usize>());
    let mut rows: HashMap<String, String> = HashMap::new();
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let stored = |position: usize| node.inputs.get(position).and_then(|n| graph.initializer(n));
        match node.operator.as_str() {
            "Reshape" if stored(1).is_some_and(|shape| shape.dims == [1]) => {
                if let (Some(from), Some(to)) = (node.inputs.first(), node.outputs.first()) {
                    rows.insert(to.clone(), from.clone());
                }
            }
            "Gather" if node.int("axis", 0) == 0 => {
                let Some(from) = node.inputs.first().and_then(|row| rows.get(row)).cloned() else {
                    continue;
                };
                let all = |tensor: &&Initializer| {
                    counts_up(tensor) && elements(&from) == Some(tensor.dims.iter().product())
                };
                let Some(shape) = stored(1).filter(all).map(|t| t.dims.clone()) else { continue };
                let name = format!("{}/shape", node.outputs.first().map_or("", String::as_str));
                let sizes: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
                graph.integers(&name, &[sizes.len()], &sizes);
                let node = &mut graph.nodes[index];
                "Reshape".clone_into(&mut node.operator);
                node.inputs = vec![from, name];
                node.attributes.clear();
            }
            _ => {}
        }
    }
}

/// True for 0, 1, 2, ... in the order of memory.
fn counts_up(tensor: &Initializer) -> bool {
    tensor.integers().is_some_and(|values| values.into_iter().zip(0..).all(|(v, i)| v == i))
}

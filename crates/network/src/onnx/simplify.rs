//! Detours that exporters take, made straight.

use std::collections::HashMap;

use super::indices;
use crate::graph::Graph;

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
/// order into the new shape by a `Gather`, whose indices are computed if the batch is free. Makes that one `Reshape`,
/// through which a batch can pass. `shapes` are those for one picture.
pub(super) fn straighten_strided_views(graph: &mut Graph, shapes: &HashMap<String, Vec<usize>>) {
    let mut views = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if node.operator != "Gather" || node.int("axis", 0) != 0 {
            continue;
        }
        let Some(from) = node.inputs.first().and_then(|row| in_one_row(graph, row)) else {
            continue;
        };
        let picked = node.inputs.get(1).and_then(|value| indices::evaluate(graph, value, shapes));
        let elements = shapes.get(from).map(|shape| shape.iter().product::<usize>());
        // all of them, in the order of memory
        if let Some(picked) = picked.filter(|picked| Some(picked.len()) == elements)
            && picked.iter().zip(0..).all(|(&v, i)| v == i)
        {
            views.push((index, from.to_owned(), picked.shape().to_vec()));
        }
    }
    for (index, from, shape) in views {
        let output = graph.nodes[index].outputs.first().map_or("", String::as_str);
        let name = format!("{output}/shape");
        let mut sizes: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        // the batch, whatever it is
        if let Some(first) = sizes.first_mut().filter(|first| **first == 1) {
            *first = -1;
        }
        graph.integers(&name, &[sizes.len()], &sizes);
        let node = &mut graph.nodes[index];
        "Reshape".clone_into(&mut node.operator);
        node.inputs = vec![from, name];
        node.attributes.clear();
    }
}

/// What a `Reshape` to one axis reads.
fn in_one_row<'g>(graph: &'g Graph, value: &str) -> Option<&'g str> {
    let node = graph.producer(value).filter(|node| node.operator == "Reshape")?;
    let shape = graph.initializer(node.inputs.get(1)?)?;
    (shape.dims == [1]).then(|| node.inputs.first().map(String::as_str))?
}

//! Values of a graph that do not depend on the picture.

use std::collections::HashSet;

use ndarray::ArrayD;

use crate::graph::Graph;
use crate::runtime::{LoadOptions, Runtime};

/// The values of these constants as float32, wherever the weights are and however they are stored: the engine
/// computes them (transposed, converted or dequantised weights included).
///
/// # Errors
/// What the engine says; or a value depends on the graph's input.
pub(super) fn constants(
    graph: &Graph,
    runtime: &Runtime,
    names: &[&str],
) -> Result<Vec<ArrayD<f32>>, String> {
    let mut needed: HashSet<&str> = names.iter().copied().collect();
    let mut part = Graph { opset: graph.opset, domains: graph.domains.clone(), ..Graph::default() };
    for node in graph.nodes.iter().rev() {
        if node.outputs.iter().any(|output| needed.contains(output.as_str())) {
            needed.extend(node.inputs.iter().map(String::as_str));
            part.nodes.push(node.clone());
        }
    }
    part.nodes.reverse();
    let inputs = graph.inputs.iter().filter_map(|input| input.name.as_deref());
    if let Some(input) = inputs.into_iter().find(|name| needed.contains(name)) {
        return Err(format!("it depends on the input {input}"));
    }
    let stored = graph.initializers.iter().filter(|tensor| needed.contains(tensor.name.as_str()));
    part.initializers.extend(stored.cloned());
    // what is stored cannot be an output itself
    let outputs: Vec<String> = (0..names.len()).map(|i| format!("penultimate/{i}")).collect();
    for (name, output) in names.iter().zip(&outputs) {
        part.node("Identity", output, &[name], &[output], Vec::new());
    }
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    runtime.load(&part, &outputs, LoadOptions::default())?.run(&[])
}

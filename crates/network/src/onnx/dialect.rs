//! What the built-in engine computes otherwise than ONNX says, said in words that both understand.
//!
//! Found by running every operator against PyTorch (rten 0.27): padding at the lower side is taken for padding at
//! the upper, softmax before operator set 13 for the later one, and powers with whole exponents are refused.

use std::collections::HashMap;

use crate::graph::{Graph, Node, int, signed};

/// Rewrites such nodes. `shapes` are those for the picture's size, which is fixed if `fixed`.
///
/// # Errors
/// A node means something that depends on sizes that are not known; in words, naming it.
pub(super) fn translate(
    graph: &mut Graph,
    shapes: &HashMap<String, Vec<usize>>,
    fixed: bool,
) -> Result<(), String> {
    let opset = graph.opset;
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let named = format!("node {} ({})", node.name, node.operator);
        let shape = |names: &[String]| names.first().and_then(|name| shapes.get(name)).cloned();
        match node.operator.as_str() {
            "Conv" | "MaxPool" | "AveragePool" if node.text("auto_pad") == Some("SAME_LOWER") => {
                let pads = match (fixed, shape(&node.inputs), shape(&node.outputs)) {
                    (true, Some(input), Some(output)) => lower_pads(node, &input, &output),
                    _ => None,
                };
                let pads = pads.ok_or_else(|| {
                    format!("{named} pads by SAME_LOWER, and the size of its input is not fixed")
                })?;
                let node = &mut graph.nodes[index];
                node.attributes.retain(|a| !matches!(a.name.as_str(), "auto_pad" | "pads"));
                node.attributes.push(signed("pads", &pads));
            }
            "Softmax" | "LogSoftmax" if opset < 13 => {
                let rank = shape(&node.inputs).map(|shape| shape.len() as i64);
                let axis = node.int("axis", 1);
                let last = rank.is_some_and(|rank| axis == -1 || axis == rank - 1);
                if !last {
                    return Err(format!(
                        "{named} of operator set {opset} joins the axes from {axis} on; export with operator set 13 or later"
                    ));
                }
                let node = &mut graph.nodes[index];
                node.attributes.retain(|attribute| attribute.name != "axis");
                node.attributes.push(int("axis", -1));
            }
            "Pow" => {
                let Some((dims, values)) = node
                    .inputs
                    .get(1)
                    .and_then(|name| graph.initializer(name))
                    .and_then(|tensor| Some((tensor.dims.clone(), tensor.integers()?)))
                else {
                    continue;
                };
                let name = format!("{}/exponent", node.outputs.first().map_or("", String::as_str));
                let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
                graph.floats(&name, &dims, &values);
                graph.nodes[index].inputs[1] = name;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Beginnings, then ends: an odd rest goes to the beginning.
fn lower_pads(node: &Node, input: &[usize], output: &[usize]) -> Option<Vec<i64>> {
    let kernel = node.ints("kernel_shape", &[]);
    let (strides, dilations) =
        (node.ints("strides", &[]), node.ints("dilations", &vec![1; kernel.len()]));
    let (input, output) = (input.get(2..)?, output.get(2..)?);
    let (mut begin, mut end) = (Vec::new(), Vec::new());
    for (axis, size) in kernel.iter().enumerate() {
        let reach = (output.get(axis)?.checked_sub(1)?)
            .checked_mul(*strides.get(axis)?)?
            .checked_add(dilations.get(axis)?.checked_mul(size.checked_sub(1)?)?)?
            .checked_add(1)?;
        let total = reach.saturating_sub(*input.get(axis)?) as i64;
        begin.push(total - total / 2);
        end.push(total / 2);
    }
    begin.extend(end);
    Some(begin)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::graph::ints;

    #[test]
    fn lower_padding_puts_the_odd_rest_first() {
        let mut graph = Graph::default();
        let window = vec![ints("kernel_shape", &[2, 3]), ints("strides", &[1, 2])];
        graph.node("Conv", "c", &["x", "w"], &["y"], window);
        let pads = lower_pads(&graph.nodes[0], &[1, 1, 7, 8], &[1, 1, 7, 4]);
        // height: 7 + 1 = 8 wanted, one more; width: 3 * 2 + 3 = 9 wanted, one more
        assert_eq!(pads.unwrap(), [1, 1, 0, 0]);
    }

    #[test]
    fn old_softmax_is_translated_only_where_both_mean_the_same() {
        for (axis, fine) in [(1, false), (3, true), (-1, true)] {
            let mut graph = Graph { opset: 11, ..Graph::default() };
            graph.node("Softmax", "s", &["x"], &["y"], vec![int("axis", axis)]);
            let shapes = HashMap::from([("x".to_owned(), vec![1, 2, 3, 4])]);
            let result = translate(&mut graph, &shapes, true);
            assert_eq!(result.is_ok(), fine, "{axis}: {result:?}");
            if fine {
                assert_eq!(graph.nodes[0].int("axis", 0), -1);
            }
        }
    }
}

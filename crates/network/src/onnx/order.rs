//! Nodes in an order in which they can be computed, constants resolved, nothing that has no bearing on
//! the logits.

use std::collections::{HashMap, HashSet};

use crate::graph::{Graph, Initializer, Node, Setting};

/// Takes constants out of the nodes: `Constant` nodes become initialisers, and an `Identity` of an
/// initialiser (exporters write one where two layers share values) becomes that initialiser.
///
/// # Errors
/// A `Constant` without a value, in words.
pub(super) fn resolve_constants(graph: &mut Graph) -> Result<(), String> {
    let mut stored: HashSet<String> = graph.initializers.iter().map(|t| t.name.clone()).collect();
    let mut same: HashMap<String, String> = HashMap::new();
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for mut node in std::mem::take(&mut graph.nodes) {
        for input in &mut node.inputs {
            if let Some(original) = same.get(input) {
                input.clone_from(original);
            }
        }
        let output = node.outputs.first().cloned().unwrap_or_default();
        match node.operator.as_str() {
            "Constant" if node.domain.is_empty() => {
                let constant = constant(&node, &output)
                    .ok_or_else(|| format!("node {} is a Constant without a value", node.name))?;
                stored.insert(output);
                graph.initializers.push(constant);
            }
            "Identity" if node.inputs.first().is_some_and(|input| stored.contains(input)) => {
                same.insert(output, node.inputs[0].clone());
            }
            _ => nodes.push(node),
        }
    }
    // an Identity may stand behind the nodes that read it
    for node in &mut nodes {
        for input in &mut node.inputs {
            if let Some(original) = same.get(input) {
                input.clone_from(original);
            }
        }
    }
    graph.nodes = nodes;
    Ok(())
}

fn constant(node: &Node, output: &str) -> Option<Initializer> {
    let mut scratch = Graph::default();
    let attribute = node.attributes.first()?;
    match &attribute.value {
        Setting::Tensor(tensor) => {
            return Some(Initializer { name: output.to_owned(), ..tensor.as_ref().clone() });
        }
        Setting::Float(value) => scratch.floats(output, &[], &[*value]),
        Setting::Floats(values) => scratch.floats(output, &[values.len()], values),
        Setting::Int(value) => scratch.integers(output, &[], &[*value]),
        Setting::Ints(values) => scratch.integers(output, &[values.len()], values),
        Setting::Text(_) | Setting::Texts(_) => return None,
    }
    scratch.initializers.pop()
}

/// Keeps the nodes that `goal` depends on, in topological order.
///
/// # Errors
/// A value is computed twice, read but never computed, or depends on itself; in words, naming the node.
pub(super) fn sort_towards(graph: &mut Graph, goal: &str) -> Result<(), String> {
    let mut producer: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        for output in node.outputs.iter().filter(|output| !output.is_empty()) {
            if producer.insert(output, index).is_some() {
                return Err(format!("value {output} is computed twice"));
            }
        }
    }
    let given: HashSet<&str> = graph
        .initializers
        .iter()
        .map(|tensor| tensor.name.as_str())
        .chain(graph.inputs.iter().filter_map(|input| input.name.as_deref()))
        .collect();
    if let Some(value) = given.iter().find(|name| producer.contains_key(*name)) {
        return Err(format!("value {value} is stored and computed"));
    }

    // depth-first without recursion, so that a long chain does not exhaust the stack
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        Untouched,
        Open,
        Done,
    }
    let mut marks = vec![Mark::Untouched; graph.nodes.len()];
    let mut order = Vec::new();
    let root = *producer.get(goal).ok_or_else(|| format!("the output {goal} is never computed"))?;
    let mut stack = vec![(root, 0)];
    marks[root] = Mark::Open;
    while let Some((index, position)) = stack.pop() {
        let node = &graph.nodes[index];
        let Some(input) = node.inputs.get(position) else {
            marks[index] = Mark::Done;
            order.push(index);
            continue;
        };
        stack.push((index, position + 1));
        if input.is_empty() || given.contains(input.as_str()) {
            continue;
        }
        let needed = *producer.get(input.as_str()).ok_or_else(|| {
            format!(
                "node {} ({}) reads {input}, which is neither stored nor computed",
                node.name, node.operator
            )
        })?;
        match marks[needed] {
            Mark::Done => {}
            Mark::Open => {
                return Err(format!(
                    "node {} ({}) depends on itself through {input}",
                    node.name, node.operator
                ));
            }
            Mark::Untouched => {
                marks[needed] = Mark::Open;
                stack.push((needed, 0));
            }
        }
    }
    // exporters write nodes in the order of execution, which layer names rely on: keep it if it is one
    let mut kept = order.clone();
    kept.sort_unstable();
    let order = if is_topological(graph, &kept) { kept } else { order };

    let mut nodes: Vec<Option<Node>> =
        std::mem::take(&mut graph.nodes).into_iter().map(Some).collect();
    graph.nodes = order.into_iter().filter_map(|index| nodes[index].take()).collect();
    let read: HashSet<&str> =
        graph.nodes.iter().flat_map(|node| node.inputs.iter().map(String::as_str)).collect();
    let unread: HashSet<String> = graph
        .initializers
        .iter()
        .filter(|tensor| !read.contains(tensor.name.as_str()))
        .map(|tensor| tensor.name.clone())
        .collect();
    graph.initializers.retain(|tensor| !unread.contains(&tensor.name));
    Ok(())
}

fn is_topological(graph: &Graph, order: &[usize]) -> bool {
    let chosen: HashSet<&str> = order
        .iter()
        .flat_map(|&index| graph.nodes[index].outputs.iter().map(String::as_str))
        .collect();
    let mut seen: HashSet<&str> = HashSet::new();
    order.iter().all(|&index| {
        let node = &graph.nodes[index];
        let ready = node
            .inputs
            .iter()
            .all(|input| !chosen.contains(input.as_str()) || seen.contains(input.as_str()));
        seen.extend(node.outputs.iter().map(String::as_str));
        ready
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Operator, inputs, output.
    type Line<'a> = (&'a str, &'a [&'a str], &'a str);

    fn graph(nodes: &[Line<'_>]) -> Graph {
        let mut graph = Graph::default();
        graph.input("x", &[]);
        graph.floats("w", &[], &[1.0]);
        for (operator, inputs, output) in nodes {
            graph.node(operator, output, inputs, &[output], Vec::new());
        }
        graph
    }

    fn order(graph: &Graph) -> Vec<&str> {
        graph.computed().collect()
    }

    #[test]
    fn nodes_are_sorted_and_those_without_bearing_dropped() {
        let mut graph = graph(&[
            ("Add", &["b", "a"], "c"),
            ("Relu", &["x"], "a"),
            ("Mul", &["a", "w"], "b"),
            ("Relu", &["a"], "unused"),
        ]);
        sort_towards(&mut graph, "c").unwrap();
        assert_eq!(order(&graph), ["a", "b", "c"]);
    }

    #[test]
    fn an_order_that_is_one_is_kept() {
        let nodes: [Line<'_>; 3] =
            [("Relu", &["x"], "a"), ("Relu", &["x"], "b"), ("Add", &["b", "a"], "c")];
        let mut graph = graph(&nodes);
        sort_towards(&mut graph, "c").unwrap();
        assert_eq!(order(&graph), ["a", "b", "c"]);
    }

    #[test]
    fn cycles_missing_values_and_double_ones_are_named() {
        let cases: [(&[Line<'_>], &str); 5] = [
            (&[("Add", &["x", "c"], "b"), ("Relu", &["b"], "c")], "depends on itself"),
            (&[("Relu", &["c"], "c")], "node c (Relu) depends on itself through c"),
            (&[("Relu", &["y"], "c")], "reads y, which is neither stored nor computed"),
            (&[("Relu", &["x"], "c"), ("Relu", &["w"], "c")], "c is computed twice"),
            (&[("Relu", &["x"], "w"), ("Relu", &["w"], "c")], "w is stored and computed"),
        ];
        for (nodes, expected) in cases {
            let error = sort_towards(&mut graph(nodes), "c").unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(sort_towards(&mut graph(&[]), "c").unwrap_err().contains("never computed"));
    }

    #[test]
    fn a_long_chain_does_not_exhaust_the_stack() {
        let mut graph = graph(&[]);
        let name = |i: usize| if i == 0 { "x".to_owned() } else { format!("v{i}") };
        for i in (0..200_000).rev() {
            graph.node("Relu", "", &[&name(i)], &[&name(i + 1)], Vec::new());
        }
        sort_towards(&mut graph, "v200000").unwrap();
        assert_eq!(graph.nodes.len(), 200_000);
    }
}

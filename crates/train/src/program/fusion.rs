//! Which nodes one step computes together.

use std::collections::HashMap;

use introspective_network::Operation;

/// A normalisation with what follows it, computed where the last of them stands.
pub(super) struct Fusion {
    pub normalisation: usize,
    /// Nodes that are computed with the last one.
    pub instead: Vec<usize>,
    pub residual: Option<String>,
    pub rectify: bool,
}

/// For the index of the last node of each: normalisation, rectification; normalisation, sum, rectification.
pub(super) fn fusions(nodes: &[Operation<'_>], logits: &str) -> HashMap<usize, Fusion> {
    let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for input in node.inputs() {
            readers.entry(input).or_default().push(index);
        }
    }
    let only_reader = |index: usize, operator: &str| match readers
        .get(nodes[index].output())
        .map(Vec::as_slice)
    {
        Some(&[reader])
            if nodes[reader].operator() == operator && nodes[index].output() != logits =>
        {
            Some(reader)
        }
        _ => None,
    };
    let mut fusions = HashMap::new();
    let mut summed = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        if node.operator() != "BatchNormalization" {
            continue;
        }
        if let Some(relu) = only_reader(index, "Relu") {
            let fusion = Fusion {
                normalisation: index,
                instead: vec![index],
                residual: None,
                rectify: true,
            };
            fusions.insert(relu, fusion);
        } else if let Some(add) = only_reader(index, "Add").filter(|add| !summed.contains(add)) {
            let Some(relu) = only_reader(add, "Relu") else { continue };
            // of two normalisations that are summed, the first takes the sum along
            summed.push(add);
            let residual = nodes[add].inputs().iter().find(|name| *name != node.output()).cloned();
            let fusion =
                Fusion { normalisation: index, instead: vec![index, add], residual, rectify: true };
            fusions.insert(relu, fusion);
        }
    }
    fusions
}

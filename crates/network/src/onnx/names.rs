//! Which module of the trained network each value of an exported graph belongs to.
//!
//! Both of PyTorch's exporters say so: one in the nodes' names (`/layer4/layer4.2/relu_2/Relu`), the other
//! in metadata (`['', 'layer4', 'layer4.2', 'layer4.2.relu', 'relu_48']`). A module's output is the last
//! value computed inside it. Graphs of other exporters have no modules: their values go by their own names.

use std::collections::{HashMap, HashSet};

use rten_onnx::onnx::DataType;

use crate::graph::{Graph, Node, Setting};
use crate::layers::Layers;

/// What a convolution into which the exporter folded the batch normalisation behind it is called: its own
/// output is nowhere in the file.
const FOLDED: &str = "+folded";

/// Deeper or longer names tell no module: each part's dotted name repeats all before it.
const MAX_DEPTH: usize = 32;
const MAX_NAME: usize = 1024;

/// Names of layers; `scopes` has the metadata of nodes by their first output.
pub(super) fn layers(graph: &Graph, scopes: &HashMap<String, String>) -> Layers {
    let chains: Vec<Vec<String>> = graph
        .nodes
        .iter()
        .map(|node| match scopes.get(node.outputs.first().map_or("", String::as_str)) {
            Some(text) => from_scopes(text),
            None => from_path(&node.name),
        })
        .collect();
    let modules: HashSet<&str> = chains.iter().flatten().map(String::as_str).collect();
    let floats = floats(graph);
    let mut layers = Layers::default();
    for (node, chain) in graph.nodes.iter().zip(&chains) {
        let Some(output) = node.outputs.first().filter(|output| floats.contains(output.as_str()))
        else {
            continue;
        };
        layers.set_value(output);
        let Some((own, outer)) = chain.split_last() else { continue };
        for module in outer {
            layers.set(module, output);
        }
        if is_folded(node) {
            layers.set(&format!("{own}{FOLDED}"), output);
            // in a Sequential the normalisation is the next in number, and gone
            if let Some(next) = successor(own).filter(|next| !modules.contains(next.as_str())) {
                layers.set(&next, output);
            }
            continue;
        }
        // in a path `relu_2` is the third call of `relu`, if there is a `relu` beside it and it has no weights of
        // its own; metadata are exact
        let is_exact = scopes.contains_key(output)
            || node.inputs.iter().any(|input| input.starts_with(&format!("{own}.")));
        if let Some((base, count)) = own.rsplit_once('_')
            && !is_exact
            && count.bytes().all(|b| b.is_ascii_digit())
            && modules.contains(base)
        {
            layers.set(base, output);
        }
        layers.set(own, output);
    }
    if layers.iter().next().is_none() {
        let outputs = graph.nodes.iter().filter_map(|node| node.outputs.first());
        for output in outputs.filter(|output| floats.contains(output.as_str())) {
            layers.set(output, output);
        }
    }
    layers
}

/// Names of layers as an export of this software has them in its metadata: a JSON object from modules to the
/// values that they compute.
///
/// # Errors
/// It is none, or names a value that the graph does not compute; in words.
pub(super) fn from_metadata(graph: &Graph, text: &str) -> Result<Layers, String> {
    let named: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)
        .map_err(|error| format!("its metadata `layers` is no JSON object ({error})"))?;
    let computed: HashSet<&str> = graph.computed().collect();
    let mut layers = Layers::default();
    for (module, value) in &named {
        let value = value.as_str().filter(|value| computed.contains(value)).ok_or_else(|| {
            format!("its metadata `layers` says that {module} computes {value}, which no node does")
        })?;
        layers.set(module, value);
    }
    let floats = floats(graph);
    let outputs = graph.nodes.iter().filter_map(|node| node.outputs.first());
    outputs
        .filter(|value| floats.contains(value.as_str()))
        .for_each(|value| layers.set_value(value));
    Ok(layers)
}

/// Values of floats. What else a graph computes are shapes, indices and masks.
fn floats(graph: &Graph) -> HashSet<&str> {
    // the engine widens half precision
    let is_float = |element| matches!(element, DataType::FLOAT | DataType::FLOAT16);
    let stored = graph.initializers.iter().filter(|tensor| is_float(tensor.element));
    let mut floats: HashSet<&str> = stored
        .map(|tensor| tensor.name.as_str())
        .chain(graph.inputs.iter().filter_map(|input| input.name.as_deref()))
        .collect();
    for node in &graph.nodes {
        let is_float = match node.operator.as_str() {
            "Shape" | "Size" | "NonZero" | "ArgMax" | "ArgMin" | "Equal" | "Greater" | "Less"
            | "GreaterOrEqual" | "LessOrEqual" | "And" | "Or" | "Not" => false,
            "Cast" => node.int("to", 0) == i64::from(DataType::FLOAT.0),
            "ConstantOfShape" => match node.setting("value") {
                Some(Setting::Tensor(value)) => value.element == DataType::FLOAT,
                _ => true,
            },
            // everything else passes on the type of its data; a choice has its condition first
            operator => {
                let data = node.inputs.get(usize::from(operator == "Where"));
                data.is_some_and(|data| floats.contains(data.as_str()))
            }
        };
        if is_float {
            floats.extend(node.outputs.iter().map(String::as_str));
        }
    }
    floats
}

/// `['', 'layer4', 'layer4.2', 'add_15']` -> `layer4`, `layer4.2`: all but the root and the node itself.
fn from_scopes(text: &str) -> Vec<String> {
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    let mut names: Vec<String> =
        inner.split(',').map(|name| name.trim().trim_matches(['\'', '"']).to_owned()).collect();
    names.pop();
    names.retain(|name| !name.is_empty());
    if names.len() > MAX_DEPTH { Vec::new() } else { names }
}

/// `/features/features.7/features.7.2/block/block.5/MatMul` -> `features`, `features.7`, `features.7.2`,
/// `features.7.2.block`, `features.7.2.block.5`. A part that goes on where the one before ends replaces it.
fn from_path(name: &str) -> Vec<String> {
    let Some(path) = name.strip_prefix('/') else { return Vec::new() };
    let parts: Vec<&str> = path.split('/').collect();
    let Some((_, parts)) = parts.split_last() else { return Vec::new() };
    if parts.len() > MAX_DEPTH || name.len() > MAX_NAME {
        return Vec::new();
    }
    let mut chain: Vec<String> = Vec::new();
    // length of the dotted name before the part that a next one may replace
    let (mut prefix, mut last) = (String::new(), "");
    for part in parts {
        let goes_on = part.strip_prefix(last).is_some_and(|rest| rest.starts_with('.'));
        if !last.is_empty() && !goes_on {
            prefix = chain.last().map(|name| format!("{name}.")).unwrap_or_default();
        }
        chain.push(format!("{prefix}{part}"));
        last = part;
    }
    chain
}

/// The exporter that writes paths names a weight that it changed `onnx::Conv_653`, and leaves
/// `layer4.2.conv3.weight` its name.
fn is_folded(node: &Node) -> bool {
    node.operator == "Conv"
        && node.name.starts_with('/')
        && node.inputs.get(1).is_some_and(|weight| weight.starts_with("onnx::"))
}

/// `features.40` -> `features.41`.
fn successor(module: &str) -> Option<String> {
    let (parent, number) = module.rsplit_once('.')?;
    let next = number.parse::<u32>().ok()?.checked_add(1)?;
    Some(format!("{parent}.{next}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_metadata_become_dotted_names() {
        let path = "/features/features.7/features.7.2/block/block.5/MatMul";
        let expected = [
            "features",
            "features.7",
            "features.7.2",
            "features.7.2.block",
            "features.7.2.block.5",
        ];
        assert_eq!(from_path(path), expected);
        assert_eq!(
            from_path("/layer4/layer4.2/relu_2/Relu"),
            ["layer4", "layer4.2", "layer4.2.relu_2"]
        );
        assert_eq!(
            from_path("/resnet/encoder/stages.0/layers.1/Add"),
            [
                "resnet",
                "resnet.encoder",
                "resnet.encoder.stages.0",
                "resnet.encoder.stages.0.layers.1"
            ]
        );
        assert_eq!(from_path("/Flatten"), [""; 0]);
        assert_eq!(from_path("Conv_12"), [""; 0]);
        let text = "['', 'layer4', 'layer4.2', 'layer4.2.relu', 'relu_48']";
        assert_eq!(from_scopes(text), ["layer4", "layer4.2", "layer4.2.relu"]);
    }

    #[test]
    fn metadata_are_exact() {
        let mut graph = Graph::default();
        graph.input("x", &[]);
        let mut scopes = HashMap::new();
        for (name, value) in [("relu", "a"), ("relu_1", "b")] {
            graph.node("Relu", value, &["x"], &[value], Vec::new());
            scopes.insert(value.to_owned(), format!("['', '{name}', '{value}']"));
        }
        let layers = layers(&graph, &scopes);
        assert_eq!((find(&layers, "relu"), find(&layers, "relu_1")), (Some("a"), Some("b")));
    }

    #[test]
    fn shapes_indices_and_masks_are_no_layers() {
        let mut graph = Graph::default();
        graph.input("x", &[]);
        graph.integers("i", &[], &[3]);
        let nodes: [(&str, &[&str], &str); 7] = [
            ("Shape", &["x"], "s"),
            ("Add", &["s", "i"], "t"),
            ("Range", &["i", "i", "i"], "r"),
            ("Greater", &["x", "x"], "m"),
            ("Where", &["m", "x", "x"], "y"),
            ("Reshape", &["y", "t"], "z"),
            ("Gather", &["t", "i"], "g"),
        ];
        for (operator, inputs, output) in nodes {
            graph.node(operator, output, inputs, &[output], Vec::new());
        }
        let layers = layers(&graph, &HashMap::new());
        let names: Vec<&str> = layers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["y", "z"]);
    }

    #[test]
    fn absurdly_deep_names_tell_nothing() {
        assert!(from_path(&format!("/{}", "a/".repeat(40_000))).is_empty());
    }

    fn find<'l>(layers: &'l Layers, name: &str) -> Option<&'l str> {
        layers.find("test", name).ok().map(|(_, value)| value)
    }

    #[test]
    fn a_module_is_its_last_call_and_a_folded_convolution_says_so() {
        let mut graph = Graph::default();
        graph.input("x", &[]);
        let nodes = [
            ("Conv", "/l/l.0/conv/Conv", "onnx::Conv_1"),
            ("Relu", "/l/l.0/relu/Relu", "a"),
            ("Conv", "/l/l.0/conv2/Conv", "l.0.conv2.weight"),
            ("Relu", "/l/l.0/relu_1/Relu", "b"),
            ("Conv", "/l/l.2/Conv", "onnx::Conv_2"),
            ("Relu", "/l/l.4/Relu", "c"),
        ];
        for (index, (operator, name, weight)) in nodes.into_iter().enumerate() {
            graph.node(operator, name, &["x", weight], &[&format!("v{index}")], Vec::new());
        }
        // a module of its own, whatever it is called
        graph.node("Conv", "/conv/Conv", &["x", "conv.weight"], &["own"], Vec::new());
        graph.node("Conv", "/conv_1/Conv", &["x", "conv_1.weight"], &["other"], Vec::new());
        let layers = layers(&graph, &HashMap::new());
        assert_eq!(find(&layers, "l.0.relu"), Some("v3"));
        assert_eq!(find(&layers, "l.0.relu_1"), Some("v3"));
        assert_eq!(find(&layers, "l.0.conv"), None);
        assert_eq!(find(&layers, "l.0.conv+folded"), Some("v0"));
        assert_eq!(find(&layers, "l.0.conv2"), Some("v2"));
        assert_eq!(find(&layers, "l.3"), Some("v4"));
        assert_eq!(find(&layers, "l.2"), None);
        assert_eq!(find(&layers, "l"), Some("v5"));
        assert_eq!(find(&layers, "v1"), Some("v1"));
        assert_eq!(find(&layers, "conv"), Some("own"));
        assert_eq!(find(&layers, "conv_1"), Some("other"));
    }
}

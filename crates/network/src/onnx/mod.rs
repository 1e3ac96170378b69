//! Classifiers from ONNX files.
//!
//! A file is read strictly ([`wire`], [`model`], [`tensor`]), its large constants are put side by side into one aligned
//! buffer ([`place`]), its nodes into an order of computation ([`order`]), what it leaves to
//! defaults is written out ([`windows`]), and what the classifier needs to
//! know is found from the graph: the picture, the logits, the default layer ([`ends`]), which values are maps ([`layout`]), names of layers
//! ([`names`]), and shapes without running it ([`shapes`]).
//!
//! A file that was exported here says in its metadata what its layers, classes and preprocessing are.
//!
//! What is accepted: one float32 picture in (channels first or last, batch 1 or free), one vector of logits or
//! its softmax out; operators that the runtime knows. Everything else is an error that says what was found.

mod dialect;
mod ends;
mod indices;
mod layout;
mod model;
mod names;
mod order;
mod place;
pub(crate) mod shapes;
mod simplify;
mod tensor;
mod windows;
mod wire;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use self::model::Model;
use crate::classifier::Parts;
use crate::error::{NetworkError, Result};
use crate::graph::{Graph, OPSET, PRODUCER};
use crate::layers::Layers;
use crate::settings::metadata::Said;

/// Side of the picture that shapes are found for if the file leaves it free.
const USUAL_SIDE: usize = 224;
/// Operator sets whose operators mean what the gradient's rules take them to mean.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=25;
/// Classifiers have a few thousand constants at most; looking names up costs the square of this.
const MAX_CONSTANTS: usize = 20_000;
/// The engine walks a graph by recursion.
const MAX_NODES: usize = 4_000;

/// Reads a file.
///
/// # Errors
/// The file cannot be read or is damaged, or is no classifier of pictures.
pub(crate) fn read(path: &Path) -> Result<(Parts, Said)> {
    let bytes = std::fs::read(path)
        .map_err(|source| NetworkError::ReadWeights { path: path.to_owned(), source })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let name = path.file_stem().map_or("model".into(), |stem| stem.to_string_lossy());
    from_bytes(bytes, &name, folder, &path.display().to_string())
}

/// Like [`read`], from bytes in memory; external data lie in `folder`.
pub(crate) fn from_bytes(
    bytes: Vec<u8>,
    name: &str,
    folder: &Path,
    origin: &str,
) -> Result<(Parts, Said)> {
    let corrupt = |reason: String| NetworkError::CorruptOnnx { origin: origin.to_owned(), reason };
    let unfit = |reason: String| NetworkError::UnfitOnnx { origin: origin.to_owned(), reason };

    let model = Model::parse(&bytes).map_err(|error| corrupt(error.to_string()))?;
    let opset = check(&model).map_err(unfit)?;
    let Model { opsets, nodes, tensors, inputs, outputs, producer, metadata, .. } = model;
    // other tools' keys may have the same names and mean something else
    let metadata = if producer == PRODUCER { metadata } else { BTreeMap::new() };
    let (initializers, buffer, sha256) = place::place(tensors, &bytes, folder, origin)?;
    drop(bytes);

    let mut graph = Graph { initializers, opset, ..Graph::default() };
    graph.domains = opsets.into_iter().filter(|(domain, _)| !is_standard(domain)).collect();
    let mut scopes = HashMap::new();
    for parsed in nodes {
        if let (Some(text), Some(output)) = (parsed.scopes, parsed.node.outputs.first()) {
            scopes.insert(output.clone(), text);
        }
        graph.nodes.push(parsed.node);
    }
    simplify::drop_what_is_for_training(&mut graph);
    order::resolve_constants(&mut graph).map_err(corrupt)?;
    all_finite(&graph, &buffer, origin)?;
    let picture = ends::picture(&graph, &inputs).map_err(unfit)?;
    picture.declare(&mut graph);
    let logits = ends::logits(&mut graph, &outputs).map_err(unfit)?;
    order::sort_towards(&mut graph, &logits).map_err(corrupt)?;
    windows::complete(&mut graph).map_err(corrupt)?;

    let size = picture.size.unwrap_or([USUAL_SIDE; 2]);
    let shapes = shapes::shapes(&graph, &picture.name, &picture.shape(size)).map_err(unfit)?;
    ends::logits_are_one_vector(&graph, &logits, &shapes).map_err(unfit)?;
    simplify::straighten_strided_views(&mut graph, &shapes);
    dialect::translate(&mut graph, &shapes, picture.size.is_some()).map_err(unfit)?;
    order::sort_towards(&mut graph, &logits).map_err(corrupt)?;
    let classes = match shapes.get(&logits).map(Vec::as_slice) {
        Some(&[1, classes]) => Some(classes),
        Some(shape) => {
            return Err(unfit(format!(
                "its output {logits} has shape {shape:?}; expected 1 x classes"
            )));
        }
        None => ends::classes(&graph, &logits),
    };
    let classes = classes.filter(|&classes| classes > 0).ok_or_else(|| {
        unfit(format!("the number of classes cannot be told from its output {logits}"))
    })?;
    let mut layers: Layers = match metadata.get("layers") {
        Some(text) => names::from_metadata(&graph, text).map_err(corrupt)?,
        None => names::layers(&graph, &scopes),
    };
    let named = metadata.get("default_layer").filter(|layer| layers.find(name, layer).is_ok());
    let channels_last = layout::channels_last(&graph);
    let target = || {
        ends::target(&graph, &logits, Some(classes), &shapes, &channels_last)
            .or_else(|| ends::target(&graph, &logits, None, &shapes, &channels_last))
    };
    // with neither, whoever explains is told to name a layer
    let default_layer =
        named.cloned().or_else(|| Some(layers.name_of(&target()?).to_owned())).unwrap_or_default();
    if !default_layer.is_empty() && !layers.iter().any(|(name, _)| name == default_layer) {
        layers.set(&default_layer, &default_layer);
    }
    layers.set_channels_last(channels_last);
    let parts = Parts {
        name: metadata.get("architecture").map_or(name, String::as_str).to_owned(),
        graph,
        layers,
        logits,
        classes,
        channels: picture.channels,
        input_size: picture.size,
        one_at_a_time: picture.one_at_a_time,
        default_layer,
        bytes: buffer.into(),
        sha256,
        origin: origin.to_owned(),
    };
    Ok((parts, Said::new(&metadata)))
}

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Things that no file here may have, and the version of ONNX's own operators.
fn check(model: &Model) -> Result<i64, String> {
    if !model.has_graph || model.nodes.is_empty() {
        return Err("it has no graph, or one without nodes".to_owned());
    }
    for (count, what, most) in
        [(model.nodes.len(), "nodes", MAX_NODES), (model.tensors.len(), "constants", MAX_CONSTANTS)]
    {
        if count > most {
            return Err(format!("it has {count} {what}; expected {most} at most"));
        }
    }
    if model.sparse > 0 {
        return Err("it has sparse tensors".to_owned());
    }
    for parsed in &model.nodes {
        let node = &parsed.node;
        let named = || format!("node {} ({})", node.name, node.operator);
        if parsed.subgraph {
            return Err(format!("{} holds a graph of its own", named()));
        }
        if !is_standard(&node.domain) {
            let functions = if model.functions > 0 {
                "; it may be a function: inline functions first"
            } else {
                ""
            };
            return Err(format!(
                "{} is of the operator set {}, not of ONNX's own{functions}",
                named(),
                node.domain
            ));
        }
    }
    let opset = model
        .opsets
        .iter()
        .find(|(domain, _)| is_standard(domain))
        .map_or(OPSET, |(_, version)| *version);
    if !OPSETS.contains(&opset) {
        return Err(format!(
            "it uses operator set {opset}; expected {} to {}",
            OPSETS.start(),
            OPSETS.end()
        ));
    }
    Ok(opset)
}

/// The engine's ReLU turns NaN into zero, so nothing would show later. (Small constants that are no weights,
/// such as bounds, may well be infinite.)
fn all_finite(graph: &Graph, buffer: &[u8], origin: &str) -> Result<()> {
    let weights: HashSet<&str> = graph
        .nodes
        .iter()
        .filter(|node| {
            matches!(
                node.operator.as_str(),
                "Conv"
                    | "ConvTranspose"
                    | "Gemm"
                    | "MatMul"
                    | "BatchNormalization"
                    | "LayerNormalization"
                    | "InstanceNormalization"
            )
        })
        .flat_map(|node| node.inputs.iter().skip(1).map(String::as_str))
        .collect();
    for tensor in &graph.initializers {
        let is_weight = weights.contains(tensor.name.as_str());
        if !tensor.is_finite(buffer, is_weight) {
            let (origin, name) = (origin.to_owned(), tensor.name.clone());
            return Err(NetworkError::WeightNotFinite { origin, name });
        }
    }
    Ok(())
}

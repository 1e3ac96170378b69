//! An architecture's graph, to be read by others: what trains it walks over the same nodes that run it.

use crate::classifier::Classifier;
use crate::error::{NetworkError, Result};
use crate::graph::{Graph, Node};
use crate::layers::Layers;
use crate::zoo::Architecture;

/// Name, shape and values of a tensor.
pub type NamedTensor = (String, Vec<usize>, Vec<f32>);

/// A network of the zoo without weights: its operations in order, and what its tensors are called.
#[derive(Clone, Debug)]
pub struct Blueprint {
    pub(crate) architecture: Architecture,
    pub(crate) graph: Graph,
    pub(crate) layers: Layers,
    pub(crate) tensors: Vec<(String, Vec<usize>)>,
    pub(crate) dropouts: Vec<(String, f32)>,
    pub(crate) logits: String,
    pub(crate) classes: usize,
    pub(crate) channels: usize,
}

/// One node of a graph: an ONNX operator, read only.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a>(&'a Node);

impl Blueprint {
    /// Whose graph it is.
    pub fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// All operations, each after those that it reads from.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        self.graph.nodes.iter().map(Operation)
    }

    /// Names and shapes of the tensors that a state dict has, sorted by name.
    pub fn tensors(&self) -> &[(String, Vec<usize>)] {
        &self.tensors
    }

    /// Shape and values of a constant of integers that the graph itself holds.
    pub fn constant(&self, name: &str) -> Option<(&[usize], Vec<i64>)> {
        let tensor = self.graph.initializer(name)?;
        Some((&tensor.dims, tensor.integers()?))
    }

    /// Probability of zeroing each number of a value while training: the dropouts of the network, which its
    /// graph, made for predicting, leaves out.
    pub fn dropout(&self, value: &str) -> Option<f32> {
        self.dropouts.iter().find(|(name, _)| name == value).map(|&(_, probability)| probability)
    }

    /// The value that a layer's dotted name stands for.
    pub fn layer(&self, name: &str) -> Option<&str> {
        self.layers.iter().find(|(module, _)| *module == name).map(|(_, value)| value)
    }

    /// Name of the input: batch x channels x height x width.
    pub fn input(&self) -> &str {
        self.graph.inputs.first().and_then(|input| input.name.as_deref()).unwrap_or_default()
    }

    /// Name of the logits: batch x classes.
    pub fn logits(&self) -> &str {
        &self.logits
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of input channels.
    pub fn channels(&self) -> usize {
        self.channels
    }
}

impl Classifier {
    /// All tensors of a network of the zoo, as float32, sorted by name: what training goes on from. Of a network from
    /// an ONNX file, the names are that file's.
    ///
    /// # Errors
    /// The engine gives the weights back no more.
    pub fn tensors(&self) -> Result<Vec<NamedTensor>> {
        let mut tensors = Vec::new();
        for tensor in &self.graph.initializers {
            if !tensor.is_external() {
                continue;
            }
            let mut raw = Vec::new();
            self.runtime.write_widened(tensor, &mut raw).map_err(|error| NetworkError::Load {
                model: self.name.clone(),
                reason: error.to_string(),
            })?;
            let (words, _) = raw.as_chunks::<4>();
            let values = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
            tensors.push((tensor.name.clone(), tensor.dims.clone(), values));
        }
        tensors.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        Ok(tensors)
    }
}

impl<'a> Operation<'a> {
    /// The operator's name: `Conv`, `BatchNormalization`.
    pub fn operator(self) -> &'a str {
        &self.0.operator
    }

    /// Names of what it reads: values, tensors, constants.
    pub fn inputs(self) -> &'a [String] {
        &self.0.inputs
    }

    /// Name of the value that it computes.
    pub fn output(self) -> &'a str {
        self.0.outputs.first().map_or("", String::as_str)
    }

    /// An integer attribute, or `default`.
    pub fn int(self, name: &str, default: i64) -> i64 {
        self.0.int(name, default)
    }

    /// A float attribute, or `default`.
    pub fn float(self, name: &str, default: f32) -> f32 {
        self.0.float(name, default)
    }

    /// An attribute of sizes, or `default`.
    pub fn ints(self, name: &str, default: &[usize]) -> Vec<usize> {
        self.0.ints(name, default)
    }
}

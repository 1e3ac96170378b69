//! The same network with weights that mean nothing, for checking what an explanation depends on.
//!
//! A map that stays as it is when the network forgets what it has learned does not explain what it has learned (Adebayo et
//! al. 2018, "Sanity checks for saliency maps"). Their networks are initialised anew; here **each weight's own numbers are put
//! into another order**, for two reasons. A file does not say how a network was initialised, and numbers drawn from somewhere else
//! change the scale of everything behind them, so that activations die or overflow and maps change for no good reason. A
//! permutation keeps every weight's mean, spread and outliers, and destroys only which number stands where.

use std::collections::{HashMap, HashSet};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rten_onnx::onnx::DataType;

use crate::classifier::{Classifier, Parts};
use crate::error::{NetworkError, Result};
use crate::graph::{Data, Graph, Initializer, Node};
use crate::penultimate::from_the_picture;
use crate::runtime::RuntimeChoice;

/// Runtimes read tensors fastest from addresses of this multiple.
const ALIGNMENT: usize = 64;

/// Which layers lose what they have learned; layers are counted from the logits down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redraw {
    /// The last layer with weights.
    Head,
    /// So many layers with weights, the last ones.
    Last(usize),
    /// All of them.
    All,
}

impl Redraw {
    /// `head`, `last-N`, `all`.
    pub fn name(self) -> String {
        match self {
            Self::Head => "head".to_owned(),
            Self::Last(count) => format!("last-{count}"),
            Self::All => "all".to_owned(),
        }
    }

    fn count(self) -> usize {
        match self {
            Self::Head => 1,
            Self::Last(count) => count,
            Self::All => usize::MAX,
        }
    }
}

impl Classifier {
    /// Names of the layers with weights (convolutions, linear layers, products with a constant), the one next to the logits
    /// first: the order in which [`redrawn`](Classifier::redrawn) takes them.
    pub fn weighted_layers(&self) -> Vec<&str> {
        weighted(&self.graph).into_iter().map(|(node, _)| self.layer_of(node)).collect()
    }

    /// The name of the module that a node computes, or the node's own.
    fn layer_of<'a>(&'a self, node: &'a Node) -> &'a str {
        let value = node.outputs.first().map_or(node.name.as_str(), String::as_str);
        self.layers.name_of(value)
    }

    /// The same network, with the numbers of each weight in another order.
    ///
    /// Only the weights of convolutions, linear layers and products with a constant are re-drawn, each among itself (all
    /// axes together); biases and normalisations stay, and with them the scale of what flows through. What several layers
    /// share is re-drawn in all of them. The order depends on `seed` and on the weight's place in the network (ChaCha8, its
    /// stream numbered from the logits down), so that the layers that two choices of `which` have in common are the same
    /// for the same seed.
    ///
    /// The copy has all weights of its own, as float32, and is run by the same engine.
    ///
    /// # Errors
    /// [`NetworkError::NoWeights`] if there is no such layer; the engine does not give its weights back, or takes no new ones.
    pub fn redrawn(&self, which: Redraw, seed: u64) -> Result<Self> {
        let unloaded = |reason| NetworkError::Load { model: self.name.clone(), reason };
        let order = streams(&self.graph, which.count());
        if order.is_empty() && which.count() > 0 {
            return Err(NetworkError::NoWeights { model: self.name.clone() });
        }
        // float16 tensors are float32 in it, which is what the runtime gives
        let mut graph = self.graph.strict();
        let mut buffer = Vec::new();
        // what several tensors share is stored once
        let mut places: HashMap<(usize, usize), usize> = HashMap::new();
        for (tensor, stored) in graph.initializers.iter_mut().zip(&self.graph.initializers) {
            let stream = order.get(&stored.name).copied();
            if let (Data::Inline(raw), Some(stream)) = (&mut tensor.data, stream) {
                shuffle(raw, tensor.element, seed, stream);
            }
            if let Data::External { offset, length } = stored.data {
                let known = places.get(&(offset, length)).copied();
                let start = match known {
                    Some(start) => start,
                    None => {
                        buffer.resize(buffer.len().next_multiple_of(ALIGNMENT), 0);
                        places.insert((offset, length), buffer.len());
                        let start = buffer.len();
                        let written = self.runtime.write_widened(stored, &mut buffer);
                        written.map_err(|error| unloaded(error.to_string()))?;
                        if let Some(stream) = shared(&self.graph, &order, (offset, length)) {
                            shuffle(&mut buffer[start..], DataType::FLOAT, seed, stream);
                        }
                        start
                    }
                };
                let length = tensor.dims.iter().product::<usize>() * size_of::<f32>();
                tensor.data = Data::External { offset: start, length };
            }
        }
        let name = format!("{} with weights re-drawn ({})", self.name, which.name());
        let mut copy = Self::assemble(Parts {
            name,
            graph,
            layers: self.layers.clone(),
            logits: self.logits.clone(),
            classes: self.classes(),
            channels: self.channels(),
            input_size: self.input_size(),
            one_at_a_time: self.one_at_a_time(),
            default_layer: self.default_layer().to_owned(),
            bytes: buffer.into(),
            sha256: self.sha256().to_owned(),
            origin: self.origin().to_owned(),
        })?;
        let choice = RuntimeChoice::ALL.into_iter().find(|c| c.name() == self.runtime().name);
        copy.choose_runtime(choice.unwrap_or_default())?;
        Ok(copy)
    }
}

/// The nodes that multiply something computed by a weight, last first, each with the weight's initialiser.
fn weighted(graph: &Graph) -> Vec<(&Node, &Initializer)> {
    let computed = from_the_picture(graph);
    let weight = |node: &Node| {
        let operands = match node.operator.as_str() {
            "Conv" | "ConvTranspose" => 1..2,
            "Gemm" | "MatMul" => 0..2,
            _ => return None,
        };
        let reads_picture = node.inputs.iter().any(|input| computed.contains(input.as_str()));
        let mut stored = node.inputs.get(operands)?.iter();
        stored.find_map(|input| origin(graph, input, &computed)).filter(|_| reads_picture)
    };
    graph.nodes.iter().rev().filter_map(|node| Some((node, weight(node)?))).collect()
}

/// The numbers that a constant is made of, by transposing, reshaping, converting or dequantising.
fn origin<'g>(graph: &'g Graph, value: &str, computed: &HashSet<&str>) -> Option<&'g Initializer> {
    if computed.contains(value) {
        return None;
    }
    let mut value = value;
    // in topological order, so this ends; a graph that is not would lead in circles
    for _ in 0..=graph.nodes.len() {
        if let Some(stored) = graph.initializer(value) {
            return width(stored.element).map(|_| stored);
        }
        value = graph.producer(value)?.inputs.first()?;
    }
    None
}

/// The stream of each weight of the last `count` layers.
fn streams(graph: &Graph, count: usize) -> HashMap<String, u64> {
    let mut streams = HashMap::new();
    for ((_, tensor), number) in weighted(graph).into_iter().take(count).zip(0..) {
        streams.entry(tensor.name.clone()).or_insert(number);
    }
    streams
}

/// The stream of the weight at a place, whichever tensor that is there is one.
fn shared(graph: &Graph, order: &HashMap<String, u64>, place: (usize, usize)) -> Option<u64> {
    let there = graph.initializers.iter().filter(|tensor| match tensor.data {
        Data::External { offset, length } => (offset, length) == place,
        Data::Inline(_) => false,
    });
    there.filter_map(|tensor| order.get(&tensor.name).copied()).min()
}

/// Bytes of an element, for the types that weights have.
fn width(element: DataType) -> Option<usize> {
    Some(match element {
        DataType::FLOAT => 4,
        DataType::DOUBLE => 8,
        DataType::FLOAT16 | DataType::BFLOAT16 => 2,
        DataType::INT8 | DataType::UINT8 => 1,
        _ => return None,
    })
}

fn shuffle(raw: &mut [u8], element: DataType, seed: u64, stream: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    match width(element) {
        Some(1) => raw.shuffle(&mut random),
        Some(2) => raw.as_chunks_mut::<2>().0.shuffle(&mut random),
        Some(4) => raw.as_chunks_mut::<4>().0.shuffle(&mut random),
        Some(_) => raw.as_chunks_mut::<8>().0.shuffle(&mut random),
        None => {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

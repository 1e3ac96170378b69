//! What can go wrong between a weight file and a gradient.

use std::fmt;
use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::preprocess::PreprocessError;

/// An error of the network room. It names the thing, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A weight file could not be read from disk.
    #[error("cannot read the weights {}", path.display())]
    ReadWeights {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A safetensors file is damaged.
    #[error("{origin} is not a valid safetensors file (truncated or damaged)")]
    CorruptWeights {
        /// Where the bytes came from.
        origin: String,
        /// What the parser said.
        source: safetensors::SafeTensorError,
    },
    /// A tensor has an element type that no network here computes with.
    #[error("tensor {name} in {origin} has element type {dtype}; expected F32, F16, BF16 or F64")]
    ElementType {
        /// Where the bytes came from.
        origin: String,
        /// The tensor.
        name: String,
        /// Its type, in safetensors' spelling.
        dtype: String,
    },
    /// A weight is infinite or not a number.
    #[error(
        "tensor {name} in {origin} has values that are infinite or not a number; training has probably diverged, or the file is damaged"
    )]
    WeightNotFinite {
        /// Where the bytes came from.
        origin: String,
        /// The tensor.
        name: String,
    },
    /// The weights do not fit the architecture.
    #[error("{0}")]
    Mismatch(Box<Mismatch>),
    /// The weights fit several architectures, and nobody said which one they are of.
    #[error("{origin} fits {}", fits.join(" and "))]
    Ambiguous {
        /// Where the weights came from.
        origin: String,
        /// The architectures.
        fits: Vec<String>,
    },
    /// A folder holds no network that could be opened.
    #[error("the folder {} {problem}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What it lacks.
        problem: String,
    },
    /// A file that describes a network could not be read from disk.
    #[error("cannot read {}", path.display())]
    ReadConfig {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file that describes a network is no JSON.
    #[error("{} is not valid JSON: {reason}", path.display())]
    CorruptConfig {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// What a file says about a network cannot be followed.
    #[error("{origin}: {key} is {found}; expected {expected}")]
    Setting {
        /// The file.
        origin: String,
        /// The key, with the keys of the objects that it is in: `pretrained_cfg.mean`.
        key: String,
        /// Its value.
        found: String,
        /// What would have been understood.
        expected: String,
    },
    /// A file describes a preprocessing that is impossible.
    #[error("{origin} describes an impossible preprocessing")]
    Preprocessing {
        /// The file.
        origin: String,
        /// What is wrong with it.
        source: PreprocessError,
    },
    /// A folder describes a network that is none of the zoo.
    #[error("{origin} describes the network {architecture}, {reason}")]
    ForeignNetwork {
        /// The file.
        origin: String,
        /// The network.
        architecture: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// No architecture of that name is in the zoo.
    #[error("there is no architecture named {name:?}; nearest: {}", nearest.join(", "))]
    UnknownArchitecture {
        /// What was asked for.
        name: String,
        /// Names like it, nearest first.
        nearest: Vec<String>,
    },
    /// The network has no layer of that name.
    #[error("{model} has no layer named {name:?}; nearest: {}", nearest.join(", "))]
    UnknownLayer {
        /// The network.
        model: String,
        /// What was asked for.
        name: String,
        /// Names like it, nearest first.
        nearest: Vec<String>,
    },
    /// Nobody named a layer, and none suggests itself.
    #[error("{model} has no value with height and width before its logits that could be found")]
    NoDefaultLayer {
        /// The network.
        model: String,
    },
    /// A layer whose output has no height and width cannot carry a map.
    #[error(
        "layer {layer} has output shape {shape:?}; a map needs a layer with batch, channels, height and width"
    )]
    NotSpatial {
        /// The layer.
        layer: String,
        /// The shape of its output.
        shape: Vec<usize>,
    },
    /// A layer of an ONNX file that computes with channels last.
    #[error(
        "layer {layer} has its channels last (batch, height, width, channels); a map needs them first"
    )]
    ChannelsLast {
        /// The layer.
        layer: String,
    },
    /// The logits do not depend on the layer.
    #[error("the logits do not depend on layer {layer}, so it has no gradient")]
    NoPath {
        /// The layer.
        layer: String,
    },
    /// The adjoint of an operator is not known.
    #[error("node {node}: the gradient of operator {operator} is not implemented ({detail})")]
    NotDifferentiable {
        /// The node's name.
        node: String,
        /// Its operator.
        operator: String,
        /// What about it is not covered.
        detail: String,
    },
    /// The weights are those of a network that answers or sees nothing.
    #[error(
        "the weights give {model} {classes} classes and {channels} input channels; it needs one of each at least"
    )]
    NoClasses {
        /// The architecture.
        model: String,
        /// Rows of the last layer.
        classes: usize,
        /// Input channels of the first layer.
        channels: usize,
    },
    /// An array of the wrong shape was handed in.
    #[error("{what} has shape {found:?}; expected {expected}")]
    Shape {
        /// Which array.
        what: &'static str,
        /// The shape it has.
        found: Vec<usize>,
        /// The shape it should have.
        expected: String,
    },
    /// The picture became too small on the way through the network, or another run-time failure.
    #[error("{model} could not be run on an input of {height} x {width} pixels: {reason}")]
    Run {
        /// The network.
        model: String,
        /// Input height.
        height: usize,
        /// Input width.
        width: usize,
        /// What the runtime said.
        reason: String,
    },
    /// The runtime refused the graph.
    #[error("the runtime could not load {model}: {reason}")]
    Load {
        /// The network.
        model: String,
        /// What the runtime said.
        reason: String,
    },
    /// An ONNX file is damaged.
    #[error("{origin} is not a valid ONNX file: {reason}")]
    CorruptOnnx {
        /// The file.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An ONNX file is valid, but no classifier of pictures that can be explained here.
    #[error("{origin} cannot be explained: {reason}")]
    UnfitOnnx {
        /// The file.
        origin: String,
        /// What it has, and what was expected.
        reason: String,
    },
    /// A file to be written is there already.
    #[error("{} exists", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// No engine has that name.
    #[error("there is no runtime named {name:?}; there are auto, rten and onnxruntime")]
    UnknownRuntime {
        /// What was asked for.
        name: String,
    },
    /// ONNX Runtime was asked for in a build without it.
    #[error("this build cannot use ONNX Runtime")]
    RuntimeNotBuilt,
    /// ONNX Runtime was asked for, and its library is nowhere.
    #[error(
        "no library of ONNX Runtime was found; looked in {}",
        looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    RuntimeNotFound {
        /// Files and folders.
        looked: Vec<PathBuf>,
    },
    /// A library of ONNX Runtime was found and is of no use.
    #[error("ONNX Runtime cannot be used: {reason}")]
    RuntimeUnusable {
        /// Which library, and what is wrong with it.
        reason: String,
    },
    /// An engine was chosen after another one had taken the weights.
    #[error("the network already runs on {running}; choose its runtime before its first session")]
    RuntimeStarted {
        /// The engine's name.
        running: &'static str,
    },
    /// The network takes inputs of one size only.
    #[error(
        "{model} takes inputs of {} x {} pixels only (height x width); the picture was prepared to {} x {}",
        expected[0], expected[1], found[0], found[1]
    )]
    InputSize {
        /// The network.
        model: String,
        /// Height and width it was given.
        found: [usize; 2],
        /// Height and width it wants.
        expected: [usize; 2],
    },
    /// The network's output is not a number.
    #[error(
        "{model} gave {count} logits that are infinite or not a number; its weights are probably damaged or of another architecture"
    )]
    NotFinite {
        /// The network.
        model: String,
        /// How many logits.
        count: usize,
    },
    /// Numbers that belong to one picture of a batch are no numbers.
    #[error(
        "picture {index} of the batch (counted from 0): {count} of {what} are infinite or not a number (network {model})"
    )]
    NotFiniteInBatch {
        /// The network.
        model: String,
        /// Which picture of the batch, counted from 0.
        index: usize,
        /// How many numbers.
        count: usize,
        /// Of what: the input, or the features and logits that were made of it.
        what: &'static str,
    },
    /// No layer was found whose input could be the features.
    #[error(
        "the penultimate features of {model} cannot be told: {reason}; features can be computed elsewhere and brought as a file"
    )]
    NoPenultimate {
        /// The network.
        model: String,
        /// What stands where a linear layer was expected.
        reason: String,
    },
    /// Statistics of the batch were asked for, and no layer would use them.
    #[error(
        "{model} has no batch normalisation whose statistics could be those of the batch; exporters fold them into convolutions: export it for training, or open its weights"
    )]
    NoBatchNorms {
        /// The network.
        model: String,
    },
    /// Weights were to be re-drawn, and there are none.
    #[error(
        "{model} has no layer with weights (a convolution, a linear layer, or a product with a constant) to re-draw"
    )]
    NoWeights {
        /// The network.
        model: String,
    },
    /// Statistics of the batch were asked for, and there are none.
    #[error("{model} cannot be run with the statistics of a batch: {reason}")]
    BatchStatistics {
        /// The network.
        model: String,
        /// What stands in the way.
        reason: String,
    },
    /// A weight file is of a format that is not read.
    #[error("{origin} is {found}; expected a safetensors file or a PyTorch checkpoint")]
    UnknownWeights {
        /// Where the bytes came from.
        origin: String,
        /// What they look like.
        found: &'static str,
    },
    /// A PyTorch checkpoint cannot be read.
    #[error("cannot read the PyTorch checkpoint {origin}")]
    Checkpoint {
        /// Where the bytes came from.
        origin: String,
        /// Why not.
        source: CheckpointError,
    },
    /// Two tensors have the same name once prefixes are stripped and old names renewed.
    #[error("{origin} has two tensors that are both called {name} in torchvision's names")]
    TensorTwice {
        /// Where the bytes came from.
        origin: String,
        /// Their name.
        name: String,
    },
    /// The tensors of a file are much larger than the file.
    #[error(
        "the tensors in {origin} are {total} bytes large, because they share or repeat values; at most {limit} are read from a file of its size"
    )]
    TensorsTooLarge {
        /// Where the bytes came from.
        origin: String,
        /// Size of all tensors together in bytes.
        total: usize,
        /// How much is allowed.
        limit: usize,
    },
}

/// How a weight file differs from what an architecture needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// The architecture.
    pub architecture: String,
    /// Where the weights came from.
    pub origin: String,
    /// Tensors the architecture needs and the file lacks.
    pub missing: Vec<String>,
    /// Tensors the file has and the architecture does not know.
    pub unexpected: Vec<String>,
    /// Tensors of another shape: name, shape found, shape expected.
    pub misshaped: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Architectures of the zoo that the file would fit.
    pub fits: Vec<String>,
    /// True if nobody named the architecture, and this is the nearest of all, none of which fits.
    pub searched: bool,
}

impl Mismatch {
    /// True when the weights fit.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshaped.is_empty()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.searched {
            write!(f, "{} fits no architecture of the zoo; the nearest is ", self.origin)?;
            f.write_str(&self.architecture)?;
        } else {
            write!(f, "{} does not fit {}", self.origin, self.architecture)?;
        }
        let counted = |f: &mut fmt::Formatter<'_>, what: &str, names: &[String]| match names {
            [] => Ok(()),
            [first, ..] => write!(f, "; {} {what} (first: {first})", names.len()),
        };
        counted(f, "missing", &self.missing)?;
        counted(f, "unexpected", &self.unexpected)?;
        if let Some((name, found, expected)) = self.misshaped.first() {
            write!(
                f,
                "; {} mis-shaped (first: {name} is {found:?}, expected {expected:?})",
                self.misshaped.len()
            )?;
        }
        if !self.fits.is_empty() {
            write!(f, "; these tensors would fit {}", self.fits.join(", "))?;
        }
        Ok(())
    }
}

/// Shorthand of this room.
pub type Result<T, E = NetworkError> = std::result::Result<T, E>;

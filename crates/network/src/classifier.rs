//! A trained classifier, opened: its graph, its layers, its weights in the runtime's hands.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use ndarray::ArrayD;

use crate::error::{NetworkError, Result};
use crate::graph::Graph;
use crate::layers::Layers;
use crate::runtime::{LoadOptions, Runtime, RuntimeChoice, RuntimeInfo};
use crate::weights::Weights;
use crate::zoo::{Architecture, Built};

/// A trained image classifier.
///
/// Opening one builds its graph and checks its weights; [`Session`](crate::Session) runs it.
pub struct Classifier {
    pub(crate) name: String,
    pub(crate) graph: Graph,
    pub(crate) layers: Layers,
    pub(crate) logits: String,
    pub(crate) runtime: Runtime,
    default_layer: String,
    classes: usize,
    channels: usize,
    input_size: Option<[usize; 2]>,
    one_at_a_time: bool,
    sha256: String,
    origin: String,
}

/// What a classifier is made of, wherever it came from.
pub(crate) struct Parts {
    pub name: String,
    pub graph: Graph,
    pub layers: Layers,
    /// Value with the logits.
    pub logits: String,
    pub classes: usize,
    pub channels: usize,
    /// Height and width, if the graph takes no other.
    pub input_size: Option<[usize; 2]>,
    /// True if the graph was written for one picture at a time.
    pub one_at_a_time: bool,
    pub default_layer: String,
    /// What the graph's external initialisers point into.
    pub bytes: Cow<'static, [u8]>,
    pub sha256: String,
    pub origin: String,
}

impl std::fmt::Debug for Classifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Classifier")
            .field("name", &self.name)
            .field("classes", &self.classes)
            .field("channels", &self.channels)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// A layer and the shape of its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Torchvision's dotted name.
    pub name: String,
    /// Shape of the output for one picture: 1 x channels x height x width, or 1 x features.
    pub shape: Vec<usize>,
    /// True for the layer that maps are drawn at unless another is named.
    pub default: bool,
}

impl Classifier {
    /// A network of the zoo over trained weights.
    ///
    /// The number of classes and of input channels comes from the weights.
    ///
    /// # Errors
    /// The weights lack a tensor, have one too many, or one of another shape.
    pub fn from_zoo(architecture: Architecture, weights: Weights) -> Result<Self> {
        let Built { graph, layers, logits, classes, channels, default_layer } =
            architecture.build(&weights)?;
        let name = architecture.name().to_owned();
        if classes == 0 || channels == 0 {
            return Err(NetworkError::NoClasses { model: name, classes, channels });
        }
        let (sha256, origin) = (weights.sha256().to_owned(), weights.origin().to_owned());
        Self::assemble(Parts {
            name,
            graph,
            layers,
            logits,
            classes,
            channels,
            input_size: None,
            one_at_a_time: false,
            default_layer: default_layer.to_owned(),
            bytes: weights.into_bytes(),
            sha256,
            origin,
        })
    }

    /// A network from an ONNX file, whatever framework wrote it.
    ///
    /// Large weights may lie in further files beside it. The picture must be float32, batch x channels x height
    /// x width (or channels last), the output one vector of logits or its softmax, which is taken off. Layers
    /// have the dotted names of PyTorch's modules where the exporter wrote them down, else values their own.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is no such classifier.
    pub fn from_onnx(path: &Path) -> Result<Self> {
        Self::assemble(crate::onnx::read(path)?.0)
    }

    /// Like [`Classifier::from_onnx`], from bytes in memory that hold all weights; `origin` is what errors
    /// call them.
    ///
    /// # Errors
    /// As [`Classifier::from_onnx`].
    pub fn from_onnx_bytes(bytes: Vec<u8>, origin: &str) -> Result<Self> {
        Self::assemble(crate::onnx::from_bytes(bytes, origin, Path::new(""), origin)?.0)
    }

    pub(crate) fn assemble(parts: Parts) -> Result<Self> {
        let Parts { name, graph, layers, logits, classes, channels, .. } = parts;
        tracing::debug!(model = %name, classes, channels, "opened");
        Ok(Self {
            runtime: Runtime::new(parts.bytes),
            name,
            graph,
            layers,
            logits,
            classes,
            channels,
            input_size: parts.input_size,
            one_at_a_time: parts.one_at_a_time,
            default_layer: parts.default_layer,
            sha256: parts.sha256,
            origin: parts.origin,
        })
    }

    /// A network of the zoo with all weights zero: for looking at its layers, not for predictions.
    ///
    /// # Errors
    /// There are no classes or no channels.
    pub fn untrained(architecture: Architecture, classes: usize, channels: usize) -> Result<Self> {
        Self::from_zoo(architecture, Weights::zeros(architecture.tensors(classes, channels)))
    }

    /// The same network for inputs of this height and width only.
    pub(crate) fn restricted_to(self, input_size: [usize; 2]) -> Self {
        Self { input_size: Some(input_size), ..self }
    }

    /// Chooses the engine that runs it, before the first session; without this it is
    /// [`RuntimeChoice::Rten`]. Where `Auto` passes over a library that was found but cannot be used, the
    /// answer says why.
    ///
    /// # Errors
    /// [`NetworkError::RuntimeNotBuilt`], [`RuntimeNotFound`](NetworkError::RuntimeNotFound) and
    /// [`RuntimeUnusable`](NetworkError::RuntimeUnusable), of which `Auto` has none;
    /// [`RuntimeStarted`](NetworkError::RuntimeStarted) once another engine has the weights.
    pub fn choose_runtime(&mut self, choice: RuntimeChoice) -> Result<Option<String>> {
        let passed_over = self.runtime.choose(choice, &self.graph)?;
        tracing::debug!(runtime = %self.runtime.info(), "chosen");
        Ok(passed_over)
    }

    /// The engine that runs it.
    pub fn runtime(&self) -> &RuntimeInfo {
        self.runtime.info()
    }

    /// The architecture's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of classes N: the length of the logits.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Number of input channels: 3 for colour, 1 for grey.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height and width of the input, if the network takes no other.
    pub fn input_size(&self) -> Option<[usize; 2]> {
        self.input_size
    }

    /// True if the graph was written for one picture at a time, so that a batch cannot be trusted to it.
    pub(crate) fn one_at_a_time(&self) -> bool {
        self.one_at_a_time
    }

    /// Where the weights came from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// SHA-256 that identifies the classifier, as 64 lower-case hexadecimal digits; it depends on what was read
    /// and not on where it lay.
    ///
    /// Of a weight file (safetensors, PyTorch checkpoint): of the file's bytes, and nothing else, so not of the
    /// architecture that they were read into. Of an ONNX file: of the file's bytes, followed by the bytes of
    /// every tensor that lies in a file beside it. Of a folder: of its weight file. Files that hold the same
    /// weights in other formats have other hashes.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The layer that maps are drawn at unless another is named.
    pub fn default_layer(&self) -> &str {
        &self.default_layer
    }

    /// The dotted name of a layer given by its dotted or underscore name.
    ///
    /// # Errors
    /// There is no such layer; the nearest names are listed.
    pub fn find_layer(&self, name: &str) -> Result<&str> {
        self.layers.find(&self.name, name).map(|(module, _)| module)
    }

    /// All layers with the shapes of their outputs for a picture of `height` x `width` pixels.
    ///
    /// The shapes are measured: the network runs once on an empty picture.
    ///
    /// # Errors
    /// The picture is too small for the network.
    pub fn layers(&self, height: usize, width: usize) -> Result<Vec<Layer>> {
        // several modules may share a value
        let values: BTreeSet<&str> = self.layers.iter().map(|(_, value)| value).collect();
        let values: Vec<&str> = values.into_iter().collect();
        let engine = self
            .runtime
            .load(&self.graph, &values, LoadOptions::default())
            .map_err(|reason| NetworkError::Load { model: self.name.clone(), reason })?;
        let empty = ArrayD::zeros(vec![1, self.channels, height, width]);
        let outputs =
            engine.run(&[empty.view()]).map_err(|reason| self.run_error(height, width, reason))?;
        let shapes: HashMap<&str, &[usize]> =
            values.iter().copied().zip(outputs.iter().map(ArrayD::shape)).collect();
        Ok(self
            .layers
            .iter()
            .map(|(module, value)| Layer {
                name: module.to_owned(),
                shape: shapes.get(value).map(|s| s.to_vec()).unwrap_or_default(),
                default: module == self.default_layer,
            })
            .collect())
    }

    /// Shapes of the graph's values for a picture of this height and width, found without running it;
    /// values whose shape only a run can tell are absent.
    pub(crate) fn shapes(&self, size: [usize; 2]) -> HashMap<String, Vec<usize>> {
        self.shapes_of_batch(1, size)
    }

    /// The same for a batch of so many pictures.
    pub(crate) fn shapes_of_batch(
        &self,
        batch: usize,
        [height, width]: [usize; 2],
    ) -> HashMap<String, Vec<usize>> {
        let input = self.graph.inputs.first().and_then(|input| input.name.as_deref());
        let size = [batch, self.channels, height, width];
        let shapes = input.map(|input| crate::onnx::shapes::shapes(&self.graph, input, &size));
        shapes.and_then(std::result::Result::ok).unwrap_or_default()
    }

    pub(crate) fn run_error(&self, height: usize, width: usize, reason: String) -> NetworkError {
        NetworkError::Run { model: self.name.clone(), height, width, reason }
    }
}

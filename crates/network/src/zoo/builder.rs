//! Writes an architecture down once: graph, layer names and expected tensors in the same breath.

use std::collections::BTreeMap;

use crate::error::Mismatch;
use crate::graph::{Attribute, Axis, Graph, float, int, ints};
use crate::layers::Layers;
use crate::weights::Weights;

/// A convolution's shape; square kernels only, as in all of torchvision's residual and fire networks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conv {
    pub from: usize,
    pub to: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub groups: usize,
    pub bias: bool,
}

impl Conv {
    pub fn new(from: usize, to: usize, kernel: usize) -> Self {
        Self { from, to, kernel, stride: 1, padding: 0, groups: 1, bias: true }
    }

    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub fn padding(self, padding: usize) -> Self {
        Self { padding, ..self }
    }

    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    pub fn no_bias(self) -> Self {
        Self { bias: false, ..self }
    }
}

/// A max-pooling window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxPool {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub ceil: bool,
}

/// Every method adds nodes for one module, named as torchvision names it, and returns its output value.
pub(crate) struct Builder<'w> {
    source: Source<'w>,
    pub graph: Graph,
    pub layers: Layers,
    /// Values that training zeroes numbers of, each with a probability of its own.
    pub dropouts: Vec<(String, f32)>,
    used: BTreeMap<String, Vec<usize>>,
    mismatch: Mismatch,
    screen: Option<Screen>,
}

/// Only whether a state dict fits is asked: nothing is written down, and what comes after the first
/// tensor that does not fit is passed over.
#[derive(Clone, Copy)]
struct Screen {
    fits: bool,
    tensors: usize,
}

/// Where the number of classes and of channels, and the tensors, come from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'w> {
    /// A state dict.
    Weights(&'w Weights),
    /// Nothing: only names and shapes are wanted.
    Shapes { classes: usize, channels: usize },
}

impl<'w> Builder<'w> {
    pub fn new(architecture: &str, source: Source<'w>) -> Self {
        let origin = match source {
            Source::Weights(weights) => weights.origin().to_owned(),
            Source::Shapes { .. } => String::new(),
        };
        let mismatch =
            Mismatch { architecture: architecture.to_owned(), origin, ..Mismatch::default() };
        Self {
            source,
            graph: Graph::default(),
            layers: Layers::default(),
            dropouts: Vec::new(),
            used: BTreeMap::new(),
            mismatch,
            screen: None,
        }
    }

    /// A builder that finds out whether the weights fit, and nothing else.
    pub fn screening(weights: &'w Weights) -> Self {
        let screen = Some(Screen { fits: true, tensors: 0 });
        Self { screen, ..Self::new("", Source::Weights(weights)) }
    }

    /// Whether the file has exactly the architecture's tensors; of a builder that screens.
    pub fn fits(&self) -> bool {
        match (self.screen, self.source) {
            (Some(Screen { fits, tensors }), Source::Weights(weights)) => {
                fits && tensors == weights.names().count()
            }
            _ => false,
        }
    }

    /// Number of classes: the first axis of the last layer's weight.
    pub fn classes(&self, weight: &str) -> usize {
        match self.source {
            Source::Weights(weights) => axis(weights, weight, 0, 1000),
            Source::Shapes { classes, .. } => classes,
        }
    }

    /// Number of input channels: the second axis of the first convolution's weight.
    pub fn channels(&self, weight: &str) -> usize {
        match self.source {
            Source::Weights(weights) => axis(weights, weight, 1, 3),
            Source::Shapes { channels, .. } => channels,
        }
    }

    /// Declares the picture: batch x channels x height x width, all but the channels free.
    pub fn input(&mut self, channels: usize) -> String {
        let axes =
            [Axis::Free("batch"), Axis::Fixed(channels), Axis::Free("height"), Axis::Free("width")];
        self.graph.input("input", &axes);
        "input".to_owned()
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> String {
        if let (Some(screen), Source::Weights(weights)) = (&mut self.screen, self.source) {
            screen.fits = screen.fits && weights.shape(name) == Some(shape);
            screen.tensors += 1;
            return String::new();
        }
        if let Source::Weights(weights) = self.source {
            match weights.tensor(name) {
                None => self.mismatch.missing.push(name.to_owned()),
                Some(tensor) if tensor.shape != shape => {
                    let misshaped = (name.to_owned(), tensor.shape.clone(), shape.to_vec());
                    self.mismatch.misshaped.push(misshaped);
                }
                Some(tensor) => self.graph.external(name, tensor),
            }
        }
        self.used.insert(name.to_owned(), shape.to_vec());
        name.to_owned()
    }

    pub fn conv(&mut self, module: &str, x: &str, conv: Conv) -> String {
        let Conv { from, to, kernel, stride, padding, groups, bias } = conv;
        let weight = self.tensor(&format!("{module}.weight"), &[to, from / groups, kernel, kernel]);
        let mut inputs = vec![x.to_owned(), weight];
        if bias {
            inputs.push(self.tensor(&format!("{module}.bias"), &[to]));
        }
        let attributes = vec![
            ints("kernel_shape", &[kernel, kernel]),
            ints("strides", &[stride, stride]),
            ints("pads", &[padding; 4]),
            ints("dilations", &[1, 1]),
            int("group", groups as i64),
        ];
        self.module("Conv", module, &refs(&inputs), attributes)
    }

    pub fn batch_norm(&mut self, module: &str, x: &str, channels: usize) -> String {
        let mut inputs = vec![x.to_owned()];
        for part in ["weight", "bias", "running_mean", "running_var"] {
            inputs.push(self.tensor(&format!("{module}.{part}"), &[channels]));
        }
        self.module("BatchNormalization", module, &refs(&inputs), vec![float("epsilon", 1e-5)])
    }

    pub fn relu(&mut self, module: &str, x: &str) -> String {
        self.module("Relu", module, &[x], Vec::new())
    }

    /// An earlier call of a ReLU module that is called again: a layer's name means the last call, so
    /// this one's value is `module#call` and no layer.
    pub fn relu_call(&mut self, module: &str, call: usize, x: &str) -> String {
        self.value("Relu", &format!("{module}#{call}"), &[x], Vec::new())
    }

    /// A ReLU that torchvision applies as a function: no module, so no layer.
    pub fn relu_function(&mut self, value: &str, x: &str) -> String {
        self.value("Relu", value, &[x], Vec::new())
    }

    pub fn max_pool(&mut self, module: &str, x: &str, pool: MaxPool) -> String {
        let attributes = vec![
            ints("kernel_shape", &[pool.kernel; 2]),
            ints("strides", &[pool.stride; 2]),
            ints("pads", &[pool.padding; 4]),
            int("ceil_mode", i64::from(pool.ceil)),
        ];
        self.module("MaxPool", module, &[x], attributes)
    }

    /// Non-overlapping windows; what they do not cover at the end is left out.
    pub fn average_pool(&mut self, module: &str, x: &str, kernel: usize) -> String {
        let attributes = vec![ints("kernel_shape", &[kernel; 2]), ints("strides", &[kernel; 2])];
        self.module("AveragePool", module, &[x], attributes)
    }

    pub fn global_average_pool(&mut self, module: &str, x: &str) -> String {
        self.module("GlobalAveragePool", module, &[x], Vec::new())
    }

    /// Global average pooling that torchvision applies as a function: no module, so no layer.
    pub fn global_average_pool_function(&mut self, value: &str, x: &str) -> String {
        self.value("GlobalAveragePool", value, &[x], Vec::new())
    }

    pub fn linear(&mut self, module: &str, x: &str, from: usize, to: usize) -> String {
        let weight = self.tensor(&format!("{module}.weight"), &[to, from]);
        let bias = self.tensor(&format!("{module}.bias"), &[to]);
        self.module("Gemm", module, &[x, &weight, &bias], vec![int("transB", 1)])
    }

    /// Everything but the batch in one axis; no module of torchvision's, so no layer.
    pub fn flatten(&mut self, value: &str, x: &str) -> String {
        self.value("Flatten", value, &[x], vec![int("axis", 1)])
    }

    pub fn add(&mut self, value: &str, a: &str, b: &str) -> String {
        self.value("Add", value, &[a, b], Vec::new())
    }

    pub fn concat(&mut self, value: &str, parts: &[&str]) -> String {
        self.value("Concat", value, parts, vec![int("axis", 1)])
    }

    /// Dropout with torchvision's probability of one half: nothing is computed in evaluation mode. Only one
    /// operation may read the value.
    pub fn dropout(&mut self, module: &str, value: &str) {
        self.alias(module, value);
        if self.screen.is_none() {
            self.dropouts.push((value.to_owned(), 0.5));
        }
    }

    /// A module that computes nothing of its own here: a container.
    pub fn alias(&mut self, module: &str, value: &str) {
        if self.screen.is_none() {
            self.layers.set(module, value);
        }
    }

    /// A node whose value is no module's output.
    pub(super) fn value(
        &mut self,
        operator: &str,
        value: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        if self.screen.is_none() {
            self.graph.node(operator, value, inputs, &[value], attributes);
        }
        value.to_owned()
    }

    /// A node whose value is the module's output.
    pub(super) fn module(
        &mut self,
        operator: &str,
        module: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        self.alias(module, module);
        self.value(operator, module, inputs, attributes)
    }

    /// What the file has too much, too little, or in another shape; empty when it fits.
    pub fn mismatch(&self) -> Mismatch {
        let mut mismatch = self.mismatch.clone();
        if let Source::Weights(weights) = self.source {
            let unknown = weights.names().filter(|name| !self.used.contains_key(*name));
            mismatch.unexpected = unknown.map(str::to_owned).collect();
        }
        mismatch
    }

    /// Names and shapes of all tensors that the architecture has.
    pub fn into_tensors(self) -> Vec<(String, Vec<usize>)> {
        self.used.into_iter().collect()
    }
}

fn refs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// One axis of a tensor in a file, or the usual size: a tensor that is missing is reported when it is
/// used.
fn axis(weights: &Weights, tensor: &str, axis: usize, usual: usize) -> usize {
    weights.shape(tensor).and_then(|shape| shape.get(axis)).copied().unwrap_or(usual)
}

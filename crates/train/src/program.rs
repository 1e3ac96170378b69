//! A network's graph as steps that burn computes.
//!
//! The graph is the zoo's own ([`Blueprint`]), node for node; there is no second definition of any
//! architecture. Where the kernels run, a normalisation takes the sum and the rectification behind it along.

mod fusion;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use burn_tensor::{Device, Distribution, Tensor, activation, module};
use introspective_network::Blueprint;

use self::write::Writer;
use crate::constants::Constant;
use crate::error::Result;
use crate::kernels::convolution::Convolution;
use crate::kernels::geometry::Window;
use crate::operations::{self, Affine};

/// Where a value lies while the steps run.
type Place = usize;
/// Which tensor of a state dict.
type Index = usize;

/// What one step computes.
#[derive(Clone, Debug)]
enum Action {
    Convolve {
        weight: Index,
        bias: Option<Index>,
        window: Window,
        groups: usize,
        plan: Option<Arc<Convolution>>,
    },
    Normalise {
        tensors: [Index; 4],
        epsilon: f32,
        residual: Option<Place>,
        rectify: bool,
    },
    Rectify,
    Add(Place),
    MaxPool {
        window: Window,
        ceil: bool,
    },
    AveragePool {
        window: Window,
    },
    GlobalAverage,
    Flatten,
    Linear {
        weight: Index,
        bias: Index,
    },
    Concatenate(Vec<Place>),
    /// Every picture's rows, or columns, mixed by a constant matrix.
    Mix {
        matrix: Constant,
        rows: bool,
    },
    Drop(f32),
}

#[derive(Clone, Debug)]
struct Step {
    action: Action,
    from: Place,
    to: Place,
    /// Places that no later step reads.
    done: Vec<Place>,
}

/// A network ready to be trained on pictures of one size.
#[derive(Clone, Debug)]
pub struct Program {
    steps: Vec<Step>,
    input: Place,
    logits: Place,
    places: usize,
    kernels: bool,
    /// Where each value lies that is not computed with others.
    #[cfg(test)]
    names: HashMap<String, Place>,
}

/// A value: feature maps of a batch, or vectors.
#[derive(Clone)]
enum Value {
    Maps(Tensor<4>),
    Rows(Tensor<2>),
}

/// What a step leaves behind, as far as it is known beforehand.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Maps([usize; 3]),
    Rows(usize),
}

/// What a normalisation found in a batch: the mean and the variance of each channel, and over how many values.
pub struct Observed {
    /// Indices of the running mean and the running variance.
    pub tensors: [usize; 2],
    /// A mean a channel.
    pub mean: Tensor<1>,
    /// A variance a channel, over all values.
    pub variance: Tensor<1>,
    /// Values that each was taken over.
    pub count: usize,
}

/// How a program runs.
pub enum Mode<'a> {
    /// Normalising by the batch's own moments, which are added to the list, and with dropout.
    Train(&'a mut Vec<Observed>),
    /// Normalising by the running moments.
    Predict,
}

impl Program {
    /// Reads a graph for pictures of this height and width. `tensors` gives each tensor's index by its name.
    ///
    /// # Errors
    /// The pictures are too small, or the graph has an operator that is not trained here.
    pub fn new(
        blueprint: &Blueprint,
        size: [usize; 2],
        tensors: &HashMap<String, usize>,
        device: &Device,
    ) -> Result<Self> {
        let kernels = operations::available(device);
        Writer::new(blueprint, size, tensors, kernels).write()
    }

    /// The same from burn's own operations only, as on other devices than the processor.
    #[cfg(test)]
    pub fn composed(
        blueprint: &Blueprint,
        size: [usize; 2],
        tensors: &HashMap<String, usize>,
    ) -> Result<Self> {
        Writer::new(blueprint, size, tensors, false).write()
    }

    /// Whether numbers are zeroed at random while training.
    pub fn has_dropout(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Drop(_)))
    }

    /// The same with something added to the feature maps of this name.
    #[cfg(test)]
    pub fn run_with_more(
        &self,
        (tensors, shapes): (&[Tensor<1>], &[Vec<usize>]),
        x: Tensor<4>,
        name: &str,
        more: &Tensor<4>,
    ) -> Tensor<2> {
        let place = self.names[name];
        self.run_through(tensors, shapes, x, Mode::Predict, |to, value| match value {
            Value::Maps(maps) if to == place => Value::Maps(maps + more.clone()),
            other => other,
        })
    }

    #[cfg(test)]
    pub fn forget_dropout(&mut self) {
        for step in &mut self.steps {
            if let Action::Drop(probability) = &mut step.action {
                *probability = 0.0;
            }
        }
    }

    /// Logits (batch x classes) of pictures (batch x channels x height x width).
    pub fn run(
        &self,
        tensors: &[Tensor<1>],
        shapes: &[Vec<usize>],
        x: Tensor<4>,
        mode: Mode<'_>,
    ) -> Tensor<2> {
        self.run_through(tensors, shapes, x, mode, |_, value| value)
    }

    /// The same; every value goes through `see` as soon as it is there.
    fn run_through(
        &self,
        tensors: &[Tensor<1>],
        shapes: &[Vec<usize>],
        x: Tensor<4>,
        mut mode: Mode<'_>,
        see: impl Fn(Place, Value) -> Value,
    ) -> Tensor<2> {
        let weights = Weights { tensors, shapes };
        let mut values: Vec<Option<Value>> = vec![None; self.places];
        values[self.input] = Some(Value::Maps(x));
        for step in &self.steps {
            let value = self.step(step, &weights, &values, &mut mode);
            for &place in &step.done {
                values[place] = None;
            }
            values[step.to] = Some(see(step.to, value));
        }
        match values[self.logits].take() {
            Some(Value::Rows(logits)) => logits,
            _ => unreachable!("the logits are vectors, which the writer made sure of"),
        }
    }

    fn step(
        &self,
        step: &Step,
        weights: &Weights<'_>,
        values: &[Option<Value>],
        mode: &mut Mode<'_>,
    ) -> Value {
        let maps = |place: Place| match &values[place] {
            Some(Value::Maps(maps)) => maps.clone(),
            _ => unreachable!("the writer followed the shapes"),
        };
        let rows = || match &values[step.from] {
            Some(Value::Rows(rows)) => rows.clone(),
            _ => unreachable!("the writer followed the shapes"),
        };
        let x = || maps(step.from);
        Value::Maps(match &step.action {
            Action::Convolve { weight, bias, window, groups, plan } => {
                let kernel = weights.kernel(*weight);
                let y = match plan {
                    Some(plan) => operations::convolution(x(), kernel, plan),
                    None => operations::composed_convolution(x(), kernel, window, *groups),
                };
                match bias {
                    Some(bias) => y + weights.channels(*bias),
                    None => y,
                }
            }
            Action::Normalise { tensors, epsilon, residual, rectify } => {
                let [weight, bias, mean, variance] = *tensors;
                let affine = Affine {
                    weight: weights.vector(weight),
                    bias: weights.vector(bias),
                    residual: residual.map(maps),
                    epsilon: *epsilon,
                    rectify: *rectify,
                };
                match mode {
                    Mode::Predict => {
                        let moments = [weights.vector(mean), weights.vector(variance)];
                        operations::normalise(x(), moments, affine, self.kernels)
                    }
                    Mode::Train(observed) => {
                        let x = x();
                        let [batch, _, height, width] = x.dims();
                        let (y, [m, v]) = operations::normalise_batch(x, affine, self.kernels);
                        observed.push(Observed {
                            tensors: [mean, variance],
                            mean: m,
                            variance: v,
                            count: batch * height * width,
                        });
                        y
                    }
                }
            }
            Action::Rectify => match &values[step.from] {
                Some(Value::Rows(rows)) => return Value::Rows(activation::relu(rows.clone())),
                _ => activation::relu(x()),
            },
            Action::Add(other) => x() + maps(*other),
            Action::MaxPool { window, ceil } => {
                let Window { kernel, stride, pads } = window;
                let options = burn_tensor::ops::MaxPoolOptions {
                    kernel_size: *kernel,
                    stride: *stride,
                    padding: operations::padding(pads),
                    dilation: [1, 1],
                    ceil_mode: *ceil,
                };
                module::max_pool2d(x(), options)
            }
            Action::AveragePool { window } => {
                let Window { kernel, stride, pads } = window;
                let options = burn_tensor::ops::AvgPoolOptions {
                    kernel_size: *kernel,
                    stride: *stride,
                    padding: operations::padding(pads),
                    count_include_pad: false,
                    ceil_mode: false,
                };
                module::avg_pool2d(x(), options)
            }
            Action::GlobalAverage => x().mean_dim(3).mean_dim(2),
            Action::Flatten => return Value::Rows(x().flatten(1, 3)),
            Action::Linear { weight, bias } => {
                let y = rows().matmul(weights.matrix(*weight).transpose());
                return Value::Rows(y + weights.vector(*bias).unsqueeze());
            }
            Action::Concatenate(others) => Tensor::cat(
                std::iter::once(step.from).chain(others.iter().copied()).map(maps).collect(),
                1,
            ),
            Action::Mix { matrix, rows } => {
                let x = x();
                let matrix = matrix.tensor(&x.device());
                if *rows { matrix.matmul(x) } else { x.matmul(matrix) }
            }
            Action::Drop(probability) => match (mode, &values[step.from]) {
                (Mode::Predict, Some(value)) => return value.clone(),
                (_, Some(Value::Rows(rows))) => {
                    return Value::Rows(drop(rows.clone(), *probability));
                }
                _ => drop(x(), *probability),
            },
        })
    }
}

/// Zeroes numbers with this probability and scales the others up by as much.
fn drop<const D: usize>(x: Tensor<D>, probability: f32) -> Tensor<D> {
    let keep = f64::from(1.0 - probability);
    let mask = Tensor::random(x.dims(), Distribution::Bernoulli(keep), &x.device());
    x * mask * (1.0 / keep)
}

/// The tensors of a state dict, flat, and their shapes.
struct Weights<'a> {
    tensors: &'a [Tensor<1>],
    shapes: &'a [Vec<usize>],
}

impl Weights<'_> {
    fn vector(&self, index: Index) -> Tensor<1> {
        self.tensors[index].clone()
    }

    fn channels(&self, index: Index) -> Tensor<4> {
        let length = self.shapes[index].iter().product();
        self.vector(index).reshape([1, length, 1, 1])
    }

    fn kernel(&self, index: Index) -> Tensor<4> {
        match self.shapes[index][..] {
            [a, b, c, d] => self.vector(index).reshape([a, b, c, d]),
            _ => unreachable!("a kernel has four axes"),
        }
    }

    fn matrix(&self, index: Index) -> Tensor<2> {
        match self.shapes[index][..] {
            [a, b] => self.vector(index).reshape([a, b]),
            _ => unreachable!("a linear layer's weight has two axes"),
        }
    }
}

//! A small feed-forward network whose first layer may read products of factors.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rten_simd::SimdUnaryOp;
use serde::{Deserialize, Serialize};

use crate::gemm::{multiply, product};
use crate::input::{Input, blocks, write_block};

/// What follows each hidden layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `1 / (1 + exp(-v))`: the paper's.
    #[default]
    Sigmoid,
    /// `max(v, 0)`.
    Relu,
    /// `tanh v`.
    Tanh,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sigmoid, Self::Relu, Self::Tanh];

    /// `sigmoid`, `relu`, `tanh`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::Relu => "relu",
            Self::Tanh => "tanh",
        }
    }

    fn apply(self, values: &mut Array2<f32>) {
        match (self, values.as_slice_mut()) {
            (Self::Sigmoid, Some(values)) => rten_vecmath::Sigmoid {}.map_mut(values),
            (Self::Sigmoid, None) => values.mapv_inplace(|v| 1.0 / (1.0 + (-v).exp())),
            (Self::Relu, _) => values.mapv_inplace(|v| v.max(0.0)),
            (Self::Tanh, _) => values.mapv_inplace(f32::tanh),
        }
    }

    /// Multiplies a gradient at the output by the derivative, given the output.
    fn pull_back(self, gradient: &mut Array2<f32>, output: &Array2<f32>) {
        let (Some(gradient), Some(output)) = (gradient.as_slice_mut(), output.as_slice()) else {
            return;
        };
        let values = gradient.iter_mut().zip(output);
        match self {
            Self::Sigmoid => values.for_each(|(gradient, y)| *gradient *= y * (1.0 - y)),
            Self::Relu => {
                values.for_each(|(gradient, &y)| *gradient *= f32::from(u8::from(y > 0.0)))
            }
            Self::Tanh => values.for_each(|(gradient, y)| *gradient *= 1.0 - y * y),
        }
    }
}

/// `y = x W + b`, W stored as inputs x outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Inputs x outputs: the transpose of PyTorch's.
    pub weight: Array2<f32>,
    /// Outputs.
    pub bias: Array1<f32>,
}

/// The layer that reads the input.
#[derive(Clone, Debug, PartialEq)]
pub enum First {
    /// Reads a matrix, or products of which there are N d columns.
    Full(Linear),
    /// `y_u = sum_r (g A)_ur (h B)_ur + b_u`: of each unit's N x d weight only R products of a vector over
    /// classes with a vector over features are kept (derived).
    LowRank {
        /// N x (units R), a unit's ranks side by side.
        a: Array2<f32>,
        /// d x (units R).
        b: Array2<f32>,
        /// Units.
        bias: Array1<f32>,
    },
}

/// Input, hidden layers with an activation after each, logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// Reads the input.
    pub first: First,
    /// Further layers.
    pub rest: Vec<Linear>,
    /// After each layer but the last.
    pub activation: Activation,
}

/// Number of columns of the input, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// A matrix's, or N d of products.
    Full(usize),
    /// N and d of a pair, and the rank.
    LowRank {
        /// N.
        classes: usize,
        /// d.
        features: usize,
        /// R.
        rank: usize,
    },
}

impl Linear {
    /// Uniform in +-1/sqrt(inputs), weights and biases: PyTorch's default.
    fn random(inputs: usize, outputs: usize, rng: &mut ChaCha8Rng) -> Self {
        let bound = bound(inputs);
        let weight = uniform((inputs, outputs), bound, rng);
        let bias = uniform((1, outputs), bound, rng).remove_axis(Axis(0));
        Self { weight, bias }
    }

    fn forward(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut y = spread(&self.bias, x.nrows());
        multiply(y.view_mut(), x, self.weight.view(), 1.0);
        y
    }
}

fn bound(inputs: usize) -> f32 {
    1.0 / (inputs.max(1) as f32).sqrt()
}

fn uniform(shape: (usize, usize), bound: f32, rng: &mut ChaCha8Rng) -> Array2<f32> {
    Array2::from_shape_simple_fn(shape, || bound * (2.0 * rng.random::<f32>() - 1.0))
}

fn spread(bias: &Array1<f32>, rows: usize) -> Array2<f32> {
    let view = bias.broadcast((rows, bias.len()));
    view.map_or_else(|| Array2::zeros((rows, bias.len())), |view| view.to_owned())
}

/// Values of one pass that the way back needs: the output of each layer, activated but for the last.
pub(crate) struct Pass {
    pub outputs: Vec<Array2<f32>>,
    /// Of a low-rank first layer.
    pub ranked: Option<Ranked>,
}

/// g A and h B of a low-rank first layer.
pub(crate) type Ranked = (Array2<f32>, Array2<f32>);

impl Mlp {
    /// A network with random weights: sizes of the hidden layers, then the logits'.
    pub fn random(
        width: Width,
        hidden: &[usize],
        classes: usize,
        activation: Activation,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let sizes: Vec<usize> = hidden.iter().copied().chain([classes]).collect();
        let first = match width {
            Width::Full(width) => First::Full(Linear::random(width, sizes[0], rng)),
            Width::LowRank { classes, features, rank } => {
                let units = sizes[0] * rank;
                // products of two uniform values, R of N d of them: as spread as a full layer's
                let (a, b) = (bound(classes), bound(features * rank));
                let three = 3.0_f32.sqrt();
                First::LowRank {
                    a: uniform((classes, units), three.sqrt() * a, rng),
                    b: uniform((features, units), three.sqrt() * b, rng),
                    bias: uniform((1, sizes[0]), bound(classes * features), rng)
                        .remove_axis(Axis(0)),
                }
            }
        };
        let rest = sizes.windows(2).map(|pair| Linear::random(pair[0], pair[1], rng)).collect();
        Self { first, rest, activation }
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        let first = match &self.first {
            First::Full(layer) => layer.weight.len() + layer.bias.len(),
            First::LowRank { a, b, bias } => a.len() + b.len() + bias.len(),
        };
        let rest = self.rest.iter().map(|layer| layer.weight.len() + layer.bias.len());
        first + rest.sum::<usize>()
    }

    /// Logits, n x N.
    ///
    /// Never writes out the N d products of an example, only those of a few classes at a time.
    pub fn logits(&self, input: Input<'_>) -> Array2<f32> {
        let rows = input.rows();
        let classes = self.rest.last().map_or_else(
            || match &self.first {
                First::Full(layer) => layer.bias.len(),
                First::LowRank { bias, .. } => bias.len(),
            },
            |layer| layer.bias.len(),
        );
        let mut logits = Array2::zeros((rows, classes));
        for start in (0..rows).step_by(SCORED) {
            let range = start..(start + SCORED).min(rows);
            let part = self.forward(input.slice(range.clone())).outputs.pop();
            if let Some(part) = part {
                logits.slice_mut(s![range, ..]).assign(&part);
            }
        }
        logits
    }

    pub(crate) fn forward(&self, input: Input<'_>) -> Pass {
        let (mut first, ranked) = self.first.forward(input);
        if !self.rest.is_empty() {
            self.activation.apply(&mut first);
        }
        let mut outputs = vec![first];
        for (index, layer) in self.rest.iter().enumerate() {
            let mut output = layer.forward(outputs[index].view());
            if index + 1 < self.rest.len() {
                self.activation.apply(&mut output);
            }
            outputs.push(output);
        }
        Pass { outputs, ranked }
    }

    /// Gradient at the first layer's output, before its activation, and gradients of all further layers,
    /// given the gradient at the logits.
    pub(crate) fn backward(&self, pass: &Pass, logits: Array2<f32>) -> (Array2<f32>, Vec<Linear>) {
        let mut gradient = logits;
        let mut layers = Vec::with_capacity(self.rest.len());
        for (index, layer) in self.rest.iter().enumerate().rev() {
            let input = &pass.outputs[index];
            layers.push(Linear {
                weight: product(input.t(), gradient.view()),
                bias: gradient.sum_axis(Axis(0)),
            });
            gradient = product(gradient.view(), layer.weight.t());
            self.activation.pull_back(&mut gradient, input);
        }
        layers.reverse();
        (gradient, layers)
    }
}

/// Examples scored at a time.
const SCORED: usize = 256;

impl First {
    fn forward(&self, input: Input<'_>) -> (Array2<f32>, Option<Ranked>) {
        match (self, input) {
            (Self::Full(layer), Input::Matrix(x)) => (layer.forward(x), None),
            (Self::Full(layer), Input::Products { g, h, scaling }) => {
                let mut y = spread(&layer.bias, g.nrows());
                let mut block = Array2::zeros((0, 0));
                for classes in blocks(g.ncols(), h.ncols()) {
                    write_block(&mut block, &classes, g, h, scaling);
                    let rows = classes.start * h.ncols()..classes.end * h.ncols();
                    multiply(y.view_mut(), block.view(), layer.weight.slice(s![rows, ..]), 1.0);
                }
                (y, None)
            }
            (Self::LowRank { a, b, bias }, Input::Pair { g, h }) => {
                let (ga, hb) = (product(g, a.view()), product(h, b.view()));
                let mut y = spread(bias, g.nrows());
                let rank = ga.ncols() / bias.len().max(1);
                ndarray::Zip::from(y.rows_mut()).and(ga.rows()).and(hb.rows()).for_each(
                    |mut y, ga, hb| {
                        for (unit, y) in y.iter_mut().enumerate() {
                            let range = unit * rank..(unit + 1) * rank;
                            *y += ga.slice(s![range.clone()]).dot(&hb.slice(s![range]));
                        }
                    },
                );
                (y, Some((ga, hb)))
            }
            // a head is built for its inputs: Head and Fit choose both from one setting
            (Self::Full(layer), Input::Pair { g, .. }) => (spread(&layer.bias, g.nrows()), None),
            (Self::LowRank { bias, .. }, input) => (spread(bias, input.rows()), None),
        }
    }
}

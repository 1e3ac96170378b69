//! A small feed-forward network whose first layer may read products of factors.

use ndarray::{Array1, Array2, Axis, s};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rten_simd::SimdUnaryOp;
use serde::{Deserialize, Serialize};

use crate::input::Input;
use crate::pass::Pass;

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

    pub(crate) fn apply(self, values: &mut Array2<f32>) {
        match (self, values.as_slice_mut()) {
            (Self::Sigmoid, Some(values)) => rten_vecmath::Sigmoid {}.map_mut(values),
            (Self::Sigmoid, None) => values.mapv_inplace(|v| 1.0 / (1.0 + (-v).exp())),
            (Self::Relu, _) => values.mapv_inplace(|v| v.max(0.0)),
            (Self::Tanh, _) => values.mapv_inplace(f32::tanh),
        }
    }

    /// Multiplies a gradient at the output by the derivative, given the output.
    pub(crate) fn pull_back(self, gradient: &mut Array2<f32>, output: &Array2<f32>) {
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
}

fn bound(inputs: usize) -> f32 {
    1.0 / (inputs.max(1) as f32).sqrt()
}

fn uniform(shape: (usize, usize), bound: f32, rng: &mut ChaCha8Rng) -> Array2<f32> {
    Array2::from_shape_simple_fn(shape, || bound * (2.0 * rng.random::<f32>() - 1.0))
}

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

    /// True if all layers have the sizes of the other's.
    pub(crate) fn same_sizes(&self, other: &Self) -> bool {
        let first = match (&self.first, &other.first) {
            (First::Full(own), First::Full(other)) => own.weight.dim() == other.weight.dim(),
            (First::LowRank { a, b, bias }, First::LowRank { a: oa, b: ob, bias: obias }) => {
                a.dim() == oa.dim() && b.dim() == ob.dim() && bias.len() == obias.len()
            }
            _ => false,
        };
        let mut rest = self.rest.iter().zip(&other.rest);
        first
            && self.rest.len() == other.rest.len()
            && rest.all(|(own, other)| own.weight.dim() == other.weight.dim())
    }

    /// True if no weight or bias is NaN or infinite.
    pub(crate) fn is_finite(&self) -> bool {
        let finite =
            |mut values: ndarray::iter::Iter<'_, f32, ndarray::Ix2>| values.all(|v| v.is_finite());
        let vector = |values: &Array1<f32>| values.iter().all(|v| v.is_finite());
        let linear = |layer: &Linear| finite(layer.weight.iter()) && vector(&layer.bias);
        let first = match &self.first {
            First::Full(layer) => linear(layer),
            First::LowRank { a, b, bias } => finite(a.iter()) && finite(b.iter()) && vector(bias),
        };
        first && self.rest.iter().all(linear)
    }

    /// Number of logits N.
    pub fn classes(&self) -> usize {
        self.rest.last().map_or_else(|| self.first.units(), |layer| layer.bias.len())
    }

    /// That the first layer is of the kind and the width that the input asks for.
    pub fn reads(&self, input: &Input<'_>) -> bool {
        match (&self.first, input) {
            (First::Full(layer), Input::Matrix(x)) => layer.weight.nrows() == x.ncols(),
            (First::Full(layer), Input::Products { g, h, scaling }) => {
                let width = g.ncols() * h.ncols();
                layer.weight.nrows() == width
                    && scaling.scale.len() == width
                    && scaling.center.len() == width
            }
            (First::LowRank { a, b, .. }, Input::Pair { g, h }) => {
                a.nrows() == g.ncols() && b.nrows() == h.ncols()
            }
            (First::Full(_), Input::Pair { .. }) | (First::LowRank { .. }, _) => false,
        }
    }

    /// Logits, n x N.
    ///
    /// Never writes out the N d products of an example, only those of a few classes at a time.
    ///
    /// # Panics
    /// If the network does not read such an input: [`Mlp::reads`].
    pub fn logits(&self, input: Input<'_>) -> Array2<f32> {
        assert!(self.reads(&input), "the network does not read such an input");
        let rows = input.rows();
        let mut logits = Array2::zeros((rows, self.classes()));
        let mut pass = Pass::default();
        for start in (0..rows).step_by(SCORED) {
            let range = start..(start + SCORED).min(rows);
            self.forward(input.slice(range.clone()), &mut pass);
            if let Some(part) = pass.outputs.last() {
                logits.slice_mut(s![range, ..]).assign(part);
            }
        }
        logits
    }
}

impl First {
    /// Number of outputs.
    pub(crate) fn units(&self) -> usize {
        match self {
            Self::Full(layer) => layer.bias.len(),
            Self::LowRank { bias, .. } => bias.len(),
        }
    }
}

/// Examples scored at a time.
const SCORED: usize = 256;

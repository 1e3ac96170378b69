//! Stochastic gradient descent with momentum, as PyTorch's `SGD` does it.

use ndarray::{Array, Array1, Array2, ArrayViewMut, Axis, Dimension, s};
use serde::{Deserialize, Serialize};

use crate::gemm::{multiply, product};
use crate::input::{Input, blocks, write_block};
use crate::mlp::{First, Linear, Mlp, Ranked};

/// Settings of the descent and its schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Passes over the data.
    pub epochs: usize,
    /// Examples of a step.
    pub batch: usize,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// Share of the epochs after which the rate is multiplied by [`Schedule::decay`], each in (0, 1).
    pub milestones: Vec<f64>,
    /// Factor at a milestone.
    pub decay: f64,
    /// Momentum mu: `v = mu v + g`.
    pub momentum: f64,
    /// Weight decay: `g = g + decay w`, on biases too.
    pub weight_decay: f64,
}

impl Default for Schedule {
    /// 200 epochs of batches of 128; 0.1, times 0.2 after 60, 120 and 160 of the 200; momentum 0.9, weight decay
    /// 5e-4 (the paper's supplement).
    fn default() -> Self {
        Self {
            epochs: 200,
            batch: 128,
            learning_rate: 0.1,
            milestones: vec![0.3, 0.6, 0.8],
            decay: 0.2,
            momentum: 0.9,
            weight_decay: 5e-4,
        }
    }
}

impl Schedule {
    /// The rate in an epoch, from 0.
    pub fn rate(&self, epoch: usize) -> f64 {
        let passed = |share: &&f64| epoch >= (**share * self.epochs as f64).round() as usize;
        let milestones = self.milestones.iter().filter(passed).count();
        self.learning_rate * self.decay.powi(milestones as i32)
    }
}

/// One step's numbers.
#[derive(Clone, Copy)]
struct Step {
    rate: f32,
    momentum: f32,
    decay: f32,
}

impl Step {
    /// Over slices, which the compiler turns into vector instructions.
    fn update(self, weights: &mut [f32], velocities: &mut [f32], gradients: &[f32]) {
        for ((weight, velocity), gradient) in weights.iter_mut().zip(velocities).zip(gradients) {
            *velocity = self.momentum * *velocity + (gradient + self.decay * *weight);
            *weight -= self.rate * *velocity;
        }
    }

    /// All of these are stored row after row: [`Linear`] and its like are made so and read so.
    fn array<D: Dimension>(
        self,
        mut weight: ArrayViewMut<'_, f32, D>,
        mut velocity: ArrayViewMut<'_, f32, D>,
        gradient: &Array<f32, D>,
    ) {
        let slices = (weight.as_slice_mut(), velocity.as_slice_mut(), gradient.as_slice());
        if let (Some(weight), Some(velocity), Some(gradient)) = slices {
            self.update(weight, velocity, gradient);
        }
    }

    fn linear(self, layer: &mut Linear, velocity: &mut Linear, gradient: &Linear) {
        self.array(layer.weight.view_mut(), velocity.weight.view_mut(), &gradient.weight);
        self.array(layer.bias.view_mut(), velocity.bias.view_mut(), &gradient.bias);
    }
}

/// A network of the same sizes with all values zero: velocities at the start.
pub(crate) fn zeros_like(mlp: &Mlp) -> Mlp {
    let linear = |layer: &Linear| Linear {
        weight: Array2::zeros(layer.weight.dim()),
        bias: Array1::zeros(layer.bias.len()),
    };
    let first = match &mlp.first {
        First::Full(layer) => First::Full(linear(layer)),
        First::LowRank { a, b, bias } => First::LowRank {
            a: Array2::zeros(a.dim()),
            b: Array2::zeros(b.dim()),
            bias: Array1::zeros(bias.len()),
        },
    };
    let rest = mlp.rest.iter().map(linear).collect();
    Mlp { first, rest, activation: mlp.activation }
}

/// One step on a batch: mean softmax cross-entropy before it, and how many were right.
pub(crate) fn step(
    mlp: &mut Mlp,
    velocity: &mut Mlp,
    input: Input<'_>,
    labels: &[usize],
    rate: f64,
    schedule: &Schedule,
) -> (f64, usize) {
    let mut pass = mlp.forward(input);
    let Some(logits) = pass.outputs.pop() else { return (f64::NAN, 0) };
    let (loss, right, gradient) = cross_entropy(logits, labels);
    let (at_first, gradients) = mlp.backward(&pass, gradient);
    let step = Step {
        rate: rate as f32,
        momentum: schedule.momentum as f32,
        decay: schedule.weight_decay as f32,
    };
    for ((layer, velocity), gradient) in mlp.rest.iter_mut().zip(&mut velocity.rest).zip(&gradients)
    {
        step.linear(layer, velocity, gradient);
    }
    let ranked = pass.ranked.as_ref();
    first(&mut mlp.first, &mut velocity.first, input, ranked, &at_first, step);
    (loss, right)
}

/// Updates the first layer; of products, a block of classes at a time, so that no gradient of the whole layer
/// is kept.
fn first(
    layer: &mut First,
    velocity: &mut First,
    input: Input<'_>,
    ranked: Option<&Ranked>,
    at_first: &Array2<f32>,
    step: Step,
) {
    let bias = at_first.sum_axis(Axis(0));
    match (layer, velocity, input) {
        (First::Full(layer), First::Full(velocity), Input::Matrix(x)) => {
            let weight = product(x.t(), at_first.view());
            step.linear(layer, velocity, &Linear { weight, bias });
        }
        (First::Full(layer), First::Full(velocity), Input::Products { g, h, scaling }) => {
            let (mut block, mut gradient) = (Array2::zeros((0, 0)), Array2::zeros((0, 0)));
            for classes in blocks(g.ncols(), h.ncols()) {
                write_block(&mut block, &classes, g, h, scaling);
                let size = (block.ncols(), at_first.ncols());
                if gradient.dim() != size {
                    gradient = Array2::zeros(size);
                }
                multiply(gradient.view_mut(), block.t(), at_first.view(), 0.0);
                let rows = s![classes.start * h.ncols()..classes.end * h.ncols(), ..];
                let (weight, velocity) = (&mut layer.weight, &mut velocity.weight);
                step.array(weight.slice_mut(rows), velocity.slice_mut(rows), &gradient);
            }
            step.array(layer.bias.view_mut(), velocity.bias.view_mut(), &bias);
        }
        (
            First::LowRank { a, b, bias: own },
            First::LowRank { a: va, b: vb, bias: vbias },
            Input::Pair { g, h },
        ) => {
            let Some((ga, hb)) = ranked else { return };
            let rank = ga.ncols() / own.len().max(1);
            let times = |other: &Array2<f32>| {
                Array2::from_shape_fn(other.dim(), |(n, u)| at_first[[n, u / rank]] * other[[n, u]])
            };
            let (grad_a, grad_b) =
                (product(g.t(), times(hb).view()), product(h.t(), times(ga).view()));
            step.array(a.view_mut(), va.view_mut(), &grad_a);
            step.array(b.view_mut(), vb.view_mut(), &grad_b);
            step.array(own.view_mut(), vbias.view_mut(), &bias);
        }
        _ => {}
    }
}

/// Mean cross-entropy, number of right answers, and the gradient at the logits, `(p - e_label) / n`.
fn cross_entropy(mut logits: Array2<f32>, labels: &[usize]) -> (f64, usize, Array2<f32>) {
    let count = labels.len().max(1) as f32;
    let (mut loss, mut right) = (0.0, 0);
    for (mut row, &label) in logits.rows_mut().into_iter().zip(labels) {
        let largest = row.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let at_label = row.get(label).copied().unwrap_or(f32::NAN);
        right += usize::from(at_label == largest);
        row.mapv_inplace(|z| (z - largest).exp());
        let sum: f32 = row.sum();
        loss += f64::from(sum.ln()) - f64::from(at_label - largest);
        row.mapv_inplace(|power| power / sum / count);
        if let Some(value) = row.get_mut(label) {
            *value -= 1.0 / count;
        }
    }
    (loss / f64::from(count), right, logits)
}

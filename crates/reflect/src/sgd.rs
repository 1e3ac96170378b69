//! Stochastic gradient descent with momentum, as PyTorch's `SGD` does it.

use ndarray::{Array, Array1, Array2, ArrayViewMut, Axis, Dimension, s};
use serde::{Deserialize, Serialize};

use crate::gemm::multiply;
use crate::input::{Input, blocks, write_block};
use crate::mlp::{First, Linear, Mlp};
use crate::pass::{Pass, sized};
use crate::scores::largest;

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
#[derive(Clone, Copy, Debug)]
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

/// The descent of one network: how fast its values move, and room for what a step computes.
#[derive(Debug)]
pub(crate) struct Descent<'a> {
    mlp: &'a mut Mlp,
    velocity: &'a mut Mlp,
    step: Step,
    pass: Pass,
    /// Gradient at the output of each layer, before its activation.
    at_outputs: Vec<Array2<f32>>,
    /// Gradient of the weights of each layer; of the first, of a block of rows.
    of_weights: Vec<Array2<f32>>,
}

impl<'a> Descent<'a> {
    pub fn new(
        mlp: &'a mut Mlp,
        velocity: &'a mut Mlp,
        rate: f64,
        Schedule { momentum, weight_decay, .. }: &Schedule,
    ) -> Self {
        let step =
            Step { rate: rate as f32, momentum: *momentum as f32, decay: *weight_decay as f32 };
        let none = || vec![Array2::zeros((0, 0)); 1 + mlp.rest.len()];
        let (at_outputs, of_weights) = (none(), none());
        Self { mlp, velocity, step, pass: Pass::default(), at_outputs, of_weights }
    }

    /// One step on a batch that the network [reads](Mlp::reads), with labels that are classes: mean softmax
    /// cross-entropy before it, and how many were right.
    pub fn step(&mut self, input: Input<'_>, labels: &[usize]) -> (f64, usize) {
        let Self { mlp, velocity, step, pass, at_outputs, of_weights } = self;
        mlp.forward(input, pass);
        let last = mlp.rest.len();
        std::mem::swap(&mut at_outputs[last], &mut pass.outputs[last]);
        let (loss, right) = cross_entropy(&mut at_outputs[last], labels);
        for index in (0..last).rev() {
            let (layer, read) = (&mut mlp.rest[index], &pass.outputs[index]);
            let (below, above) = at_outputs.split_at_mut(index + 1);
            let (below, above) = (&mut below[index], &above[0]);
            sized(below, read.dim());
            multiply(below.view_mut(), above.view(), layer.weight.t(), 0.0);
            mlp.activation.pull_back(below, read);
            let gradient = &mut of_weights[index + 1];
            sized(gradient, layer.weight.dim());
            multiply(gradient.view_mut(), read.t(), above.view(), 0.0);
            step.linear(layer, &mut velocity.rest[index], gradient, above);
        }
        step.first(
            &mut mlp.first,
            &mut velocity.first,
            input,
            pass,
            &at_outputs[0],
            &mut of_weights[0],
        );
        (loss, right)
    }
}

impl Step {
    fn linear(
        self,
        layer: &mut Linear,
        velocity: &mut Linear,
        of_weight: &Array2<f32>,
        at_output: &Array2<f32>,
    ) {
        self.array(layer.weight.view_mut(), velocity.weight.view_mut(), of_weight);
        self.bias(&mut layer.bias, &mut velocity.bias, at_output);
    }

    fn bias(self, bias: &mut Array1<f32>, velocity: &mut Array1<f32>, at_output: &Array2<f32>) {
        self.array(bias.view_mut(), velocity.view_mut(), &at_output.sum_axis(Axis(0)));
    }

    /// Updates the first layer; of products, a block of classes at a time, so that no gradient of the whole
    /// layer is kept.
    fn first(
        self,
        layer: &mut First,
        velocity: &mut First,
        input: Input<'_>,
        pass: &mut Pass,
        at_output: &Array2<f32>,
        gradient: &mut Array2<f32>,
    ) {
        match (layer, velocity, input) {
            (First::Full(layer), First::Full(velocity), Input::Matrix(x)) => {
                sized(gradient, layer.weight.dim());
                multiply(gradient.view_mut(), x.t(), at_output.view(), 0.0);
                self.linear(layer, velocity, gradient, at_output);
            }
            (First::Full(layer), First::Full(velocity), Input::Products { g, h, scaling }) => {
                // the last block of the pass is still there, so the way back begins with it
                let ranges: Vec<_> = blocks(g.ncols(), h.ncols()).collect();
                for (index, classes) in ranges.iter().rev().enumerate() {
                    if index > 0 {
                        write_block(&mut pass.block, classes, g, h, scaling);
                    }
                    sized(gradient, (pass.block.ncols(), at_output.ncols()));
                    multiply(gradient.view_mut(), pass.block.t(), at_output.view(), 0.0);
                    let rows = s![classes.start * h.ncols()..classes.end * h.ncols(), ..];
                    let (weight, velocity) = (&mut layer.weight, &mut velocity.weight);
                    self.array(weight.slice_mut(rows), velocity.slice_mut(rows), gradient);
                }
                self.bias(&mut layer.bias, &mut velocity.bias, at_output);
            }
            (
                First::LowRank { a, b, bias },
                First::LowRank { a: va, b: vb, bias: vbias },
                Input::Pair { g, h },
            ) => {
                let rank = (a.ncols() / bias.len().max(1)).max(1);
                // each becomes the gradient at the other
                swap_scaled(&mut pass.ga, &mut pass.hb, at_output, rank);
                sized(gradient, a.dim());
                multiply(gradient.view_mut(), g.t(), pass.ga.view(), 0.0);
                self.array(a.view_mut(), va.view_mut(), gradient);
                sized(gradient, b.dim());
                multiply(gradient.view_mut(), h.t(), pass.hb.view(), 0.0);
                self.array(b.view_mut(), vb.view_mut(), gradient);
                self.bias(bias, vbias, at_output);
            }
            // Mlp::reads told them apart
            _ => {}
        }
    }
}

/// `(ga, hb) := (e hb, e ga)` with e the gradient of each unit, repeated over its ranks.
fn swap_scaled(ga: &mut Array2<f32>, hb: &mut Array2<f32>, at_output: &Array2<f32>, rank: usize) {
    let (Some(ga), Some(hb)) = (ga.as_slice_mut(), hb.as_slice_mut()) else { return };
    let units = ga.chunks_exact_mut(rank).zip(hb.chunks_exact_mut(rank));
    for ((ga, hb), &e) in units.zip(at_output) {
        for (ga, hb) in ga.iter_mut().zip(hb) {
            (*ga, *hb) = (e * *hb, e * *ga);
        }
    }
}

/// Mean cross-entropy and number of right answers; the logits become the gradient at them,
/// `(p - e_label) / n`.
fn cross_entropy(logits: &mut Array2<f32>, labels: &[usize]) -> (f64, usize) {
    let count = labels.len().max(1) as f32;
    let (mut loss, mut right) = (0.0, 0);
    for (mut row, &label) in logits.rows_mut().into_iter().zip(labels) {
        let best = largest(row.view());
        right += usize::from(best == label);
        let (top, at_label) = (row[best], row[label]);
        row.mapv_inplace(|z| (z - top).exp());
        let sum: f32 = row.sum();
        loss += f64::from(sum.ln()) - f64::from(at_label - top);
        row.mapv_inplace(|power| power / sum / count);
        row[label] -= 1.0 / count;
    }
    (loss / f64::from(count), right)
}

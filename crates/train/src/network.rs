//! A network while it is trained: its tensors, and what the optimiser remembers of them.

use std::collections::HashMap;

use burn_tensor::{Device, Tensor, TensorData, activation};
use introspective_network::Blueprint;

use crate::consistency::divergence;
use crate::error::{Result, TrainError};
use crate::optimizer::Optimizer;
use crate::program::{Mode, Observed, Program};

/// Share of a batch's moments in the running ones: PyTorch's.
const MOMENTUM: f64 = 0.1;

/// A network of the zoo in training.
pub struct Network {
    program: Program,
    names: Vec<String>,
    shapes: Vec<Vec<usize>>,
    tensors: Vec<Tensor<1>>,
    /// What the optimiser remembers of each tensor; empty for running moments.
    memory: Vec<Vec<Tensor<1>>>,
    optimizer: Optimizer,
    decay: f64,
    steps: usize,
    dropout: bool,
    seed: u64,
    device: Device,
    side: usize,
    channels: usize,
}

/// What a batch was found to give.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Sum of the cross-entropies, in nats.
    pub loss: f64,
    /// Sum of the divergences of AugMix's consistency loss, in nats; 0 without it.
    pub divergence: f64,
    /// Examples whose class had the largest logit.
    pub right: usize,
    /// Examples.
    pub count: usize,
}

impl Score {
    /// Adds another batch's.
    pub fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.divergence += other.divergence;
        self.right += other.right;
        self.count += other.count;
    }

    /// Mean cross-entropy in nats.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.count as f64
    }

    /// Mean divergence in nats.
    pub fn mean_divergence(&self) -> f64 {
        self.divergence / self.count as f64
    }

    pub(crate) fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.divergence.is_finite()
    }

    /// Share that was right.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.count as f64
    }
}

/// Everything that changes while training, as numbers: for each tensor, in the order of names, its values and what is
/// remembered of it.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Values of each tensor.
    pub tensors: Vec<Vec<f32>>,
    /// What the optimiser remembers.
    pub memory: Vec<Vec<Vec<f32>>>,
    /// Steps taken.
    pub steps: usize,
}

impl Network {
    /// A network with these values for its tensors, in the blueprint's order, for pictures of this side.
    ///
    /// # Errors
    /// The graph cannot be trained on such pictures.
    pub fn new(
        blueprint: &Blueprint,
        values: Vec<Vec<f32>>,
        side: usize,
        (optimizer, decay): (Optimizer, f64),
        seed: u64,
        device: Device,
    ) -> Result<Self> {
        let (names, shapes): (Vec<String>, Vec<Vec<usize>>) =
            blueprint.tensors().iter().cloned().unzip();
        let indices: HashMap<String, usize> =
            names.iter().enumerate().map(|(index, name)| (name.clone(), index)).collect();
        let program = Program::new(blueprint, [side; 2], &indices, &device)?;
        let memory =
            names
                .iter()
                .zip(&values)
                .map(|(name, values)| {
                    if is_running(name) {
                        Vec::new()
                    } else {
                        optimizer.start(values.len(), &device)
                    }
                })
                .collect();
        let tensors = values.into_iter().map(|values| vector(values, &device)).collect();
        let dropout = program.has_dropout();
        let channels = blueprint.channels();
        Ok(Self {
            program,
            names,
            shapes,
            tensors,
            memory,
            optimizer,
            decay,
            steps: 0,
            dropout,
            seed,
            device,
            side,
            channels,
        })
    }

    fn pictures(&self, batch: Vec<f32>) -> Tensor<4> {
        let (side, channels) = (self.side, self.channels);
        let count = batch.len() / (channels * side * side);
        Tensor::from_data(TensorData::new(batch, [count, channels, side, side]), &self.device)
    }

    /// One step on a batch (pictures x channels x side x side); its score is that before the step. With a factor for the
    /// consistency loss the batch has three views of each picture ([`divergence`]); the first views have the labels.
    ///
    /// # Errors
    /// The device failed.
    pub fn step(
        &mut self,
        batch: Vec<f32>,
        labels: &[usize],
        rate: f64,
        consistency: Option<f64>,
    ) -> Result<Score> {
        if self.dropout {
            self.device.seed(self.seed.wrapping_add(self.steps as u64));
        }
        let leaves: Vec<Tensor<1>> = self
            .tensors
            .iter()
            .zip(&self.names)
            .map(|(tensor, name)| {
                let leaf = tensor.clone().autodiff();
                if is_running(name) { leaf } else { leaf.require_grad() }
            })
            .collect();
        let mut observed = Vec::new();
        let x = self.pictures(batch).autodiff();
        let logits = self.program.run(&leaves, &self.shapes, x, Mode::Train(&mut observed));
        let divergence = consistency.map(|factor| (factor, divergence(logits.clone())));
        let logits = match consistency {
            Some(_) => logits.narrow(0, 0, labels.len()),
            None => logits,
        };
        let mut score = score(&logits.clone().inner(), labels)?;
        if let Some((_, divergence)) = &divergence {
            let mean: f32 = values(&divergence.clone().inner())?.iter().sum();
            score.divergence = f64::from(mean) * labels.len() as f64;
        }
        let targets: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
        let targets: Tensor<2, burn_tensor::Int> =
            Tensor::from_data(TensorData::new(targets, [labels.len(), 1]), &self.device).autodiff();
        let mut loss = activation::log_softmax(logits, 1).gather(1, targets).mean().neg();
        if let Some((factor, divergence)) = divergence {
            loss = loss + divergence * factor;
        }
        if !score.is_finite() {
            return Ok(score);
        }
        let mut gradients = loss.backward();
        for (index, leaf) in leaves.into_iter().enumerate() {
            let Some(gradient) = leaf.grad_remove(&mut gradients) else { continue };
            let memory = std::mem::take(&mut self.memory[index]);
            let weight = self.tensors[index].clone();
            let (weight, memory) =
                self.optimizer.step(weight, gradient, memory, rate, self.decay, self.steps);
            self.tensors[index] = weight;
            self.memory[index] = memory;
        }
        for Observed { tensors: [mean, variance], mean: m, variance: v, count } in observed {
            let unbiased = count as f64 / (count as f64 - 1.0).max(1.0);
            self.run_on(mean, m, 1.0);
            self.run_on(variance, v, unbiased);
        }
        self.steps += 1;
        Ok(score)
    }

    fn run_on(&mut self, index: usize, moment: Tensor<1>, factor: f64) {
        let old = self.tensors[index].clone();
        self.tensors[index] = old * (1.0 - MOMENTUM) + moment * (MOMENTUM * factor);
    }

    /// The score of a batch with running moments and without dropout.
    ///
    /// # Errors
    /// The device failed.
    pub fn evaluate(&self, batch: Vec<f32>, labels: &[usize]) -> Result<Score> {
        score(&self.logits(batch), labels)
    }

    /// Logits (batch x classes) with running moments and without dropout.
    pub fn logits(&self, batch: Vec<f32>) -> Tensor<2> {
        self.program.run(&self.tensors, &self.shapes, self.pictures(batch), Mode::Predict)
    }

    /// Leaves dropout out, which PyTorch draws otherwise.
    #[cfg(test)]
    pub fn forget_dropout(&mut self) {
        self.program.forget_dropout();
    }

    /// Names of its tensors.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Shapes of its tensors.
    pub fn shapes(&self) -> &[Vec<usize>] {
        &self.shapes
    }

    /// Everything that changes while training.
    ///
    /// # Errors
    /// The device failed.
    pub fn state(&self) -> Result<State> {
        let all = |tensors: &[Tensor<1>]| tensors.iter().map(values).collect::<Result<Vec<_>>>();
        Ok(State {
            tensors: all(&self.tensors)?,
            memory: self.memory.iter().map(|memory| all(memory)).collect::<Result<_>>()?,
            steps: self.steps,
        })
    }

    /// Goes on from there.
    pub fn restore(&mut self, state: State) {
        let put = |values| vector(values, &self.device);
        self.tensors = state.tensors.into_iter().map(put).collect();
        self.memory =
            state.memory.into_iter().map(|memory| memory.into_iter().map(put).collect()).collect();
        self.steps = state.steps;
    }
}

/// Whether a tensor is a running moment, which is counted and not trained.
pub fn is_running(name: &str) -> bool {
    name.ends_with(".running_mean") || name.ends_with(".running_var")
}

fn vector(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Result<Vec<f32>> {
    tensor
        .to_data()
        .try_to_vec()
        .map_err(|error| TrainError::Device { reason: format!("{error:?}") })
}

/// Cross-entropies `ln sum exp(y) - y_c` and hits of a batch's logits.
fn score(logits: &Tensor<2>, labels: &[usize]) -> Result<Score> {
    let [_, classes] = logits.dims();
    let mut score = Score { count: labels.len(), ..Score::default() };
    for (row, &label) in values(logits)?.chunks_exact(classes).zip(labels) {
        let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row.iter().map(|&y| f64::from(y - highest).exp()).sum();
        score.loss += sum.ln() - f64::from(row[label] - highest);
        // the first of equal ones, as an argmax has it
        score.right += usize::from(row.iter().position(|&y| y == highest) == Some(label));
    }
    Ok(score)
}

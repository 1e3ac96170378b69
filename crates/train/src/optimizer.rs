//! From gradients to the next weights.

use burn_tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// How weights follow their gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent: with `g += decay w`, `v = momentum v + g`, `w -= rate v` (or, by Nesterov,
    /// `w -= rate (g + momentum v)`), as PyTorch's `SGD`.
    Sgd {
        /// Share of the last step that is kept.
        momentum: f64,
        /// Whether the gradient is taken where momentum leads.
        nesterov: bool,
    },
    /// Adam with decay apart from the gradient (Loshchilov and Hutter 2019), with PyTorch's constants 0.9, 0.999 and
    /// 1e-8.
    AdamW,
}

impl Optimizer {
    /// How many tensors it keeps for each weight.
    pub fn memory(&self) -> usize {
        match self {
            Self::Sgd { .. } => 1,
            Self::AdamW => 2,
        }
    }

    /// What it remembers of a tensor of this length at first.
    pub fn start(&self, length: usize, device: &Device) -> Vec<Tensor<1>> {
        (0..self.memory()).map(|_| Tensor::zeros([length], device)).collect()
    }

    /// The next weights, after `step` steps were taken, and what is remembered.
    pub fn step(
        &self,
        weight: Tensor<1>,
        gradient: Tensor<1>,
        memory: Vec<Tensor<1>>,
        rate: f64,
        decay: f64,
        step: usize,
    ) -> (Tensor<1>, Vec<Tensor<1>>) {
        let mut memory = memory.into_iter();
        let mut recall = || memory.next().unwrap_or_else(|| gradient.zeros_like());
        match self {
            Self::Sgd { momentum, nesterov } => {
                let velocity = recall();
                let g = gradient + weight.clone() * decay;
                let velocity = velocity * *momentum + g.clone();
                let along =
                    if *nesterov { g + velocity.clone() * *momentum } else { velocity.clone() };
                (weight - along * rate, vec![velocity])
            }
            Self::AdamW => {
                const BETAS: [f64; 2] = [0.9, 0.999];
                let (first, second) = (recall(), recall());
                let first = first * BETAS[0] + gradient.clone() * (1.0 - BETAS[0]);
                let second = second * BETAS[1] + gradient.square() * (1.0 - BETAS[1]);
                let power = i32::try_from(step + 1).unwrap_or(i32::MAX);
                let [a, b] = BETAS.map(|beta| 1.0 - beta.powi(power));
                let size = (second.clone() / b).sqrt() + 1e-8;
                let next = weight * (1.0 - rate * decay) - first.clone() / size * (rate / a);
                (next, vec![first, second])
            }
        }
    }
}

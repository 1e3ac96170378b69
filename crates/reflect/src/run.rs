//! The training of one small network, an epoch at a time, so that it can be stopped and gone on with.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{ReflectError, Result};
use crate::input::Input;
use crate::mlp::{Activation, Mlp, Width};
use crate::sgd::{Descent, Schedule, zeros_like};

/// A network being trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The network as it is.
    pub network: Mlp,
    /// Momentum of each of its values.
    pub(crate) velocity: Mlp,
    /// Epochs done.
    pub epoch: usize,
    seed: u64,
}

/// What an epoch came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Mean softmax cross-entropy over the examples, each as it was when its batch came.
    pub loss: f64,
    /// Share of right answers, as it was when each batch came.
    pub accuracy: f64,
    /// Learning rate.
    pub rate: f64,
}

impl Run {
    /// A network with random weights, which depend on the seed alone.
    pub fn new(
        width: Width,
        hidden: &[usize],
        classes: usize,
        activation: Activation,
        seed: u64,
    ) -> Self {
        let network = Mlp::random(width, hidden, classes, activation, &mut rng(seed, 0));
        Self::from_network(network, seed)
    }

    /// Training that starts from a network.
    pub fn from_network(network: Mlp, seed: u64) -> Self {
        Self { velocity: zeros_like(&network), network, epoch: 0, seed }
    }

    /// Training that goes on.
    pub(crate) fn restored(network: Mlp, velocity: Mlp, epoch: usize, seed: u64) -> Self {
        Self { network, velocity, epoch, seed }
    }

    /// One pass over the examples in an order that depends on the seed and the epoch alone. The last batch of
    /// an epoch may be smaller.
    ///
    /// `method` is what an error calls the network.
    ///
    /// # Errors
    /// [`ReflectError::Diverged`]; [`ReflectError::TooFew`] without examples; [`ReflectError::Shape`] and
    /// [`ReflectError::Label`] for an input or a label that is not the network's.
    pub fn epoch(
        &mut self,
        input: Input<'_>,
        labels: &[usize],
        schedule: &Schedule,
        method: &str,
    ) -> Result<Epoch> {
        if labels.is_empty() || input.rows() != labels.len() {
            let found = labels.len().min(input.rows());
            return Err(ReflectError::TooFew { found, needed: 1, what: " to train on" });
        }
        if !self.network.reads(&input) {
            return Err(ReflectError::Shape {
                what: "the input",
                found: input.widths(),
                expected: "what the network's first layer reads".to_owned(),
            });
        }
        let classes = self.network.classes();
        if let Some(row) = labels.iter().position(|&label| label >= classes) {
            return Err(ReflectError::Label { row, label: labels[row] as i64, classes });
        }
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.shuffle(&mut rng(self.seed, 1 + self.epoch as u64));
        let rate = schedule.rate(self.epoch);
        let (mut total, mut right) = (0.0, 0);
        let diverged = |step, loss| ReflectError::Diverged {
            method: method.to_owned(),
            seed: self.seed,
            epoch: self.epoch + 1,
            step,
            learning_rate: rate,
            loss,
        };
        let batch = schedule.batch.max(1);
        let mut descent = Descent::new(&mut self.network, &mut self.velocity, rate, schedule);
        for (index, rows) in order.chunks(batch).enumerate() {
            let batch = input.gather(rows);
            let labels: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
            let (loss, hits) = descent.step(batch.view(), &labels);
            if !loss.is_finite() {
                return Err(diverged(index + 1, loss));
            }
            total += loss * labels.len() as f64;
            right += hits;
        }
        // a last step may have led away from all numbers without a loss to tell
        if !self.network.is_finite() {
            return Err(diverged(labels.len().div_ceil(batch), f64::NAN));
        }
        self.epoch += 1;
        let count = labels.len() as f64;
        Ok(Epoch { loss: total / count, accuracy: right as f64 / count, rate })
    }
}

/// Random numbers of a purpose, independent of those of any other.
fn rng(seed: u64, purpose: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(purpose);
    rng
}

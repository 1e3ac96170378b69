//! The loop: epochs of steps, what they gave, and what is kept of them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::curve;
use crate::error::{Result, TrainError};
use crate::network::{Network, Score};
use crate::optimizer::Optimizer;
use crate::pictures::{Augmentation, Change, Normal, Pictures, order};
use crate::robust::Robust;
use crate::schedule::Schedule;

/// How a network is trained. Two runs with the same settings on the same data give the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Passes over the examples.
    pub epochs: usize,
    /// Examples in a step.
    pub batch: usize,
    /// How weights follow their gradients.
    pub optimizer: Optimizer,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// How the learning rate goes.
    pub schedule: Schedule,
    /// What is done to a picture before.
    pub augmentation: Augmentation,
    /// What is done to it after that, for the sake of robustness.
    #[serde(default)]
    pub robust: Robust,
    /// Seed of weights, order, augmentation, noise, mixtures and dropout.
    pub seed: u64,
}

/// What an epoch gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Mean cross-entropy in nats while it went, each batch before its step (with AugMix's consistency loss, that of the
    /// pictures themselves).
    pub loss: f64,
    /// Share that was right while it went.
    pub accuracy: f64,
    /// Mean divergence in nats while it went, before its factor; absent without AugMix's consistency loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<f64>,
    /// The same of the examples held out, after it; absent if there are none.
    pub held_out_loss: Option<f64>,
    /// Share of the examples held out that is right.
    pub held_out_accuracy: Option<f64>,
}

/// What is trained on.
pub struct Examples<'a> {
    /// All pictures.
    pub pictures: &'a Pictures,
    /// Which of them are trained on.
    pub kept: Vec<usize>,
    /// Which are held out.
    pub held: Vec<usize>,
    /// What brings them to where the network wants them.
    pub normal: &'a Normal,
}

/// News of a training.
#[derive(Debug)]
pub enum News<'a> {
    /// A step was taken.
    Step {
        /// Epoch, from 1.
        epoch: usize,
        /// Steps taken in it.
        step: usize,
        /// Steps that it has.
        of: usize,
        /// What the epoch has given so far.
        score: &'a Score,
    },
    /// An epoch is over, and a checkpoint written if one was due.
    Epoch(&'a Epoch),
}

/// Where checkpoints go, and how often.
pub struct Keep {
    /// The file.
    pub path: PathBuf,
    /// A file for the numbers of all epochs, written together with it.
    pub curve: PathBuf,
    /// After every so many epochs, and after the last one before an interruption.
    pub every: usize,
    /// What a later run compares.
    pub identity: String,
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All epochs are done.
    Done,
    /// It was told to stop.
    Interrupted,
}

/// Trains until all epochs are done or `watch` says no, from the epoch after the last of `history` on.
///
/// # Errors
/// The loss is no number any more, a checkpoint cannot be written, or the device failed.
pub fn train(
    network: &mut Network,
    examples: &Examples<'_>,
    settings: &Settings,
    keep: &Keep,
    history: &mut Vec<Epoch>,
    watch: &mut dyn FnMut(News<'_>) -> bool,
) -> Result<End> {
    let per_epoch = examples.kept.len().div_ceil(settings.batch);
    let steps = per_epoch * settings.epochs;
    let mut written = history.len();
    let diverged = |loss, epoch, step, rate, written| TrainError::Diverged {
        loss,
        epoch: epoch + 1,
        step: step + 1,
        rate,
        suggested: settings.learning_rate / 10.0,
        kept: kept(&keep.path, written),
    };
    for epoch in history.len()..settings.epochs {
        let order = order(&examples.kept, settings.seed, epoch);
        let Settings { augmentation, robust, seed, .. } = *settings;
        let change = Change { augmentation, robust, seed, epoch };
        let mut score = Score::default();
        let mut rate = settings.learning_rate;
        for (index, chunk) in order.chunks(settings.batch).enumerate() {
            rate = settings.schedule.rate(
                settings.learning_rate,
                epoch,
                epoch * per_epoch + index,
                steps,
            );
            let batch = examples.pictures.changed(chunk, examples.normal, &change);
            let labels: Vec<usize> = chunk.iter().map(|&i| examples.pictures.labels[i]).collect();
            let step = network.step(batch, &labels, rate, robust.consistency())?;
            if !step.is_finite() {
                return Err(diverged(step.loss + step.divergence, epoch, index, rate, written));
            }
            score.add(step);
            let news =
                News::Step { epoch: epoch + 1, step: index + 1, of: per_epoch, score: &score };
            if !watch(news) {
                return Ok(End::Interrupted);
            }
        }
        let held = evaluate(network, examples, settings.batch)?;
        if let Some(loss) = held.map(|held| held.loss).filter(|loss| !loss.is_finite()) {
            return Err(diverged(loss, epoch, per_epoch - 1, rate, written));
        }
        history.push(Epoch {
            epoch: epoch + 1,
            learning_rate: rate,
            loss: score.mean_loss(),
            accuracy: score.accuracy(),
            consistency: robust.consistency().map(|_| score.mean_divergence()),
            held_out_loss: held.map(|held| held.mean_loss()),
            held_out_accuracy: held.map(|held| held.accuracy()),
        });
        if (epoch + 1) % keep.every == 0 || epoch + 1 == settings.epochs {
            let checkpoint = Checkpoint {
                identity: keep.identity.clone(),
                history: history.clone(),
                state: network.state()?,
            };
            checkpoint.write(&keep.path, network.names(), network.shapes())?;
            curve::write(&keep.curve, history)?;
            written = epoch + 1;
        }
        if let Some(epoch) = history.last()
            && !watch(News::Epoch(epoch))
        {
            return Ok(End::Interrupted);
        }
    }
    Ok(End::Done)
}

fn kept(path: &Path, epochs: usize) -> String {
    match epochs {
        0 => "no epoch was finished, so there is no checkpoint".to_owned(),
        _ => format!("the checkpoint after epoch {epochs} is in {}", path.display()),
    }
}

fn evaluate(network: &Network, examples: &Examples<'_>, batch: usize) -> Result<Option<Score>> {
    if examples.held.is_empty() {
        return Ok(None);
    }
    let mut score = Score::default();
    for chunk in examples.held.chunks(batch) {
        let pictures = examples.pictures.batch(chunk, examples.normal);
        let labels: Vec<usize> = chunk.iter().map(|&i| examples.pictures.labels[i]).collect();
        score.add(network.evaluate(pictures, &labels)?);
    }
    Ok(Some(score))
}

//! What makes a network robust against corruptions that it never sees: noise, or AugMix.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::consistency::VIEWS;
use crate::error::{Result, TrainError};
use crate::pillow::Operation;

/// What is done to a picture for the sake of robustness, after [`Augmentation`](crate::Augmentation) and before it is
/// normalised. Mixtures and noisy pictures are not rounded to bytes again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Robust {
    /// Nothing.
    #[default]
    None,
    /// Gaussian noise, drawn for each value by itself, with a standard deviation that is drawn for each picture, evenly from
    /// `0..=deviation`; what leaves 0..1 is clipped.
    GaussianNoise {
        /// The largest standard deviation, for values in 0..1; more than 0 and at most 1.
        deviation: f64,
    },
    /// AugMix (Hendrycks et al. 2020, arXiv 1912.02781, as in the authors' code for CIFAR): several chains of operations
    /// are mixed with weights from a Dirichlet distribution, and their mixture with the picture by a share that is drawn
    /// evenly from 0..1.
    #[serde(rename = "augmix")]
    AugMix {
        /// Chains, 1 or more.
        width: usize,
        /// The most operations in a chain; how many is drawn evenly from `1..=depth`.
        depth: usize,
        /// How strong operations are, from 0.1 to 10; each draws its own strength evenly from 0.1 to this.
        severity: f64,
        /// Factor of the consistency loss: the Jensen-Shannon divergence of a picture's prediction and those of two mixtures
        /// of it is added to the cross-entropy of the picture. A step then computes three copies of each picture. If it
        /// is 0, a picture's one mixture takes its place and there is no such loss.
        consistency: f64,
    },
}

impl Robust {
    /// Gaussian noise of a standard deviation of up to 0.1.
    pub fn gaussian_noise() -> Self {
        Self::GaussianNoise { deviation: 0.1 }
    }

    /// AugMix with the settings of the paper: three chains of one to three operations, severity 3, and a consistency loss
    /// with the factor 12.
    pub fn augmix() -> Self {
        Self::AugMix { width: 3, depth: 3, severity: 3.0, consistency: 12.0 }
    }

    /// Factor of the consistency loss, if there is one.
    pub fn consistency(&self) -> Option<f64> {
        match self {
            Self::AugMix { consistency, .. } if *consistency > 0.0 => Some(*consistency),
            _ => None,
        }
    }

    /// Copies of each picture that a step computes: 3 with the consistency loss, else 1.
    pub fn views(&self) -> usize {
        if self.consistency().is_some() { VIEWS } else { 1 }
    }

    /// # Errors
    /// A setting is out of its range.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong =
            |name, found: String, expected| Err(TrainError::Setting { name, found, expected });
        match *self {
            Self::GaussianNoise { deviation } if !(deviation > 0.0 && deviation <= 1.0) => wrong(
                "the standard deviation of the noise",
                deviation.to_string(),
                "more than 0 and at most 1",
            ),
            Self::AugMix { width: 0, .. } => wrong("AugMix's width", "0".to_owned(), "1 or more"),
            Self::AugMix { depth: 0, .. } => wrong("AugMix's depth", "0".to_owned(), "1 or more"),
            Self::AugMix { severity, .. } if !(0.1..=10.0).contains(&severity) => {
                wrong("AugMix's severity", severity.to_string(), "0.1 to 10")
            }
            Self::AugMix { consistency, .. }
                if !(consistency.is_finite() && consistency >= 0.0) =>
            {
                wrong(
                    "the factor of AugMix's consistency loss",
                    consistency.to_string(),
                    "a number, 0 or more",
                )
            }
            _ => Ok(()),
        }
    }

    /// Writes a copy of a picture (bytes, channel after channel, each `side x side`) as values in 0..1.
    pub(crate) fn copy(
        &self,
        picture: &[u8],
        side: usize,
        random: &mut ChaCha8Rng,
        out: &mut [f32],
    ) {
        match *self {
            Self::None => out.iter_mut().zip(picture).for_each(|(out, &byte)| *out = unit(byte)),
            Self::GaussianNoise { deviation } => {
                let deviation = random.random_range(0.0..=deviation) as f32;
                for (out, &byte) in out.iter_mut().zip(picture) {
                    let drawn: f32 = StandardNormal.sample(random);
                    *out = (unit(byte) + deviation * drawn).clamp(0.0, 1.0);
                }
            }
            Self::AugMix { width, depth, severity, .. } => {
                let share: f32 = random.random();
                let weights = weights(width, random);
                out.iter_mut()
                    .zip(picture)
                    .for_each(|(out, &byte)| *out = (1.0 - share) * unit(byte));
                for weight in weights {
                    let mut chain = picture.to_vec();
                    for _ in 0..random.random_range(1..=depth) {
                        draw(severity, side, random).apply(&mut chain, side);
                    }
                    let weight = share * weight;
                    out.iter_mut().zip(&chain).for_each(|(out, &byte)| *out += weight * unit(byte));
                }
            }
        }
    }
}

fn unit(byte: u8) -> f32 {
    f32::from(byte) / 255.0
}

/// Shares of a whole, evenly among all such (Dirichlet's distribution with ones): exponential draws over their sum.
fn weights(count: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    let drawn: Vec<f32> = (0..count).map(|_| Exp1.sample(random)).collect();
    let sum: f32 = drawn.iter().sum();
    drawn.iter().map(|weight| weight / sum).collect()
}

/// One of the nine operations that are none of CIFAR-10-C's corruptions, with a strength up to the severity; what has a
/// direction goes one way or the other.
pub(crate) fn draw(severity: f64, side: usize, random: &mut ChaCha8Rng) -> Operation {
    let kind = random.random_range(0..9);
    // a level of 10 would give the most that an operation may do
    let level = random.random_range(0.1..=severity) / 10.0;
    let sign = if random.random::<bool>() { 1.0 } else { -1.0 };
    let shift = sign * (level * side as f64 / 3.0).floor();
    match kind {
        0 => Operation::AutoContrast,
        1 => Operation::Equalize,
        2 => Operation::Posterize(4 - (level * 4.0).min(3.0) as u32),
        3 => Operation::Rotate(sign * (level * 30.0).floor()),
        4 => Operation::Solarize(256 - (level * 256.0) as u32),
        5 => Operation::ShearX(sign * level * 0.3),
        6 => Operation::ShearY(sign * level * 0.3),
        7 => Operation::TranslateX(shift),
        _ => Operation::TranslateY(shift),
    }
}

//! Learning rates.

use serde::{Deserialize, Serialize};

/// How the learning rate goes while training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It is multiplied by `factor` after each of these numbers of epochs.
    Steps {
        /// Numbers of epochs.
        milestones: Vec<usize>,
        /// What it is multiplied by.
        factor: f64,
    },
    /// Up from 1/25 of it in the first three tenths of all steps, then down to 1/250000 of it, along half waves of a
    /// cosine (Smith and Topin 2018; PyTorch's `OneCycleLR` with a momentum that stays).
    OneCycle,
}

impl Schedule {
    /// Steps by a fifth after 30 %, 60 % and 80 % of the epochs, as Prabhushankar and AlRegib 2022 (section 4) step after 60, 120
    /// and 160 of 200.
    pub fn steps(epochs: usize) -> Self {
        let after = |share: f64| (share * epochs as f64).round() as usize;
        Self::Steps { milestones: vec![after(0.3), after(0.6), after(0.8)], factor: 0.2 }
    }

    /// The learning rate of step `step` (from 0) of `steps`, in epoch `epoch` (from 0), `base` being the highest.
    pub fn rate(&self, base: f64, epoch: usize, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => base,
            Self::Steps { milestones, factor } => {
                let passed = milestones.iter().filter(|&&milestone| epoch >= milestone).count();
                base * factor.powi(i32::try_from(passed).unwrap_or(i32::MAX))
            }
            Self::OneCycle => {
                let wave = |from: f64, to: f64, part: f64| {
                    to + (from - to) / 2.0 * (1.0 + (std::f64::consts::PI * part).cos())
                };
                let (start, end) = (base / 25.0, base / 250_000.0);
                // with three steps or fewer there is no way up
                let peak = (0.3 * steps as f64 - 1.0).max(0.0);
                let last = steps as f64 - 1.0;
                let step = step as f64;
                if step <= peak {
                    wave(start, base, if peak > 0.0 { step / peak } else { 1.0 })
                } else {
                    let part = if last > peak { (step - peak) / (last - peak) } else { 1.0 };
                    wave(base, end, part)
                }
            }
        }
    }
}

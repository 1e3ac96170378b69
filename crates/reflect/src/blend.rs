//! H averaged with what the classifier itself says in a second pass.

use ndarray::{Array2, ArrayView2, Axis};

use crate::features::LastLayer;
use crate::scores::probabilities;

/// The classifier's own prediction from the pass with a share of each picture's own statistics, and its temperature T_f.
///
/// A head with one predicts `( ln softmax(z_own / T_f) + ln softmax(z_H / T_H) ) / 2`, z_own = W h_own + b (derived: the two
/// go wrong on different pictures, the one where its statistics mislead it, the other where damage is of a kind that it has
/// not been shown).
#[derive(Clone, Debug, PartialEq)]
pub struct Blend {
    /// The classifier's last layer.
    pub last: LastLayer,
    /// T_f.
    pub temperature: f32,
}

impl Blend {
    /// Logits of the second pass, n x N, from activations whose last d columns are its h.
    pub(crate) fn own(&self, activations: ArrayView2<'_, f32>) -> Array2<f32> {
        let width = self.last.weight.ncols();
        let start = activations.ncols() - width;
        self.last.logits(activations.split_at(Axis(1), start).1)
    }

    /// The mean of both log-probabilities, n x N; `temperature` is T_H.
    pub(crate) fn apply(
        &self,
        activations: ArrayView2<'_, f32>,
        logits: &Array2<f32>,
        temperature: f32,
    ) -> Array2<f32> {
        let own = self.own(activations) / self.temperature;
        let mut mean = logits / temperature;
        for (mut row, own) in mean.rows_mut().into_iter().zip(own.rows()) {
            let (p, q) = (probabilities(row.view()), probabilities(own));
            for (value, (p, q)) in row.iter_mut().zip(p.into_iter().zip(q)) {
                let log = |p: f64| p.max(f64::MIN_POSITIVE).ln();
                *value = (0.5 * (log(p) + log(q))) as f32;
            }
        }
        mean
    }
}

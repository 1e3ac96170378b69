//! H averaged with what the classifier itself says in a second pass.

use ndarray::{Array2, ArrayView2, Axis};

use crate::features::LastLayer;
use crate::scores::probabilities;

/// Weights of the average that are tried.
pub(crate) const WEIGHTS: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// The classifier's own prediction from the pass with a share of each picture's own statistics, its temperature T_f, and its
/// weight w.
///
/// A head with one predicts `w ln softmax(z_own / T_f) + (1 - w) ln softmax(z_H / T_H)`, z_own = W h_own + b (derived: the two
/// go wrong on different pictures, the one where its statistics mislead it, the other where damage is of a kind that it has
/// not been shown). Of 0, 1/4, 1/2, 3/4 and 1, w is the weight with the least negative log-likelihood on changed copies of
/// images kept aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Blend {
    /// The classifier's last layer.
    pub last: LastLayer,
    /// T_f.
    pub temperature: f32,
    /// w, 0 to 1.
    pub weight: f32,
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
        let log = |p: f64| p.max(f64::MIN_POSITIVE).ln();
        let weight = f64::from(self.weight);
        for (mut row, own) in mean.rows_mut().into_iter().zip(own.rows()) {
            let (p, q) = (probabilities(row.view()), probabilities(own));
            for (value, (p, q)) in row.iter_mut().zip(p.into_iter().zip(q)) {
                *value = ((1.0 - weight) * log(p) + weight * log(q)) as f32;
            }
        }
        mean
    }
}

/// `- sum_i ln softmax(z_i)_{y_i}`.
pub(crate) fn loss(logits: ArrayView2<'_, f32>, labels: &[usize]) -> f64 {
    let rows = logits.outer_iter().zip(labels);
    rows.map(|(row, &label)| -probabilities(row)[label].max(f64::MIN_POSITIVE).ln()).sum()
}

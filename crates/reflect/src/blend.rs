//! H averaged with what the classifier itself says in a second pass.

use std::ops::ControlFlow;

use ndarray::{Array2, ArrayView2, Axis};

use crate::error::Result;
use crate::features::Owner;
use crate::features::{Features, LastLayer};
use crate::fit::{Progress, fit};
use crate::head::Method;
use crate::options::FitOptions;
use crate::scores::probabilities;

/// Weights of the average that are tried.
const WEIGHTS: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// The weight where nothing tells which is best.
pub(crate) const EQUAL: f32 = 0.5;

/// The classifier's own prediction from the pass with a share of each picture's own statistics, its temperature T_f, and its
/// weight w.
///
/// A head with one predicts `w ln softmax(z_own / T_f) + (1 - w) ln softmax(z_H / T_H)`, z_own = W h_own + b (derived: the two
/// go wrong on different pictures, the one where its statistics mislead it, the other where damage is of a kind that it has
/// not been shown). Which of 0, 1/4, 1/2, 3/4 and 1 is w is found for damage that H does not know: for each of
/// [`FitOptions::kinds`](crate::FitOptions::kinds) an H is trained without it and judged on kept images' copies of that kind; w has the least
/// negative log-likelihood over all kinds.
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

/// The weight with the least negative log-likelihood on copies of a kind that an H was not trained on, summed over the kinds;
/// `None` if there are no such copies.
///
/// # Errors
/// Those of [`fit`].
pub(crate) fn weight_on_unseen(
    training: &Features,
    clean: &Features,
    copies: &Features,
    owner: &Owner,
    options: &FitOptions,
    watch: &(dyn Fn(Progress<'_>) -> ControlFlow<()> + Sync),
) -> Result<Option<f32>> {
    let one = FitOptions { kinds: Vec::new(), seeds: 1, controls: false, ..options.clone() };
    let rows = |features: &Features, kind: &[String], inside: bool| -> Vec<usize> {
        let of = |row: &usize| features.changes.get(*row).is_some_and(|name| kind.contains(name));
        (0..features.len()).filter(|row| of(row) == inside).collect()
    };
    let mut losses = [0.0; WEIGHTS.len()];
    let mut judged = false;
    for kind in &options.kinds {
        let (without, own) = (rows(training, kind, false), rows(copies, kind, true));
        if without.len() == training.len() || without.len() < 2 || own.is_empty() {
            continue;
        }
        // no epoch of the fit that was asked for, but a chance to stop it
        let quiet = |news: Progress<'_>| watch(Progress { epoch: 0, figures: None, ..news });
        let mut head = fit(&training.select(&without), clean, owner, &one, None, &quiet)?;
        let own = copies.select(&own);
        let activations = head.activations(&own).into_owned();
        for (loss, weight) in losses.iter_mut().zip(WEIGHTS) {
            if let Some(blend) = &mut head.blend {
                blend.weight = weight;
            }
            let (a, z) = (activations.view(), own.z.view());
            if let Some(logits) = head.logits(Method::Reflection, 0, &head.statistics, a, z) {
                *loss += surprise(logits.view(), &own.labels);
                judged = true;
            }
        }
    }
    let best = losses.iter().zip(WEIGHTS).min_by(|(a, _), (b, _)| a.total_cmp(b));
    Ok(best.filter(|_| judged).map(|(_, weight)| weight))
}

/// `- sum_i ln softmax(z_i)_{y_i}`.
fn surprise(logits: ArrayView2<'_, f32>, labels: &[usize]) -> f64 {
    let rows = logits.outer_iter().zip(labels);
    rows.map(|(row, &label)| -probabilities(row)[label].max(f64::MIN_POSITIVE).ln()).sum()
}

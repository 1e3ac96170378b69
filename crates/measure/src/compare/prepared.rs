//! One method's outputs of one seed, turned into what a resample needs.

use ndarray::Array2;
use rayon::prelude::*;

use super::Values;
use super::draws::Draws;
use crate::accuracy::hits;
use crate::calibration::{Classwise, EqualWidth, class_gap, equal_mass_error};
use crate::outputs::Checked;
use crate::proper::{squares, surprises};
use crate::ranking::{Confidences, Ranking};
use crate::selective::{area, harmonic};
use crate::weights::Weights;

/// Classes whose probabilities are held at a time.
const CLASSES: usize = 64;
/// Resamples that are multiplied at a time.
const RESAMPLES: usize = 32;

/// Images binned and in order, and what each adds to the metrics that are means.
///
/// A resample is then a pass over the images for each metric: no softmax, no sorting.
pub(super) struct Prepared<'a, 'b> {
    checked: &'a Checked<'b>,
    labels: &'a [usize],
    bins: usize,
    hits: Vec<f64>,
    top5: Vec<f64>,
    surprises: Vec<f64>,
    squares: Vec<f64>,
    equal_width: EqualWidth,
    classwise: Classwise,
    ranking: Ranking,
    harmonic: Vec<f64>,
}

impl<'a, 'b> Prepared<'a, 'b> {
    pub(super) fn new(checked: &'a Checked<'b>, labels: &'a [usize], bins: usize) -> Self {
        let confidences = Confidences::new(checked, labels);
        Self {
            checked,
            labels,
            bins,
            hits: hits(checked, labels, 1),
            top5: hits(checked, labels, 5),
            surprises: surprises(checked, labels),
            squares: squares(checked, labels),
            equal_width: EqualWidth::new(&confidences, bins),
            classwise: Classwise::new(checked, labels, bins),
            ranking: Ranking::new(&confidences),
            harmonic: harmonic(labels.len()),
        }
    }

    /// All metrics with every image taken as often as it was drawn; `sums` are those of [`Classwise::error`].
    pub(super) fn values(&self, counts: &[u16], sums: &[f64]) -> Values {
        let weights = Weights::new(counts);
        let (ece, mce) = self.equal_width.errors(&weights);
        [
            weights.mean(&self.hits),
            weights.mean(&self.top5),
            weights.mean(&self.surprises),
            weights.mean(&self.squares),
            ece,
            equal_mass_error(&self.ranking, &weights, self.bins),
            self.classwise.error(sums, &weights),
            mce,
            area(&self.ranking, &weights, &self.harmonic),
        ]
    }

    /// `sum_i (p_ic - [c = y_i])` for every class c.
    pub(super) fn sums(&self) -> Vec<f64> {
        let gap = |row, class| class_gap(self.checked, self.labels, row, class);
        let sum = |class| (0..self.labels.len()).map(|row| gap(row, class)).sum();
        (0..self.checked.classes()).map(sum).collect()
    }

    /// The sums with every image taken as often as it was drawn, a row for every resample.
    ///
    /// A matrix product, resamples x images times images x classes, in blocks of fixed size.
    pub(super) fn resampled_sums(&self, draws: &Draws) -> Vec<Vec<f64>> {
        let (images, classes) = (self.labels.len(), self.checked.classes());
        let mut sums = vec![vec![0.0; classes]; draws.resamples()];
        for first in (0..classes).step_by(CLASSES) {
            let width = CLASSES.min(classes - first);
            let gaps = Array2::from_shape_fn((images, width), |(row, class)| {
                class_gap(self.checked, self.labels, row, first + class)
            });
            sums.par_chunks_mut(RESAMPLES).enumerate().for_each(|(block, rows)| {
                let start = block * RESAMPLES;
                let products = draws.block(start..start + rows.len()).dot(&gaps);
                for (row, product) in rows.iter_mut().zip(products.outer_iter()) {
                    for (sum, value) in row[first..first + width].iter_mut().zip(product) {
                        *sum = *value;
                    }
                }
            });
        }
        sums
    }
}

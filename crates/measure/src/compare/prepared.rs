//! One method's outputs of one seed, turned into what a resample needs.

use rayon::prelude::*;

use super::Values;
use super::draws::{Draws, LANES};
use crate::Metric;
use crate::accuracy::hits;
use crate::calibration::{Classwise, blocks};
use crate::outputs::Checked;
use crate::proper::{squares, surprises};
use crate::ranking::Confidences;
use crate::sums::{masses, once, products};
use crate::sweep::{Sweep, Swept};
use crate::vectors::vectorized;

/// All metrics of one seed's outputs, on the images as they are and on every resample.
///
/// Images are binned and sorted once. A few resamples at a time are then a matrix product and two passes over the images:
/// no softmax, no sorting.
pub(super) fn values(
    checked: &Checked<'_>,
    labels: &[usize],
    bins: usize,
    draws: &Draws,
) -> (Values, Vec<Values>) {
    let once = once(labels.len());
    let mut value = [Values::default()];
    let mut resampled = vec![[Values::default(); LANES]; draws.blocks().len()];
    let whole = Whole::new(checked, labels, bins);
    for classes in blocks(checked.classes()) {
        // what is not of single classes is measured along with the first of them
        let whole = (classes.start == 0).then_some(&whole);
        let part = Part { classwise: Classwise::new(checked, labels, bins, classes), whole };
        part.measure(&once, &mut value);
        let resampled = resampled.par_iter_mut().zip(draws.blocks());
        resampled.for_each(|(values, counts)| part.measure(counts, values));
    }
    let mut resampled = resampled.into_flattened();
    resampled.truncate(draws.resamples());
    let share = 1.0 / labels.len() as f64 / checked.classes() as f64;
    for values in value.iter_mut().chain(&mut resampled) {
        values[Metric::ClasswiseEce as usize] *= share;
    }
    (value[0], resampled)
}

/// What is measured together.
struct Part<'a> {
    classwise: Classwise,
    whole: Option<&'a Whole>,
}

impl Part<'_> {
    /// Adds the sum of the classwise gaps to the values, and sets the other metrics if this is the part that has them:
    /// with every image taken as often as `counts` says.
    fn measure<const L: usize>(&self, counts: &[[u8; L]], values: &mut [Values; L]) {
        vectorized(
            #[inline(always)]
            || {
                let means = self.whole.map(Whole::columns);
                let columns: Vec<&[f64]> =
                    self.classwise.columns().chain(means.into_iter().flatten()).collect();
                let mut sums = products(counts, &columns);
                if let Some(whole) = self.whole {
                    let means = sums.split_off(sums.len() - whole.columns().len());
                    whole.measure(counts, &means, values);
                }
                let gaps = self.classwise.sums(counts, sums);
                for (values, gap) in values.iter_mut().zip(gaps) {
                    values[Metric::ClasswiseEce as usize] += gap;
                }
            },
        );
    }
}

/// What is not of single classes: images in order, and what each adds to the metrics that are means.
struct Whole {
    sweep: Sweep,
    /// Images whose right class is not among the first five.
    missed: Vec<u32>,
    surprises: Vec<f64>,
    squares: Vec<f64>,
}

impl Whole {
    fn new(checked: &Checked<'_>, labels: &[usize], bins: usize) -> Self {
        let hits = hits(checked, labels, 5);
        let missed = (0..).zip(hits).filter(|(_, hit)| *hit == 0.0);
        Self {
            sweep: Sweep::new(&Confidences::new(checked, labels), bins),
            missed: missed.map(|(image, _)| image).collect(),
            surprises: surprises(checked, labels),
            squares: squares(checked, labels),
        }
    }

    /// Of which metrics need the sums.
    fn columns(&self) -> [&[f64]; 2] {
        [&self.surprises, &self.squares]
    }

    /// Sets all metrics but the classwise error, given the sums of the columns.
    #[inline(always)]
    fn measure<const L: usize>(
        &self,
        counts: &[[u8; L]],
        sums: &[[f64; L]],
        values: &mut [Values; L],
    ) {
        let images = counts.len() as f64;
        let missed = masses(counts, &self.missed);
        let Swept { errors, ece, mce, adaptive_ece, aurc } = self.sweep.metrics(counts);
        for (lane, values) in values.iter_mut().enumerate() {
            let mut set = |metric: Metric, value: f64| values[metric as usize] = value;
            set(Metric::Accuracy, (images - errors[lane]) / images);
            set(Metric::Top5, (images - f64::from(missed[lane])) / images);
            set(Metric::Nll, sums[0][lane] / images);
            set(Metric::Brier, sums[1][lane] / images);
            set(Metric::Ece, ece[lane]);
            set(Metric::AdaptiveEce, adaptive_ece[lane]);
            set(Metric::Mce, mce[lane]);
            set(Metric::Aurc, aurc[lane]);
        }
    }
}

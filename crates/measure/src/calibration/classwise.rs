//! The calibration error of every class's probability.

use super::{bin_of, class_gap};
use crate::outputs::Checked;
use crate::weights::Weights;

/// The pairs of image and class whose probability lies above the first bin, in order of class and bin.
///
/// Most probabilities are small: of an image's N at most as many as there are bins lie above the first. What the first
/// bins hold is what the sums over all images leave after the others are taken off.
pub(crate) struct Classwise {
    classes: usize,
    images: Vec<u32>,
    /// `p_ic - [c = y_i]`, in the order of `images`.
    gaps: Vec<f64>,
    slots: Vec<Slot>,
}

/// A class and one of its bins.
struct Slot {
    class: usize,
    /// Where it ends in `images`.
    end: usize,
}

impl Classwise {
    pub(crate) fn new(checked: &Checked<'_>, labels: &[usize], bins: usize) -> Self {
        let mut pairs = Vec::new();
        for row in 0..checked.images() {
            for class in 0..checked.classes() {
                let bin = bin_of(checked.probability(row, class), bins);
                if bin > 0 {
                    pairs.push((class, bin, row));
                }
            }
        }
        pairs.sort_unstable();
        let gaps = pairs.iter().map(|(class, _, row)| class_gap(checked, labels, *row, *class));
        let mut end = 0;
        let slots = pairs
            .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
            .map(|slot| {
                end += slot.len();
                Slot { class: slot[0].0, end }
            })
            .collect();
        Self {
            classes: checked.classes(),
            gaps: gaps.collect(),
            slots,
            images: pairs.iter().map(|(_, _, row)| *row as u32).collect(),
        }
    }

    /// The error, given `sum_i w_i (p_ic - [c = y_i])` for every class c.
    pub(crate) fn error(&self, sums: &[f64], weights: &Weights<'_>) -> f64 {
        let mut error = 0.0;
        let (mut start, mut slots) = (0, self.slots.iter().peekable());
        for (class, sum) in sums.iter().enumerate() {
            let mut first_bin = *sum;
            while let Some(slot) = slots.next_if(|slot| slot.class == class) {
                let mut gap = 0.0;
                for (image, value) in
                    self.images[start..slot.end].iter().zip(&self.gaps[start..slot.end])
                {
                    gap += f64::from(weights.of(*image)) * value;
                }
                first_bin -= gap;
                error += gap.abs();
                start = slot.end;
            }
            error += first_bin.abs();
        }
        error / weights.total() as f64 / self.classes as f64
    }
}

//! The calibration error of every class's probability, in several resamples at a time.

use std::ops::Range;

use super::bin_of;
use crate::outputs::Checked;
use crate::sums::{add, listed};

/// Classes whose probabilities are held at a time.
pub(crate) const CLASSES: usize = 64;

/// A few classes: what every image adds to them, and which lie above the first bin.
///
/// Most probabilities are small: of an image's N at most as many as there are bins lie above the first. What the first
/// bins hold is what the sums over all images leave after the others are taken off.
pub(crate) struct Classwise {
    /// How many images there are.
    rows: usize,
    /// `p_ic - [c = y_i]`, class by class.
    columns: Vec<f64>,
    /// Images whose probability of a class lies above the first bin, in order of class and bin.
    images: Vec<u32>,
    /// The same numbers as in `columns`, in the order of `images`.
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
    /// At most [`CLASSES`] classes.
    pub(crate) fn new(
        checked: &Checked<'_>,
        labels: &[usize],
        bins: usize,
        classes: Range<usize>,
    ) -> Self {
        let mut columns = vec![0.0; labels.len() * classes.len()];
        let mut above = Vec::new();
        for (row, label) in labels.iter().enumerate() {
            for (place, class) in classes.clone().enumerate() {
                let probability = checked.probability(row, class);
                let gap = probability - f64::from(*label == class);
                columns[place * labels.len() + row] = gap;
                let bin = bin_of(probability, bins);
                if bin > 0 {
                    above.push((place, bin, row as u32, gap));
                }
            }
        }
        above.sort_unstable_by_key(|(place, bin, row, _)| (*place, *bin, *row));
        let mut end = 0;
        let slots = above
            .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
            .map(|slot| {
                end += slot.len();
                Slot { class: slot[0].0, end }
            })
            .collect();
        Self {
            rows: labels.len(),
            columns,
            slots,
            images: above.iter().map(|(_, _, row, _)| *row).collect(),
            gaps: above.iter().map(|(_, _, _, gap)| *gap).collect(),
        }
    }

    /// `p_ic - [c = y_i]` of every image, for each class.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &[f64]> {
        self.columns.chunks_exact(self.rows)
    }

    /// `sum_k sum_b |sum of the gaps of class k in bin b|` over these classes, given the sums of each class over all bins:
    /// the [`products`](crate::sums::products) of the columns.
    #[inline(always)]
    pub(crate) fn sums<const L: usize>(
        &self,
        counts: &[[u8; L]],
        mut first_bins: Vec<[f64; L]>,
    ) -> [f64; L] {
        let (mut total, mut start) = ([0.0; L], 0);
        for slot in &self.slots {
            let places = start..slot.end;
            let (_, gaps) = listed(counts, &self.images[places.clone()], &self.gaps[places]);
            let first_bin = &mut first_bins[slot.class];
            for lane in 0..L {
                first_bin[lane] -= gaps[lane];
                total[lane] += gaps[lane].abs();
            }
            start = slot.end;
        }
        first_bins.iter().for_each(|gaps| add(&mut total, &gaps.map(f64::abs)));
        total
    }
}

/// All classes in blocks of at most [`CLASSES`].
pub(crate) fn blocks(classes: usize) -> impl Iterator<Item = Range<usize>> {
    (0..classes).step_by(CLASSES).map(move |first| first..classes.min(first + CLASSES))
}

//! The calibration error over bins of equal mass.

use crate::ranking::Ranking;
use crate::weights::Weights;

/// Mean over the bins of |accuracy - confidence|; images on a cut are shared between the bins.
pub(crate) fn equal_mass_error(ranking: &Ranking, weights: &Weights<'_>, bins: usize) -> f64 {
    // Masses are counted in B-ths of an image: a bin then takes exactly as many as there are images, and all
    // additions are of whole numbers.
    let capacity = weights.total();
    let (mut room, mut gap_of_bin, mut sum) = (capacity, 0.0_f64, 0.0);
    ranking.walk(weights, |group| {
        let (mut left, mut gap) = (group.mass * bins, group.gap);
        while left >= room {
            let share = gap * (room as f64 / left as f64);
            sum += (gap_of_bin + share).abs();
            gap -= share;
            left -= room;
            (gap_of_bin, room) = (0.0, capacity);
        }
        gap_of_bin += if left > 0 { gap } else { 0.0 };
        room -= left;
    });
    sum / weights.total() as f64
}

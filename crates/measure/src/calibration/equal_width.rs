//! Images sorted into bins of equal width once, so that weights can be tried at one pass each.

use super::bin_of;
use crate::ranking::Confidences;
use crate::weights::Weights;

/// Images in order of their bins.
pub(crate) struct EqualWidth {
    images: Vec<u32>,
    /// Confidence minus correctness, in the order of `images`.
    gaps: Vec<f64>,
    /// Where each bin ends in `images`.
    ends: Vec<usize>,
}

impl EqualWidth {
    pub(crate) fn new(confidences: &Confidences, bins: usize) -> Self {
        let bin: Vec<usize> = confidences.values.iter().map(|c| bin_of(*c, bins)).collect();
        let mut images: Vec<u32> = (0..bin.len() as u32).collect();
        images.sort_by_key(|image| bin[*image as usize]);
        let gaps = images.iter().map(|image| confidences.gap(*image)).collect();
        let ends =
            (0..bins).map(|b| images.partition_point(|image| bin[*image as usize] <= b)).collect();
        Self { images, gaps, ends }
    }

    /// Expected and maximum calibration error.
    pub(crate) fn errors(&self, weights: &Weights<'_>) -> (f64, f64) {
        let (mut sum, mut highest) = (0.0, 0.0_f64);
        let mut start = 0;
        for end in &self.ends {
            let (mut mass, mut gap) = (0, 0.0);
            for (image, value) in self.images[start..*end].iter().zip(&self.gaps[start..*end]) {
                let weight = weights.of(*image);
                mass += usize::from(weight);
                gap += f64::from(weight) * value;
            }
            if mass > 0 {
                sum += gap.abs();
                highest = highest.max(gap.abs() / mass as f64);
            }
            start = *end;
        }
        (sum / weights.total() as f64, highest)
    }
}

//! The calibration errors over bins of equal width, in several resamples at a time.

use crate::sums::add;

/// Fed with the images bin after bin.
pub(crate) struct EqualWidth<const L: usize> {
    /// How many images the bin holds so far, and the sum of their confidences minus correctness.
    masses: [f64; L],
    gaps: [f64; L],
    sums: [f64; L],
    highest: [f64; L],
}

impl<const L: usize> EqualWidth<L> {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { masses: [0.0; L], gaps: [0.0; L], sums: [0.0; L], highest: [0.0; L] }
    }

    /// Images of one bin.
    #[inline(always)]
    pub(crate) fn add(&mut self, masses: &[f64; L], gaps: &[f64; L]) {
        add(&mut self.masses, masses);
        add(&mut self.gaps, gaps);
    }

    #[inline(always)]
    pub(crate) fn end_of_bin(&mut self) {
        for lane in 0..L {
            let gap = self.gaps[lane].abs();
            self.sums[lane] += gap;
            // a bin without images has no gap either
            self.highest[lane] = self.highest[lane].max(gap / self.masses[lane].max(1.0));
        }
        (self.masses, self.gaps) = ([0.0; L], [0.0; L]);
    }

    /// Expected and maximum calibration error of that many images.
    #[inline(always)]
    pub(crate) fn errors(self, images: f64) -> ([f64; L], [f64; L]) {
        (self.sums.map(|sum| sum / images), self.highest)
    }
}

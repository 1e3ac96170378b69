//! How often each image counts: once, or as often as a resample drew it.

/// Multiplicities of the images, of which at least one is not zero.
///
/// Two bytes each: those of ten thousand images stay in the nearest cache, where most of the time goes.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    counts: &'a [u16],
    total: usize,
}

impl<'a> Weights<'a> {
    pub(crate) fn new(counts: &'a [u16]) -> Self {
        Self { counts, total: counts.iter().map(|count| usize::from(*count)).sum() }
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn of(&self, image: u32) -> u16 {
        self.counts[image as usize]
    }

    /// Weighted mean of one value per image.
    pub(crate) fn mean(&self, values: &[f64]) -> f64 {
        // four sums, because one would wait for itself at every addition
        let mut sums = [0.0; 4];
        let (counts, values) = (self.counts.chunks(4), values.chunks(4));
        for (counts, values) in counts.zip(values) {
            for (sum, (count, value)) in sums.iter_mut().zip(counts.iter().zip(values)) {
                *sum += f64::from(*count) * value;
            }
        }
        (sums[0] + sums[1] + sums[2] + sums[3]) / self.total as f64
    }
}

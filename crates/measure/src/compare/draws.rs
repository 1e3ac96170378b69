//! Resamples of the images.

use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// How often each resample drew each image.
pub(super) struct Draws {
    images: usize,
    /// Row by row. That one image is drawn 65,536 times happens to nobody.
    counts: Vec<u16>,
}

impl Draws {
    /// Draws as many images as there are, with replacement, for each resample.
    pub(super) fn new(images: usize, resamples: usize, seed: u64) -> Self {
        let mut counts = vec![0u16; images * resamples];
        counts.par_chunks_mut(images).enumerate().for_each(|(resample, counts)| {
            // a stream of its own for each resample, so that it matters not who draws first
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(resample as u64);
            for _ in 0..images {
                let image = random.random_range(0..images as u64) as usize;
                counts[image] = counts[image].saturating_add(1);
            }
        });
        Self { images, counts }
    }

    pub(super) fn resamples(&self) -> usize {
        self.counts.len() / self.images
    }

    /// The multiplicities of one resample.
    pub(super) fn counts(&self, resample: usize) -> &[u16] {
        &self.counts[resample * self.images..][..self.images]
    }

    /// The multiplicities of several resamples, resamples x images.
    pub(super) fn block(&self, resamples: std::ops::Range<usize>) -> Array2<f64> {
        let start = resamples.start;
        let count = |(row, image)| f64::from(self.counts[(start + row) * self.images + image]);
        Array2::from_shape_fn((resamples.len(), self.images), count)
    }
}

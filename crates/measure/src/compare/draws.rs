//! Resamples of the images.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Resamples that are measured at a time: as many sums in double precision as fit four registers of AVX2.
pub(super) const LANES: usize = 16;

/// How often each resample drew each image.
pub(super) struct Draws {
    resamples: usize,
    /// Of each [`LANES`] resamples those of every image; the last block may have lanes of zeros.
    ///
    /// One byte each: that one image is drawn 256 times happens to nobody (less often than once in 256! resamples).
    blocks: Vec<Vec<[u8; LANES]>>,
}

impl Draws {
    /// Draws as many images as there are, with replacement, for each resample.
    pub(super) fn new(images: usize, resamples: usize, seed: u64) -> Self {
        let block = |block: usize| {
            let mut counts = vec![[0u8; LANES]; images];
            let first = block * LANES;
            for resample in first..resamples.min(first + LANES) {
                // a stream of its own for each resample, so that it matters not who draws first
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(resample as u64);
                let lane = resample - first;
                for _ in 0..images {
                    let image = random.random_range(0..images as u64) as usize;
                    counts[image][lane] = counts[image][lane].saturating_add(1);
                }
            }
            counts
        };
        let blocks = (0..resamples.div_ceil(LANES)).into_par_iter().map(block).collect();
        Self { resamples, blocks }
    }

    /// The resamples that hold these images.
    #[cfg(test)]
    pub(super) fn given(images: usize, resamples: &[Vec<usize>]) -> Self {
        let block = |resamples: &[Vec<usize>]| {
            let mut counts = vec![[0; LANES]; images];
            for (lane, drawn) in resamples.iter().enumerate() {
                drawn.iter().for_each(|image| counts[*image][lane] += 1);
            }
            counts
        };
        Self { resamples: resamples.len(), blocks: resamples.chunks(LANES).map(block).collect() }
    }

    pub(super) fn resamples(&self) -> usize {
        self.resamples
    }

    /// The multiplicities, [`LANES`] resamples at a time.
    pub(super) fn blocks(&self) -> &[Vec<[u8; LANES]>] {
        &self.blocks
    }
}

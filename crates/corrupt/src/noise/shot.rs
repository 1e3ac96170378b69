//! The noise of counting light.
//!
//! A picture has at most 256 different samples, and so 256 Poisson distributions: their tables are made once for a
//! number of photons and kept, and a sample costs one random number and a short search.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::Picture;
use crate::random::Stream;

/// How many photons white stands for.
const PHOTONS: Table<1> = Table {
    small: [[500.0], [250.0], [100.0], [75.0], [50.0]],
    large: [[60.0], [25.0], [12.0], [5.0], [3.0]],
    kinds: [Kind::Amount],
};

/// 255 k / c, with k from the Poisson distribution of mean c x / 255, for each sample x; c is the number of photons of white.
pub(crate) fn shot(picture: Picture<'_>, severity: Severity, stream: &mut Stream) -> Vec<u8> {
    let [photons] = PHOTONS.at(severity, picture.size());
    let counts = Counts::kept(photons);
    picture.pixels.iter().map(|&x| counts.draw(x, stream.bits())).collect()
}

/// Buckets of a guide: where to begin the search for the highest six bits of a random number.
const BUCKETS: usize = 64;

/// The distributions of all samples, for a number of photons.
struct Counts {
    photons: f64,
    /// What a random number must be below to give a count or one before it, for one sample's counts after the other.
    /// The last of a sample is never compared: whatever comes so far has it.
    below: Vec<u32>,
    /// The byte that a count becomes, beside `below`.
    bytes: Vec<u8>,
    /// For each sample, for each bucket, the place in `below` to begin at.
    guides: Vec<[u32; BUCKETS]>,
}

impl Counts {
    /// The tables, from among those made last.
    fn kept(photons: f64) -> Arc<Counts> {
        // five severities of one size, and a few more
        const MOST: usize = 8;
        static KEPT: Mutex<VecDeque<Arc<Counts>>> = Mutex::new(VecDeque::new());
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.iter().find(|counts| counts.photons == photons) {
            return Arc::clone(found);
        }
        let made = Arc::new(Counts::new(photons));
        if kept.len() == MOST {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&made));
        made
    }

    fn new(photons: f64) -> Counts {
        let mut counts =
            Counts { photons, below: Vec::new(), bytes: Vec::new(), guides: Vec::new() };
        for sample in 0..256 {
            counts.add(photons * f64::from(sample) / 255.0);
        }
        counts
    }

    /// The distribution of one more sample: probabilities one after the other, p(k + 1) = p(k) mean / (k + 1).
    fn add(&mut self, mean: f64) {
        const ALL: f64 = 4_294_967_296.0;
        let first = self.below.len();
        let mut probability = libm::exp(-mean);
        let mut sum = probability;
        let mut k = 0.0;
        loop {
            let below = (sum * ALL).min(ALL - 1.0) as u32;
            if below > 0 {
                self.below.push(below);
                self.bytes.push((k / self.photons * 255.0).min(255.0) as u8);
            }
            // what is left beyond is less than a random number can tell
            if k >= mean && probability * ALL < 0.25 {
                break;
            }
            k += 1.0;
            probability *= mean / k;
            sum += probability;
        }
        let mut guide = [0; BUCKETS];
        let mut place = first;
        for (bucket, begin) in guide.iter_mut().enumerate() {
            let lowest = (bucket as u32) << 26;
            while place + 1 < self.below.len() && self.below[place] <= lowest {
                place += 1;
            }
            *begin = place as u32;
        }
        if let Some(last) = self.below.last_mut() {
            *last = u32::MAX;
        }
        self.guides.push(guide);
    }

    #[inline(always)]
    fn draw(&self, sample: u8, bits: u32) -> u8 {
        let mut place = self.guides[usize::from(sample)][(bits >> 26) as usize] as usize;
        while self.below[place] <= bits && self.below[place] != u32::MAX {
            place += 1;
        }
        self.bytes[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_mean_and_the_variance_of_poisson_and_black_stays_black() {
        let mut stream = Stream::shared(1);
        for photons in [3.0, 60.0, 500.0] {
            let counts = Counts::new(photons);
            assert_eq!(counts.draw(0, u32::MAX), 0);
            // a sample dark enough that nothing is cut at 255
            let sample = 20u8;
            let mean = photons * 20.0 / 255.0;
            let drawn: Vec<f64> = (0..200_000)
                .map(|_| {
                    let byte = f64::from(counts.draw(sample, stream.bits()));
                    (byte / 255.0 * photons - 1e-9).ceil().min(photons)
                })
                .collect();
            let average = drawn.iter().sum::<f64>() / drawn.len() as f64;
            if photons < 100.0 {
                let variance =
                    drawn.iter().map(|k| (k - average).powi(2)).sum::<f64>() / drawn.len() as f64;
                // for three photons a count of more than three is cut, which is 1 in 10,000
                assert!((average - mean).abs() < 0.03 * mean, "{average} for {mean}");
                assert!((variance - mean).abs() < 0.03 * mean, "{variance} for {mean}");
            } else {
                assert!((average - mean).abs() < 1.0, "{average} for {mean}");
            }
        }
    }
}

//! The random stream of a picture, and the distributions drawn from it.
//!
//! The stream is ChaCha with 8 rounds. Its 32-byte key is: the seed (8 bytes, little-endian), the image's index
//! (8 bytes, little-endian), the corruption's number (1 byte: its place in `Corruption::ALL`, from 1), the severity (1 byte) and
//! the 14 ASCII bytes `introspective1`. The cipher mixes its key, so that streams whose keys differ in a single bit
//! have nothing in common. Nothing else enters: neither threads nor the order of pictures.

use std::sync::OnceLock;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::corruption::{Corruption, Severity};

/// A source of random numbers that belongs to one picture.
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of an image, a corruption and a severity; see the module.
    pub(crate) fn new(seed: u64, index: u64, corruption: Corruption, severity: Severity) -> Self {
        let mut key = *b"0123456789abcdef??introspective1";
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&index.to_le_bytes());
        key[16] = corruption.number();
        key[17] = severity.get();
        Stream(ChaCha8Rng::from_seed(key))
    }

    /// A stream that belongs to no picture: for what all pictures share.
    pub(crate) fn shared(number: u64) -> Self {
        Stream(ChaCha8Rng::seed_from_u64(number))
    }

    /// 32 random bits.
    #[inline(always)]
    pub(crate) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform in [0, 1), in steps of 2^-24.
    #[inline(always)]
    pub(crate) fn unit(&mut self) -> f32 {
        (self.bits() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in [low, high).
    #[inline(always)]
    pub(crate) fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// A whole number from 0 to n - 1; n at least 1. Numbers differ in probability by less than n / 2^32.
    #[inline(always)]
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.bits()) * n as u64) >> 32) as usize
    }

    /// From the standard normal distribution, by the ziggurat method (Marsaglia and Tsang 2000) with 256 layers.
    ///
    /// The layer, the sign and the place within the layer are taken from different bits, so that they are independent.
    #[inline(always)]
    pub(crate) fn normal(&mut self, ziggurat: &Ziggurat) -> f32 {
        let bits = self.bits();
        let layer = (bits & 255) as usize;
        let place = (bits >> 9) as f32 * (1.0 / 8_388_608.0);
        let x = place * ziggurat.edges[layer];
        // the sign goes straight into the sign bit: a branch would be guessed wrong every other time
        let sign = (bits & 256) << 23;
        if x < ziggurat.edges[layer + 1] {
            return f32::from_bits(x.to_bits() | sign);
        }
        f32::from_bits(self.outside(ziggurat, layer, x).to_bits() | sign)
    }

    /// The one case in eighty that lies in no layer's rectangle; without a sign.
    #[cold]
    fn outside(&mut self, ziggurat: &Ziggurat, layer: usize, x: f32) -> f32 {
        let mut x = x;
        let mut layer = layer;
        loop {
            if layer == 0 {
                return self.tail();
            }
            let (low, high) = (ziggurat.heights[layer], ziggurat.heights[layer + 1]);
            let height = f64::from(self.unit()) * (high - low) + low;
            let exact = f64::from(x);
            if height < libm::exp(-0.5 * exact * exact) {
                return x;
            }
            let bits = self.bits();
            layer = (bits & 255) as usize;
            x = (bits >> 9) as f32 * (1.0 / 8_388_608.0) * ziggurat.edges[layer];
            if x < ziggurat.edges[layer + 1] {
                return x;
            }
        }
    }

    /// Beyond the last layer, by Marsaglia's method (1964).
    fn tail(&mut self) -> f32 {
        let mut exponential = || -libm::log(1.0 - f64::from(self.unit()));
        loop {
            let x = exponential() / LAST_EDGE;
            if 2.0 * exponential() > x * x {
                return (LAST_EDGE + x) as f32;
            }
        }
    }
}

/// Where the tail begins, for 256 layers of equal area.
const LAST_EDGE: f64 = 3.654_152_885_361_009;
/// The area of each layer.
const AREA: f64 = 0.004_928_673_233_992_336;

/// The layers of the normal density exp(-x^2 / 2).
pub(crate) struct Ziggurat {
    /// Widths of the layers, the widest first; the first is that of a rectangle with the tail's area.
    edges: [f32; 257],
    /// The density at each edge; that of the first is not used.
    heights: [f64; 257],
}

impl Ziggurat {
    /// The layers, computed once.
    pub(crate) fn get() -> &'static Ziggurat {
        static LAYERS: OnceLock<Ziggurat> = OnceLock::new();
        LAYERS.get_or_init(Ziggurat::new)
    }

    fn new() -> Ziggurat {
        let density = |x: f64| libm::exp(-0.5 * x * x);
        let mut exact = [0.0f64; 257];
        exact[0] = AREA / density(LAST_EDGE);
        exact[1] = LAST_EDGE;
        for layer in 2..256 {
            let edge = exact[layer - 1];
            exact[layer] = libm::sqrt(-2.0 * libm::log(AREA / edge + density(edge)));
        }
        Ziggurat { edges: exact.map(|edge| edge as f32), heights: exact.map(density) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_the_normal_distribution_far_into_its_tail() {
        let (mut stream, ziggurat) = (Stream::shared(3), Ziggurat::get());
        let count = 4_000_000;
        // shares within an interval and beyond, on both sides; 3.7 lies beyond the last layer
        let edges = [0.25, 0.5, 1.0, 2.0, 3.0, 3.7, 4.2];
        let mut beyond = [[0u32; 7]; 2];
        let mut sum = 0.0;
        for _ in 0..count {
            let x = stream.normal(ziggurat);
            sum += f64::from(x);
            for (counter, edge) in beyond[usize::from(x < 0.0)].iter_mut().zip(edges) {
                *counter += u32::from(x.abs() > edge);
            }
        }
        assert!((sum / f64::from(count)).abs() < 0.002);
        for side in beyond {
            for (found, edge) in side.into_iter().zip(edges) {
                let expected =
                    f64::from(count) * 0.5 * libm::erfc(f64::from(edge) / std::f64::consts::SQRT_2);
                let off = (f64::from(found) - expected).abs();
                assert!(off < 4.5 * expected.sqrt(), "{found} beyond {edge}, expected {expected}");
            }
        }
    }

    #[test]
    fn streams_differ_in_each_part_of_their_key() {
        let first = |seed, index, corruption, severity: usize| {
            Stream::new(seed, index, corruption, Severity::ALL[severity]).bits()
        };
        let drawn = [
            first(1, 2, Corruption::Fog, 0),
            first(2, 1, Corruption::Fog, 0),
            first(1, 3, Corruption::Fog, 0),
            first(1, 2, Corruption::Snow, 0),
            first(1, 2, Corruption::Fog, 1),
        ];
        for (i, a) in drawn.iter().enumerate() {
            assert!(drawn[i + 1..].iter().all(|b| a != b), "{drawn:?}");
        }
    }
}

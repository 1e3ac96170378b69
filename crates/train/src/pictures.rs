//! A labelled set in memory, and batches of it.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What is done to a picture each time it is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augmentation {
    /// Nothing.
    None,
    /// Every other time its mirror image.
    Flip,
    /// Shifted by up to an eighth of its side (4 of 32 pixels) each way, black coming in, and every other time its mirror
    /// image.
    CropFlip,
}

/// Pictures of one size as bytes, channel after channel, with their classes.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// Side in pixels.
    pub side: usize,
    /// 1 or 3.
    pub channels: usize,
    /// Pictures x channels x side x side.
    pub bytes: Vec<u8>,
    /// A class a picture.
    pub labels: Vec<usize>,
}

/// What brings a byte to where the network wants it: `(v / 255 - mean) / std`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    /// A mean a channel.
    pub mean: Vec<f32>,
    /// A standard deviation a channel.
    pub std: Vec<f32>,
}

impl Normal {
    fn tables(&self) -> Vec<[f32; 256]> {
        let pairs = self.mean.iter().zip(&self.std);
        pairs
            .map(|(mean, std)| std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std))
            .collect()
    }
}

/// Numbers drawn for one purpose: the same for the same seed, whatever else is drawn.
fn draws(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    random
}

/// The order in which an epoch (from 0) goes through the examples.
pub fn order(examples: &[usize], seed: u64, epoch: usize) -> Vec<usize> {
    let mut order = examples.to_vec();
    order.shuffle(&mut draws(seed, u64::MAX - epoch as u64));
    order
}

impl Pictures {
    fn picture(&self) -> usize {
        self.channels * self.side * self.side
    }

    /// Mean and standard deviation of each channel over these pictures, of values in 0..1. A channel that is the
    /// same everywhere gets a deviation of 1.
    pub fn normal(&self, examples: &[usize]) -> Normal {
        let area = self.side * self.side;
        let mut sums = vec![[0u64; 2]; self.channels];
        for &example in examples {
            let picture = &self.bytes[example * self.picture()..(example + 1) * self.picture()];
            for (sums, plane) in sums.iter_mut().zip(picture.chunks_exact(area)) {
                for &byte in plane {
                    sums[0] += u64::from(byte);
                    sums[1] += u64::from(byte).pow(2);
                }
            }
        }
        let count = (examples.len() * area) as f64;
        let moments = sums.iter().map(|&[sum, squares]| {
            let mean = sum as f64 / count;
            let deviation = (squares as f64 / count - mean * mean).max(0.0).sqrt();
            (mean / 255.0, if deviation > 0.0 { deviation / 255.0 } else { 1.0 })
        });
        let (mean, std): (Vec<f64>, Vec<f64>) = moments.unzip();
        let round =
            |values: Vec<f64>| values.iter().map(|v| (v * 1e4).round() as f32 / 1e4).collect();
        Normal { mean: round(mean), std: round(std) }
    }

    /// These pictures as the network sees them, one after the other. `augmentation` with the seed and the epoch: what is
    /// done to a picture depends on those and on its number alone.
    pub fn batch(
        &self,
        examples: &[usize],
        normal: &Normal,
        augmentation: Option<(Augmentation, u64, usize)>,
    ) -> Vec<f32> {
        let tables = normal.tables();
        let (side, size) = (self.side, self.picture());
        let mut out = vec![0.0; examples.len() * size];
        out.par_chunks_mut(size).zip(examples).for_each(|(out, &example)| {
            let picture = &self.bytes[example * size..(example + 1) * size];
            let Change { down, right, mirror } = Change::of(augmentation, example, side);
            let planes = out.chunks_exact_mut(side * side).zip(picture.chunks_exact(side * side));
            for ((out, plane), table) in planes.zip(&tables) {
                for (y, out) in out.chunks_exact_mut(side).enumerate() {
                    let row = y.checked_add_signed(down).filter(|row| *row < side);
                    let row = row.map(|row| &plane[row * side..(row + 1) * side]);
                    for (x, out) in out.iter_mut().enumerate() {
                        let x = if mirror { side - 1 - x } else { x };
                        let column = x.checked_add_signed(right);
                        let byte = row.zip(column).and_then(|(row, column)| row.get(column));
                        *out = table[usize::from(byte.copied().unwrap_or(0))];
                    }
                }
            }
        });
        out
    }
}

/// How one picture is changed.
struct Change {
    down: isize,
    right: isize,
    mirror: bool,
}

impl Change {
    fn of(augmentation: Option<(Augmentation, u64, usize)>, example: usize, side: usize) -> Self {
        let (kind, seed, epoch) = augmentation.unwrap_or((Augmentation::None, 0, 0));
        if kind == Augmentation::None {
            return Self { down: 0, right: 0, mirror: false };
        }
        let mut random = draws(seed, (epoch as u64 + 1) << 32 | example as u64);
        let mirror = random.next_u32() & 1 == 1;
        let reach = if kind == Augmentation::CropFlip { side.div_ceil(8) as u64 } else { 0 };
        let mut shift = || {
            // the bias of a remainder of 64 bits is far below anything that shows
            let drawn = random.next_u64() % (2 * reach + 1);
            drawn.cast_signed() as isize - reach.cast_signed() as isize
        };
        Self { down: shift(), right: shift(), mirror }
    }
}

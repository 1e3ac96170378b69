//! A labelled set in memory, and batches of it.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::robust::Robust;

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

    /// These pictures as the network sees them, one after the other, without any change.
    pub fn batch(&self, examples: &[usize], normal: &Normal) -> Vec<f32> {
        self.changed(examples, normal, &Change::default())
    }

    /// These pictures as the network is trained on them: first all of them, then, if a step computes several views, the
    /// second view of each, then the third. A change depends on the seed, the epoch and the picture's number alone.
    pub fn changed(&self, examples: &[usize], normal: &Normal, change: &Change) -> Vec<f32> {
        let (size, views) = (self.picture(), change.robust.views());
        let mut out = vec![0.0; views * examples.len() * size];
        out.par_chunks_mut(size).enumerate().for_each(|(place, out)| {
            let (view, example) = (place / examples.len(), examples[place % examples.len()]);
            // of several views the first is the picture itself
            let robust = if views > 1 && view == 0 { Robust::None } else { change.robust };
            let mut random = change.draws(example, view.max(1) as u64);
            robust.copy(&self.shifted(example, change), self.side, &mut random, out);
            let planes = out.chunks_exact_mut(self.side * self.side);
            for ((plane, mean), std) in planes.zip(&normal.mean).zip(&normal.std) {
                plane.iter_mut().for_each(|value| *value = (*value - mean) / std);
            }
        });
        out
    }

    /// The bytes of a picture, shifted and mirrored.
    fn shifted(&self, example: usize, change: &Change) -> Vec<u8> {
        let (side, size) = (self.side, self.picture());
        let picture = &self.bytes[example * size..(example + 1) * size];
        let Shift { down, right, mirror } = Shift::of(change, example, side);
        let mut out = vec![0; size];
        let planes = out.chunks_exact_mut(side * side).zip(picture.chunks_exact(side * side));
        for (out, plane) in planes {
            for (y, out) in out.chunks_exact_mut(side).enumerate() {
                let row = y.checked_add_signed(down).filter(|row| *row < side);
                let Some(row) = row.map(|row| &plane[row * side..(row + 1) * side]) else {
                    continue;
                };
                for (x, out) in out.iter_mut().enumerate() {
                    let x = if mirror { side - 1 - x } else { x };
                    let column = x.checked_add_signed(right);
                    *out = column.and_then(|column| row.get(column)).copied().unwrap_or(0);
                }
            }
        }
        out
    }
}

/// How the pictures of an epoch are changed.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// Shifts and mirror images.
    pub augmentation: Augmentation,
    /// What comes after them.
    pub robust: Robust,
    /// Seed of both.
    pub seed: u64,
    /// From 0.
    pub epoch: usize,
}

impl Default for Change {
    fn default() -> Self {
        Self { augmentation: Augmentation::None, robust: Robust::None, seed: 0, epoch: 0 }
    }
}

impl Change {
    /// Numbers for a picture and a purpose: 0 for shifts, 1 and 2 for copies ([`order`] has 3).
    fn draws(&self, example: usize, purpose: u64) -> ChaCha8Rng {
        draws(self.seed, purpose << 62 | (self.epoch as u64 + 1) << 32 | example as u64)
    }
}

/// Where one picture goes.
struct Shift {
    down: isize,
    right: isize,
    mirror: bool,
}

impl Shift {
    fn of(change: &Change, example: usize, side: usize) -> Self {
        if change.augmentation == Augmentation::None {
            return Self { down: 0, right: 0, mirror: false };
        }
        let mut random = change.draws(example, 0);
        let mirror = random.next_u32() & 1 == 1;
        let crop = change.augmentation == Augmentation::CropFlip;
        let reach = if crop { side.div_ceil(8) as u64 } else { 0 };
        let mut shift = || {
            // the bias of a remainder of 64 bits is far below anything that shows
            let drawn = random.next_u64() % (2 * reach + 1);
            drawn.cast_signed() as isize - reach.cast_signed() as isize
        };
        Self { down: shift(), right: shift(), mirror }
    }
}

//! JPEG compression.
//!
//! Entropy coding loses nothing, so that the picture is taken through everything else: colours, halved chroma, cosine
//! transform, quantisation, and back. That is about half the work, and no bytes depend on the version of an encoder.
//! All steps are those of libjpeg's default path (whole numbers, "slow" transforms, smooth upsampling), which Pillow uses.

mod chroma;
mod transform;

use crate::vectors::vectorized;

use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::Picture;
use transform::{Block, forward, inverse};

/// The quality, 1 to 100.
const QUALITY: Table<1> = Table {
    small: [[80.0], [65.0], [58.0], [50.0], [40.0]],
    large: [[25.0], [18.0], [15.0], [10.0], [7.0]],
    kinds: [Kind::Amount],
};

/// The picture compressed at a quality with the tables of the standard's annex K, chroma halved in both directions, and decompressed.
///
/// A grey picture has no chroma. (`imagecorruptions` compresses it as a colour picture, with the same result.)
pub(crate) fn jpeg(picture: Picture<'_>, severity: Severity) -> Vec<u8> {
    let [quality] = QUALITY.at(severity, picture.size());
    let quality = quality.round() as i32;
    let luma_table = scaled(&LUMA, quality);
    if picture.channels == 1 {
        let mut plane = Plane::grey(picture);
        plane.compress(&luma_table);
        return plane.cropped(picture.height, picture.width);
    }
    let chroma_table = scaled(&CHROMA, quality);
    let [mut y, blue, red] = chroma::from_rgb(picture);
    y.compress(&luma_table);
    let (rows, columns) = (picture.height.div_ceil(2), picture.width.div_ceil(2));
    let chroma = [blue, red].map(|plane| {
        let mut half = chroma::halve(&plane);
        half.compress(&chroma_table);
        half.truncate(rows, columns)
    });
    chroma::to_rgb(picture, &y, &chroma)
}

/// Annex K.1, rows from the lowest vertical frequency.
const LUMA: Block = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
];

/// Annex K.2.
const CHROMA: Block = [
    [17, 18, 24, 47, 99, 99, 99, 99],
    [18, 21, 26, 66, 99, 99, 99, 99],
    [24, 26, 56, 99, 99, 99, 99, 99],
    [47, 66, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
];

/// A table at a quality: the percentage 5000 / q below 50, 200 - 2 q from there on; entries from 1 to 255.
fn scaled(table: &Block, quality: i32) -> Block {
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    table.map(|row| row.map(|entry| ((entry * percent + 50) / 100).clamp(1, 255)))
}

/// One channel, its sides multiples of 8.
struct Plane {
    samples: Vec<u8>,
    height: usize,
    width: usize,
}

impl Plane {
    /// A channel of a picture's size, rounded up to a multiple of `block`, still black.
    fn empty(picture: Picture<'_>, block: usize) -> Plane {
        let height = picture.height.next_multiple_of(block);
        let width = picture.width.next_multiple_of(block);
        Plane { samples: vec![0; height * width], height, width }
    }

    /// A grey picture, the outermost pixels repeated up to whole blocks of 8 x 8.
    fn grey(picture: Picture<'_>) -> Plane {
        let mut plane = Plane::empty(picture, 8);
        let rows = picture.pixels.chunks_exact(picture.width);
        for (out, row) in plane.samples.chunks_exact_mut(plane.width).zip(rows) {
            out[..row.len()].copy_from_slice(row);
            out[row.len()..].fill(row[row.len() - 1]);
        }
        plane.repeat_last_row(picture.height);
        plane
    }

    /// Repeats the last of so many rows in all that follow.
    fn repeat_last_row(&mut self, rows: usize) {
        for row in rows..self.height {
            self.samples.copy_within((rows - 1) * self.width..rows * self.width, row * self.width);
        }
    }

    /// Transforms, quantises and transforms back every block of 8 x 8.
    fn compress(&mut self, table: &Block) {
        // the forward transform gives eight times the coefficients
        let steps = table.map(|row| row.map(|entry| 8 * entry));
        // a quotient of less than 2^20, by a factor instead of a division, which vectors do not have
        let inverses = steps.map(|row| row.map(|step| 1.0 / step as f32));
        vectorized(
            #[inline(always)]
            || {
                for strip in self.samples.chunks_exact_mut(8 * self.width) {
                    for x in (0..self.width).step_by(8) {
                        compress_block(strip, self.width, x, table, &steps, &inverses);
                    }
                }
            },
        );
    }

    /// Its upper left part.
    fn cropped(&self, height: usize, width: usize) -> Vec<u8> {
        self.samples
            .chunks_exact(self.width)
            .take(height)
            .flat_map(|row| &row[..width])
            .copied()
            .collect()
    }

    /// Its upper left part, which need no longer be whole blocks.
    fn truncate(self, height: usize, width: usize) -> Plane {
        if (height, width) == (self.height, self.width) {
            return self;
        }
        Plane { samples: self.cropped(height, width), height, width }
    }
}

#[inline(always)]
fn compress_block(
    strip: &mut [u8],
    width: usize,
    x: usize,
    table: &Block,
    steps: &Block,
    inverses: &[[f32; 8]; 8],
) {
    let mut block: Block = [[0; 8]; 8];
    for (row, samples) in block.iter_mut().zip(strip.chunks_exact(width)) {
        for (value, &sample) in row.iter_mut().zip(&samples[x..x + 8]) {
            *value = i32::from(sample) - 128;
        }
    }
    forward(&mut block);
    for v in 0..8 {
        for u in 0..8 {
            let (value, step) = (block[v][u], steps[v][u]);
            // rounded, halves away from zero; the estimate may be one off, and is put right. Adding 2^23
            // leaves a rounded number in the last bits, which vectors do faster than a conversion
            let size = value.abs() + step / 2;
            let estimate =
                ((size as f32 * inverses[v][u] + 8_388_608.0).to_bits() & 0x7f_ffff) as i32;
            let left = size - estimate * step;
            let quotient = estimate + i32::from(left >= step) - i32::from(left < 0);
            block[v][u] = if value < 0 { -quotient } else { quotient } * table[v][u];
        }
    }
    inverse(&mut block);
    for (row, samples) in block.iter().zip(strip.chunks_exact_mut(width)) {
        for (value, sample) in row.iter().zip(&mut samples[x..x + 8]) {
            *sample = (value + 128).clamp(0, 255) as u8;
        }
    }
}

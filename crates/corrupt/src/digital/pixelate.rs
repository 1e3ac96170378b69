//! Fewer, larger pixels.

use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::Picture;

/// The side of a large pixel's share: how many pixels are left along a side, of those there were. Above 224, where the large
/// pixel is a length, it is divided by size / 224; below 32 it stays, for a pixel cannot be divided.
const LEFT: Table<1> = Table {
    small: [[0.95], [0.9], [0.85], [0.75], [0.65]],
    large: [[0.6], [0.5], [0.4], [0.3], [0.25]],
    kinds: [Kind::Amount],
};

/// The means over the pixels of a coarser grid of floor(c width) x floor(c height), each drawn as one large pixel.
///
/// A pixel belongs to the cell that its centre lies in; means are rounded to bytes along rows first, then along columns,
/// as by Pillow's box filter.
pub(crate) fn pixelate(picture: Picture<'_>, severity: Severity) -> Vec<u8> {
    let [left] = LEFT.at(severity, picture.size());
    let left = left / (picture.size() as f64 / 224.0).max(1.0);
    let coarse = |n: usize| ((n as f64 * left) as usize).max(1);
    let (rows, columns) = (coarse(picture.height), coarse(picture.width));
    match picture.channels {
        1 => drawn::<1>(picture, rows, columns),
        _ => drawn::<3>(picture, rows, columns),
    }
}

fn drawn<const C: usize>(picture: Picture<'_>, rows: usize, columns: usize) -> Vec<u8> {
    let (height, width) = (picture.height, picture.width);
    let mut narrow = vec![[0u8; C]; height * columns];
    let spans: Vec<_> =
        cells(width, columns).into_iter().map(|(a, b)| (a, b, Mean::of(b - a))).collect();
    let (pixels, _) = picture.pixels.as_chunks::<C>();
    for (row, out) in pixels.chunks_exact(width).zip(narrow.chunks_exact_mut(columns)) {
        for (out, (from, to, mean)) in out.iter_mut().zip(&spans) {
            let mut sums = [0u32; C];
            for pixel in &row[*from..*to] {
                for (sum, &x) in sums.iter_mut().zip(pixel) {
                    *sum += u32::from(x);
                }
            }
            *out = sums.map(|sum| mean.round(sum));
        }
    }

    let mut bytes = vec![0u8; picture.pixels.len()];
    let (down, right) = (owners(height, rows), owners(width, columns));
    let cells = cells(height, rows);
    let mut means = vec![[0u8; C]; columns];
    let mut drawn = None;
    for (y, &cell) in down.iter().enumerate() {
        // pixels of a column of one cell are alike
        if drawn == Some(cell) {
            bytes.copy_within((y - 1) * width * C..y * width * C, y * width * C);
            continue;
        }
        drawn = Some(cell);
        let (from, to) = cells[cell];
        let mean = Mean::of(to - from);
        for (x, out) in means.iter_mut().enumerate() {
            let mut sums = [0u32; C];
            for row in narrow[from * columns..to * columns].chunks_exact(columns) {
                for (sum, &x) in sums.iter_mut().zip(&row[x]) {
                    *sum += u32::from(x);
                }
            }
            *out = sums.map(|sum| mean.round(sum));
        }
        let (out, _) = bytes[y * width * C..].as_chunks_mut::<C>();
        for (out, &column) in out.iter_mut().zip(&right) {
            *out = means[column];
        }
    }
    bytes
}

/// Divides sums of so many bytes, rounded, halves up; by a factor, for divisions are slow.
struct Mean {
    count: u64,
    /// A little more than 2^40 / (2 count): too much by less than makes a difference for up to 2^15 bytes.
    factor: u64,
}

impl Mean {
    fn of(count: usize) -> Mean {
        let count = count as u64;
        Mean { count, factor: (1 << 40) / (2 * count) + 1 }
    }

    #[inline(always)]
    fn round(&self, sum: u32) -> u8 {
        (((2 * u64::from(sum) + self.count) * self.factor) >> 40) as u8
    }
}

/// For each of `cells` equal parts of a run of n pixels, the first pixel with its centre within and the first beyond.
fn cells(n: usize, cells: usize) -> Vec<(usize, usize)> {
    let side = n as f64 / cells as f64;
    // a centre on the border belongs to the cell before it
    let first = |cell: usize| ((cell as f64 * side + 0.5) as usize).min(n);
    (0..cells)
        .map(|cell| {
            let from = first(cell).min(n - 1);
            (from, first(cell + 1).max(from + 1))
        })
        .collect()
}

/// For each of n pixels, the cell that its centre lies in.
fn owners(n: usize, cells: usize) -> Vec<usize> {
    let scale = cells as f64 / n as f64;
    (0..n).map(|i| (((i as f64 + 0.5) * scale) as usize).min(cells - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_by_a_factor_is_the_mean_by_division() {
        for count in [1usize, 2, 3, 5, 7, 64, 255, 1000, 32_768] {
            let mean = Mean::of(count);
            let most = 255 * count as u32;
            for sum in (0..=most).step_by((most as usize / 5000).max(1)).chain([most]) {
                let exact = (2 * u64::from(sum) + count as u64) / (2 * count as u64);
                assert_eq!(u64::from(mean.round(sum)), exact, "{sum} / {count}");
            }
        }
    }
}

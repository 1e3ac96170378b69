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
    let (height, width, channels) = (picture.height, picture.width, picture.channels);
    let coarse = |n: usize| ((n as f64 * left) as usize).max(1);
    let (rows, columns) = (coarse(height), coarse(width));

    let spans = cells(width, columns);
    let mut narrow = Vec::with_capacity(height * columns * channels);
    for row in picture.pixels.chunks_exact(picture.stride()) {
        for span in &spans {
            for c in 0..channels {
                let sum: u32 = row[span.0 * channels..span.1 * channels]
                    .chunks_exact(channels)
                    .map(|pixel| u32::from(pixel[c]))
                    .sum();
                narrow.push(mean(sum, span.1 - span.0));
            }
        }
    }
    let stride = columns * channels;
    let (down, right) = (owners(height, rows), owners(width, columns));
    let coarse: Vec<Vec<u8>> = cells(height, rows)
        .into_iter()
        .map(|(from, to)| {
            let mut sums = vec![0u32; stride];
            for row in narrow[from * stride..to * stride].chunks_exact(stride) {
                for (sum, &x) in sums.iter_mut().zip(row) {
                    *sum += u32::from(x);
                }
            }
            let means: Vec<u8> = sums.into_iter().map(|sum| mean(sum, to - from)).collect();
            right.iter().flat_map(|&x| &means[x * channels..][..channels]).copied().collect()
        })
        .collect();
    down.into_iter().flat_map(|y| coarse[y].iter().copied()).collect()
}

fn mean(sum: u32, count: usize) -> u8 {
    let count = count as u32;
    ((2 * sum + count) / (2 * count)) as u8
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

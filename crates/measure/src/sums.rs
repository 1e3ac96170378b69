//! Sums over images that count once, or as often as each of several resamples drew them.
//!
//! Multiplicities lie image by image, those of `L` resamples side by side: whatever is known of an image is read once
//! and goes into `L` sums at a time. One byte each, so that those of ten thousand images stay in a near cache.

/// Images whose multiplicities are turned into floating point at a time.
const TILE: usize = 128;

/// The multiplicities of images of which each counts once.
pub(crate) fn once(images: usize) -> Vec<[u8; 1]> {
    vec![[1]; images]
}

/// `a + b` in every resample.
#[inline(always)]
pub(crate) fn add<const L: usize>(sums: &mut [f64; L], values: &[f64; L]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

/// `sum_i w_i` and `sum_i w_i v_i` over the listed images, whose values are `values`.
#[inline(always)]
pub(crate) fn listed<const L: usize>(
    counts: &[[u8; L]],
    images: &[u32],
    values: &[f64],
) -> ([u32; L], [f64; L]) {
    let (mut masses, mut sums) = ([0; L], [0.0; L]);
    for (image, value) in images.iter().zip(values) {
        let row = &counts[*image as usize];
        for lane in 0..L {
            masses[lane] += u32::from(row[lane]);
            sums[lane] += f64::from(row[lane]) * value;
        }
    }
    (masses, sums)
}

/// `sum_i w_i` over the listed images.
#[inline(always)]
pub(crate) fn masses<const L: usize>(counts: &[[u8; L]], images: &[u32]) -> [u32; L] {
    let mut masses = [0; L];
    for image in images {
        let row = &counts[*image as usize];
        for lane in 0..L {
            masses[lane] += u32::from(row[lane]);
        }
    }
    masses
}

/// `sum_i w_i v_ic` over all images for every column c: a matrix product.
#[inline(always)]
pub(crate) fn products<const L: usize>(counts: &[[u8; L]], columns: &[&[f64]]) -> Vec<[f64; L]> {
    let mut sums = vec![[0.0; L]; columns.len()];
    let mut rows = [[0.0; L]; TILE];
    for (tile, counts) in counts.chunks(TILE).enumerate() {
        let rows = &mut rows[..counts.len()];
        for (row, counts) in rows.iter_mut().zip(counts) {
            for lane in 0..L {
                row[lane] = f64::from(counts[lane]);
            }
        }
        let start = tile * TILE;
        // in pairs, whose sums stay in registers
        for (columns, sums) in columns.chunks(2).zip(sums.chunks_mut(2)) {
            if let ([a, b], [sum_a, sum_b]) = (columns, &mut *sums) {
                let [of_a, of_b] = tile_sums(rows, [&a[start..], &b[start..]]);
                add(sum_a, &of_a);
                add(sum_b, &of_b);
            } else {
                for (column, sum) in columns.iter().zip(sums) {
                    let [of_column] = tile_sums(rows, [&column[start..]]);
                    add(sum, &of_column);
                }
            }
        }
    }
    sums
}

#[inline(always)]
fn tile_sums<const L: usize, const C: usize>(
    rows: &[[f64; L]],
    columns: [&[f64]; C],
) -> [[f64; L]; C] {
    let columns = columns.map(|column| &column[..rows.len()]);
    let mut sums = [[0.0; L]; C];
    for (place, row) in rows.iter().enumerate() {
        for (sums, column) in sums.iter_mut().zip(&columns) {
            let value = column[place];
            for lane in 0..L {
                sums[lane] += row[lane] * value;
            }
        }
    }
    sums
}

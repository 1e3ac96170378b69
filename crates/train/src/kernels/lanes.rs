//! The inner loops of a convolution, over as many numbers at a time as the processor's vectors hold.
//!
//! [`pulp`] compiles them for several sets of instructions and picks the widest at run time.

use pulp::{Arch, Simd, WithSimd};

/// Rows of weights that are worked on together.
pub const ROWS: usize = 6;
/// The same for sums over a run.
pub const SUMMED: usize = 4;
/// Vectors in a block of a run.
const VECTORS: usize = 2;
/// Columns whose products are summed together.
const COLUMNS: usize = 2;
/// The most numbers that a vector holds.
pub const WIDEST: usize = 16;
/// Runs are computed in blocks, the last one beyond its end by less than this.
pub const BLOCK: usize = VECTORS * WIDEST;

/// `out[r][p] = sum over j of weights[r][j] x[offsets[j] + p]` for p in `0..run`, and on to a full block.
///
/// `weights` is laid out (rows / 4) x columns x 4, with zeros for rows that there are not; `out` has that
/// many rows, `pitch` apart.
pub struct Correlate<'a> {
    pub offsets: &'a [usize],
    pub weights: &'a [f32],
    pub x: &'a [f32],
    pub out: &'a mut [f32],
    pub pitch: usize,
    pub run: usize,
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { offsets, weights, x, out, pitch, run } = self;
        let group = offsets.len() * ROWS;
        let block = VECTORS * S::F32_LANES;
        for p in (0..run).step_by(block) {
            let x = &x[p..];
            let groups = weights.chunks_exact(group).zip(out.chunks_exact_mut(ROWS * pitch));
            for (weights, out) in groups {
                let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
                let (weights, _) = weights.as_chunks::<ROWS>();
                for (&offset, weights) in offsets.iter().zip(weights) {
                    let x: &[S::f32s; VECTORS] = vectors::<S>(&x[offset..offset + block]);
                    for r in 0..ROWS {
                        let weight = simd.splat_f32s(weights[r]);
                        for v in 0..VECTORS {
                            sums[r][v] = simd.mul_add_f32s(weight, x[v], sums[r][v]);
                        }
                    }
                }
                for (sums, out) in sums.iter().zip(out.chunks_exact_mut(pitch)) {
                    let (out, _) = S::as_mut_simd_f32s(&mut out[p..p + block]);
                    out.copy_from_slice(sums);
                }
            }
        }
    }
}

/// The first N vectors of a slice that has as many.
#[inline(always)]
fn vectors<S: Simd>(x: &[f32]) -> &[S::f32s; VECTORS] {
    match S::as_simd_f32s(x).0.first_chunk() {
        Some(vectors) => vectors,
        None => unreachable!("a block has {VECTORS} vectors"),
    }
}

/// `sums[r][j] += sum over pictures and p of g[r][p] x[offsets[j] + p]` for p in `0..run`, and on to a full
/// vector, with a sum of its own for each place in a vector.
///
/// `g` has rows `pitch` apart and zeros from `run` on, `x` and `g` have a picture every so many values; `sums` is laid out (rows / 4) x columns x 4 x vector
/// (and is [`WIDEST`] numbers long for each, whatever the vector).
pub struct Accumulate<'a> {
    pub offsets: &'a [usize],
    pub pictures: usize,
    pub g: &'a [f32],
    pub g_step: usize,
    pub pitch: usize,
    pub x: &'a [f32],
    pub x_step: usize,
    pub run: usize,
    pub sums: &'a mut [f32],
}

impl Accumulate<'_> {
    /// The sums of a group of rows, the first of which is `row`, and of C columns.
    #[inline(always)]
    fn some<S: Simd, const C: usize>(
        &self,
        simd: S,
        row: usize,
        offsets: &[usize; C],
    ) -> [[S::f32s; SUMMED]; C] {
        let length = self.run.next_multiple_of(S::F32_LANES);
        let count = length / S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); SUMMED]; C];
        for picture in 0..self.pictures {
            let g = &self.g[picture * self.g_step + row * self.pitch..];
            let mut rows: [&[S::f32s]; SUMMED] = [&[]; SUMMED];
            for (r, row) in rows.iter_mut().enumerate() {
                *row = &S::as_simd_f32s(&g[r * self.pitch..][..length]).0[..count];
            }
            let x = &self.x[picture * self.x_step..];
            let mut columns: [&[S::f32s]; C] = [&[]; C];
            for (column, &offset) in columns.iter_mut().zip(offsets) {
                *column = &S::as_simd_f32s(&x[offset..][..length]).0[..count];
            }
            for i in 0..count {
                let mut g = [simd.splat_f32s(0.0); SUMMED];
                for r in 0..SUMMED {
                    g[r] = rows[r][i];
                }
                for c in 0..C {
                    let x = columns[c][i];
                    for r in 0..SUMMED {
                        sums[c][r] = simd.mul_add_f32s(g[r], x, sums[c][r]);
                    }
                }
            }
        }
        sums
    }
}

#[inline(always)]
fn add<S: Simd>(simd: S, to: &mut [S::f32s], sums: &[S::f32s]) {
    for (to, &sum) in to.iter_mut().zip(sums) {
        *to = simd.add_f32s(*to, sum);
    }
}

impl WithSimd for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let sums = S::as_mut_simd_f32s(std::mem::take(&mut self.sums)).0;
        let (pairs, rest) = self.offsets.as_chunks::<COLUMNS>();
        let group = self.offsets.len() * SUMMED;
        for (index, sums) in sums.chunks_exact_mut(group).enumerate() {
            let row = index * SUMMED;
            if (row + SUMMED) * self.pitch > self.g_step {
                break;
            }
            let (first, last) = sums.split_at_mut(pairs.len() * COLUMNS * SUMMED);
            for (offsets, to) in pairs.iter().zip(first.chunks_exact_mut(COLUMNS * SUMMED)) {
                add(simd, to, self.some(simd, row, offsets).as_flattened());
            }
            for (&offset, to) in rest.iter().zip(last.chunks_exact_mut(SUMMED)) {
                add(simd, to, self.some(simd, row, &[offset]).as_flattened());
            }
        }
    }
}

/// The sum of each vector of [`Accumulate`], one after the other.
pub struct Total<'a> {
    pub sums: &'a [f32],
    pub out: &'a mut [f32],
}

impl WithSimd for Total<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (out, &sum) in self.out.iter_mut().zip(S::as_simd_f32s(self.sums).0) {
            *out = simd.reduce_sum_f32s(sum);
        }
    }
}

/// Runs one of the loops here with the processor's widest instructions.
pub fn run(task: impl WithSimd<Output = ()>) {
    Arch::new().dispatch(task);
}

//! What a small network reads: a matrix, or products of factors that are never written out.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis, s};

use crate::columns::Affine;
use crate::pass::sized;

/// Scaled columns of a product are written out for so many values of a row at a time, at most (or for one
/// class): a fraction of what a matrix of them would be, and enough for the kernels to be fast.
const BLOCK: usize = 256;

/// Examples as a small network reads them, one a row.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// n x w, scaled already.
    Matrix(ArrayView2<'a, f32>),
    /// `scale (g_i h_k - center)`, N d columns, class-major, from n x N and n x d.
    Products {
        /// Gradients at the logits, n x N.
        g: ArrayView2<'a, f32>,
        /// Penultimate features, n x d.
        h: ArrayView2<'a, f32>,
        /// Scaling of the products.
        scaling: &'a Affine,
    },
    /// g and h, scaled each on its own: what a low-rank first layer reads. n x N and n x d.
    Pair {
        /// Scaled gradients at the logits.
        g: ArrayView2<'a, f32>,
        /// Scaled penultimate features.
        h: ArrayView2<'a, f32>,
    },
}

impl<'a> Input<'a> {
    /// Number of examples.
    pub fn rows(&self) -> usize {
        match self {
            Self::Matrix(x) => x.nrows(),
            Self::Products { g, .. } | Self::Pair { g, .. } => g.nrows(),
        }
    }

    /// Number of columns of each of its matrices.
    pub(crate) fn widths(&self) -> Vec<usize> {
        match self {
            Self::Matrix(x) => vec![x.ncols()],
            Self::Products { g, h, .. } | Self::Pair { g, h } => vec![g.ncols(), h.ncols()],
        }
    }

    /// Those of a range.
    pub fn slice(&self, rows: Range<usize>) -> Input<'_> {
        match self {
            Self::Matrix(x) => Input::Matrix(x.slice(s![rows, ..])),
            Self::Products { g, h, scaling } => Input::Products {
                g: g.slice(s![rows.clone(), ..]),
                h: h.slice(s![rows, ..]),
                scaling,
            },
            Self::Pair { g, h } => {
                Input::Pair { g: g.slice(s![rows.clone(), ..]), h: h.slice(s![rows, ..]) }
            }
        }
    }

    /// A copy of these rows.
    pub(crate) fn gather(&self, rows: &[usize]) -> Gathered<'a> {
        match self {
            Self::Matrix(x) => Gathered::Matrix(x.select(Axis(0), rows)),
            Self::Products { g, h, scaling } => {
                Gathered::Products(g.select(Axis(0), rows), h.select(Axis(0), rows), scaling)
            }
            Self::Pair { g, h } => Gathered::Pair(g.select(Axis(0), rows), h.select(Axis(0), rows)),
        }
    }
}

/// Copied rows of an [`Input`].
pub(crate) enum Gathered<'a> {
    Matrix(Array2<f32>),
    Products(Array2<f32>, Array2<f32>, &'a Affine),
    Pair(Array2<f32>, Array2<f32>),
}

impl Gathered<'_> {
    pub fn view(&self) -> Input<'_> {
        match self {
            Self::Matrix(x) => Input::Matrix(x.view()),
            Self::Products(g, h, scaling) => Input::Products { g: g.view(), h: h.view(), scaling },
            Self::Pair(g, h) => Input::Pair { g: g.view(), h: h.view() },
        }
    }
}

/// The classes whose products are written out together.
pub(crate) fn blocks(classes: usize, width: usize) -> impl Iterator<Item = Range<usize>> {
    let together = (BLOCK / width.max(1)).max(1);
    (0..classes).step_by(together).map(move |start| start..(start + together).min(classes))
}

/// Writes the scaled products of a block of classes, n x (classes d).
pub(crate) fn write_block(
    block: &mut Array2<f32>,
    classes: &Range<usize>,
    g: ArrayView2<'_, f32>,
    h: ArrayView2<'_, f32>,
    scaling: &Affine,
) {
    let width = h.ncols();
    let columns = classes.start * width..classes.end * width;
    sized(block, (g.nrows(), columns.len()));
    let scale = scaling.scale.slice(s![columns.clone()]);
    let center = scaling.center.slice(s![columns]);
    let (Some(scale), Some(center), Some(block)) =
        (scale.to_slice(), center.to_slice(), block.as_slice_mut())
    else {
        return;
    };
    for ((row, g), h) in block.chunks_exact_mut(scale.len().max(1)).zip(g.rows()).zip(h.rows()) {
        let g = g.slice(s![classes.clone()]);
        match h.to_slice() {
            Some(h) => write_row(row, scale, center, g.iter(), h),
            None => write_row(row, scale, center, g.iter(), &h.to_vec()),
        }
    }
}

/// `scale (g h - center)` for each g, over slices, which the compiler turns into vector instructions.
fn write_row<'a>(
    row: &mut [f32],
    scale: &[f32],
    center: &[f32],
    g: impl Iterator<Item = &'a f32>,
    h: &[f32],
) {
    let width = h.len().max(1);
    let classes =
        row.chunks_exact_mut(width).zip(scale.chunks_exact(width)).zip(center.chunks_exact(width));
    for (((row, scale), center), g) in classes.zip(g) {
        for (((value, scale), center), h) in row.iter_mut().zip(scale).zip(center).zip(h) {
            *value = scale * (g * h - center);
        }
    }
}

//! Matrix products in float32, by the kernels that also run the classifier.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions};
use rten_tensor::Matrix;

/// `out = a b + beta out` for a of m x k, b of k x n.
///
/// Each element is summed in an order that does not depend on the number of threads, which divide rows and
/// columns but not k. A single row goes another way: the kernels hand its columns out by the number of threads, and
/// round the last of a thread's columns differently.
pub(crate) fn multiply(
    mut out: ArrayViewMut2<'_, f32>,
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    beta: f32,
) {
    if out.is_empty() {
        return;
    }
    if a.nrows() == 1 {
        return general_mat_mul(1.0, &a, &b, beta, &mut out);
    }
    let (left, right) = (contiguous(&a), contiguous(&b));
    if let (Some(left), Some(right), Some(data)) = (left, right, out.as_slice_mut()) {
        let options = GemmOptions { beta, ..GemmOptions::default() };
        let (left, right) = (GemmInputA::Unpacked(left), GemmInputB::Unpacked(right));
        // picks the kernel of this processor, and holds nothing
        if GemmExecutor::new().gemm(data, left, right, options).is_ok() {
            return;
        }
    }
    // views with gaps
    general_mat_mul(1.0, &a, &b, beta, &mut out);
}

/// `a b`.
pub(crate) fn product(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut out = Array2::zeros((a.nrows(), b.ncols()));
    multiply(out.view_mut(), a, b, 0.0);
    out
}

/// The same matrix for the kernels: rows, or columns, that follow each other without gaps.
fn contiguous<'a>(matrix: &ArrayView2<'a, f32>) -> Option<Matrix<'a>> {
    let (rows, columns) = matrix.dim();
    if let Some(data) = matrix.to_slice() {
        return Some(Matrix::from_data([rows, columns], data));
    }
    let data = matrix.reversed_axes().to_slice()?;
    Some(Matrix::from_data([columns, rows], data).transposed())
}

#[cfg(test)]
mod tests {
    use super::product;
    use ndarray::{Array2, s};

    /// 300 columns are handed out as 300, 150 and 150, or three times 128: other columns are the last.
    #[test]
    fn threads_change_no_bit_of_a_single_row() {
        let a = Array2::from_shape_fn((1, 640), |(_, k)| ((k * 7919) % 1013) as f32 / 337.0 - 1.5);
        let b = Array2::from_shape_fn((640, 300), |(k, j)| {
            ((k * 31 + j * 17) % 997) as f32 / 331.0 - 1.5
        });
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.map(|pool| pool.install(|| product(a.view(), b.view()))).ok()
        };
        assert!(with(1).is_some());
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn all_layouts_give_the_same() {
        let a = Array2::from_shape_fn((37, 29), |(i, j)| ((i * 7 + j * 3) % 11) as f32 - 5.0);
        let b = Array2::from_shape_fn((29, 41), |(i, j)| ((i * 5 + j * 2) % 13) as f32 - 6.0);
        let expected = a.dot(&b);
        let (at, bt) =
            (a.t().as_standard_layout().into_owned(), b.t().as_standard_layout().into_owned());
        assert_eq!(product(a.view(), b.view()), expected);
        assert_eq!(product(at.t(), b.view()), expected);
        assert_eq!(product(a.view(), bt.t()), expected);
        assert_eq!(product(at.t(), bt.t()), expected);
        let gaps = product(a.slice(s![.., ..20]), b.slice(s![..20, ..30]));
        assert_eq!(gaps, a.slice(s![.., ..20]).dot(&b.slice(s![..20, ..30])));
    }
}

//! Probabilities from logits.

use ndarray::{Array1, ArrayView1};

/// `p_c = exp(z_c) / sum_i exp(z_i)`, in double precision, N in and N out.
///
/// Finite logits give finite probabilities that sum to one.
pub fn softmax(logits: ArrayView1<'_, f32>) -> Array1<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = logits.mapv(|z| f64::from(z - highest).exp());
    let sum = powers.sum();
    powers / sum
}

#[cfg(test)]
mod tests {
    use super::softmax;
    use ndarray::array;

    #[test]
    fn large_logits_do_not_overflow() {
        let p = softmax(array![1000.0, 1000.0, -1000.0].view());
        assert_eq!(p, array![0.5, 0.5, 0.0]);
    }
}

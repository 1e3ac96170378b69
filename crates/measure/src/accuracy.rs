//! How often the right class is on top.

use crate::error::at_least_one;
use crate::outputs::Checked;
use crate::{MeasureError, Outputs};

/// `1/n sum_i [argmax_c p_ic = y_i]`, in [0, 1]; the first among equal outputs is the prediction.
///
/// # Errors
/// Outputs or labels are unusable: empty, of different lengths, not finite, no distribution, no such class.
pub fn accuracy(outputs: Outputs<'_>, labels: &[usize]) -> Result<f64, MeasureError> {
    top_k_accuracy(outputs, labels, 1)
}

/// Share of images whose right class is among the k with the largest outputs, in [0, 1]; among equal outputs the
/// first class comes first. 1 if k is at least N.
///
/// # Errors
/// As [`accuracy`]; k is 0.
pub fn top_k_accuracy(
    outputs: Outputs<'_>,
    labels: &[usize],
    k: usize,
) -> Result<f64, MeasureError> {
    at_least_one("k of the top-k accuracy", k)?;
    let checked = Checked::with_labels(outputs, labels)?;
    Ok(mean(&hits(&checked, labels, k)))
}

/// 1 for every image whose right class is among the k first, else 0.
pub(crate) fn hits(checked: &Checked<'_>, labels: &[usize], k: usize) -> Vec<f64> {
    let hit = |(row, label): (usize, &usize)| f64::from(checked.rank(row, *label) < k);
    labels.iter().enumerate().map(hit).collect()
}

/// `1/n sum_i v_i`; the caller has made sure that there are values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

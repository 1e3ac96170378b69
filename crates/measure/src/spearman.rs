//! Whether two lists put their items in the same order.

use crate::MeasureError;

/// Spearman's rank correlation: Pearson's correlation of the ranks, ties with their mean rank; in [-1, 1], 1 for the same
/// order, -1 for the opposite one. `None` if one of the lists has the same value everywhere (or fewer than two), since there is
/// no order to compare then.
///
/// # Errors
/// Lengths differ, or a value is not finite.
///
/// ```
/// let same = introspective_measure::spearman(&[0.1, 0.4, 0.2], &[10.0, 30.0, 20.0])?;
/// assert_eq!(same, Some(1.0));
/// assert_eq!(introspective_measure::spearman(&[1.0, 1.0], &[0.0, 1.0])?, None);
/// # Ok::<(), introspective_measure::MeasureError>(())
/// ```
pub fn spearman(a: &[f64], b: &[f64]) -> Result<Option<f64>, MeasureError> {
    if a.len() != b.len() {
        return Err(MeasureError::Lengths { what: "values", found: b.len(), expected: a.len() });
    }
    for list in [a, b] {
        if let Some(row) = list.iter().position(|value| !value.is_finite()) {
            let value = list[row];
            return Err(MeasureError::NotFinite { what: "value", row, column: 0, value });
        }
    }
    let (a, b) = (centred_ranks(a), centred_ranks(b));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let spread = (product(&a, &a) * product(&b, &b)).sqrt();
    // rounding must not make a correlation of more than 1
    Ok((spread > 0.0).then(|| (product(&a, &b) / spread).clamp(-1.0, 1.0)))
}

/// Ranks minus their mean: half numbers, so that equal lists give exactly equal ranks.
fn centred_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let middle = (values.len() as f64 - 1.0) / 2.0;
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    // zero and its negative are the same value
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = start as f64 + (tied.len() as f64 - 1.0) / 2.0;
        for &index in tied {
            ranks[index] = mean - middle;
        }
        start += tied.len();
    }
    ranks
}

//! How well a score tells two kinds apart.

use crate::MeasureError;

/// Area under the ROC curve: the probability that a random positive item scores higher than a random negative one,
/// ties counting half; in [0, 1], 0.5 for a score that knows nothing. Computed from the ranks (Mann and Whitney), ties
/// with their mean rank.
///
/// # Errors
/// Lengths differ, a score is not finite, or all items are of one kind.
///
/// ```
/// let area = introspective_measure::auroc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true])?;
/// assert_eq!(area, 0.75);
/// # Ok::<(), introspective_measure::MeasureError>(())
/// ```
pub fn auroc(scores: &[f64], positive: &[bool]) -> Result<f64, MeasureError> {
    if scores.len() != positive.len() {
        let (found, expected) = (scores.len(), positive.len());
        return Err(MeasureError::Lengths { what: "scores", found, expected });
    }
    if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
        let value = scores[row];
        return Err(MeasureError::NotFinite { what: "score", row, column: 0, value });
    }
    let positives = positive.iter().filter(|p| **p).count();
    let negatives = positive.len() - positives;
    if positives == 0 || negatives == 0 {
        return Err(MeasureError::OneSided { positive: positives, negative: negatives });
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    // Twice the number of pairs that are in order: whole numbers, so nothing is rounded before the division.
    let (mut below, mut twice) = (0u128, 0u128);
    for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let up = tied.iter().filter(|item| positive[**item]).count() as u128;
        let down = tied.len() as u128 - up;
        twice += up * (2 * below + down);
        below += down;
    }
    Ok(twice as f64 / (2.0 * positives as f64 * negatives as f64))
}

//! Proper scoring rules: smallest for who says what they believe.

use crate::accuracy::mean;
use crate::outputs::Checked;
use crate::{MeasureError, Outputs};

/// Negative log-likelihood `-1/n sum_i ln p_i,y(i)`, in nats, from 0 (scikit-learn's `log_loss` without its clipping).
///
/// Finite for logits; infinite if the right class of an image was given the probability zero.
///
/// # Errors
/// As [`accuracy`](crate::accuracy).
pub fn nll(outputs: Outputs<'_>, labels: &[usize]) -> Result<f64, MeasureError> {
    let checked = Checked::with_labels(outputs, labels)?;
    Ok(mean(&surprises(&checked, labels)))
}

/// Brier score `1/n sum_i sum_c (p_ic - [c = y_i])^2`, in [0, 2]: summed over the classes, as Brier (1950) has it.
///
/// # Errors
/// As [`accuracy`](crate::accuracy).
pub fn brier(outputs: Outputs<'_>, labels: &[usize]) -> Result<f64, MeasureError> {
    let checked = Checked::with_labels(outputs, labels)?;
    Ok(mean(&squares(&checked, labels)))
}

/// `-ln p_i,y(i)` of every image.
pub(crate) fn surprises(checked: &Checked<'_>, labels: &[usize]) -> Vec<f64> {
    labels.iter().enumerate().map(|(row, label)| checked.surprise(row, *label)).collect()
}

/// `sum_c (p_ic - [c = y_i])^2` of every image.
pub(crate) fn squares(checked: &Checked<'_>, labels: &[usize]) -> Vec<f64> {
    let square = |(row, label): (usize, &usize)| {
        let gap = |class| checked.probability(row, class) - f64::from(class == *label);
        (0..checked.classes()).map(|class| gap(class) * gap(class)).sum()
    };
    labels.iter().enumerate().map(square).collect()
}

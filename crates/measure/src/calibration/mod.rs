//! Calibration: does a confidence of 80 % mean right in 80 % of the cases?
//!
//! The confidence is the largest probability of an image. Bins of equal width are half open, (lo, hi], as in the
//! code of Guo et al. 2017; the first holds 0 as well.

mod classwise;
mod equal_mass;
mod equal_width;

pub(crate) use classwise::{Classwise, blocks};
pub(crate) use equal_mass::EqualMass;
pub(crate) use equal_width::EqualWidth;

use crate::error::at_least_one;
use crate::outputs::Checked;
use crate::ranking::Confidences;
use crate::sums::{once, products};
use crate::sweep::{Sweep, Swept};
use crate::{MeasureError, Outputs};

/// How many bins calibration errors have unless another number is asked for.
pub const DEFAULT_BINS: usize = 15;

/// Expected calibration error `sum_b n_b/n |acc_b - conf_b|`, in [0, 1], over bins of equal width (lo, hi] of the
/// confidence: norm L1 (Guo et al. 2017).
///
/// # Errors
/// As [`accuracy`](crate::accuracy); no bins.
pub fn ece(outputs: Outputs<'_>, labels: &[usize], bins: usize) -> Result<f64, MeasureError> {
    Ok(swept(outputs, labels, bins)?.ece[0])
}

/// Maximum calibration error `max_b |acc_b - conf_b|`, in [0, 1], over the bins of [`ece`] that hold an image. A bin
/// with few images can decide it.
///
/// # Errors
/// As [`ece`].
pub fn mce(outputs: Outputs<'_>, labels: &[usize], bins: usize) -> Result<f64, MeasureError> {
    Ok(swept(outputs, labels, bins)?.mce[0])
}

/// Adaptive calibration error `1/B sum_b |acc_b - conf_b|`, in [0, 1], over B bins with the same number of images,
/// cut along the order of the confidence.
///
/// n/B need not be whole: an image that lies on a cut is shared between the two bins in proportion. Images of equal
/// confidence that lie on a cut are shared alike, each as their average, so the value does not depend on the order of
/// the images.
///
/// # Errors
/// As [`ece`].
pub fn adaptive_ece(
    outputs: Outputs<'_>,
    labels: &[usize],
    bins: usize,
) -> Result<f64, MeasureError> {
    Ok(swept(outputs, labels, bins)?.adaptive_ece[0])
}

/// Classwise calibration error `1/N sum_k sum_b n_kb/n |freq_kb - prob_kb|`, in [0, 1]: for each class k the images are
/// binned by their probability of k, bins of equal width (lo, hi], and the mean probability of a bin is held against
/// the share of images in it that are of class k (Kull et al. 2019).
///
/// # Errors
/// As [`ece`].
pub fn classwise_ece(
    outputs: Outputs<'_>,
    labels: &[usize],
    bins: usize,
) -> Result<f64, MeasureError> {
    at_least_one("bins", bins)?;
    let checked = Checked::with_labels(outputs, labels)?;
    let ones = once(labels.len());
    let sum = |classes| {
        let classwise = Classwise::new(&checked, labels, bins, classes);
        let columns: Vec<&[f64]> = classwise.columns().collect();
        classwise.sums(&ones, products(&ones, &columns))[0]
    };
    let sum: f64 = blocks(checked.classes()).map(sum).sum();
    Ok(sum / labels.len() as f64 / checked.classes() as f64)
}

fn swept(outputs: Outputs<'_>, labels: &[usize], bins: usize) -> Result<Swept<1>, MeasureError> {
    at_least_one("bins", bins)?;
    let confidences = Confidences::new(&Checked::with_labels(outputs, labels)?, labels);
    Ok(Sweep::new(&confidences, bins).metrics(&once(labels.len())))
}

/// The bin (b/B, (b+1)/B] that holds a value from 0 to 1; the first holds 0 as well.
pub(crate) fn bin_of(value: f64, bins: usize) -> usize {
    let edge = |bin: usize| bin as f64 / bins as f64;
    let mut bin = ((value * bins as f64) as usize).min(bins - 1);
    // the product is rounded: what lies on an edge, or a hair from it, is held against the edge itself
    while bin > 0 && value <= edge(bin) {
        bin -= 1;
    }
    while bin + 1 < bins && value > edge(bin + 1) {
        bin += 1;
    }
    bin
}

#[cfg(test)]
mod tests {
    use super::bin_of;

    #[test]
    fn bins_hold_their_upper_edge() {
        for bins in [1, 2, 3, 7, 10, 15, 100] {
            assert_eq!(bin_of(0.0, bins), 0);
            for bin in 0..bins {
                let (low, high) = (bin as f64 / bins as f64, (bin + 1) as f64 / bins as f64);
                assert_eq!(bin_of(high, bins), bin, "{high} in {bins} bins");
                assert_eq!(bin_of(low.next_up(), bins), bin, "above {low} in {bins} bins");
                assert_eq!(bin_of((low + high) / 2.0, bins), bin);
            }
        }
    }
}

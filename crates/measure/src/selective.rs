//! Selective prediction: answer only where the confidence is high, and see how often that is wrong.

use serde::{Deserialize, Serialize};

use crate::outputs::Checked;
use crate::ranking::{Confidences, Ranking};
use crate::weights::Weights;
use crate::{MeasureError, Outputs};

/// Area under the risk-coverage curve `1/n sum_{j=1..n} (wrong among the j most confident) / j`, in [0, 1], smaller is
/// better (Geifman and El-Yaniv 2017; confidence: the largest probability).
///
/// Images of equal confidence are taken in random order, on average: at the t-th of m of them, e of which are wrong,
/// t e/m of them count as wrong. So the value does not depend on the order of the images.
///
/// # Errors
/// As [`accuracy`](crate::accuracy).
pub fn aurc(outputs: Outputs<'_>, labels: &[usize]) -> Result<f64, MeasureError> {
    let confidences = Confidences::new(&Checked::with_labels(outputs, labels)?, labels);
    let ones = vec![1; labels.len()];
    let area = area(&Ranking::new(&confidences), &Weights::new(&ones), &harmonic(labels.len()));
    Ok(area)
}

/// A point of the risk-coverage curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskPoint {
    /// Share of the images that are answered, in (0, 1].
    pub coverage: f64,
    /// Share of the answers that are wrong, in [0, 1].
    pub risk: f64,
    /// Those with at least this confidence are answered.
    pub threshold: f64,
}

/// The risk-coverage curve: one point for every distinct confidence, from the highest to the lowest (coverage 1).
///
/// # Errors
/// As [`accuracy`](crate::accuracy).
pub fn risk_coverage(
    outputs: Outputs<'_>,
    labels: &[usize],
) -> Result<Vec<RiskPoint>, MeasureError> {
    let confidences = Confidences::new(&Checked::with_labels(outputs, labels)?, labels);
    let ones = vec![1; labels.len()];
    let ranking = Ranking::new(&confidences);
    let mut points = Vec::new();
    let (mut answered, mut wrong) = (0.0, 0.0);
    ranking.walk(&Weights::new(&ones), |group| {
        answered += group.mass as f64;
        // a whole number, which the share may miss by a rounding
        wrong += (group.mass as f64 * group.rate).round();
        points.push(RiskPoint {
            coverage: answered / labels.len() as f64,
            risk: wrong / answered,
            threshold: confidences.values[ranking.image(group.end - 1) as usize],
        });
    });
    Ok(points)
}

/// Risk at the coverages 1/n, 2/n, ... 1, images of equal confidence in random order on average; its mean is the area.
pub(crate) fn risks(ranking: &Ranking, images: usize) -> Vec<f64> {
    let ones = vec![1; images];
    let mut risks = Vec::with_capacity(images);
    let (mut before, mut wrong) = (0.0, 0.0);
    ranking.walk(&Weights::new(&ones), |group| {
        let step = |place: usize| {
            let place = place as f64;
            (wrong + place * group.rate) / (before + place)
        };
        risks.extend((1..=group.mass).map(step));
        before += group.mass as f64;
        wrong += group.mass as f64 * group.rate;
    });
    risks
}

/// `H_j = 1 + 1/2 + ... + 1/j` for j = 0..=n.
pub(crate) fn harmonic(n: usize) -> Vec<f64> {
    let mut sum = 0.0;
    let rest = (1..=n).map(|j| {
        sum += 1.0 / j as f64;
        sum
    });
    std::iter::once(0.0).chain(rest).collect()
}

/// The area, with `harmonic` numbers up to the sum of the weights.
///
/// A group of m images with the error rate r, after C images with E errors, adds
/// `sum_{t=1..m} (E + t r)/(C + t) = m r + (E - r C)(H_{C+m} - H_C)`.
pub(crate) fn area(ranking: &Ranking, weights: &Weights<'_>, harmonic: &[f64]) -> f64 {
    let (mut area, mut before, mut wrong) = (0.0, 0, 0.0);
    ranking.walk(weights, |group| {
        let after = before + group.mass;
        let steps = harmonic[after] - harmonic[before];
        let wrong_here = group.mass as f64 * group.rate;
        area += wrong_here + (wrong - group.rate * before as f64) * steps;
        before = after;
        wrong += wrong_here;
    });
    area / weights.total() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::mean;

    #[test]
    fn the_area_is_the_mean_of_the_risks_with_and_without_ties() {
        let confidences = Confidences {
            values: vec![0.9, 0.5, 0.5, 0.7, 0.5, 0.9, 0.3],
            right: vec![true, false, true, true, false, false, true],
        };
        let ranking = Ranking::new(&confidences);
        let ones = [1; 7];
        let area = area(&ranking, &Weights::new(&ones), &harmonic(7));
        // 0.9: one of two wrong; 0.7: right; 0.5: two of three wrong; 0.3: right
        let expected = [0.5, 0.5, 1.0 / 3.0, (5.0 / 3.0) / 4.0, (7.0 / 3.0) / 5.0, 0.5, 3.0 / 7.0];
        assert!((area - mean(&expected)).abs() < 1e-15);
        for (risk, expected) in risks(&ranking, 7).iter().zip(expected) {
            assert!((risk - expected).abs() < 1e-15);
        }
    }
}

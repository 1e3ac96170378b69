//! Selective prediction: answer only where the confidence is high, and see how often that is wrong.

use serde::{Deserialize, Serialize};

use crate::outputs::Checked;
use crate::ranking::{Confidences, Group, Ranking};
use crate::sums::once;
use crate::sweep::Sweep;
use crate::{DEFAULT_BINS, MeasureError, Outputs};

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
    Ok(Sweep::new(&confidences, DEFAULT_BINS).metrics(&once(labels.len())).aurc[0])
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
    let mut wrong = 0;
    let point = |group: &Group| {
        wrong += group.wrong();
        RiskPoint {
            coverage: group.end as f64 / labels.len() as f64,
            risk: wrong as f64 / group.end as f64,
            threshold: group.confidence,
        }
    };
    Ok(Ranking::new(&confidences).groups.iter().map(point).collect())
}

/// Risk at the coverages 1/n, 2/n, ... 1, images of equal confidence in random order on average; its mean is the area.
pub(crate) fn risks(ranking: &Ranking) -> Vec<f64> {
    let mut risks = Vec::with_capacity(ranking.images.len());
    let mut wrong = 0;
    for group in &ranking.groups {
        let rate = group.wrong() as f64 / group.mass() as f64;
        let step =
            |place: usize| (wrong as f64 + place as f64 * rate) / (group.start + place) as f64;
        risks.extend((1..=group.mass()).map(step));
        wrong += group.wrong();
    }
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

/// The area in several resamples at a time, fed with the images in order of their confidence.
///
/// A group of m images with the error rate r, after C images with E errors, adds
/// `sum_{t=1..m} (E + t r)/(C + t) = m r + (E - r C)(H_{C+m} - H_C)`. Groups that are all right, or all wrong, are taken
/// as one where they follow each other: the terms add up to the same.
pub(crate) struct Area<'a, const L: usize> {
    harmonic: &'a [f64],
    /// C, H_C and E.
    before: [u32; L],
    reached: [f64; L],
    wrong: [f64; L],
    areas: [f64; L],
}

impl<'a, const L: usize> Area<'a, L> {
    /// `harmonic` numbers up to the number of images.
    #[inline(always)]
    pub(crate) fn new(harmonic: &'a [f64]) -> Self {
        let zeros = [0.0; L];
        Self { harmonic, before: [0; L], reached: zeros, wrong: zeros, areas: zeros }
    }

    #[inline(always)]
    pub(crate) fn right(&mut self, masses: &[u32; L]) {
        self.add(masses, &[0.0; L], &[0.0; L]);
    }

    #[inline(always)]
    pub(crate) fn wrong(&mut self, masses: &[u32; L]) {
        self.add(masses, &masses.map(f64::from), &[1.0; L]);
    }

    /// Images of one confidence.
    #[inline(always)]
    pub(crate) fn mixed(&mut self, right: &[u32; L], wrong: &[u32; L]) {
        let (mut masses, mut wrongs, mut rates) = ([0; L], [0.0; L], [0.0; L]);
        for lane in 0..L {
            masses[lane] = right[lane] + wrong[lane];
            wrongs[lane] = f64::from(wrong[lane]);
            rates[lane] = wrongs[lane] / f64::from(masses[lane].max(1));
        }
        self.add(&masses, &wrongs, &rates);
    }

    #[inline(always)]
    fn add(&mut self, masses: &[u32; L], wrong: &[f64; L], rates: &[f64; L]) {
        let mut reached = [0.0; L];
        for lane in 0..L {
            reached[lane] = self.harmonic[(self.before[lane] + masses[lane]) as usize];
        }
        for lane in 0..L {
            let steps = reached[lane] - self.reached[lane];
            let over = self.wrong[lane] - rates[lane] * f64::from(self.before[lane]);
            self.areas[lane] += wrong[lane] + over * steps;
            self.wrong[lane] += wrong[lane];
            self.before[lane] += masses[lane];
        }
        self.reached = reached;
    }

    #[inline(always)]
    pub(crate) fn areas(&self, images: f64) -> [f64; L] {
        self.areas.map(|area| area / images)
    }

    /// How many are wrong.
    #[inline(always)]
    pub(crate) fn errors(&self) -> [f64; L] {
        self.wrong
    }
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
        let area = Sweep::new(&confidences, 15).metrics(&once(7)).aurc[0];
        // 0.9: one of two wrong; 0.7: right; 0.5: two of three wrong; 0.3: right
        let expected = [0.5, 0.5, 1.0 / 3.0, (5.0 / 3.0) / 4.0, (7.0 / 3.0) / 5.0, 0.5, 3.0 / 7.0];
        assert!((area - mean(&expected)).abs() < 1e-15);
        for (risk, expected) in risks(&Ranking::new(&confidences)).iter().zip(expected) {
            assert!((risk - expected).abs() < 1e-15);
        }
    }
}

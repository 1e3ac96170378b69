//! What a page draws of a method: its reliability diagram and its risk-coverage curve.

use serde::{Deserialize, Serialize};

use crate::calibration::bin_of;
use crate::error::at_least_one;
use crate::outputs::Checked;
use crate::ranking::{Confidences, Ranking};
use crate::selective;
use crate::{MeasureError, Method, Outputs};

/// Points of a thinned risk-coverage curve.
const POINTS: usize = 200;

/// A bin (low, high] of the confidence, with what fell into it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower edge, not part of the bin (but 0 is part of the first).
    pub low: f64,
    /// Upper edge, part of the bin.
    pub high: f64,
    /// How many images fell into it.
    pub count: usize,
    /// Their mean confidence; none if there are none.
    pub confidence: Option<f64>,
    /// The share of them whose prediction is right; none if there are none.
    pub accuracy: Option<f64>,
}

/// The reliability diagram as numbers: bins of equal width (lo, hi] of the confidence, those of [`ece`](crate::ece),
/// empty ones included.
///
/// # Errors
/// As [`ece`](crate::ece).
pub fn reliability(
    outputs: Outputs<'_>,
    labels: &[usize],
    bins: usize,
) -> Result<Vec<ReliabilityBin>, MeasureError> {
    at_least_one("bins", bins)?;
    let confidences = Confidences::new(&Checked::with_labels(outputs, labels)?, labels);
    Ok(binned(&[confidences], bins))
}

/// What a page draws of a method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// The method's name.
    pub name: String,
    /// Reliability over the images of all seeds together.
    pub reliability: Vec<ReliabilityBin>,
    /// Risk at up to 200 coverages from 1/n to 1, mean over the seeds.
    pub risk_coverage: Vec<CoverageRisk>,
}

/// A point of a risk-coverage curve that was averaged over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoverageRisk {
    /// Share of the images that are answered, in (0, 1].
    pub coverage: f64,
    /// Share of the answers that are wrong, in [0, 1]; images of equal confidence in random order, on average.
    pub risk: f64,
}

/// Both curves of a method.
///
/// # Errors
/// As [`compare`](crate::compare).
pub fn curves(method: &Method<'_>, labels: &[usize], bins: usize) -> Result<Curves, MeasureError> {
    at_least_one("bins", bins)?;
    let seeds: Vec<Confidences> =
        method.checked(labels)?.iter().map(|checked| Confidences::new(checked, labels)).collect();
    let images = labels.len();
    let mut risks = vec![0.0; images];
    for seed in &seeds {
        for (sum, risk) in risks.iter_mut().zip(selective::risks(&Ranking::new(seed))) {
            *sum += risk / seeds.len() as f64;
        }
    }
    let points = POINTS.min(images);
    let point = |number: usize| {
        let answered = number * images / points;
        CoverageRisk { coverage: answered as f64 / images as f64, risk: risks[answered - 1] }
    };
    Ok(Curves {
        name: method.name.clone(),
        reliability: binned(&seeds, bins),
        risk_coverage: (1..=points).map(point).collect(),
    })
}

/// The reliability diagram of all seeds of a method together.
pub(crate) fn reliability_of_seeds(
    seeds: &[Checked<'_>],
    labels: &[usize],
    bins: usize,
) -> Vec<ReliabilityBin> {
    let seeds: Vec<Confidences> =
        seeds.iter().map(|checked| Confidences::new(checked, labels)).collect();
    binned(&seeds, bins)
}

/// Diagrams with the same bins as one of all their images.
pub(crate) fn merged(diagrams: &[&[ReliabilityBin]]) -> Vec<ReliabilityBin> {
    let Some(first) = diagrams.first() else { return Vec::new() };
    let bin = |(place, bin): (usize, &ReliabilityBin)| {
        let parts = || diagrams.iter().filter_map(move |diagram| diagram.get(place));
        let count: usize = parts().map(|part| part.count).sum();
        let mean = |of: &dyn Fn(&ReliabilityBin) -> Option<f64>| {
            let sum: f64 = parts().filter_map(|part| Some(part.count as f64 * of(part)?)).sum();
            (count > 0).then(|| sum / count as f64)
        };
        let (confidence, accuracy) = (mean(&|part| part.confidence), mean(&|part| part.accuracy));
        ReliabilityBin { low: bin.low, high: bin.high, count, confidence, accuracy }
    };
    first.iter().enumerate().map(bin).collect()
}

fn binned(seeds: &[Confidences], bins: usize) -> Vec<ReliabilityBin> {
    let mut sums = vec![(0usize, 0.0, 0usize); bins];
    for seed in seeds {
        for (confidence, right) in seed.values.iter().zip(&seed.right) {
            let (count, confidences, rights) = &mut sums[bin_of(*confidence, bins)];
            *count += 1;
            *confidences += confidence;
            *rights += usize::from(*right);
        }
    }
    let bin = |(bin, (count, confidences, rights)): (usize, (usize, f64, usize))| ReliabilityBin {
        low: bin as f64 / bins as f64,
        high: (bin + 1) as f64 / bins as f64,
        count,
        confidence: (count > 0).then(|| confidences / count as f64),
        accuracy: (count > 0).then(|| rights as f64 / count as f64),
    };
    sums.into_iter().enumerate().map(bin).collect()
}

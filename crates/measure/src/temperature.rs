//! The temperature that makes a classifier's confidence fit.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::outputs::Checked;
use crate::{MeasureError, Outputs};

/// The lowest and highest temperature that [`fit_temperature`] gives.
pub const TEMPERATURE_RANGE: (f64, f64) = (1e-3, 1e3);

/// A fitted temperature.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// T.
    pub value: f64,
    /// Set if the NLL would fall further beyond [`TEMPERATURE_RANGE`], so that T is its end: the lowest if (nearly) all
    /// predictions are right, the highest if the logits know nothing of the labels or less.
    pub bound: Option<Bound>,
    /// NLL of the images it was fitted on, before.
    pub nll_before: f64,
    /// NLL of the images it was fitted on, at T.
    pub nll_after: f64,
}

/// An end of [`TEMPERATURE_RANGE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// T = 0.001.
    Lowest,
    /// T = 1000.
    Highest,
}

impl Temperature {
    /// `z / T`, n x N; what would leave the range of f32 stays at its end.
    pub fn apply(&self, logits: ArrayView2<'_, f32>) -> Array2<f32> {
        logits.mapv(|z| (f64::from(z) / self.value) as f32).mapv(|z| z.clamp(f32::MIN, f32::MAX))
    }
}

/// `argmin_T NLL(softmax(z / T))` over [`TEMPERATURE_RANGE`] (Guo et al. 2017): the one stationary point, because the
/// NLL is convex in 1/T. Fit it on images that the classifier was not trained on.
///
/// If the NLL does not depend on T (all logits of every image are equal), T is 1.
///
/// # Errors
/// As [`accuracy`](crate::accuracy).
pub fn fit_temperature(
    logits: ArrayView2<'_, f32>,
    labels: &[usize],
) -> Result<Temperature, MeasureError> {
    let checked = Checked::with_labels(Outputs::Logits(logits), labels)?;
    let at = |inverse: f64| Slope::new(&checked, labels, inverse);
    let (lowest, highest) = TEMPERATURE_RANGE;
    let before = at(1.0).nll;
    let fitted = |value: f64, bound| Temperature {
        value,
        bound,
        nll_before: before,
        nll_after: at(1.0 / value).nll,
    };
    if logits.outer_iter().all(|row| row.iter().all(|z| *z == row[0])) {
        return Ok(fitted(1.0, None));
    }
    if at(1.0 / highest).first >= 0.0 {
        return Ok(fitted(highest, Some(Bound::Highest)));
    }
    if at(1.0 / lowest).first <= 0.0 {
        return Ok(fitted(lowest, Some(Bound::Lowest)));
    }
    Ok(fitted(1.0 / root(at, (1.0 / highest, 1.0 / lowest)), None))
}

/// The zero of the first derivative between `low`, where it is negative, and `high`, where it is positive: Newton's
/// steps, and halving (on the scale of logarithms) where one would leave the bracket or does not shrink it.
fn root(at: impl Fn(f64) -> Slope, (mut low, mut high): (f64, f64)) -> f64 {
    let (mut inverse, mut slope) = (1.0, at(1.0));
    let mut last_step = f64::INFINITY;
    // halving alone would need 60 steps from a range of 1e6 to the last bit
    for _ in 0..200 {
        if slope.first < 0.0 {
            low = inverse;
        } else {
            high = inverse;
        }
        let newton = inverse - slope.first / slope.second;
        let step = (newton - inverse).abs();
        let usable = newton > low && newton < high && step < 0.5 * last_step;
        let next = if usable { newton } else { (low * high).sqrt() };
        last_step = (next - inverse).abs();
        if slope.first == 0.0 || last_step <= 1e-15 * inverse {
            break;
        }
        inverse = next;
        slope = at(inverse);
    }
    inverse
}

/// The mean NLL of `softmax(b z)` and its derivatives by b = 1/T: `E_p[z] - z_y` and `Var_p[z]`, averaged.
struct Slope {
    nll: f64,
    first: f64,
    second: f64,
}

impl Slope {
    fn new(checked: &Checked<'_>, labels: &[usize], inverse: f64) -> Self {
        // parts of a fixed size, so that the sums do not depend on how many threads share the work
        const PART: usize = 256;
        let parts = (0..labels.len().div_ceil(PART)).into_par_iter().map(|part| {
            let rows = part * PART..labels.len().min((part + 1) * PART);
            rows.fold([0.0; 3], |sum, row| {
                let terms = Self::of_image(checked, row, labels[row], inverse);
                [sum[0] + terms[0], sum[1] + terms[1], sum[2] + terms[2]]
            })
        });
        let parts: Vec<[f64; 3]> = parts.collect();
        let mean = |term: usize| parts.iter().map(|p| p[term]).sum::<f64>() / labels.len() as f64;
        Self { nll: mean(0), first: mean(1), second: mean(2) }
    }

    fn of_image(checked: &Checked<'_>, row: usize, label: usize, inverse: f64) -> [f64; 3] {
        let line = checked.row(row);
        let highest = f64::from(line.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        // everything relative to the largest logit: nothing overflows, and the variance does not cancel
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for z in line {
            let z = f64::from(*z) - highest;
            let power = (inverse * z).exp();
            sum += power;
            first += power * z;
            second += power * z * z;
        }
        let right = f64::from(line[label]) - highest;
        let mean = first / sum;
        [sum.ln() - inverse * right, mean - right, second / sum - mean * mean]
    }
}

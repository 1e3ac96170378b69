//! Methods against each other on the same images.

mod draws;
mod interval;
mod prepared;
mod sampled;
#[cfg(test)]
mod slow;
mod table;

use ndarray::ArrayView2;

pub use sampled::{Resampling, Sampled};
pub use table::{Comparison, Contrast, Estimate, INTERVAL, Measured, Metrics, Norm};

use crate::error::at_least_one;
use crate::outputs::Checked;
use crate::{DEFAULT_BINS, MeasureError, Metric, Outputs};

/// One value of every metric, in the order of [`Metric::ALL`].
type Values = [f64; Metric::ALL.len()];

/// What one method said about the images, once or, with other seeds, several times.
#[derive(Clone, Debug)]
pub struct Method<'a> {
    /// Its name in the output.
    pub name: String,
    /// Logits (or log-probabilities, which are logits, too), n x N, of each seed.
    pub seeds: Vec<ArrayView2<'a, f32>>,
}

impl<'a> Method<'a> {
    /// The outputs of all seeds, looked at.
    pub(crate) fn checked(&self, labels: &[usize]) -> Result<Vec<Checked<'a>>, MeasureError> {
        if self.seeds.is_empty() {
            return Err(MeasureError::NoSeeds { method: self.name.clone() });
        }
        let check = |(seed, logits): (usize, &ArrayView2<'a, f32>)| {
            Checked::with_labels(Outputs::Logits(*logits), labels).map_err(|source| {
                MeasureError::Method { method: self.name.clone(), seed, source: Box::new(source) }
            })
        };
        self.seeds.iter().enumerate().map(check).collect()
    }
}

/// How [`compare`] resamples and bins.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareOptions {
    /// How often the images are drawn anew.
    pub resamples: usize,
    /// Seed of the drawing.
    pub seed: u64,
    /// Bins of the calibration errors.
    pub bins: usize,
    /// Confidence level of the intervals, between 0 and 1.
    pub level: f64,
    /// Pairs of methods of which the first is also held against the second, by name.
    pub contrasts: Vec<(String, String)>,
}

impl Default for CompareOptions {
    /// 1000 resamples with seed 0, 15 bins, level 0.95, no contrasts.
    fn default() -> Self {
        Self { resamples: 1000, seed: 0, bins: DEFAULT_BINS, level: 0.95, contrasts: Vec::new() }
    }
}

impl CompareOptions {
    fn check(&self) -> Result<(), MeasureError> {
        at_least_one("resamples", self.resamples)?;
        at_least_one("bins", self.bins)?;
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(MeasureError::Setting {
                what: "level of the intervals",
                found: self.level.to_string(),
                expected: "a number between 0 and 1, like 0.95",
            });
        }
        Ok(())
    }
}

/// All metrics of all methods, of all methods but the first the differences to the first, and those of
/// [`CompareOptions::contrasts`], each with its interval.
///
/// The value of a metric is the mean over a method's seeds. Intervals are basic (reversed) bootstrap intervals
/// `[2 v - q_hi, 2 v - q_lo]`, with v the value and q the quantiles, at (1 ± level)/2, of the values on resamples: n
/// images drawn with replacement, the same for all methods and seeds, so that differences are paired. They speak of
/// other images of the same kind, with these trained seeds. Calibration errors grow under resampling, because noise
/// adds to them; the basic interval corrects for that and may therefore lie below its value, or reach below zero.
///
/// Same seed, same bytes, whatever the number of threads. Memory: one byte an image and resample, 72 bytes a resample and
/// method, and the softmax of 64 classes at a time.
///
/// # Errors
/// No methods, a method without outputs, two of one name, a contrast of a method that is not there, different numbers of classes, unusable outputs or labels
/// ([`MeasureError::Method`] says whose), no bins, no resamples, or a level outside (0, 1).
pub fn compare(
    methods: &[Method<'_>],
    labels: &[usize],
    options: &CompareOptions,
) -> Result<Comparison, MeasureError> {
    options.check()?;
    check_names(methods)?;
    let contrasts = places(methods, &options.contrasts)?;
    let checked: Vec<Vec<Checked<'_>>> =
        methods.iter().map(|method| method.checked(labels)).collect::<Result<_, _>>()?;
    let classes = check_classes(methods, &checked)?;

    let resampling = Resampling::new(labels.len(), options)?;
    let sampled: Vec<Sampled> =
        checked.iter().map(|seeds| resampling.sampled(seeds, labels)).collect();
    let classes_and_images = (labels.len(), classes);
    Ok(table::comparison(methods, &sampled, &contrasts, classes_and_images, options))
}

fn check_names(methods: &[Method<'_>]) -> Result<(), MeasureError> {
    if methods.is_empty() {
        return Err(MeasureError::NoMethods);
    }
    for (place, method) in methods.iter().enumerate() {
        if methods[..place].iter().any(|other| other.name == method.name) {
            return Err(MeasureError::SameName { method: method.name.clone() });
        }
    }
    Ok(())
}

/// Which methods the contrasts name.
fn places(
    methods: &[Method<'_>],
    contrasts: &[(String, String)],
) -> Result<Vec<(usize, usize)>, MeasureError> {
    let place = |name: &str| {
        let found = methods.iter().position(|method| method.name == name);
        found.ok_or_else(|| MeasureError::NoSuchMethod { method: name.to_owned() })
    };
    contrasts.iter().map(|(method, minus)| Ok((place(method)?, place(minus)?))).collect()
}

fn check_classes(
    methods: &[Method<'_>],
    checked: &[Vec<Checked<'_>>],
) -> Result<usize, MeasureError> {
    let expected = checked[0][0].classes();
    for (method, seeds) in methods.iter().zip(checked) {
        if let Some(seed) = seeds.iter().position(|outputs| outputs.classes() != expected) {
            let (method, found) = (method.name.clone(), seeds[seed].classes());
            return Err(MeasureError::Classes { method, seed, found, expected });
        }
    }
    Ok(expected)
}

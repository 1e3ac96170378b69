//! One method's metrics on every resample, to be averaged over conditions before intervals are taken.

use super::draws::Draws;
use super::interval::basic_interval;
use super::prepared::values;
use super::table::{self, Estimate, Metrics};
use super::{CompareOptions, Method, Values};
use crate::Metric;
use crate::error::MeasureError;
use crate::outputs::Checked;

/// Resamples of a set of images, drawn once, for methods and conditions that share the images.
///
/// [`compare`](crate::compare) does all at once for one condition. Where the same images come in many conditions
/// (corruptions), each method's [`Sampled`] values of each condition are averaged before intervals are taken: the
/// resamples are of the images, the same in every condition.
///
/// ```
/// use introspective_measure::{CompareOptions, Method, Metric, Resampling, Sampled};
/// use ndarray::array;
///
/// let labels = [0, 1, 0];
/// let (clean, noisy) = (array![[2f32, 0.], [0., 1.], [1., 0.]], array![[1f32, 0.], [1., 0.], [1., 0.]]);
/// let resampling = Resampling::new(labels.len(), &CompareOptions::default())?;
/// let sample = |logits: &ndarray::Array2<f32>| {
///     let method = Method { name: "f".to_owned(), seeds: vec![logits.view()] };
///     resampling.sample(&method, &labels)
/// };
/// let both = Sampled::mean(&[&sample(&clean)?, &sample(&noisy)?]).unwrap();
/// assert!((both.metrics(&resampling).accuracy.value - 5.0 / 6.0).abs() < 1e-12);
/// # Ok::<(), introspective_measure::MeasureError>(())
/// ```
pub struct Resampling {
    draws: Draws,
    images: usize,
    options: CompareOptions,
}

impl Resampling {
    /// Draws `images` images with replacement, as often as the options say.
    ///
    /// # Errors
    /// No resamples, no bins, or a level outside (0, 1). Contrasts are not looked at.
    pub fn new(images: usize, options: &CompareOptions) -> Result<Self, MeasureError> {
        options.check()?;
        let draws = Draws::new(images, options.resamples, options.seed);
        Ok(Self { draws, images, options: options.clone() })
    }

    /// All metrics of a method, on the images as they are and on every resample; means over its seeds.
    ///
    /// # Errors
    /// Labels of another number than images, or what [`compare`](crate::compare) refuses.
    pub fn sample(&self, method: &Method<'_>, labels: &[usize]) -> Result<Sampled, MeasureError> {
        if labels.len() != self.images {
            let (found, expected) = (labels.len(), self.images);
            return Err(MeasureError::Lengths { what: "labels", found, expected });
        }
        Ok(self.sampled(&method.checked(labels)?, labels))
    }

    /// The same of outputs that were looked at.
    pub(crate) fn sampled(&self, seeds: &[Checked<'_>], labels: &[usize]) -> Sampled {
        let zeros = Values::default();
        let classes = seeds.first().map_or(0, Checked::classes);
        let resampled = vec![zeros; self.draws.resamples()];
        let mut sampled = Sampled { classes, value: zeros, of_seeds: Vec::new(), resampled };
        let share = 1.0 / seeds.len() as f64;
        for checked in seeds {
            let (value, resampled) = values(checked, labels, self.options.bins, &self.draws);
            add(&mut sampled.value, &value, share);
            sampled.of_seeds.push(value);
            let pairs = sampled.resampled.iter_mut().zip(&resampled);
            pairs.for_each(|(total, values)| add(total, values, share));
        }
        sampled
    }

    /// A value with the interval that its resampled values give: for whatever is computed from those of [`Sampled`].
    pub fn estimate(&self, value: f64, resampled: Vec<f64>) -> Estimate {
        let (low, high) = basic_interval(value, resampled, self.options.level);
        Estimate { value, low, high, bins: None, norm: None }
    }
}

/// A method's metrics on the images as they are, of each seed and on every resample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    pub(super) classes: usize,
    /// The mean over the seeds.
    pub(super) value: Values,
    of_seeds: Vec<Values>,
    pub(super) resampled: Vec<Values>,
}

impl Sampled {
    /// The mean over conditions: of every metric, seed by seed and resample by resample. `None` of nothing, and of
    /// parts with other numbers of seeds or resamples.
    pub fn mean(parts: &[&Self]) -> Option<Self> {
        let first = parts.first()?;
        let mut mean = Self {
            classes: first.classes,
            value: Values::default(),
            of_seeds: vec![Values::default(); first.of_seeds.len()],
            resampled: vec![Values::default(); first.resampled.len()],
        };
        let share = 1.0 / parts.len() as f64;
        for part in parts {
            if part.of_seeds.len() != mean.of_seeds.len()
                || part.resampled.len() != mean.resampled.len()
            {
                return None;
            }
            add(&mut mean.value, &part.value, share);
            let seeds = mean.of_seeds.iter_mut().zip(&part.of_seeds);
            seeds.for_each(|(sum, values)| add(sum, values, share));
            let resamples = mean.resampled.iter_mut().zip(&part.resampled);
            resamples.for_each(|(sum, values)| add(sum, values, share));
        }
        Some(mean)
    }

    /// A metric on the images as they are, the mean over the seeds.
    pub fn value(&self, metric: Metric) -> f64 {
        self.value[metric as usize]
    }

    /// A metric of each seed on the images as they are.
    pub fn of_seeds(&self, metric: Metric) -> impl Iterator<Item = f64> {
        self.of_seeds.iter().map(move |values| values[metric as usize])
    }

    /// A metric on every resample, means over the seeds.
    pub fn resampled(&self, metric: Metric) -> impl Iterator<Item = f64> {
        self.resampled.iter().map(move |values| values[metric as usize])
    }

    /// All metrics with their intervals.
    pub fn metrics(&self, resampling: &Resampling) -> Metrics {
        table::metrics(self, None, self.classes, &resampling.options)
    }

    /// Differences to another method on the same images, paired.
    pub fn minus(&self, other: &Self, resampling: &Resampling) -> Metrics {
        table::metrics(self, Some(other), self.classes, &resampling.options)
    }
}

fn add(sums: &mut Values, values: &Values, share: f64) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += share * value;
    }
}

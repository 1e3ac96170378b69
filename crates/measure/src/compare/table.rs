//! The outcome of a comparison, in the form in which it is written as JSON.

use serde::{Deserialize, Serialize};

use super::interval::basic_interval;
use super::{CompareOptions, Method, Sampled};
use crate::Metric;

/// What kind of intervals a [`Comparison`] has.
pub const INTERVAL: &str = "basic bootstrap, paired over images";

/// Metrics of several methods on the same images, with intervals. All numbers are finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// How many images.
    pub n: usize,
    /// How often they were drawn anew.
    pub resamples: usize,
    /// Confidence level of the intervals.
    pub level: f64,
    /// Seed of the drawing.
    pub seed: u64,
    /// [`INTERVAL`].
    pub interval: String,
    /// The methods, in the order in which they were given; the first is what the others are held against.
    pub methods: Vec<Measured>,
    /// Differences between other methods than the first, as asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contrasts: Vec<Contrast>,
}

/// One method held against another that is not the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// The method's name.
    pub method: String,
    /// What is taken from it.
    pub minus: String,
    /// Metrics of `method` minus those of `minus`, with paired intervals.
    pub difference: Metrics,
}

/// What was measured of one method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// How many seeds its values are means of.
    pub seeds: usize,
    /// Its metrics.
    pub metrics: Metrics,
    /// Its metrics minus those of the first method, with paired intervals; the first method has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minus_f: Option<Metrics>,
}

/// An [`Estimate`] of every metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // each is named after its function
pub struct Metrics {
    pub accuracy: Estimate,
    /// Left out for five classes or fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top5: Option<Estimate>,
    pub nll: Estimate,
    pub brier: Estimate,
    pub ece: Estimate,
    pub adaptive_ece: Estimate,
    pub classwise_ece: Estimate,
    pub mce: Estimate,
    pub aurc: Estimate,
}

impl Metrics {
    /// The estimate of one metric; none for the top-5 accuracy of five classes or fewer.
    pub fn get(&self, metric: Metric) -> Option<&Estimate> {
        match metric {
            Metric::Accuracy => Some(&self.accuracy),
            Metric::Top5 => self.top5.as_ref(),
            Metric::Nll => Some(&self.nll),
            Metric::Brier => Some(&self.brier),
            Metric::Ece => Some(&self.ece),
            Metric::AdaptiveEce => Some(&self.adaptive_ece),
            Metric::ClasswiseEce => Some(&self.classwise_ece),
            Metric::Mce => Some(&self.mce),
            Metric::Aurc => Some(&self.aurc),
        }
    }

    /// Those there are, in the order of [`Metric::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Metric, &Estimate)> {
        Metric::ALL.into_iter().filter_map(|metric| Some((metric, self.get(metric)?)))
    }
}

/// A value with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value on the images as they are.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// How many bins a calibration error has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<usize>,
    /// How a calibration error sums its bins up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub norm: Option<Norm>,
}

impl Estimate {
    /// True if zero lies outside the interval: for a difference, that it is more than chance. An end that is zero but
    /// for rounding (1e-12) does not exclude it.
    pub fn excludes_zero(&self) -> bool {
        // `2 v - q` of two equal accuracies leaves some 1e-17
        const ROUNDING: f64 = 1e-12;
        self.low > ROUNDING || self.high < -ROUNDING
    }
}

/// How a calibration error sums its bins up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// The mean of the absolute gaps.
    L1,
    /// The largest gap.
    Max,
}

/// Intervals from resampled values.
pub(super) fn comparison(
    methods: &[Method<'_>],
    sampled: &[Sampled],
    contrasts: &[(usize, usize)],
    (images, classes): (usize, usize),
    options: &CompareOptions,
) -> Comparison {
    let measured = methods.iter().zip(sampled).enumerate().map(|(place, (method, own))| Measured {
        name: method.name.clone(),
        seeds: method.seeds.len(),
        metrics: metrics(own, None, classes, options),
        minus_f: (place > 0).then(|| metrics(own, Some(&sampled[0]), classes, options)),
    });
    let contrasts = contrasts.iter().map(|&(own, minus)| Contrast {
        method: methods[own].name.clone(),
        minus: methods[minus].name.clone(),
        difference: metrics(&sampled[own], Some(&sampled[minus]), classes, options),
    });
    Comparison {
        n: images,
        resamples: options.resamples,
        level: options.level,
        seed: options.seed,
        interval: INTERVAL.to_owned(),
        methods: measured.collect(),
        contrasts: contrasts.collect(),
    }
}

pub(super) fn metrics(
    own: &Sampled,
    minus: Option<&Sampled>,
    classes: usize,
    options: &CompareOptions,
) -> Metrics {
    let estimate = |metric: Metric| {
        let place = metric as usize;
        let (value, resampled) = match minus {
            None => (own.value[place], own.resampled.iter().map(|v| v[place]).collect()),
            Some(first) => {
                let pairs = own.resampled.iter().zip(&first.resampled);
                let differences = pairs.map(|(a, b)| a[place] - b[place]).collect();
                (own.value[place] - first.value[place], differences)
            }
        };
        let (low, high) = basic_interval(value, resampled, options.level);
        let norm = match metric {
            Metric::Ece | Metric::AdaptiveEce | Metric::ClasswiseEce => Some(Norm::L1),
            Metric::Mce => Some(Norm::Max),
            _ => None,
        };
        Estimate { value, low, high, bins: norm.map(|_| options.bins), norm }
    };
    Metrics {
        accuracy: estimate(Metric::Accuracy),
        top5: (classes > 5).then(|| estimate(Metric::Top5)),
        nll: estimate(Metric::Nll),
        brier: estimate(Metric::Brier),
        ece: estimate(Metric::Ece),
        adaptive_ece: estimate(Metric::AdaptiveEce),
        classwise_ece: estimate(Metric::ClasswiseEce),
        mce: estimate(Metric::Mce),
        aurc: estimate(Metric::Aurc),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_is_zero_but_for_rounding_excludes_nothing() {
        let decided =
            |low, high| Estimate { value: 0.0, low, high, bins: None, norm: None }.excludes_zero();
        assert!(decided(0.001, 0.1) && decided(-0.1, -0.001) && decided(1e-9, 1.0));
        assert!(!decided(-0.1, 0.1) && !decided(0.0, 0.1) && !decided(-0.1, 0.0));
        // (0.1 + 0.2) - 0.3 is 5.6e-17
        assert!(!decided((0.1 + 0.2) - 0.3, 0.1) && !decided(-0.1, 0.3 - (0.1 + 0.2)));
    }
}

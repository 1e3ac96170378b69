//! Resamples by multiplicities against the drawn images themselves, measured as a data set of their own.
#![allow(clippy::unwrap_used)]

use ndarray::{Array2, Axis};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::draws::Draws;
use super::prepared::values;
use crate::outputs::Checked;
use crate::{
    MeasureError, Metric, Outputs, accuracy, adaptive_ece, aurc, brier, classwise_ece, ece, mce,
    nll, softmax, top_k_accuracy,
};

/// Confidences of images in descending order, and whether each is wrong; then the groups of equal confidence.
fn groups(logits: &Array2<f32>, labels: &[usize]) -> Vec<Vec<(f64, bool)>> {
    let p = softmax(logits.view()).unwrap();
    let image = |(row, label): (ndarray::ArrayView1<'_, f64>, &usize)| {
        let highest = row.fold(0.0, |a: f64, b| a.max(*b));
        (highest, row.iter().position(|p| *p == highest) != Some(*label))
    };
    let mut images: Vec<(f64, bool)> = p.outer_iter().zip(labels).map(image).collect();
    images.sort_by(|a, b| b.0.total_cmp(&a.0));
    images.chunk_by(|a, b| a.0 == b.0).map(<[_]>::to_vec).collect()
}

/// Adaptive calibration error with every image cut into as many parts as there are bins.
fn slow_adaptive_ece(groups: &[Vec<(f64, bool)>], bins: usize) -> f64 {
    let mut parts = Vec::new();
    for group in groups {
        let gap: f64 = group.iter().map(|(p, wrong)| p - f64::from(!wrong)).sum();
        let part = gap / group.len() as f64 / bins as f64;
        parts.extend(vec![part; group.len() * bins]);
    }
    let images = parts.len() / bins;
    let gaps = parts.chunks(images).map(|bin| bin.iter().sum::<f64>().abs());
    gaps.sum::<f64>() / images as f64
}

/// Area under the risk-coverage curve, point by point.
fn slow_aurc(groups: &[Vec<(f64, bool)>]) -> f64 {
    let (mut answered, mut wrong, mut area) = (0.0, 0.0, 0.0);
    for group in groups {
        let errors = group.iter().filter(|(_, wrong)| *wrong).count();
        for _ in group {
            answered += 1.0;
            wrong += errors as f64 / group.len() as f64;
            area += wrong / answered;
        }
    }
    area / answered
}

/// All metrics of a data set, and again those with a slow form of their own.
fn slow(
    logits: &Array2<f32>,
    labels: &[usize],
    bins: usize,
) -> Result<Vec<(Metric, f64)>, MeasureError> {
    let outputs = Outputs::Logits(logits.view());
    let groups = groups(logits, labels);
    Ok(vec![
        (Metric::Accuracy, accuracy(outputs, labels)?),
        (Metric::Top5, top_k_accuracy(outputs, labels, 5)?),
        (Metric::Nll, nll(outputs, labels)?),
        (Metric::Brier, brier(outputs, labels)?),
        (Metric::Ece, ece(outputs, labels, bins)?),
        (Metric::AdaptiveEce, adaptive_ece(outputs, labels, bins)?),
        (Metric::AdaptiveEce, slow_adaptive_ece(&groups, bins)),
        (Metric::ClasswiseEce, classwise_ece(outputs, labels, bins)?),
        (Metric::Mce, mce(outputs, labels, bins)?),
        (Metric::Aurc, aurc(outputs, labels)?),
        (Metric::Aurc, slow_aurc(&groups)),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// `grid`: into how many steps a unit of the logits is divided; the fewer, the more ties. `favourites`: only so many
    /// images are drawn, each of them often.
    #[test]
    fn a_resample_is_measured_as_if_its_images_were_a_data_set(
        seed: u64,
        images in 1usize..200,
        classes in 1usize..9,
        grid in prop::sample::select(vec![1.0f32, 4.0, 1e6]),
        range in prop::sample::select(vec![1.0f32, 4.0]),
        favourites in prop::sample::select(vec![1usize, 3, 20, 200]),
        resamples in 1usize..20,
        bins in prop::sample::select(vec![1usize, 4, 15, 300]),
    ) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let labels: Vec<usize> = (0..images).map(|_| random.random_range(0..classes)).collect();
        let logits = Array2::from_shape_fn((images, classes), |(row, class)| {
            let hint = if class == labels[row] { 1.0 } else { 0.0 };
            (random.random_range(-range..range) * grid).round() / grid + hint
        });
        let pool: Vec<usize> =
            (0..favourites.min(images)).map(|_| random.random_range(0..images)).collect();
        let resamples: Vec<Vec<usize>> = (0..resamples)
            .map(|_| (0..images).map(|_| pool[random.random_range(0..pool.len())]).collect())
            .collect();

        let checked = Checked::with_labels(Outputs::Logits(logits.view()), &labels).unwrap();
        let draws = Draws::given(images, &resamples);
        let (value, resampled) = values(&checked, &labels, bins, &draws);
        prop_assert_eq!(resampled.len(), resamples.len());
        let every: Vec<usize> = (0..images).collect();
        let pairs = resamples.iter().zip(&resampled).chain([(&every, &value)]);
        for (drawn, found) in pairs {
            let labels: Vec<usize> = drawn.iter().map(|image| labels[*image]).collect();
            for (metric, expected) in slow(&logits.select(Axis(0), drawn), &labels, bins).unwrap() {
                let found = found[metric as usize];
                prop_assert!((found - expected).abs() < 1e-12, "{metric:?} {found} {expected}");
            }
        }
    }
}

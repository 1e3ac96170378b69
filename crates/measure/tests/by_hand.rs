//! Every metric on cases small enough for paper.
#![allow(missing_docs, clippy::unwrap_used)]

use introspective_measure::{
    Bound, Outputs, accuracy, adaptive_ece, aurc, auroc, brier, classwise_ece, ece,
    fit_temperature, mce, nll, reliability, risk_coverage, softmax, top_k_accuracy,
};
use ndarray::{Array2, array};

/// Confidences 0.875 right, 0.75 wrong, 0.75 right, 0.5 (a tie: class 0) right.
fn four() -> (Array2<f32>, [usize; 4]) {
    (array![[0.875, 0.125], [0.75, 0.25], [0.25, 0.75], [0.5, 0.5]], [0, 1, 1, 0])
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
}

#[test]
fn four_images() {
    let (p, labels) = four();
    let outputs = Outputs::Probabilities(p.view());
    close(accuracy(outputs, &labels).unwrap(), 0.75);
    let expected = -(0.875f64.ln() + 0.25f64.ln() + 0.75f64.ln() + 0.5f64.ln()) / 4.0;
    close(nll(outputs, &labels).unwrap(), expected);
    // 2 (1 - p_y)^2 for two classes
    let expected = 2.0 * (0.125f64.powi(2) + 0.75f64.powi(2) + 0.25f64.powi(2) + 0.25) / 4.0;
    close(brier(outputs, &labels).unwrap(), expected);
    // four bins: (0.25, 0.5] holds 0.5, right; (0.5, 0.75] two of 0.75, one right; (0.75, 1] 0.875, right
    close(ece(outputs, &labels, 4).unwrap(), (0.5 + 0.5 + 0.125) / 4.0);
    close(mce(outputs, &labels, 4).unwrap(), 0.5);
    // two bins of two images; both 0.75 are tied across the cut: each bin gets half of either
    // (0.875 - 1) + (0.75 + 0.75 - 1)/2 and the same half + (0.5 - 1)
    let (upper, lower) = (-0.125f64 + 0.25, 0.25 - 0.5f64);
    close(adaptive_ece(outputs, &labels, 2).unwrap(), (upper.abs() + lower.abs()) / 4.0);
    // class 0: 0.875 (is), 0.75 (is not), 0.25 (is not), 0.5 (is); class 1 is its mirror
    let class_0 = (0.125 + 0.75 + 0.25 + 0.5) / 4.0;
    let class_1 = ((0.125f64 + (0.25 - 1.0)).abs() + (0.75f64 - 1.0).abs() + 0.5) / 4.0;
    close(classwise_ece(outputs, &labels, 4).unwrap(), (class_0 + class_1) / 2.0);
    // right; then one of the two 0.75 is wrong: half an error, then one; right
    close(aurc(outputs, &labels).unwrap(), (0.0 + 0.25 + 1.0 / 3.0 + 0.25) / 4.0);
}

#[test]
fn reliability_counts_every_image_once_and_says_nothing_of_empty_bins() {
    let (p, labels) = four();
    let bins = reliability(Outputs::Probabilities(p.view()), &labels, 4).unwrap();
    assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [0, 1, 2, 1]);
    assert_eq!((bins[0].confidence, bins[0].accuracy), (None, None));
    assert_eq!((bins[2].confidence, bins[2].accuracy), (Some(0.75), Some(0.5)));
    assert_eq!((bins[2].low, bins[2].high), (0.5, 0.75));
}

#[test]
fn the_curve_has_a_point_for_every_confidence() {
    let (p, labels) = four();
    let points = risk_coverage(Outputs::Probabilities(p.view()), &labels).unwrap();
    let found: Vec<_> = points.iter().map(|p| (p.coverage, p.risk, p.threshold)).collect();
    assert_eq!(found, [(0.25, 0.0, 0.875), (0.75, 1.0 / 3.0, 0.75), (1.0, 0.25, 0.5)]);
}

#[test]
fn top_k_takes_the_first_among_equals() {
    let z = array![[3.0f32, 1.0, 1.0, 2.0, 1.0]];
    let outputs = Outputs::Logits(z.view());
    for (label, rank) in [(0, 1), (3, 2), (1, 3), (2, 4), (4, 5)] {
        for k in 1..=6 {
            let expected = f64::from(rank <= k);
            assert_eq!(top_k_accuracy(outputs, &[label], k).unwrap(), expected, "{label} {k}");
        }
    }
}

#[test]
fn equal_mass_bins_share_images_when_they_do_not_divide() {
    // three images, two bins: the middle one belongs half to either
    let p = array![[0.9f32, 0.1], [0.8, 0.2], [0.6, 0.4]];
    let gaps = p.column(0).mapv(f64::from);
    let labels = [0, 1, 0];
    let (top, middle, last) = (gaps[0] - 1.0, gaps[1], gaps[2] - 1.0);
    let expected = ((top + middle / 2.0).abs() + (middle / 2.0 + last).abs()) / 3.0;
    close(adaptive_ece(Outputs::Probabilities(p.view()), &labels, 2).unwrap(), expected);
    // more bins than images: each image is a bin, or several
    let expected = (top.abs() + middle + last.abs()) / 3.0;
    for bins in [3, 6, 300] {
        close(adaptive_ece(Outputs::Probabilities(p.view()), &labels, bins).unwrap(), expected);
    }
}

#[test]
fn a_wrong_image_before_a_right_one_costs_area() {
    let z = array![[2.0f32, 0.0], [1.0, 0.0]];
    close(aurc(Outputs::Logits(z.view()), &[1, 0]).unwrap(), (1.0 + 0.5) / 2.0);
    close(aurc(Outputs::Logits(z.view()), &[0, 1]).unwrap(), (0.0 + 0.5) / 2.0);
}

#[test]
fn ties_count_half_in_the_roc_curve() {
    assert_eq!(auroc(&[1.0, 1.0, 0.0, 2.0], &[true, false, false, true]).unwrap(), 3.5 / 4.0);
    assert_eq!(auroc(&[0.0; 5], &[true, false, false, true, true]).unwrap(), 0.5);
}

#[test]
fn extreme_logits_stay_finite() {
    let z = array![[f32::MAX, f32::MIN, 0.0], [-1e30, 1e30, 0.0]];
    let outputs = Outputs::Logits(z.view());
    assert_eq!(softmax(z.view()).unwrap(), array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
    close(nll(outputs, &[1, 1]).unwrap() / f64::from(f32::MAX), 1.0);
    assert_eq!(brier(outputs, &[1, 1]).unwrap(), 1.0);
    let fitted = fit_temperature(z.view(), &[1, 1]).unwrap();
    assert_eq!(fitted.bound, Some(Bound::Highest));
    assert!(fitted.nll_after.is_finite());
}

#[test]
fn a_probability_of_zero_is_infinitely_surprising() {
    let p = array![[1.0f32, 0.0]];
    assert_eq!(nll(Outputs::Probabilities(p.view()), &[1]).unwrap(), f64::INFINITY);
}

#[test]
fn a_temperature_by_hand() {
    // three of four right with a margin of 2: softmax(2/T) = 3/4, so T = 2 / ln 3
    let z = array![[2.0f32, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]];
    let fitted = fit_temperature(z.view(), &[0, 0, 1, 0]).unwrap();
    close(fitted.value, 2.0 / 3f64.ln());
    assert_eq!(fitted.bound, None);
    close(fitted.nll_after, -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln()));
    close(fitted.nll_before, (3.0 * (-2f64).exp().ln_1p() + 2f64.exp().ln_1p()) / 4.0);
    // far from 1: the same logits, two hundred times as large
    close(fit_temperature((z * 200.0).view(), &[0, 0, 1, 0]).unwrap().value, 400.0 / 3f64.ln());
}

#[test]
fn degenerate_temperatures_are_the_ends_and_say_so() {
    let z = array![[2.0f32, 0.0], [0.0, 2.0]];
    let right = fit_temperature(z.view(), &[0, 1]).unwrap();
    assert_eq!((right.value, right.bound), (1e-3, Some(Bound::Lowest)));
    let wrong = fit_temperature(z.view(), &[1, 0]).unwrap();
    assert_eq!((wrong.value, wrong.bound), (1e3, Some(Bound::Highest)));
    let flat = fit_temperature(array![[7.0f32, 7.0], [1.0, 1.0]].view(), &[1, 0]).unwrap();
    assert_eq!((flat.value, flat.bound), (1.0, None));
    let huge = right.apply(array![[f32::MAX, -1.0]].view());
    assert_eq!(huge, array![[f32::MAX, -1000.0]]);
}

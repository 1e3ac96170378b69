//! What must hold for any outputs.
#![allow(missing_docs, clippy::unwrap_used)]

use introspective_measure::{
    Method, Outputs, accuracy, adaptive_ece, aurc, brier, classwise_ece, curves, ece,
    fit_temperature, mce, nll, reliability, softmax, top_k_accuracy,
};
use ndarray::{Array2, Axis, concatenate};
use proptest::prelude::*;

const BINS: usize = 15;

/// Logits on a grid, so that there are ties and so that a temperature makes no new ones.
fn problem() -> impl Strategy<Value = (Array2<f32>, Vec<usize>)> {
    (1usize..40, 2usize..8).prop_flat_map(|(n, classes)| {
        let logits = prop::collection::vec(-64i32..64, n * classes).prop_map(move |values| {
            let values = values.into_iter().map(|v| v as f32 / 8.0).collect();
            Array2::from_shape_vec((n, classes), values).unwrap()
        });
        (logits, prop::collection::vec(0..classes, n))
    })
}

fn all(logits: &Array2<f32>, labels: &[usize]) -> [(&'static str, f64, f64); 9] {
    let outputs = Outputs::Logits(logits.view());
    [
        ("accuracy", accuracy(outputs, labels).unwrap(), 1.0),
        ("top 2", top_k_accuracy(outputs, labels, 2).unwrap(), 1.0),
        ("nll", nll(outputs, labels).unwrap(), f64::INFINITY),
        ("brier", brier(outputs, labels).unwrap(), 2.0),
        ("ece", ece(outputs, labels, BINS).unwrap(), 1.0),
        ("adaptive ece", adaptive_ece(outputs, labels, BINS).unwrap(), 1.0),
        ("classwise ece", classwise_ece(outputs, labels, BINS).unwrap(), 1.0),
        ("mce", mce(outputs, labels, BINS).unwrap(), 1.0),
        ("aurc", aurc(outputs, labels).unwrap(), 1.0),
    ]
}

proptest! {
    #[test]
    fn values_stay_in_their_ranges((logits, labels) in problem()) {
        for (name, value, highest) in all(&logits, &labels) {
            prop_assert!(value >= 0.0 && value <= highest + 1e-12, "{name} {value}");
        }
        let outputs = Outputs::Logits(logits.view());
        let (ece, mce) = (ece(outputs, &labels, BINS).unwrap(), mce(outputs, &labels, BINS).unwrap());
        prop_assert!(ece <= mce + 1e-12);
    }

    #[test]
    fn the_order_of_the_images_does_not_matter((logits, labels) in problem(), shift in 0usize..40) {
        let n = labels.len();
        // a stride that is prime and larger than n visits every image once
        let order: Vec<usize> = (0..n).map(|i| (i * 41 + shift) % n).collect();
        let moved = logits.select(Axis(0), &order);
        let labels_moved: Vec<usize> = order.iter().map(|i| labels[*i]).collect();
        for (a, b) in all(&logits, &labels).into_iter().zip(all(&moved, &labels_moved)) {
            prop_assert!((a.1 - b.1).abs() < 1e-12, "{} {} {}", a.0, a.1, b.1);
        }
    }

    #[test]
    fn every_image_twice_changes_nothing((logits, labels) in problem()) {
        let twice = concatenate![Axis(0), logits, logits];
        let labels_twice = [labels.clone(), labels.clone()].concat();
        for (a, b) in all(&logits, &labels).into_iter().zip(all(&twice, &labels_twice)) {
            // the area has twice as many steps then, and moves by a step at most
            let tolerance = if a.0 == "aurc" { 1.0 / labels.len() as f64 } else { 1e-12 };
            prop_assert!((a.1 - b.1).abs() < tolerance, "{} {} {}", a.0, a.1, b.1);
        }
    }

    #[test]
    fn fewer_bins_never_raise_the_calibration_error((logits, labels) in problem()) {
        // merged bins can only cancel
        let outputs = Outputs::Logits(logits.view());
        let fine = ece(outputs, &labels, 12).unwrap();
        let coarse = ece(outputs, &labels, 4).unwrap();
        prop_assert!(coarse <= fine + 1e-12);
        let fine = adaptive_ece(outputs, &labels, 12).unwrap();
        let coarse = adaptive_ece(outputs, &labels, 4).unwrap();
        prop_assert!(coarse <= fine + 1e-12);
    }

    #[test]
    fn a_temperature_keeps_predictions_and_is_stationary((logits, labels) in problem()) {
        let fitted = fit_temperature(logits.view(), &labels).unwrap();
        let cooled = fitted.apply(logits.view());
        let of = |z: &Array2<f32>| accuracy(Outputs::Logits(z.view()), &labels).unwrap();
        prop_assert_eq!(of(&logits), of(&cooled));
        prop_assert!(fitted.nll_after <= fitted.nll_before + 1e-12);
        if fitted.bound.is_none() {
            // d NLL / d(1/T) = mean(E_p[z] - z_y) = 0, computed anew from double precision
            let z = logits.mapv(f64::from);
            let slope: f64 = z.outer_iter().zip(&labels).map(|(row, label)| {
                let powers = row.mapv(|v| (v / fitted.value).exp());
                (&powers * &row).sum() / powers.sum() - row[*label]
            }).sum::<f64>() / labels.len() as f64;
            let flat = logits.outer_iter().all(|row| row.iter().all(|v| *v == row[0]));
            prop_assert!(flat || slope.abs() < 1e-9, "{slope} at {}", fitted.value);
        }
    }

    #[test]
    fn reliability_sums_to_the_calibration_error((logits, labels) in problem()) {
        let outputs = Outputs::Logits(logits.view());
        let bins = reliability(outputs, &labels, BINS).unwrap();
        prop_assert_eq!(bins.iter().map(|bin| bin.count).sum::<usize>(), labels.len());
        let gap = |bin: &introspective_measure::ReliabilityBin| {
            bin.count as f64 * (bin.confidence.unwrap_or(0.0) - bin.accuracy.unwrap_or(0.0)).abs()
        };
        let sum = bins.iter().map(gap).sum::<f64>() / labels.len() as f64;
        prop_assert!((sum - ece(outputs, &labels, BINS).unwrap()).abs() < 1e-12);
    }

    #[test]
    fn a_curve_ends_at_the_error_rate_and_its_mean_is_the_area((logits, labels) in problem()) {
        let method = Method { name: "f".to_owned(), seeds: vec![logits.view()] };
        let curve = curves(&method, &labels, BINS).unwrap().risk_coverage;
        let outputs = Outputs::Logits(logits.view());
        let last = curve.last().unwrap();
        prop_assert_eq!(last.coverage, 1.0);
        prop_assert!((last.risk - (1.0 - accuracy(outputs, &labels).unwrap())).abs() < 1e-12);
        // so few images are not thinned
        let mean = curve.iter().map(|p| p.risk).sum::<f64>() / curve.len() as f64;
        prop_assert!((mean - aurc(outputs, &labels).unwrap()).abs() < 1e-12);
    }

    #[test]
    fn probabilities_sum_to_one((logits, _) in problem()) {
        for row in softmax(logits.view()).unwrap().outer_iter() {
            prop_assert!((row.sum() - 1.0).abs() < 1e-14);
        }
    }
}

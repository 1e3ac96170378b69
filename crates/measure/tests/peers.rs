//! Every metric against scikit-learn, torchmetrics, netcal or numpy (`fixtures/metrics.py` says which), to 1e-6.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs::File;

use introspective_measure::{
    CompareOptions, Method, Outputs, accuracy, adaptive_ece, aurc, auroc, brier, classwise_ece,
    compare, ece, fit_temperature, mce, nll, softmax, top_k_accuracy,
};
use ndarray::{Array1, Array2};
use ndarray_npy::NpzReader;

const NPZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/metrics.npz");
const JSON: &str = include_str!("fixtures/metrics.json");

#[derive(serde::Deserialize)]
struct Numbers {
    cases: BTreeMap<String, Case>,
    auroc: f64,
}

#[derive(serde::Deserialize)]
struct Case {
    bins: usize,
    expected: BTreeMap<String, f64>,
}

fn numbers() -> Numbers {
    serde_json::from_str(JSON).unwrap()
}

fn arrays(name: &str) -> (Array2<f32>, Vec<usize>) {
    let mut npz = NpzReader::new(File::open(NPZ).unwrap()).unwrap();
    let labels: Array1<i64> = npz.by_name(&format!("{name}_labels")).unwrap();
    let labels = labels.iter().map(|label| usize::try_from(*label).unwrap()).collect();
    (npz.by_name(&format!("{name}_logits")).unwrap(), labels)
}

#[track_caller]
fn check(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found} instead of {expected}");
}

#[test]
fn metrics_of_logits_are_the_peers() {
    let cases = numbers().cases;
    assert_eq!(cases.len(), 5);
    for (name, Case { bins, expected }) in cases {
        let (logits, labels) = arrays(&name);
        let outputs = Outputs::Logits(logits.view());
        for (metric, value) in expected {
            let found = match metric.as_str() {
                "accuracy" => accuracy(outputs, &labels),
                "top5" => top_k_accuracy(outputs, &labels, 5),
                "nll" => nll(outputs, &labels),
                "brier" => brier(outputs, &labels),
                "ece" => ece(outputs, &labels, bins),
                "adaptive_ece" => adaptive_ece(outputs, &labels, bins),
                "classwise_ece" => classwise_ece(outputs, &labels, bins),
                "mce" => mce(outputs, &labels, bins),
                "aurc" => aurc(outputs, &labels),
                "temperature" => fit_temperature(logits.view(), &labels).map(|t| t.value),
                other => panic!("{other}"),
            };
            check(&format!("{name}: {metric}"), found.unwrap(), value, 1e-6 * value.max(1.0));
        }
    }
}

#[test]
fn metrics_of_probabilities_are_those_of_their_logits() {
    for (name, Case { bins, .. }) in numbers().cases {
        let (logits, labels) = arrays(&name);
        let p = softmax(logits.view()).unwrap().mapv(|p| p as f32);
        let pairs = [Outputs::Logits(logits.view()), Outputs::Probabilities(p.view())];
        let of = |metric: &dyn Fn(Outputs<'_>) -> f64| pairs.map(metric);
        for (what, [a, b]) in [
            ("accuracy", of(&|o| accuracy(o, &labels).unwrap())),
            ("nll", of(&|o| nll(o, &labels).unwrap())),
            ("brier", of(&|o| brier(o, &labels).unwrap())),
            ("ece", of(&|o| ece(o, &labels, bins).unwrap())),
            ("classwise_ece", of(&|o| classwise_ece(o, &labels, bins).unwrap())),
        ] {
            // single precision, and images a rounding away from an edge
            check(&format!("{name}: {what}"), a, b, 1e-5);
        }
    }
}

#[test]
fn a_comparison_holds_the_values_of_the_functions() {
    for (name, Case { bins, expected }) in numbers().cases {
        let (logits, labels) = arrays(&name);
        let method = Method { name: "f".to_owned(), seeds: vec![logits.view()] };
        let options = CompareOptions { bins, resamples: 3, ..CompareOptions::default() };
        let comparison = compare(&[method], &labels, &options).unwrap();
        let metrics = &comparison.methods[0].metrics;
        assert_eq!(metrics.top5.is_some(), logits.ncols() > 5);
        for (metric, estimate) in metrics.iter() {
            check(
                &format!("{name}: {}", metric.key()),
                estimate.value,
                expected[metric.key()],
                1e-6,
            );
        }
    }
}

#[test]
fn the_area_under_the_roc_curve_is_scikit_learns_ties_included() {
    let mut npz = NpzReader::new(File::open(NPZ).unwrap()).unwrap();
    let scores: Array1<f64> = npz.by_name("auroc_scores").unwrap();
    let positive: Array1<bool> = npz.by_name("auroc_positive").unwrap();
    check("auroc", auroc(&scores.to_vec(), &positive.to_vec()).unwrap(), numbers().auroc, 1e-12);
}

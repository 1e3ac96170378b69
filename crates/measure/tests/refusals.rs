//! What cannot be measured is refused, naming row and column.
#![allow(missing_docs, clippy::unwrap_used)]

use introspective_measure::{
    CompareOptions, MeasureError, Method, Outputs, accuracy, aurc, auroc, compare, curves, ece,
    fit_temperature, nll, softmax, top_k_accuracy,
};
use ndarray::{Array2, ArrayView2, array};

fn message(error: MeasureError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[test]
fn unusable_arrays() {
    let z = array![[0.0f32, 1.0], [2.0, f32::NAN]];
    let good = array![[0.0f32, 1.0], [2.0, 3.0]];
    let refused = |z: ArrayView2<'_, f32>, labels: &[usize]| {
        let all = [
            accuracy(Outputs::Logits(z), labels).unwrap_err(),
            nll(Outputs::Logits(z), labels).unwrap_err(),
            ece(Outputs::Logits(z), labels, 15).unwrap_err(),
            aurc(Outputs::Logits(z), labels).unwrap_err(),
            fit_temperature(z, labels).unwrap_err(),
        ]
        .map(message);
        assert!(all.iter().all(|text| *text == all[0]), "{all:?}");
        all[0].clone()
    };
    assert_eq!(
        refused(z.view(), &[0, 0]),
        "logit of image 1, class 1: found NaN, expected a finite number"
    );
    assert_eq!(
        refused(good.view(), &[0, 2]),
        "the label of image 1 is 2, but there are 2 classes, 0 to 1"
    );
    assert_eq!(
        refused(good.view(), &[0]),
        "found 1 labels for 2 images; every image needs exactly one"
    );
    let empty = Array2::<f32>::zeros((0, 3));
    assert_eq!(
        refused(empty.view(), &[]),
        "found 0 images and 3 classes; a metric needs at least one of each"
    );
    assert!(softmax(Array2::<f32>::zeros((3, 0)).view()).is_err());
}

#[test]
fn logits_are_no_probabilities() {
    let z = array![[0.5f32, 0.5], [2.0, -1.0]];
    let error = accuracy(Outputs::Probabilities(z.view()), &[0, 0]).unwrap_err();
    assert!(message(error).starts_with("probability of image 1, class 0: found 2, expected"));
    let z = array![[0.5f32, 0.5], [0.5, 0.25]];
    let error = accuracy(Outputs::Probabilities(z.view()), &[0, 0]).unwrap_err();
    assert!(message(error).starts_with("the probabilities of image 1 sum to 0.75"));
}

#[test]
fn settings_out_of_range() {
    let z = array![[0.0f32, 1.0]];
    let outputs = Outputs::Logits(z.view());
    let error = ece(outputs, &[0], 0).unwrap_err();
    assert_eq!(message(error), "bins: found 0, expected at least 1");
    assert!(top_k_accuracy(outputs, &[0], 0).is_err());
    let method = || [Method { name: "f".to_owned(), seeds: vec![z.view()] }];
    let with = |options: CompareOptions| message(compare(&method(), &[0], &options).unwrap_err());
    let default = CompareOptions::default;
    assert!(with(CompareOptions { resamples: 0, ..default() }).contains("resamples"));
    assert!(with(CompareOptions { bins: 0, ..default() }).contains("bins"));
    let contrasts = vec![("f".to_owned(), "g".to_owned())];
    assert!(with(CompareOptions { contrasts, ..default() }).contains("`g`"));
    for level in [0.0, 1.0, 95.0, f64::NAN] {
        assert!(with(CompareOptions { level, ..default() }).contains("level"));
    }
}

#[test]
fn one_kind_alone_has_no_roc_curve() {
    let error = auroc(&[1.0, 2.0], &[true, true]).unwrap_err();
    assert!(message(error).starts_with("found 2 positive and 0 negative items"));
    assert!(auroc(&[1.0], &[true, false]).is_err());
    assert!(auroc(&[1.0, f64::NAN], &[true, false]).is_err());
}

#[test]
fn a_comparison_names_method_and_seed() {
    let good = array![[0.0f32, 1.0], [2.0, 3.0]];
    let bad = array![[0.0f32, f32::INFINITY], [2.0, 3.0]];
    let wide = Array2::<f32>::zeros((2, 3));
    let f = || Method { name: "f".to_owned(), seeds: vec![good.view()] };
    let refused = |methods: &[Method<'_>]| {
        message(compare(methods, &[0, 1], &CompareOptions::default()).unwrap_err())
    };
    let h = |seeds| Method { name: "h".to_owned(), seeds };
    assert_eq!(
        refused(&[f(), h(vec![good.view(), bad.view()])]),
        "the method \"h\", seed 1: logit of image 0, class 1: found inf, expected a finite number"
    );
    assert_eq!(
        refused(&[f(), h(vec![wide.view()])]),
        "the method \"h\", seed 0, has 3 classes but the first method has 2"
    );
    assert_eq!(
        refused(&[f(), h(Vec::new())]),
        "the method \"h\" has no outputs; expected those of at least one seed"
    );
    assert_eq!(refused(&[f(), f()]), "two methods are named \"f\"; names must differ");
    assert_eq!(refused(&[]), "no methods to compare; expected at least one");
    assert!(curves(&h(vec![bad.view()]), &[0, 1], 15).is_err());
}

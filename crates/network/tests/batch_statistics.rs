//! Batch normalisation by the batch, against PyTorch's training mode (fixtures/batch_statistics.py), on each engine
//! that is at hand.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/exports.rs"]
mod exports;
#[path = "common/maps.rs"]
#[allow(dead_code)]
mod maps;

use std::fs::File;

use exports::{fixture, write_model};
use introspective_network::{
    Architecture, Classifier, ExportOptions, Extractor, ExtractorOptions, Features, NetworkError,
    RuntimeChoice, Statistics, Weights, embedded,
};
use maps::assert_close;
use ndarray::{Array4, ArrayD, Axis, s, stack};
use ndarray_npy::NpzReader;

fn batch(channels: usize, height: usize, width: usize) -> Array4<f32> {
    let picture = common::picture(channels, height, width);
    let parts = [1.0, -0.7, 0.4].map(|factor| &picture * factor);
    stack(Axis(0), &parts.each_ref().map(|part| part.view())).unwrap()
}

fn generated(name: &str, classes: usize, channels: usize) -> Classifier {
    let architecture: Architecture = name.parse().unwrap();
    let bytes = common::weights(&architecture.tensors(classes, channels));
    Classifier::from_zoo(architecture, Weights::from_bytes(bytes, "generated").unwrap()).unwrap()
}

fn options(statistics: Statistics) -> ExtractorOptions {
    ExtractorOptions { statistics, ..ExtractorOptions::default() }
}

fn by_batch(classifier: &Classifier, optimise: bool) -> Extractor<'_> {
    let options = ExtractorOptions { optimise, ..options(Statistics::Batch) };
    Extractor::new(classifier, &options).unwrap()
}

/// On ONNX Runtime too, where it is built in and found.
fn engines(make: impl Fn() -> Classifier) -> Vec<Classifier> {
    let mut other = make();
    match other.choose_runtime(RuntimeChoice::OnnxRuntime) {
        Ok(_) => vec![make(), other],
        Err(NetworkError::RuntimeNotBuilt | NetworkError::RuntimeNotFound { .. }) => vec![make()],
        Err(error) => panic!("{error}"),
    }
}

fn check(what: &str, key: &str, classifier: &Classifier, pictures: &Array4<f32>) {
    let file = File::open(fixture("batch_statistics.npz")).unwrap();
    let mut npz = NpzReader::new(file).unwrap();
    let [h, z]: [ArrayD<f32>; 2] =
        ["h", "z"].map(|part| npz.by_name(&format!("{key}/{part}")).unwrap());
    for optimise in [false, true] {
        let features = by_batch(classifier, optimise).extract(pictures.view()).unwrap();
        let what = format!("{what} {} fused={optimise}", classifier.runtime().name);
        assert_close(&format!("{what} h"), features.h.into_dyn(), &h, 1e-4);
        assert_close(&format!("{what} z"), features.z.into_dyn(), &z, 1e-4);
    }
}

fn case(name: &str, classes: usize, [channels, height, width]: [usize; 3]) {
    for classifier in engines(|| generated(name, classes, channels)) {
        check(name, name, &classifier, &batch(channels, height, width));
    }
}

#[test]
fn resnets() {
    case("resnet18", 7, [1, 65, 47]);
    case("cifar_resnet18", 10, [3, 32, 32]);
    assert_eq!(generated("cifar_resnet18", 10, 3).batch_norms(), 15);
}

#[test]
fn a_densenet() {
    case("densenet121", 9, [3, 64, 80]);
}

#[test]
fn a_vgg() {
    case("vgg11_bn", 6, [3, 40, 48]);
}

#[test]
fn an_onnx_file_that_kept_its_normalisations() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.onnx");
    generated("cifar_resnet18", 10, 3).export(&path, &ExportOptions::default()).unwrap();
    for classifier in engines(|| Classifier::from_onnx(&path).unwrap()) {
        assert_eq!(classifier.batch_norms(), 15);
        check("exported", "cifar_resnet18", &classifier, &batch(3, 32, 32));
    }
}

/// A picture alone has statistics of its own, where a layer sees several positions.
#[test]
fn one_picture() {
    let classifier = generated("cifar_resnet18", 10, 3);
    let pictures = batch(3, 32, 32);
    let first = pictures.slice(s![..1, .., .., ..]);
    check("single", "single", &classifier, &first.to_owned());

    // 32 x 32 pixels are 1 x 1 positions at layer4 of the large one
    let large = generated("resnet18", 4, 3);
    let extractor = by_batch(&large, true);
    let error = extractor.extract(first).unwrap_err();
    assert!(matches!(error, NetworkError::BatchStatistics { .. }), "{error}");
    assert!(error.to_string().contains("layer4.0.bn1 would see one value a channel"), "{error}");
    extractor.extract(pictures.view()).unwrap();
}

#[test]
fn every_picture_counts() {
    let classifier = generated("cifar_resnet18", 10, 3);
    let pictures = batch(3, 32, 32);
    let two = pictures.slice(s![..2, .., .., ..]);
    let row = |extractor: &Extractor<'_>, pictures| {
        let Features { z, .. } = extractor.extract(pictures).unwrap();
        z.row(0).to_owned()
    };
    let extractor = by_batch(&classifier, true);
    let differ = row(&extractor, pictures.view()) - row(&extractor, two);
    assert!(differ.fold(0_f32, |m, v| m.max(v.abs())) > 0.1, "{differ}");
    let stored = Extractor::new(&classifier, &options(Statistics::Stored)).unwrap();
    let differ = row(&stored, pictures.view()) - row(&stored, two);
    assert!(differ.fold(0_f32, |m, v| m.max(v.abs())) < 1e-5, "{differ}");
}

#[test]
fn without_normalisations_or_batches_it_is_refused() {
    let refused = |classifier: &Classifier| {
        Extractor::new(classifier, &options(Statistics::Batch)).err().unwrap()
    };
    let error = refused(&embedded::squeezenet().unwrap());
    assert!(matches!(error, NetworkError::NoBatchNorms { .. }), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let folded =
        Classifier::from_onnx(&write_model(folder.path(), "onnx_resnet50.script")).unwrap();
    assert_eq!(folded.batch_norms(), 0);
    let error = refused(&folded).to_string();
    assert!(error.contains("fold them into convolutions"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let fixed = Classifier::from_onnx(&write_model(folder.path(), "onnx_densenet121.dynamo"));
    let fixed = fixed.unwrap();
    assert!(fixed.batch_norms() > 0);
    let error = refused(&fixed);
    assert!(matches!(error, NetworkError::BatchStatistics { .. }), "{error}");
    assert!(error.to_string().contains("one picture at a time"), "{error}");
}

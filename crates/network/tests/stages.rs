//! Pooled activations of the stages against PyTorch's forward hooks (fixtures/stages.py), and the same from a session.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::File;
use std::path::Path;

use introspective_network::{
    Architecture, Classifier, Extractor, ExtractorOptions, Session, SessionOptions, Threads,
    Weights,
};
use ndarray::{Array2, Array4, Axis, stack};
use ndarray_npy::NpzReader;

fn expected(key: &str) -> Array2<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stages.npz");
    NpzReader::new(File::open(path).unwrap()).unwrap().by_name(key).unwrap()
}

/// `batch` of fixtures/penultimate.py.
fn batch(channels: usize, height: usize, width: usize) -> Array4<f32> {
    let picture = common::picture(channels, height, width);
    let parts = [1.0, -0.7].map(|factor| &picture * factor);
    stack(Axis(0), &[parts[0].view(), parts[1].view()]).unwrap()
}

fn generated(name: &str, classes: usize, channels: usize) -> Classifier {
    let architecture: Architecture = name.parse().unwrap();
    let bytes = common::weights(&architecture.tensors(classes, channels));
    Classifier::from_zoo(architecture, Weights::from_bytes(bytes, "generated").unwrap()).unwrap()
}

fn assert_near(what: &str, found: &Array2<f32>, expected: &Array2<f32>, tolerance: f32) {
    assert_eq!(found.dim(), expected.dim(), "{what}");
    let range = expected.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let far = (found - expected).iter().fold(0.0_f32, |m, v| m.max(v.abs())) / range;
    assert!(far < tolerance, "{what}: {far:e} of the range");
}

fn extracted(classifier: &Classifier, pictures: &Array4<f32>, threads: usize) -> Array2<f32> {
    let threads = Some(Threads::new(threads));
    let options = ExtractorOptions { stages: true, threads, ..ExtractorOptions::default() };
    let extractor = Extractor::new(classifier, &options).unwrap();
    let features = extractor.extract(pictures.view()).unwrap();
    assert_eq!(features.stages.ncols(), extractor.stages_width());
    assert_eq!(features.stages.ncols(), classifier.stages_width());
    // what was there before is the same
    let plain = ExtractorOptions { stages: false, ..options };
    let plain = Extractor::new(classifier, &plain).unwrap().extract(pictures.view()).unwrap();
    assert_eq!(plain.stages.ncols(), 0);
    assert_near("h", &features.h, &plain.h, 1e-5);
    assert_near("z", &features.z, &plain.z, 1e-5);
    features.stages
}

#[test]
fn pooled_activations_are_pytorchs() {
    for (name, classes, [channels, height, width]) in [
        ("cifar_resnet18", 10, [3, 32, 32]),
        ("cifar_resnet50", 10, [3, 32, 40]),
        ("resnet18", 7, [1, 65, 47]),
        ("resnet50", 8, [3, 64, 80]),
        ("vgg11", 6, [3, 96, 64]),
    ] {
        let classifier = generated(name, classes, channels);
        let pictures = batch(channels, height, width);
        let stages = extracted(&classifier, &pictures, 1);
        assert_near(name, &stages, &expected(name), 1e-4);
        assert_eq!(extracted(&classifier, &pictures, 3), stages, "{name}");
    }
}

#[test]
fn a_session_gives_the_same() {
    for (name, layer) in
        [("cifar_resnet18", "layer3"), ("resnet18", "layer2"), ("vgg11", "features.19")]
    {
        let classifier = generated(name, 5, 3);
        let pictures = batch(3, 64, 64);
        let expected = extracted(&classifier, &pictures, 1);
        let layer = Some(layer.to_owned());
        let options = SessionOptions { layer, stages: true, ..SessionOptions::default() };
        let session = Session::new(&classifier, &options).unwrap();
        for (picture, expected) in pictures.outer_iter().zip(expected.outer_iter()) {
            let seen = session.observe(picture).unwrap();
            let (found, expected) =
                (seen.stages.insert_axis(Axis(0)), expected.insert_axis(Axis(0)));
            assert_near(name, &found, &expected.to_owned(), 1e-5);
            // and the gradients are there as ever
            let alpha = session.alpha(&session.observe(picture).unwrap(), Array2::eye(5).view());
            assert!(alpha.unwrap().iter().any(|a| *a != 0.0));
        }
    }
}

/// Every architecture of the zoo has stages, and they are spatial.
#[test]
fn every_architecture_has_stages() {
    for architecture in Architecture::ALL {
        let classifier = Classifier::untrained(architecture, 3, 3).unwrap();
        let stages = classifier.stages();
        assert!(stages.len() >= 4, "{architecture}: {stages:?}");
        assert_eq!(classifier.stages_width(), stages.iter().map(|s| 2 * s.channels).sum::<usize>());
    }
}

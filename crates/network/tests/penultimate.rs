//! Features and logits of batches against PyTorch's forward hooks (fixtures/penultimate.py), and against the last
//! layer.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/exports.rs"]
mod exports;
#[path = "common/maps.rs"]
#[allow(dead_code)]
mod maps;

use std::fs::File;

use exports::{EXPORTERS, fixture, write_model};
use introspective_network::{
    Architecture, Classifier, Extractor, ExtractorOptions, Features, NetworkError, Opened, Session,
    SessionOptions, Threads, Weights, embedded,
};
use maps::assert_close;
use ndarray::{Array2, Array4, ArrayD, Axis, s, stack};
use ndarray_npy::NpzReader;

fn expected(key: &str) -> ArrayD<f32> {
    let file = File::open(fixture("penultimate.npz")).unwrap();
    NpzReader::new(file).unwrap().by_name(key).unwrap()
}

/// `batch` of fixtures/penultimate.py.
fn batch(channels: usize, height: usize, width: usize) -> Array4<f32> {
    let picture = common::picture(channels, height, width);
    let parts = [1.0, -0.7].map(|factor| &picture * factor);
    stack(Axis(0), &[parts[0].view(), parts[1].view()]).unwrap()
}

/// One picture with more and less contrast.
fn many(count: usize, side: usize) -> Array4<f32> {
    let picture = common::picture(3, side, side);
    let mut pictures = Array4::zeros((count, 3, side, side));
    for (index, mut part) in pictures.outer_iter_mut().enumerate() {
        part.assign(&(&picture * (1.0 - 2.0 * index as f32 / count as f32)));
    }
    pictures
}

fn generated(name: &str, classes: usize, channels: usize) -> Classifier {
    let architecture: Architecture = name.parse().unwrap();
    let bytes = common::weights(&architecture.tensors(classes, channels));
    Classifier::from_zoo(architecture, Weights::from_bytes(bytes, "generated").unwrap()).unwrap()
}

/// `z = W h + b` to 1e-4 of the logits' range.
fn assert_affine(what: &str, classifier: &Classifier, Features { h, z, .. }: &Features) {
    let layer = classifier.last_layer().unwrap().unwrap();
    assert_eq!(layer.weight.dim(), (classifier.classes(), h.ncols()), "{what}");
    let made = h.dot(&layer.weight.t()) + &layer.bias;
    assert_close(&format!("{what} W h + b"), made.into_dyn(), &z.clone().into_dyn(), 1e-4);
}

/// Extracts with and without fusing, all at once and picture by picture.
fn check(what: &str, key: &str, classifier: &Classifier, pictures: &Array4<f32>) -> Features {
    let mut last = None;
    for optimise in [false, true] {
        let options = ExtractorOptions { optimise, ..ExtractorOptions::default() };
        let extractor = Extractor::new(classifier, &options).unwrap();
        let features = extractor.extract(pictures.view()).unwrap();
        assert_eq!(features.h.ncols(), extractor.width());
        let what = format!("{what} fused={optimise}");
        let (h, z) = (features.h.clone().into_dyn(), features.z.clone().into_dyn());
        assert_close(&format!("{what} h"), h, &expected(&format!("{key}/h")), 1e-4);
        assert_close(&format!("{what} z"), z, &expected(&format!("{key}/z")), 1e-4);
        last = Some(features);
    }
    last.unwrap()
}

fn zoo(name: &str, classes: usize, [channels, height, width]: [usize; 3], affine: bool) {
    let classifier = generated(name, classes, channels);
    let features = check(name, name, &classifier, &batch(channels, height, width));
    if affine {
        assert_affine(name, &classifier, &features);
    } else {
        assert_eq!(classifier.last_layer().unwrap(), None, "{name}");
    }
}

#[test]
fn a_squeezenet_gives_pooled_features_and_no_last_layer() {
    zoo("squeezenet1_1", 7, [1, 71, 90], false);
}

#[test]
fn alexnet_and_a_vgg() {
    zoo("alexnet", 6, [3, 96, 80], true);
    zoo("vgg11", 6, [3, 40, 48], true);
}

#[test]
fn resnets() {
    zoo("resnet18", 7, [1, 65, 47], true);
    zoo("resnet50", 8, [3, 64, 80], true);
    zoo("resnext50_32x4d", 8, [3, 48, 64], true);
    zoo("cifar_resnet18", 10, [3, 32, 32], true);
    zoo("cifar_resnet50", 10, [3, 32, 40], true);
}

#[test]
fn a_densenet() {
    zoo("densenet121", 9, [3, 64, 80], true);
}

/// Every architecture of the zoo has features, whatever it is run on.
#[test]
fn every_architecture() {
    for architecture in Architecture::ALL {
        let bytes = common::zeros(&architecture.tensors(3, 3));
        let weights = Weights::from_bytes(bytes, "zeros").unwrap();
        let classifier = Classifier::from_zoo(architecture, weights).unwrap();
        let layer = classifier.last_layer().unwrap();
        assert_eq!(
            layer.is_none(),
            architecture.name().starts_with("squeezenet"),
            "{architecture}"
        );
    }
}

fn exported(name: &str, side: usize) {
    for exporter in EXPORTERS {
        let folder = tempfile::tempdir().unwrap();
        let path = write_model(folder.path(), &format!("onnx_{name}.{exporter}"));
        let classifier = Classifier::from_onnx(&path).unwrap();
        let what = format!("{name} {exporter}");
        let key = format!("onnx_{name}");
        let features = check(&what, &key, &classifier, &batch(3, side, side));
        assert_affine(&what, &classifier, &features);
    }
}

#[test]
fn exported_resnet50_and_densenet121() {
    exported("resnet50", 64);
    exported("densenet121", 64);
}

#[test]
fn exported_vgg16_bn() {
    exported("vgg16_bn", 224);
}

#[test]
fn exported_mobilenet_and_efficientnet() {
    exported("mobilenet_v3_large", 96);
    exported("efficientnet_b0", 96);
}

#[test]
fn exported_convnext_tiny() {
    exported("convnext_tiny", 64);
}

/// An explanation and the features of the same picture from one forward pass.
#[test]
fn a_session_gives_the_features_of_its_picture() {
    for (name, layer, without_closed_form) in [
        ("squeezenet1_1", "features.12", false),
        ("resnet18", "layer4", false),
        ("resnet18", "layer3", false),
        ("resnet18", "layer4", true),
        ("vgg11", "features.19", false),
    ] {
        let classifier = generated(name, 5, 3);
        let extractor = Extractor::new(&classifier, &ExtractorOptions::default()).unwrap();
        let pictures = batch(3, 64, 64);
        let picture = pictures.index_axis(Axis(0), 0);
        let expected = extractor.extract(pictures.slice(s![..1, .., .., ..])).unwrap();
        let session = |penultimate| {
            let layer = Some(layer.to_owned());
            let options = SessionOptions {
                layer,
                without_closed_form,
                penultimate,
                ..SessionOptions::default()
            };
            Session::new(&classifier, &options).unwrap()
        };
        let (with, without) = (session(true), session(false));
        let [seen, plain] = [&with, &without].map(|s| s.observe(picture).unwrap());
        assert_eq!(plain.penultimate, None);
        let h = seen.penultimate.clone().unwrap().into_dyn();
        let of = |rows: &Array2<f32>| rows.row(0).to_owned().into_dyn();
        assert_close(&format!("{name} {layer} h"), h, &of(&expected.h), 1e-5);
        assert_close(
            &format!("{name} {layer} z"),
            seen.logits.clone().into_dyn(),
            &of(&expected.z),
            1e-5,
        );
        // and the gradients are what they are without
        let rows = Array2::eye(5);
        let [alpha, usual] = [(&with, &seen), (&without, &plain)]
            .map(|(session, seen)| session.alpha(seen, rows.view()).unwrap());
        assert_eq!(alpha, usual, "{name} {layer}");
    }
}

#[test]
fn the_embedded_network_in_half_precision() {
    let classifier = embedded::squeezenet().unwrap();
    let extractor = Extractor::new(&classifier, &ExtractorOptions::default()).unwrap();
    let Features { h, z, .. } = extractor.extract(batch(3, 224, 224).view()).unwrap();
    assert_eq!((h.dim(), z.dim()), ((2, 512), (2, 1000)));
    assert_eq!(classifier.last_layer().unwrap(), None);
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let classifier = generated("cifar_resnet18", 4, 3);
    let extractor = Extractor::new(&classifier, &ExtractorOptions::default()).unwrap();
    let grey = extractor.extract(Array4::zeros((2, 1, 32, 32)).view()).unwrap_err().to_string();
    assert!(grey.contains("[2, 1, 32, 32]") && grey.contains("pictures x 3"), "{grey}");
    let none = extractor.extract(Array4::zeros((0, 3, 32, 32)).view()).unwrap();
    assert_eq!((none.h.dim(), none.z.dim()), ((0, 64), (0, 4)));

    // the engine's ReLU would make zeros of these
    let mut pictures = batch(3, 32, 32);
    pictures[[1, 0, 5, 5]] = f32::NAN;
    let error = extractor.extract(pictures.view()).unwrap_err();
    assert!(matches!(error, NetworkError::NotFiniteInBatch { index: 1, count: 1, .. }), "{error}");
    assert!(error.to_string().contains("picture 1 of the batch (counted from 0): 1 of the pixels"));
}

#[test]
fn logits_that_overflow_are_named() {
    let shapes = Architecture::CifarResNet18.tensors(4, 3);
    let tensors = shapes.into_iter().map(|(name, shape)| {
        let mut values = common::tensor(&name, &shape);
        if name == "fc.weight" {
            values.fill(f32::MAX);
        }
        (name, (shape, values))
    });
    let bytes = common::safetensors(&tensors.collect());
    let weights = Weights::from_bytes(bytes, "generated").unwrap();
    let classifier = Classifier::from_zoo(Architecture::CifarResNet18, weights).unwrap();
    let extractor = Extractor::new(&classifier, &ExtractorOptions::default()).unwrap();
    let error = extractor.extract(batch(3, 32, 32).view()).unwrap_err();
    assert!(matches!(error, NetworkError::NotFiniteInBatch { index: 0, count: 4, .. }), "{error}");
    assert!(error.to_string().contains("4 of its features and logits"), "{error}");
}

/// A server shares one extractor among threads.
#[test]
fn one_extractor_in_several_threads() {
    let classifier = generated("cifar_resnet18", 4, 3);
    let extractor = Extractor::new(&classifier, &ExtractorOptions::default()).unwrap();
    let pictures = batch(3, 32, 32);
    let alone = extractor.extract(pictures.view()).unwrap();
    std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..4).map(|_| scope.spawn(|| extractor.extract(pictures.view()).unwrap())).collect();
        for run in runs {
            assert_eq!(run.join().unwrap(), alone);
        }
    });
}

/// A file's hash is that of its bytes, wherever it lies and whatever it is read into.
#[test]
fn the_hash_of_a_network_of_the_zoo_is_its_files() {
    let bytes = common::weights(&Architecture::CifarResNet18.tensors(4, 3));
    let hashes = ["one.safetensors", "two.safetensors"].map(|name| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        let opened = Opened::from_path(&path, None).unwrap();
        opened.classifier.sha256().to_owned()
    });
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0], generated("cifar_resnet18", 4, 3).sha256());
    assert_ne!(hashes[0], generated("cifar_resnet18", 5, 3).sha256());
}

/// In pieces of several pictures and of one, with a rest or without, some threads idle.
#[test]
fn the_number_of_threads_changes_no_bit() {
    let nets = [
        ("cifar_resnet18", 70, 32),
        ("cifar_resnet50", 5, 32),
        ("resnet18", 9, 64),
        ("alexnet", 3, 80),
    ];
    for (name, count, side) in nets {
        let classifier = generated(name, 5, 3);
        let pictures = many(count, side);
        let extract = |threads| {
            let threads = Some(Threads::new(threads));
            let options = ExtractorOptions { threads, ..ExtractorOptions::default() };
            let extractor = Extractor::new(&classifier, &options).unwrap();
            assert!(extractor.preferred_batch(side, side) > 1);
            extractor.extract(pictures.view()).unwrap()
        };
        let one = extract(1);
        for threads in [2, 3, 7] {
            assert!(extract(threads) == one, "{name} with {threads} threads");
        }
    }
}

/// What depends on the other pictures of a batch: rounding, at most.
#[test]
fn a_picture_alone_gives_what_it_gives_in_a_batch() {
    let classifier = generated("cifar_resnet18", 10, 3);
    let extractor = Extractor::new(&classifier, &ExtractorOptions::default()).unwrap();
    let pictures = many(32, 32);
    let together = extractor.extract(pictures.view()).unwrap();
    let mut worst = [0_f32; 2];
    for (index, one) in pictures.axis_chunks_iter(Axis(0), 1).enumerate() {
        let alone = extractor.extract(one).unwrap();
        let differ = |a: &Array2<f32>, b: &Array2<f32>| {
            (&a.row(index) - &b.row(0)).fold(0_f32, |m, v| m.max(v.abs()))
        };
        worst[0] = worst[0].max(differ(&together.h, &alone.h));
        worst[1] = worst[1].max(differ(&together.z, &alone.z));
    }
    println!("h differs by {:e}, z by {:e}", worst[0], worst[1]);
    assert!(worst.iter().all(|&w| w < 1e-5), "{worst:?}");
}

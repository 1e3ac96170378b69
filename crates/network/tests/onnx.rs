//! Networks that PyTorch's exporters wrote, against PyTorch (fixtures/onnx_exports.py).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/maps.rs"]
mod maps;

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use introspective_network::{Classifier, Session, SessionOptions};
use maps::{QUESTIONS, assert_close, cams, upstream};
use ndarray::{Array1, ArrayD};
use ndarray_npy::NpzReader;

fn fixture(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
}

fn shape(text: &str) -> Vec<usize> {
    text.split('x').map(|size| size.parse().unwrap()).collect()
}

/// `weight / sqrt(running_var + eps)` of a batch normalisation.
fn slopes(norm: &str, epsilon: &str, channels: usize) -> Vec<f32> {
    let epsilon: f32 = epsilon.parse().unwrap();
    let scale = common::tensor(&format!("{norm}.weight"), &[channels]);
    let variance = common::tensor(&format!("{norm}.running_var"), &[channels]);
    scale
        .iter()
        .zip(variance)
        .map(|(scale, variance)| scale / (variance + epsilon).sqrt())
        .collect()
}

/// One tensor of a recipe.
fn cook(line: &str) -> Vec<f32> {
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["plain", name, dims] => common::tensor(name, &shape(dims)),
        ["transposed", name, dims] => {
            let values = ArrayD::from_shape_vec(shape(dims), common::tensor(name, &shape(dims)));
            values.unwrap().t().iter().copied().collect()
        }
        ["weight", conv, norm, epsilon, dims] => {
            let dims = shape(dims);
            let mut values = common::tensor(&format!("{conv}.weight"), &dims);
            let each = values.len() / dims[0];
            for (part, slope) in values.chunks_mut(each).zip(slopes(norm, epsilon, dims[0])) {
                part.iter_mut().for_each(|value| *value *= slope);
            }
            values
        }
        ["bias", conv, norm, epsilon, channels] => {
            let channels = channels.parse().unwrap();
            let of = |name: &str| common::tensor(name, &[channels]);
            let own =
                if conv == "none" { vec![0.0; channels] } else { of(&format!("{conv}.bias")) };
            let (mean, shift) = (of(&format!("{norm}.running_mean")), of(&format!("{norm}.bias")));
            let slopes = slopes(norm, epsilon, channels);
            (0..channels).map(|i| (own[i] - mean[i]) * slopes[i] + shift[i]).collect()
        }
        _ => panic!("{line}"),
    }
}

/// The exported file with its weights beside it.
fn write_model(folder: &Path, stem: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let packed = File::open(fixture(&format!("{stem}.onnx.gz"))).unwrap();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    let path = folder.join("model.onnx");
    std::fs::write(&path, bytes).unwrap();
    let mut data = BufWriter::new(File::create(folder.join("weights.data")).unwrap());
    for line in std::fs::read_to_string(fixture(&format!("{stem}.recipe"))).unwrap().lines() {
        for value in cook(line) {
            data.write_all(&value.to_le_bytes()).unwrap();
        }
    }
    data.into_inner().unwrap();
    path
}

fn case(name: &str, side: usize, default: &str, earlier: &str) {
    let mut npz =
        NpzReader::new(File::open(fixture(&format!("onnx_{name}.npz"))).unwrap()).unwrap();
    let expected_logits: ArrayD<f32> = npz.by_name("logits").unwrap();
    let which: Array1<i64> = npz.by_name("classes").unwrap();
    let picture = common::picture(3, side, side);
    for exporter in ["script", "dynamo", "free"] {
        let folder = tempfile::tempdir().unwrap();
        let path = write_model(folder.path(), &format!("onnx_{name}.{exporter}"));
        let classifier = Classifier::from_onnx(&path).unwrap();
        assert_eq!((classifier.classes(), classifier.channels()), (10, 3));
        assert_eq!(classifier.input_size(), Some([side, side]));
        if !default.is_empty() {
            assert_eq!(classifier.default_layer(), default, "{exporter}");
        }
        for (place, layer) in [("default", None), ("earlier", Some(earlier.to_owned()))] {
            for without_closed_form in [false, true] {
                let options = SessionOptions {
                    layer: layer.clone(),
                    without_closed_form,
                    ..Default::default()
                };
                let session = Session::new(&classifier, &options).unwrap();
                if without_closed_form && place == "earlier" {
                    continue;
                }
                let observation = session.observe(picture.view()).unwrap();
                let what =
                    format!("{name} {exporter} {place} closed={}", session.has_closed_form());
                let logits = observation.logits.clone().into_dyn();
                assert_close(&format!("{what} logits"), logits, &expected_logits, 1e-4);
                let rows = upstream(&observation.logits, &which);
                let alpha = session.alpha(&observation, rows.view()).unwrap();
                for (map, question) in cams(&observation, &alpha).into_iter().zip(QUESTIONS) {
                    let expected: ArrayD<f32> =
                        npz.by_name(&format!("{place}/{question}")).unwrap();
                    assert_close(&format!("{what} {question}"), map.into_dyn(), &expected, 1e-3);
                }
            }
        }
    }
}

#[test]
fn resnet50() {
    case("resnet50", 64, "layer4", "layer3");
}

#[test]
fn densenet121() {
    // the last ReLU is no module, so the layer has the exporter's name
    case("densenet121", 64, "", "features.denseblock3");
}

#[test]
fn vgg16_bn() {
    case("vgg16_bn", 224, "features.42", "features.39");
}

#[test]
fn mobilenet_v3_large() {
    case("mobilenet_v3_large", 96, "features", "features.12");
}

#[test]
fn efficientnet_b0() {
    case("efficientnet_b0", 96, "features", "features.5");
}

#[test]
fn convnext_tiny() {
    case("convnext_tiny", 64, "features", "features.5");
}

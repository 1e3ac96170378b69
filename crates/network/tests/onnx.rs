//! Networks that PyTorch's exporters wrote, against PyTorch (fixtures/onnx_exports.py).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/exports.rs"]
mod exports;
#[path = "common/maps.rs"]
mod maps;

use std::fs::File;
use std::path::Path;

use exports::{EXPORTERS, fixture, write_model};
use introspective_network::{Classifier, Session, SessionOptions};
use maps::{QUESTIONS, assert_close, cams, upstream};
use ndarray::{Array1, ArrayD};
use ndarray_npy::NpzReader;

fn case(name: &str, side: usize, default: &str, earlier: &str) {
    let mut npz =
        NpzReader::new(File::open(fixture(&format!("onnx_{name}.npz"))).unwrap()).unwrap();
    let expected_logits: ArrayD<f32> = npz.by_name("logits").unwrap();
    let which: Array1<i64> = npz.by_name("classes").unwrap();
    let picture = common::picture(3, side, side);
    for exporter in EXPORTERS {
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

/// The hash is of what is read, not of where it lies, and covers tensors beside the file, small ones included.
#[test]
fn the_hash_covers_every_tensor_beside_the_file() {
    let stem = "onnx_resnet50.script";
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let paths = folders.each_ref().map(|folder| write_model(folder.path(), stem));
    let hash = |path: &Path| Classifier::from_onnx(path).unwrap().sha256().to_owned();
    let first = hash(&paths[0]);
    assert_eq!(first, hash(&paths[1]));

    // a small bias is read into the graph, a large kernel into the weights
    let mut end = 0;
    let recipe = std::fs::read_to_string(fixture(&format!("{stem}.recipe"))).unwrap();
    let spans: Vec<(usize, usize)> = recipe
        .lines()
        .map(|line| {
            let dims = line.rsplit(' ').next().unwrap().split('x');
            let length = 4 * dims.map(|size| size.parse::<usize>().unwrap()).product::<usize>();
            end += length;
            (end - length, length)
        })
        .collect();
    for small in [true, false] {
        let (offset, _) = spans.iter().find(|(_, length)| (*length < 1024) == small).unwrap();
        let data = folders[1].path().join("weights.data");
        let mut bytes = std::fs::read(&data).unwrap();
        bytes[*offset] ^= 1;
        std::fs::write(&data, &bytes).unwrap();
        assert_ne!(first, hash(&paths[1]), "small: {small}");
        bytes[*offset] ^= 1;
        std::fs::write(&data, &bytes).unwrap();
    }
    assert_eq!(first, hash(&paths[1]));
}

//! An exported classifier opens again and computes the same. (That other runtimes agree is checked by
//! `benches/check_export.py`, which runs the files in ONNX Runtime.)
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;

use introspective_network::{
    Architecture, ClassNames, Classifier, ExportOptions, Interpolation, Layer, Method,
    NetworkError, Opened, Preprocessing, Session, SessionOptions, Weights, embedded,
};
use ndarray::{Array1, Array2, Array3};

fn generated(name: &str, classes: usize, channels: usize) -> Classifier {
    let architecture: Architecture = name.parse().unwrap();
    let bytes = common::weights(&architecture.tensors(classes, channels));
    Classifier::from_zoo(architecture, Weights::from_bytes(bytes, "generated").unwrap()).unwrap()
}

/// Logits and the gradients of two combinations of them at a layer.
fn answers(
    classifier: &Classifier,
    layer: &str,
    picture: &Array3<f32>,
) -> (Array1<f32>, Array3<f32>, Array2<f32>) {
    let options = SessionOptions { layer: Some(layer.to_owned()), ..SessionOptions::default() };
    let session = Session::new(classifier, &options).unwrap();
    let seen = session.observe(picture.view()).unwrap();
    let upstream = Array2::from_shape_fn((2, classifier.classes()), |(row, class)| {
        if row == 0 { f32::from(u8::from(class == 1)) } else { class as f32 - 1.5 }
    });
    let alpha = session.alpha(&seen, upstream.view()).unwrap();
    (seen.logits, seen.activations, alpha)
}

fn round_trip(original: &Classifier, picture: &Array3<f32>, layers: &[&str]) {
    let place = tempfile::tempdir().unwrap();
    for external_data in [false, true] {
        let path = place.path().join(format!("model-{external_data}.onnx"));
        let options = ExportOptions { external_data, ..ExportOptions::default() };
        let written = original.export(&path, &options).unwrap();
        assert_eq!(written.len(), 1 + usize::from(external_data));
        let again = Opened::from_path(&path, None).unwrap();
        assert!(again.classes.is_none() && again.preprocessing.is_none());
        let again = again.classifier;
        assert_eq!(again.name(), original.name());
        assert_eq!(again.default_layer(), original.default_layer());
        let [_, height, width] = *picture.shape() else { panic!() };
        let shapes =
            |classifier: &Classifier| -> Vec<Layer> { classifier.layers(height, width).unwrap() };
        assert_eq!(shapes(&again), shapes(original));
        for layer in layers {
            let (expected, found) =
                (answers(original, layer, picture), answers(&again, layer, picture));
            assert_eq!(found, expected, "{layer}");
        }
    }
}

#[test]
fn a_classifier_opens_again_and_computes_the_same() {
    let picture = common::picture(3, 71, 90);
    let layers = ["features.12", "features.3.squeeze", "features.0"];
    round_trip(&generated("squeezenet1_1", 5, 3), &picture, &layers);
    let picture = common::picture(1, 65, 47);
    round_trip(&generated("resnet18", 7, 1), &picture, &["layer4", "layer3", "bn1"]);
}

/// Stored in half precision, which an ONNX file may not mix with float32.
#[test]
fn half_precision_becomes_float32() {
    let original = embedded::squeezenet().unwrap();
    round_trip(&original, &common::picture(3, 64, 64), &["features.12", "features.7"]);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.onnx");
    original.export(&path, &ExportOptions::default()).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    assert!((4_900_000..5_100_000).contains(&size), "1.24 million parameters took {size} bytes");
}

#[test]
fn the_file_is_the_same_whoever_holds_the_weights() {
    let place = tempfile::tempdir().unwrap();
    let bytes = |classifier: &Classifier, name: &str| {
        let path = place.path().join(name);
        classifier.export(&path, &ExportOptions::default()).unwrap();
        fs::read(path).unwrap()
    };
    let classifier = embedded::squeezenet().unwrap();
    let waiting = bytes(&classifier, "waiting");
    drop(Session::new(&classifier, &SessionOptions::default()).unwrap());
    assert!(bytes(&classifier, "rten") == waiting);
    #[cfg(feature = "onnxruntime")]
    {
        let mut other = embedded::squeezenet().unwrap();
        match other.choose_runtime(introspective_network::RuntimeChoice::OnnxRuntime) {
            Ok(_) => assert!(bytes(&other, "onnxruntime") == waiting),
            Err(NetworkError::RuntimeNotFound { .. }) => {
                println!("skipped: no library of ONNX Runtime was found");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn names_and_preprocessing_travel_along() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("pets.onnx");
    let classes =
        ClassNames::new(["cat, felis", "dog \"rex\"", "größer"].map(str::to_owned).into());
    let method = Method::Torchvision { size: 80, crop: 64, interpolation: Interpolation::Bicubic };
    let preprocessing =
        Preprocessing::new(method, vec![0.1, 0.25, 0.3], vec![0.5, 0.123_456_79, 1.0]).unwrap();
    let options = ExportOptions {
        classes: Some(&classes),
        preprocessing: Some(&preprocessing),
        ..ExportOptions::default()
    };
    let original = generated("squeezenet1_1", 3, 3);
    original.export(&path, &options).unwrap();
    let again = Opened::from_path(&path, None).unwrap();
    assert_eq!(again.classes, Some(classes.clone()));
    assert_eq!(again.preprocessing.as_ref(), Some(&preprocessing));

    let wrong = generated("squeezenet1_1", 4, 3).export(&place.path().join("x.onnx"), &options);
    assert!(matches!(wrong, Err(NetworkError::Shape { .. })), "{wrong:?}");
    assert_eq!(names(place.path()), ["pets.onnx"]);
}

/// Ends that bear other names, and a value that bears the name that an end gets.
#[test]
fn a_file_of_another_framework_is_exported_with_our_ends() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a.onnx");
    let original = generated("resnet18", 4, 3);
    original.export(&path, &ExportOptions::default()).unwrap();
    // `relu` is a value inside and now the input; `input` a value inside; the metadata are gone
    let mut model = rten_onnx::onnx::ModelProto::parse_buf(&fs::read(&path).unwrap()).unwrap();
    model.metadata_props.clear();
    model.producer_name = Some("another".to_owned());
    let graph = model.graph.as_mut().unwrap();
    let swap = |name: &mut String| match name.as_str() {
        "input" => *name = "relu".to_owned(),
        "relu" => *name = "input".to_owned(),
        "logits" => *name = "layer1".to_owned(),
        _ => {}
    };
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(swap);
    }
    let ends = graph.input.iter_mut().chain(&mut graph.output);
    ends.filter_map(|value| value.name.as_mut()).for_each(swap);
    fs::write(&path, model.write_buf().unwrap()).unwrap();

    let foreign = Classifier::from_onnx(&path).unwrap();
    let back = place.path().join("b.onnx");
    foreign.export(&back, &ExportOptions::default()).unwrap();
    let again = Classifier::from_onnx(&back).unwrap();
    let picture = common::picture(3, 64, 64);
    let expected = answers(&original, "layer4", &picture);
    assert_eq!(answers(&foreign, "layer4.1.relu", &picture), expected);
    assert_eq!(answers(&again, "layer4.1.relu", &picture), expected);
    let written = rten_onnx::onnx::ModelProto::parse_buf(&fs::read(&back).unwrap()).unwrap();
    let graph = written.graph.unwrap();
    assert_eq!(graph.input[0].name.as_deref(), Some("input"));
    assert_eq!(graph.output[0].name.as_deref(), Some("logits"));
}

#[test]
fn nothing_is_overwritten_or_left_behind() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.onnx");
    let data = place.path().join("model.onnx.data");
    fs::write(&data, "someone's").unwrap();
    let classifier = generated("squeezenet1_1", 2, 3);
    let beside = ExportOptions { external_data: true, ..ExportOptions::default() };
    let error = classifier.export(&path, &beside).unwrap_err();
    assert!(matches!(&error, NetworkError::Exists { path } if *path == data), "{error}");
    assert_eq!(fs::read(&data).unwrap(), b"someone's");
    assert_eq!(names(place.path()), ["model.onnx.data"]);

    classifier.export(&path, &ExportOptions { overwrite: true, ..beside }).unwrap();
    assert_eq!(names(place.path()), ["model.onnx", "model.onnx.data"]);
    let error = classifier.export(&path, &ExportOptions::default()).unwrap_err();
    assert!(matches!(error, NetworkError::Exists { .. }), "{error}");

    let nowhere = place.path().join("no/such/folder.onnx");
    let error = classifier.export(&nowhere, &ExportOptions::default()).unwrap_err();
    assert!(matches!(error, NetworkError::Write { .. }), "{error}");
    let folder = ExportOptions { overwrite: true, ..ExportOptions::default() };
    let error = classifier.export(place.path(), &folder).unwrap_err();
    assert!(matches!(error, NetworkError::Write { .. }), "{error}");
    assert_eq!(names(place.path()), ["model.onnx", "model.onnx.data"]);
}

/// Metadata of our own that do not fit the graph are damage, not something to guess around.
#[test]
fn layers_that_no_node_computes_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.onnx");
    generated("squeezenet1_1", 2, 3).export(&path, &ExportOptions::default()).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let needle = b"\"features.0\":\"features.0\"";
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at + needle.len() - 2] = b'9';
    let error = Classifier::from_onnx_bytes(bytes, "damaged").unwrap_err();
    assert!(error.to_string().contains("features.9"), "{error}");
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

//! The maps of all classes and VOICE against PyTorch, the authors' way (fixtures/atlas.py), and what must hold of them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../network/tests/common/mod.rs"]
mod generated;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use introspective_explain::{Atlas, ExplainError, Questions, atlas, explain};
use introspective_network::{
    Architecture, Classifier, NetworkError, Observation, Session, SessionOptions, Weights,
};
use ndarray::{Array1, Array2, Array3, ArrayView2, Axis};
use ndarray_npy::NpzReader;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn classifier(name: &str, classes: usize) -> Classifier {
    let architecture: Architecture = name.parse().unwrap();
    let bytes = generated::weights(&architecture.tensors(classes, 3));
    Classifier::from_zoo(architecture, Weights::from_bytes(bytes, "generated").unwrap()).unwrap()
}

fn session<'c>(classifier: &'c Classifier, layer: &str) -> Session<'c> {
    let layer = Some(layer.to_owned());
    Session::new(classifier, &SessionOptions { layer, ..SessionOptions::default() }).unwrap()
}

fn observed(session: &Session<'_>, height: usize, width: usize) -> (Observation, Atlas) {
    let observation = session.observe(generated::picture(3, height, width).view()).unwrap();
    let atlas = atlas(session, &observation).unwrap();
    (observation, atlas)
}

/// The largest difference, as a part of the expected values' range.
#[track_caller]
fn off(found: ArrayView2<'_, f32>, expected: ArrayView2<'_, f32>) -> f32 {
    assert_eq!(found.dim(), expected.dim());
    let low = expected.fold(f32::MAX, |m, &v| m.min(v));
    let high = expected.fold(f32::MIN, |m, &v| m.max(v));
    let worst = found.iter().zip(&expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    // the map of a class whose logit a ReLU holds at zero is zero
    if worst > 0.0 { worst / (high - low) } else { 0.0 }
}

#[track_caller]
fn case(file: &str, name: &str, [classes, height, width]: [usize; 3], layer: &str, closed: bool) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut npz =
        NpzReader::new(File::open(path.join(format!("atlas_{file}.npz"))).unwrap()).unwrap();
    let cam: Array3<f32> = npz.by_name("cam").unwrap();
    let rather_than: Array3<f32> = npz.by_name("rather_than").unwrap();
    let voice: Array2<f32> = npz.by_name("voice").unwrap();
    let summaries: Array1<f32> = npz.by_name("summaries").unwrap();

    let classifier = classifier(name, classes);
    let session = session(&classifier, layer);
    assert_eq!(session.has_closed_form(), closed);
    let (observation, atlas) = observed(&session, height, width);
    for (what, found, expected) in
        [("cam", &atlas.cam, &cam), ("rather_than", &atlas.rather_than, &rather_than)]
    {
        assert_eq!(found.dim(), expected.dim());
        for (class, (found, expected)) in found.outer_iter().zip(expected.outer_iter()).enumerate()
        {
            let off = off(found, expected);
            assert!(off < 1e-4, "{file} {what} of class {class}: {off:e} of the range");
        }
    }
    let found = atlas.voice(height, width).unwrap();
    let worst = found.map.iter().zip(&voice).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(worst < 1e-4, "{file} VOICE: {worst:e}");
    assert!((found.snr.unwrap() - f64::from(summaries[0])).abs() < 1e-4 * found.snr.unwrap());
    // a pixel at the threshold may fall on either side
    let pixel = 2.0 / (height * width) as f64;
    assert!((found.iou.unwrap() - f64::from(summaries[1])).abs() < pixel);
    equals_explain(&session, &observation, &atlas);
}

/// The rows of all classes are the maps that `explain` gives one by one.
fn equals_explain(session: &Session<'_>, observation: &Observation, atlas: &Atlas) {
    let questions = Questions { class: None, rather_than: atlas.others() };
    let explanation = explain(session, observation, &questions).unwrap();
    assert_eq!(explanation.probabilities, atlas.probabilities);
    assert_eq!(explanation.predicted, atlas.predicted);
    let why = atlas.why();
    assert_eq!(explanation.answers[0].asked, why.asked);
    assert!(off(why.raw.view(), explanation.answers[0].raw.view()) < 1e-5);
    for answer in &explanation.answers[2..] {
        let found = atlas.rather_than(answer.asked.contrast.unwrap()).unwrap();
        assert_eq!(found.asked, answer.asked);
        let off = off(found.raw.view(), answer.raw.view());
        assert!(off < 1e-4, "{:?}: {off:e}", answer.asked);
    }
}

#[test]
fn residual_networks() {
    case("cifar_resnet18", "cifar_resnet18", [10, 32, 32], "layer3", true);
    case("resnet18", "resnet18", [20, 96, 64], "layer4", true);
}

#[test]
fn an_earlier_layer_by_the_adjoint() {
    case("resnet18_adjoint", "resnet18", [12, 96, 64], "layer3", false);
}

/// Multiplied out from the classes, and from the positions.
#[test]
fn hidden_layers_with_masks() {
    case("alexnet", "alexnet", [7, 160, 127], "features.11", true);
    case("alexnet_small", "alexnet", [40, 79, 95], "features.11", true);
}

#[test]
fn a_relu_before_the_average() {
    case("squeezenet1_1", "squeezenet1_1", [20, 71, 90], "features.12", true);
    let layer = "features.12.expand3x3_activation";
    case("squeezenet1_1_half", "squeezenet1_1", [20, 71, 90], layer, true);
    case("densenet121", "densenet121", [11, 96, 80], "features.norm5", true);
}

/// Turning the classes' rows of the last layer turns the maps, and leaves VOICE as it is.
#[test]
fn classes_may_come_in_any_order() {
    let architecture: Architecture = "cifar_resnet18".parse().unwrap();
    let network = |turn: usize| {
        let mut tensors = Tensors::new();
        for (name, shape) in architecture.tensors(10, 3) {
            let mut values = generated::tensor(&name, &shape);
            if name.starts_with("fc.") {
                let row = values.len() / 10;
                values.rotate_left(turn * row);
            }
            tensors.insert(name, (shape, values));
        }
        let weights = Weights::from_bytes(generated::safetensors(&tensors), "turned").unwrap();
        Classifier::from_zoo(architecture, weights).unwrap()
    };
    let (straight, turned) = (network(0), network(3));
    let (_, straight) = observed(&session(&straight, "layer3"), 32, 32);
    let (_, turned) = observed(&session(&turned, "layer3"), 32, 32);
    assert_eq!((turned.predicted + 3) % 10, straight.predicted);
    for class in 0..10 {
        let before = (class + 3) % 10;
        for (a, b) in [(&turned.cam, &straight.cam), (&turned.rather_than, &straight.rather_than)] {
            let (a, b) = (a.index_axis(Axis(0), class), b.index_axis(Axis(0), before));
            assert!(off(a, b) < 1e-5);
        }
    }
    let [a, b] = [&turned, &straight].map(|atlas| atlas.voice(32, 32).unwrap());
    assert!(off(a.map.view(), b.map.view()) < 1e-5);
    let ranking = |atlas: &Atlas, turn: usize| -> Vec<usize> {
        atlas.ranking(9).iter().map(|ranked| (ranked.class + turn) % 10).collect()
    };
    assert_eq!(ranking(&turned, 3), ranking(&straight, 0));
}

/// At conv1 the upstream rows of 60 classes take several batches.
#[test]
fn batches_of_classes_are_put_together() {
    let classifier = classifier("resnet18", 60);
    let session = session(&classifier, "conv1");
    let (observation, atlas) = observed(&session, 64, 64);
    equals_explain(&session, &observation, &atlas);
}

#[test]
fn an_observation_of_another_session_is_refused() {
    let classifier = classifier("cifar_resnet18", 4);
    let (one, other) = (session(&classifier, "layer3"), session(&classifier, "layer3"));
    let (observation, _) = observed(&one, 32, 32);
    let refused = atlas(&other, &observation).unwrap_err();
    assert!(matches!(refused, ExplainError::Network(NetworkError::Shape { .. })), "{refused}");
}

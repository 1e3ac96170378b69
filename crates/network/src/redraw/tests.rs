//! What is re-drawn, and what stays.

use std::collections::BTreeMap;

use ndarray::Array4;

use super::Redraw;
use crate::error::NetworkError;
use crate::extractor::{Extractor, ExtractorOptions};
use crate::graph::{Axis, Graph};
use crate::layers::Layers;
use crate::weights::Weights;
use crate::zoo::Architecture;
use crate::{Classifier, common, embedded};

/// Initialisers by name, as float32.
fn tensors(classifier: &Classifier) -> BTreeMap<String, Vec<f32>> {
    let values = |index: usize| {
        let tensor = &classifier.graph.initializers[index];
        let mut raw = Vec::new();
        classifier.runtime.write_widened(tensor, &mut raw).unwrap();
        let floats = raw.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        (tensor.name.clone(), floats)
    };
    (0..classifier.graph.initializers.len()).map(values).collect()
}

fn sorted(values: &[f32]) -> Vec<f32> {
    let mut values = values.to_vec();
    values.sort_by(f32::total_cmp);
    values
}

fn generated(name: &str) -> Classifier {
    let architecture: Architecture = name.parse().unwrap();
    let bytes = common::weights(&architecture.tensors(5, 3));
    Classifier::from_zoo(architecture, Weights::from_bytes(bytes, "generated").unwrap()).unwrap()
}

/// Names of the tensors whose numbers stand elsewhere; all have the same numbers as before.
fn changed(before: &Classifier, after: &Classifier) -> Vec<String> {
    let (before, after) = (tensors(before), tensors(after));
    assert!(before.keys().eq(after.keys()));
    let mut changed = Vec::new();
    for ((name, before), after) in before.iter().zip(after.values()) {
        assert_eq!(sorted(before), sorted(after), "{name}");
        if before != after {
            changed.push(name.clone());
        }
    }
    changed
}

#[test]
fn of_each_weight_the_numbers_stay_and_their_places_change() {
    for name in ["cifar_resnet18", "squeezenet1_1", "densenet121"] {
        let classifier = generated(name);
        let all = changed(&classifier, &classifier.redrawn(Redraw::All, 3).unwrap());
        // normalisations have one axis
        let expected: Vec<String> = name
            .parse::<Architecture>()
            .unwrap()
            .tensors(5, 3)
            .into_iter()
            .filter(|(name, shape)| name.ends_with("weight") && shape.len() > 1)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(all, expected, "{name}");
        assert_eq!(classifier.weighted_layers().len(), expected.len(), "{name}");
    }
}

#[test]
fn the_cascade_goes_from_the_logits_down() {
    let classifier = generated("cifar_resnet18");
    let layers = classifier.weighted_layers();
    assert_eq!((layers[0], layers[layers.len() - 1]), ("fc", "conv1"));
    let of = |which| classifier.redrawn(which, 0).unwrap();
    assert_eq!(changed(&classifier, &of(Redraw::Head)), ["fc.weight"]);
    assert_eq!(changed(&classifier, &of(Redraw::Last(0))).len(), 0);
    let last = changed(&classifier, &of(Redraw::Last(3)));
    assert_eq!(last, ["fc.weight", "layer3.1.conv1.weight", "layer3.1.conv2.weight"]);
    // the more is drawn, the more is the same
    let (head, all) = (tensors(&of(Redraw::Head)), tensors(&of(Redraw::All)));
    assert_eq!(head["fc.weight"], all["fc.weight"]);
    assert_eq!(changed(&of(Redraw::All), &of(Redraw::Last(usize::MAX))).len(), 0);
}

#[test]
fn a_seed_is_one_draw() {
    let classifier = generated("cifar_resnet18");
    let draw = |seed| tensors(&classifier.redrawn(Redraw::All, seed).unwrap());
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1)["conv1.weight"], draw(2)["conv1.weight"]);
}

#[test]
fn half_precision_is_widened_and_the_copy_runs_beside_its_original() {
    let classifier = embedded::squeezenet().unwrap();
    let copy = classifier.redrawn(Redraw::Head, 0).unwrap();
    assert_eq!(changed(&classifier, &copy), ["classifier.1.weight"]);
    assert_eq!(copy.sha256(), classifier.sha256());
    assert!(copy.name().contains("re-drawn (head)"), "{}", copy.name());
    let picture = Array4::from_elem((1, 3, 64, 64), 0.5);
    let logits = |classifier| {
        let extractor = Extractor::of_logits(classifier, &ExtractorOptions::default()).unwrap();
        let features = extractor.extract(picture.view()).unwrap();
        assert_eq!((features.h.dim(), extractor.width()), ((1, 0), 0));
        features.z
    };
    assert_ne!(logits(&classifier), logits(&copy));
    let whole = Extractor::new(&classifier, &ExtractorOptions::default()).unwrap();
    assert_eq!(whole.extract(picture.view()).unwrap().z, logits(&classifier));
}

/// As exporters write linear layers: the constant goes through Transpose, or two layers share it.
fn by_hand() -> Classifier {
    let mut graph = Graph::default();
    graph.input("x", &[Axis::Free("n"), Axis::Fixed(3), Axis::Free("h"), Axis::Free("w")]);
    let numbers: Vec<f32> = (0..12).map(|n| n as f32).collect();
    graph.floats("kernel", &[4, 3, 1, 1], &numbers);
    graph.floats("square", &[4, 4], &numbers.repeat(2)[..16]);
    graph.floats("slope", &[4], &numbers[..4]);
    graph.node("Conv", "conv", &["x", "kernel"], &["maps"], Vec::new());
    graph.node("GlobalAveragePool", "pool", &["maps"], &["mean"], Vec::new());
    graph.node("Flatten", "flat", &["mean"], &["flat"], Vec::new());
    graph.node("Transpose", "turn", &["square"], &["turned"], Vec::new());
    graph.node("MatMul", "first", &["flat", "turned"], &["one"], Vec::new());
    graph.node("Mul", "scale", &["one", "slope"], &["scaled"], Vec::new());
    graph.node("MatMul", "second", &["scaled", "square"], &["z"], Vec::new());
    Classifier::assemble(crate::classifier::Parts {
        name: "by hand".to_owned(),
        graph,
        layers: Layers::default(),
        logits: "z".to_owned(),
        classes: 4,
        channels: 3,
        input_size: None,
        one_at_a_time: false,
        default_layer: String::new(),
        bytes: Vec::new().into(),
        sha256: String::new(),
        origin: String::new(),
    })
    .unwrap()
}

#[test]
fn constants_are_found_behind_transpositions_and_shared_ones_stay_shared() {
    let classifier = by_hand();
    assert_eq!(classifier.weighted_layers(), ["z", "one", "maps"]);
    let head = classifier.redrawn(Redraw::Head, 0).unwrap();
    assert_eq!(changed(&classifier, &head), ["square"]);
    let all = classifier.redrawn(Redraw::All, 0).unwrap();
    assert_eq!(changed(&classifier, &all), ["kernel", "square"]);
    assert_eq!(tensors(&head)["square"], tensors(&all)["square"]);
}

#[test]
fn without_weights_there_is_nothing_to_draw() {
    let mut classifier = by_hand();
    classifier.graph.nodes.retain(|node| matches!(node.operator.as_str(), "GlobalAveragePool"));
    let error = classifier.redrawn(Redraw::All, 0).unwrap_err();
    assert!(matches!(error, NetworkError::NoWeights { .. }), "{error}");
}

//! Gradients against finite differences of the part of the network above a layer.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashSet;

use ndarray::{Array1, Array2, Array3, Axis};

use crate::graph::{Axis as Extent, Graph};
use crate::runtime::LoadOptions;
use crate::{Architecture, Classifier, Session, SessionOptions, Weights, common};

/// The logits as a function of a layer's activations.
struct Tail {
    engine: crate::runtime::Engine,
}

impl Tail {
    fn new(classifier: &Classifier, layer: &str, channels: usize) -> Self {
        let (_, target) = classifier.layers.find(&classifier.name, layer).unwrap();
        let forward = &classifier.graph;
        let mut graph = Graph { initializers: forward.initializers.clone(), ..Graph::default() };
        let free =
            [Extent::Free("n"), Extent::Fixed(channels), Extent::Free("h"), Extent::Free("w")];
        graph.input(target, &free);
        // all that leads to the logits, from the target on
        let mut wanted = HashSet::from([classifier.logits.as_str()]);
        for node in forward.nodes.iter().rev() {
            let output = node.outputs[0].as_str();
            if output != target && wanted.contains(output) {
                wanted.extend(node.inputs.iter().map(String::as_str));
                graph.nodes.push(node.clone());
            }
        }
        graph.nodes.reverse();
        let engine =
            classifier.runtime.load(&graph, &[&classifier.logits], LoadOptions::default()).unwrap();
        Self { engine }
    }

    fn logits(&self, activations: &Array3<f32>) -> Array1<f64> {
        let input = activations.view().insert_axis(Axis(0)).into_dyn();
        self.engine.run(&[input]).unwrap()[0].iter().map(|&z| f64::from(z)).collect()
    }
}

/// Moving every channel k of the activations by `step * v_k` everywhere moves `sum_n g_n z_n` by
/// `step * positions * alpha . v` to first order; the error of central differences is of second order
/// but for the ReLUs and poolings that change their mind within a step.
fn check(architecture: Architecture, layer: &str, step: f32) {
    let shapes = architecture.tensors(6, 3);
    let weights = Weights::from_bytes(common::weights(&shapes), "generated").unwrap();
    let classifier = Classifier::from_zoo(architecture, weights).unwrap();
    for without_closed_form in [true, false] {
        let options = SessionOptions {
            layer: Some(layer.to_owned()),
            without_closed_form,
            ..SessionOptions::default()
        };
        let session = Session::new(&classifier, &options).unwrap();
        if session.has_closed_form() == without_closed_form {
            continue; // this layer has no closed form, and the adjoint had its turn
        }
        let observation = session.observe(common::picture(3, 64, 80).view()).unwrap();
        let (channels, height, width) = observation.activations.dim();
        let tail = Tail::new(&classifier, layer, channels);

        let mut noise = common::uniform("direction").map(|u| 2.0 * u as f32 - 1.0);
        let upstream: Array1<f32> = noise.by_ref().take(6).collect();
        let rows = Array2::from_shape_vec((1, 6), upstream.to_vec()).unwrap();
        let alpha = session.alpha(&observation, rows.view()).unwrap();
        let (mut distance, mut length) = (0.0, 0.0);
        for _ in 0..8 {
            let direction: Array1<f32> = noise.by_ref().take(channels).collect();
            let moved = |step: f32| -> f64 {
                let mut activations = observation.activations.clone();
                for (mut map, &v) in activations.outer_iter_mut().zip(&direction) {
                    map += step * v;
                }
                tail.logits(&activations).dot(&upstream.mapv(f64::from))
            };
            let measured = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
            let predicted = f64::from(alpha.row(0).dot(&direction)) * (height * width) as f64;
            distance += (measured - predicted).powi(2);
            length += predicted.powi(2);
        }
        let error = (distance / length).sqrt();
        println!("{architecture} {layer} closed={}: {error:.1e}", !without_closed_form);
        assert!(error < 0.02, "{architecture} {layer}: off by {error} of the gradient");
    }
}

#[test]
fn closed_forms_and_adjoints_are_gradients() {
    check(Architecture::ResNet18, "layer4", 1e-3);
    check(Architecture::SqueezeNet1_1, "features.12", 1e-4);
    check(Architecture::ResNet50, "layer3", 1e-3);
    check(Architecture::ResNet18, "layer1", 3e-4);
    check(Architecture::ResNet18, "relu", 1e-4);
    check(Architecture::SqueezeNet1_0, "features.5", 1e-4);
    check(Architecture::ResNeXt50_32x4d, "layer2", 3e-4);
    check(Architecture::CifarResNet50, "layer3", 1e-3);
    check(Architecture::CifarResNet50, "layer2.0", 3e-4);
    check(Architecture::DenseNet121, "features.norm5", 1e-4);
    check(Architecture::DenseNet121, "features.transition2", 1e-4);
    check(Architecture::AlexNet, "features.11", 1e-4);
    check(Architecture::AlexNet, "features.8", 1e-4);
}

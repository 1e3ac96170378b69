//! Every module of torchvision's has a layer of its name, with the value that a hook on it sees
//! (`tests/fixtures/parity.py`), for one network of each family.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::path::Path;

use ndarray::{ArrayD, Axis};

use crate::runtime::LoadOptions;
use crate::{Architecture, Classifier, Session, SessionOptions, Weights, common};

/// All values of one run.
fn values(classifier: &Classifier, picture: &ArrayD<f32>) -> HashMap<String, ArrayD<f32>> {
    let names: Vec<&str> = classifier.layers.iter().map(|(module, _)| module).collect();
    let outputs: Vec<&str> = classifier.layers.iter().map(|(_, value)| value).collect();
    let mut distinct = outputs.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let engine =
        classifier.runtime.load(&classifier.graph, &distinct, LoadOptions::default()).unwrap();
    let results: HashMap<&str, ArrayD<f32>> =
        distinct.iter().copied().zip(engine.run(&[picture.view()]).unwrap()).collect();
    names
        .into_iter()
        .zip(&outputs)
        .map(|(n, value)| (n.to_owned(), results[value].clone()))
        .collect()
}

fn check(architecture: Architecture, [height, width]: [usize; 2]) {
    let file = format!("tests/fixtures/modules_{architecture}.txt");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let weights = common::weights(&architecture.tensors(6, 3));
    let weights = Weights::from_bytes(weights, "generated").unwrap();
    let classifier = Classifier::from_zoo(architecture, weights).unwrap();
    let picture = common::picture(3, height, width);
    let values = values(&classifier, &picture.clone().insert_axis(Axis(0)).into_dyn());

    for (index, line) in text.lines().enumerate() {
        let [module, shape, mean, magnitude] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        assert_eq!(classifier.find_layer(&module.replace('.', "_")).unwrap(), module);
        let value = values.get(module).unwrap_or_else(|| panic!("no layer {module}"));
        let shape: Vec<usize> = shape.split('x').map(|d| d.parse().unwrap()).collect();
        assert_eq!(value.shape(), shape, "{module}");
        let scale: f64 = magnitude.parse().unwrap();
        let found = value.mapv(f64::from);
        let found = [found.mean().unwrap(), found.mapv(f64::abs).mean().unwrap()];
        for (found, expected) in found.into_iter().zip([mean, magnitude]) {
            let expected: f64 = expected.parse().unwrap();
            assert!((found - expected).abs() <= 1e-5 * scale, "{module}: {found} for {expected}");
        }
        // the same through the public door, gradients prepared; each takes a run, so not for all
        if index % 12 == 0 && shape.len() == 4 {
            let options =
                SessionOptions { layer: Some(module.to_owned()), ..SessionOptions::default() };
            let session = Session::new(&classifier, &options).unwrap();
            let observed = session.observe(picture.view()).unwrap();
            assert_eq!(observed.activations.into_dyn(), value.index_axis(Axis(0), 0), "{module}");
        }
    }
}

#[test]
fn every_module_of_a_resnet_by_name() {
    check(Architecture::ResNet50, [64, 80]);
    check(Architecture::CifarResNet18, [32, 40]);
}

#[test]
fn every_module_of_a_squeezenet_by_name() {
    check(Architecture::SqueezeNet1_1, [64, 80]);
}

#[test]
fn every_module_of_alexnet_by_name() {
    check(Architecture::AlexNet, [80, 64]);
}

#[test]
fn every_module_of_a_vgg_by_name() {
    check(Architecture::VGG11_BN, [40, 72]);
}

#[test]
fn every_module_of_a_densenet_by_name() {
    check(Architecture::DenseNet121, [64, 80]);
}

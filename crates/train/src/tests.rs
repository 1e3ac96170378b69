//! The room against PyTorch, against the engine that explains, and against itself.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

#[path = "../../network/tests/common/mod.rs"]
mod common;

mod consistency;
mod gradients;
mod kernels;
mod prediction;
mod recipes;
mod resuming;
mod robust;
mod steps;

use std::collections::HashMap;

use burn_tensor::{Device, Tensor, TensorData};
use introspective_network::{Architecture, Blueprint, Classifier, Weights};

/// A network of generated weights, once for the engine that explains and once as what is trained.
struct Twins {
    classifier: Classifier,
    blueprint: Blueprint,
    indices: HashMap<String, usize>,
    shapes: Vec<Vec<usize>>,
    values: Vec<Vec<f32>>,
}

impl Twins {
    fn new(name: &str, classes: usize) -> Self {
        let architecture: Architecture = name.parse().unwrap();
        let blueprint = architecture.blueprint(classes, 3);
        let weights =
            Weights::from_bytes(common::weights(blueprint.tensors()), "generated").unwrap();
        let names = blueprint.tensors().iter().map(|(name, _)| name.clone());
        Self {
            classifier: Classifier::from_zoo(architecture, weights).unwrap(),
            indices: names.enumerate().map(|(index, name)| (name, index)).collect(),
            shapes: blueprint.tensors().iter().map(|(_, shape)| shape.clone()).collect(),
            values: blueprint
                .tensors()
                .iter()
                .map(|(name, shape)| common::tensor(name, shape))
                .collect(),
            blueprint,
        }
    }

    fn tensors(&self, device: &Device) -> Vec<Tensor<1>> {
        self.values
            .iter()
            .map(|values| {
                Tensor::from_data(TensorData::new(values.clone(), [values.len()]), device)
            })
            .collect()
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// The largest difference of numbers, as a share of the largest of them.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
    let difference = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    difference / largest
}

fn random(name: &str, count: usize) -> Vec<f32> {
    common::uniform(name).take(count).map(|u| (2.0 * u - 1.0) as f32).collect()
}

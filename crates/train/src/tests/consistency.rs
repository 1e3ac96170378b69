//! AugMix's consistency loss is PyTorch's: the reference (`tests/fixtures/consistency.py`) is in double precision.

use burn_tensor::{Device, Tensor, TensorData};
use introspective_network::Architecture;
use safetensors::SafeTensors;

use super::steps::numbers;
use super::{common, difference, values};
use crate::consistency::divergence;
use crate::network::Network;
use crate::optimizer::Optimizer;

const CLASSES: usize = 7;

fn bytes() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/consistency.safetensors"))
        .unwrap()
}

#[test]
fn its_value_and_gradient() {
    let bytes = bytes();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for name in ["mild", "extreme"] {
        let logits = numbers(&file, &format!("{name}.logits"));
        let rows = logits.len() / CLASSES;
        let logits =
            Tensor::<2>::from_data(TensorData::new(logits, [rows, CLASSES]), &Device::flex());
        let logits = logits.autodiff().require_grad();
        let loss = divergence(logits.clone());
        let value = values(loss.clone().inner());
        let expected = numbers(&file, &format!("{name}.value"));
        assert!(difference(&value, &expected) < 1e-6, "{name}: {value:?}, {expected:?}");
        let gradient = values(logits.grad(&loss.backward()).unwrap());
        let expected = numbers(&file, &format!("{name}.gradient"));
        let error = difference(&gradient, &expected);
        assert!(error < 2e-6, "{name}: {error:e} of the largest gradient");
    }
}

#[test]
fn logits_beyond_all_measure_leave_it_a_number() {
    let device = Device::flex();
    let logits: Vec<f32> = (0..6).map(|i| if i % 2 == 0 { 3e4 } else { -3e4 }).collect();
    let logits = Tensor::<2>::from_data(TensorData::new(logits, [3, 2]), &device);
    let logits = logits.autodiff().require_grad();
    let loss = divergence(logits.clone());
    assert_eq!(values(loss.clone().inner()), [0.0]);
    assert!(values(logits.grad(&loss.backward()).unwrap()).iter().all(|v| *v == 0.0));
}

/// The normalisation sees all views at once, cross-entropy and score only the first ones.
#[test]
fn a_step_on_three_views() {
    let bytes = bytes();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let architecture: Architecture = "cifar_resnet18".parse().unwrap();
    let blueprint = architecture.blueprint(CLASSES, 3);
    let before: Vec<Vec<f32>> =
        blueprint.tensors().iter().map(|(name, shape)| common::tensor(name, shape)).collect();
    let optimizer = (Optimizer::Sgd { momentum: 0.9, nesterov: false }, 5e-4);
    let mut network =
        Network::new(&blueprint, before.clone(), 32, optimizer, 0, Device::flex()).unwrap();
    let pixels = common::uniform("three views").map(|u| 2.0 * u as f32 - 1.0);
    let batch: Vec<f32> = pixels.take(12 * 3 * 32 * 32).collect();
    let labels: Vec<usize> = (0..4).map(|i| 3 * i % CLASSES).collect();
    let score = network.step(batch, &labels, 0.05, Some(12.0)).unwrap();
    assert_eq!(score.count, 4);
    let expected = numbers(&file, "step.losses");
    let found = [score.mean_loss() as f32, score.mean_divergence() as f32];
    assert!(difference(&found[..1], &expected[..1]) < 1e-5, "{found:?}, {expected:?}");
    assert!(difference(&found[1..], &expected[1..]) < 1e-4, "{found:?}, {expected:?}");
    let (changes, largest) = (numbers(&file, "step.change"), numbers(&file, "step.largest"));
    let mut shares = Vec::new();
    for (index, tensor) in network.state().unwrap().tensors.iter().enumerate() {
        for k in 0..4 {
            let place = k * tensor.len() / 4;
            let (old, expected) = (before[index][place], changes[4 * index + k]);
            // weights themselves are rounded to float32
            let error = (tensor[place] - old - expected).abs() - old.abs() * f32::EPSILON;
            shares.push(error.max(0.0) / largest[index].max(1e-6));
        }
    }
    shares.sort_by(f32::total_cmp);
    let (middle, worst) = (shares[shares.len() / 2], shares[shares.len() - 1]);
    println!("median {middle:.1e}, worst {worst:.1e} of the largest change");
    assert!(middle < 1e-6 && worst < 1e-5, "{middle:e}, {worst:e} of the largest change");
}

//! Two steps of training are PyTorch's: the reference (`tests/fixtures/steps.py`) is in double precision.

use burn_tensor::Device;
use introspective_network::Architecture;
use safetensors::SafeTensors;

use super::common;
use crate::network::Network;
use crate::optimizer::Optimizer;

const CLASSES: usize = 7;

fn numbers(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let (words, _) = file.tensor(name).unwrap().data().as_chunks::<4>();
    words.iter().map(|&word| f32::from_le_bytes(word)).collect()
}

/// Largest error of a tensor's change, as a share of the largest change in that tensor, and the same of PyTorch in
/// single precision.
fn worst(name: &str, side: usize, batch: usize, rate: f64, nesterov: bool) -> (String, f64, f64) {
    let bytes =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/steps.safetensors"));
    let bytes = bytes.unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let architecture: Architecture = name.parse().unwrap();
    let blueprint = architecture.blueprint(CLASSES, 3);
    let before: Vec<Vec<f32>> =
        blueprint.tensors().iter().map(|(name, shape)| common::tensor(name, shape)).collect();
    let optimizer = (Optimizer::Sgd { momentum: 0.9, nesterov }, 5e-4);
    let mut network =
        Network::new(&blueprint, before.clone(), side, optimizer, 0, Device::flex()).unwrap();
    network.forget_dropout();
    let pixels = common::uniform(&format!("batch of {name}")).map(|u| (2.0 * u - 1.0) as f32);
    let x: Vec<f32> = pixels.take(batch * 3 * side * side).collect();
    let labels: Vec<usize> = (0..batch).map(|i| 3 * i % CLASSES).collect();
    for expected in numbers(&file, &format!("{name}.losses")) {
        let score = network.step(x.clone(), &labels, rate).unwrap();
        let found = score.mean_loss();
        assert!(
            (found - f64::from(expected)).abs() < 1e-4 * (1.0 + found),
            "{name}: loss {found}, {expected}"
        );
    }
    let state = network.state().unwrap();
    let changes = numbers(&file, &format!("{name}.change"));
    let largest = numbers(&file, &format!("{name}.largest"));
    let mut worst = (String::new(), 0.0);
    for (index, tensor) in state.tensors.iter().enumerate() {
        for k in 0..4 {
            let place = k * tensor.len() / 4;
            let change = tensor[place] - before[index][place];
            let error = f64::from((change - changes[4 * index + k]).abs());
            // weights themselves are rounded to float32
            let rounding = f64::from(before[index][place].abs()) * f64::from(f32::EPSILON);
            let share = (error - rounding).max(0.0) / f64::from(largest[index].max(1e-6));
            if share > worst.1 {
                worst = (network.names()[index].clone(), share);
            }
        }
    }
    (worst.0, worst.1, f64::from(numbers(&file, &format!("{name}.single"))[0]))
}

#[test]
fn two_steps_are_pytorchs() {
    let networks = [
        ("cifar_resnet18", 32, 8, 0.05, false),
        ("squeezenet1_1", 64, 4, 0.01, true),
        ("densenet121", 64, 4, 0.001, false),
        ("vgg11_bn", 32, 4, 0.001, false),
    ];
    for (name, side, batch, rate, nesterov) in networks {
        let (tensor, share, single) = worst(name, side, batch, rate, nesterov);
        println!("{name}: {share:.1e} at {tensor}, PyTorch in single precision {single:.1e}");
        let allowed = 4.0 * single + 1e-5;
        assert!(share < allowed, "{name}: {tensor} is wrong by {share:e} of its largest change");
    }
}

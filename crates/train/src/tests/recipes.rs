//! Optimisers and schedules are PyTorch's (`tests/fixtures/steps.py`), initial weights torchvision's laws.

use burn_tensor::{Device, Tensor, TensorData};
use introspective_network::Architecture;
use safetensors::SafeTensors;

use super::steps::{bytes, numbers};
use super::{difference, values};
use crate::initial::initial;
use crate::optimizer::Optimizer;
use crate::schedule::Schedule;

#[test]
fn optimisers() {
    let bytes = bytes();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let device = Device::flex();
    let vector =
        |values: &[f32]| Tensor::<1>::from_data(TensorData::new(values.to_vec(), [6]), &device);
    let sgd = |nesterov| Optimizer::Sgd { momentum: 0.9, nesterov };
    for (name, optimizer, rate, decay) in [
        ("sgd", sgd(false), 0.1, 5e-4),
        ("nesterov", sgd(true), 0.1, 5e-4),
        ("adamw", Optimizer::AdamW, 0.01, 0.05),
    ] {
        let mut weight = vector(&numbers(&file, "optimizer.start"));
        let mut memory = optimizer.start(6, &device);
        let gradients = numbers(&file, "optimizer.gradients");
        for (step, gradient) in gradients.chunks(6).enumerate() {
            (weight, memory) = optimizer.step(weight, vector(gradient), memory, rate, decay, step);
        }
        let expected = numbers(&file, &format!("optimizer.{name}"));
        let error = difference(&values(weight), &expected);
        assert!(error < 1e-6, "{name}: {error:e}");
    }
}

#[test]
fn schedules() {
    let bytes = bytes();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let found: Vec<f32> =
        (0..40).map(|step| Schedule::OneCycle.rate(0.1, 0, step, 40) as f32).collect();
    assert!(difference(&found, &numbers(&file, "schedule.one_cycle")) < 1e-6);
    let steps = Schedule::steps(200);
    let found: Vec<f32> = (0..200).map(|epoch| steps.rate(0.1, epoch, 0, 0) as f32).collect();
    assert!(difference(&found, &numbers(&file, "schedule.steps")) < 1e-6);
    let Schedule::Steps { milestones, .. } = Schedule::steps(30) else { panic!() };
    assert_eq!(milestones, [9, 18, 24]);
    // too short for a way up
    assert!((Schedule::OneCycle.rate(0.1, 0, 0, 1) - 0.1).abs() < 1e-12);
}

/// Mean and standard deviation.
fn moments(values: &[f32]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let squares = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>();
    (mean, (squares / count).sqrt())
}

#[test]
fn initial_weights() {
    let of = |name: &str, tensor: &str, seed: u64| {
        let architecture: Architecture = name.parse().unwrap();
        let blueprint = architecture.blueprint(10, 3);
        let index = blueprint.tensors().iter().position(|(name, _)| name == tensor).unwrap();
        initial(&blueprint, seed).swap_remove(index)
    };
    // fan out 64 * 9, fan in 128 * 9, fan in 512
    for (name, tensor, deviation) in [
        ("cifar_resnet18", "layer3.1.conv2.weight", (2.0_f64 / 576.0).sqrt()),
        ("densenet121", "features.denseblock1.denselayer1.conv2.weight", (2.0_f64 / 1152.0).sqrt()),
        ("squeezenet1_1", "features.3.expand3x3.weight", (2.0_f64 / 144.0).sqrt()),
        ("squeezenet1_1", "classifier.1.weight", 0.01),
        ("resnet18", "fc.weight", (512.0_f64 * 3.0).sqrt().recip()),
    ] {
        let values = of(name, tensor, 3);
        let (mean, found) = moments(&values);
        let sure = 4.0 / (values.len() as f64).sqrt();
        assert!((found / deviation - 1.0).abs() < sure, "{name} {tensor}: {found}, {deviation}");
        assert!((mean / deviation).abs() < sure, "{name} {tensor}: mean {mean}");
    }
    assert!(of("resnet18", "fc.weight", 3).iter().all(|v| v.abs() <= 512.0_f32.sqrt().recip()));
    assert!(of("resnet18", "bn1.weight", 3).iter().all(|&v| v == 1.0));
    assert!(of("resnet18", "bn1.running_var", 3).iter().all(|&v| v == 1.0));
    assert!(of("resnet18", "bn1.running_mean", 3).iter().all(|&v| v == 0.0));
    assert!(of("squeezenet1_1", "features.0.bias", 3).iter().all(|&v| v == 0.0));
    assert_ne!(of("resnet18", "fc.weight", 3), of("resnet18", "fc.weight", 4));
}

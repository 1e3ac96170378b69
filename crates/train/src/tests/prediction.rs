//! A trained network predicts here what it predicts in the engine that explains.

use burn_tensor::{Device, Tensor, TensorData};
use introspective_network::{Session, SessionOptions};

use super::{Twins, common, difference, values};
use crate::program::{Mode, Program};

fn compare(name: &str, side: usize) {
    let twins = Twins::new(name, 5);
    let picture = common::picture(3, side, side);
    let session = Session::new(&twins.classifier, &SessionOptions::default()).unwrap();
    let expected = session.observe(picture.view()).unwrap().logits.to_vec();
    let device = Device::flex();
    let pixels = picture.iter().copied().collect::<Vec<f32>>();
    let x = Tensor::from_data(TensorData::new(pixels, [1, 3, side, side]), &device);
    let kernels = Program::new(&twins.blueprint, [side; 2], &twins.indices, &device).unwrap();
    let composed = Program::composed(&twins.blueprint, [side; 2], &twins.indices).unwrap();
    for (program, what) in [(kernels, "kernels"), (composed, "burn's operations")] {
        let tensors = twins.tensors(&device);
        let logits = program.run(&tensors, &twins.shapes, x.clone(), Mode::Predict);
        let error = difference(&values(logits), &expected);
        assert!(error < 1e-5, "{name} by {what}: {error:e} of the largest logit");
    }
}

#[test]
fn residual_networks() {
    compare("cifar_resnet18", 32);
    compare("cifar_resnet50", 28);
    compare("resnet18", 64);
    compare("resnext50_32x4d", 64);
}

#[test]
fn networks_of_concatenations() {
    compare("squeezenet1_0", 64);
    compare("squeezenet1_1", 64);
    compare("densenet121", 64);
}

#[test]
fn networks_with_adaptive_pooling() {
    compare("alexnet", 90);
    compare("vgg11_bn", 64);
}

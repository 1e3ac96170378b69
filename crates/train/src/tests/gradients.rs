//! Two ways to the gradient of logits at a layer: burn's record of what was computed, and the adjoint graph or the closed
//! form of the engine that explains.

use burn_tensor::{Device, Tensor, TensorData};
use introspective_network::{Session, SessionOptions};
use ndarray::Array2;

use super::{Twins, common, difference, values};
use crate::program::Program;

/// `alpha = mean over positions of g . dz/dA` at a layer, for one combination g of the logits.
fn compare(name: &str, side: usize, layer: &str, classes: usize) {
    let twins = Twins::new(name, classes);
    let picture = common::picture(3, side, side);
    let options = SessionOptions {
        layer: Some(layer.to_owned()),
        without_closed_form: true,
        ..SessionOptions::default()
    };
    let session = Session::new(&twins.classifier, &options).unwrap();
    let observation = session.observe(picture.view()).unwrap();
    let g: Vec<f32> = (0..classes).map(|class| class as f32 - 1.5).collect();
    let rows = Array2::from_shape_vec((1, classes), g.clone()).unwrap();
    let expected = session.alpha(&observation, rows.view()).unwrap();

    let device = Device::flex();
    let pixels = picture.iter().copied().collect::<Vec<f32>>();
    let x = Tensor::from_data(TensorData::new(pixels, [1, 3, side, side]), &device).autodiff();
    let program = Program::composed(&twins.blueprint, [side; 2], &twins.indices).unwrap();
    let (channels, height, width) = observation.activations.dim();
    let zero = Tensor::zeros([1, channels, height, width], &device).autodiff().require_grad();
    let tensors: Vec<Tensor<1>> =
        twins.tensors(&device).into_iter().map(Tensor::autodiff).collect();
    // the value that the layer's name stands for
    let value = twins.blueprint.layer(layer).unwrap();
    let logits = program.run_with_more((&tensors, &twins.shapes), x, value, &zero);
    let upstream = Tensor::<2>::from_data(TensorData::new(g, [1, classes]), &device).autodiff();
    let gradients = (logits * upstream).sum().backward();
    let at_layer = zero.grad(&gradients).unwrap();
    let alpha = values(at_layer.mean_dim(3).mean_dim(2));
    let expected: Vec<f32> = expected.iter().copied().collect();
    let error = difference(&alpha, &expected);
    assert!(error < 1e-4, "{name} at {layer}: {error:e} of the largest alpha");
}

#[test]
fn alpha_of_a_residual_network() {
    compare("cifar_resnet18", 32, "layer3", 5);
    compare("cifar_resnet18", 32, "layer2", 5);
}

#[test]
fn alpha_of_a_network_of_concatenations() {
    compare("densenet121", 64, "features.denseblock3", 4);
    compare("squeezenet1_1", 64, "features.9", 4);
}

//! The kernels against burn's own operations, forward and backward, in shapes of all kinds.

use std::sync::Arc;

use burn_tensor::{Device, Tensor, TensorData};

use super::{difference, random, values};
use crate::kernels::convolution::Convolution;
use crate::kernels::geometry::Window;
use crate::operations::{self, Affine};

fn tensor<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    let numbers = random(name, shape.iter().product());
    let device = Device::flex();
    Tensor::from_data(TensorData::new(numbers, shape), &device).autodiff().require_grad()
}

/// `[batch, from, to]`, height and width.
fn convolve(window: &Window, [batch, from, to]: [usize; 3], size: [usize; 2]) {
    let plan = Arc::new(Convolution::new(window, size, from, to).unwrap());
    let [height, width] = plan.output();
    let [a, b] = window.kernel;
    let run = |kernels: bool| {
        let x = tensor("x", [batch, from, size[0], size[1]]);
        let weight = tensor("weight", [to, from, a, b]);
        let y = if kernels {
            operations::convolution(x.clone(), weight.clone(), &plan)
        } else {
            operations::composed_convolution(x.clone(), weight.clone(), window, 1)
        };
        let gradients = (y.clone() * tensor("g", [batch, to, height, width])).sum().backward();
        let (gx, gw) = (x.grad(&gradients).unwrap(), weight.grad(&gradients).unwrap());
        [values(y.inner()), values(gx), values(gw)]
    };
    let (found, expected) = (run(true), run(false));
    for (what, (found, expected)) in
        ["y", "gx", "gw"].into_iter().zip(found.into_iter().zip(expected))
    {
        let error = difference(&found, &expected);
        assert!(error < 1e-5, "{window:?} on {size:?}: {what} is wrong by {error:e}");
    }
}

#[test]
fn convolutions() {
    let cases = [
        ([3, 3], [1, 1], [1; 4], [3, 5, 6], [8, 8]),
        ([3, 3], [1, 1], [1; 4], [33, 16, 16], [9, 7]),
        ([3, 3], [2, 2], [1; 4], [3, 4, 6], [8, 8]),
        ([3, 3], [2, 2], [1; 4], [3, 3, 7], [7, 9]),
        ([1, 1], [2, 2], [0; 4], [2, 4, 3], [7, 8]),
        ([1, 1], [1, 1], [0; 4], [18, 4, 3], [7, 8]),
        ([7, 7], [2, 2], [3; 4], [2, 3, 3], [17, 23]),
        ([3, 3], [2, 2], [0; 4], [2, 3, 3], [9, 12]),
        ([5, 5], [1, 1], [2; 4], [2, 3, 3], [9, 12]),
        ([11, 11], [4, 4], [2; 4], [2, 3, 3], [35, 40]),
        ([2, 3], [1, 1], [0, 2, 1, 0], [2, 3, 2], [5, 6]),
        ([1, 1], [1, 1], [2; 4], [2, 2, 2], [4, 4]),
        ([2, 2], [3, 3], [0; 4], [2, 2, 2], [9, 10]),
        ([3, 3], [1, 1], [0; 4], [1, 1, 1], [3, 3]),
    ];
    for (kernel, stride, pads, channels, size) in cases {
        convolve(&Window { kernel, stride, pads }, channels, size);
    }
}

#[test]
fn a_kernel_that_does_not_fit_is_no_convolution() {
    let window = Window { kernel: [3, 3], stride: [1, 1], pads: [0; 4] };
    assert!(Convolution::new(&window, [2, 8], 1, 1).is_none());
}

#[test]
fn normalisations() {
    for (shape, rectify, added) in [
        ([4, 3, 8, 8], false, false),
        ([5, 2, 7, 3], true, false),
        ([9, 9, 1, 1], true, false),
        ([3, 4, 5, 9], true, true),
        ([3, 4, 4, 4], false, true),
    ] {
        let channels = shape[1];
        let run = |kernels: bool| {
            let (x, residual) = (tensor("x", shape), tensor("residual", shape));
            let (weight, bias) = (tensor("weight", [channels]), tensor("bias", [channels]));
            let affine = Affine {
                weight: weight.clone(),
                bias: bias.clone(),
                residual: added.then(|| residual.clone()),
                epsilon: 1e-5,
                rectify,
            };
            // not around 0, as the sums of the variance want to see
            let (y, moments) = operations::normalise_batch(x.clone() + 3.0, affine, kernels);
            let gradients = (y.clone() * tensor("g", shape)).sum().backward();
            let mut all = vec![values(y.inner())];
            all.extend(moments.map(values));
            all.extend([weight, bias].map(|leaf| values(leaf.grad(&gradients).unwrap())));
            all.push(values(x.grad(&gradients).unwrap()));
            all.extend(residual.grad(&gradients).map(values));
            all
        };
        let (found, expected) = (run(true), run(false));
        assert_eq!(found.len(), expected.len());
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let error = difference(found, expected);
            assert!(error < 2e-5, "{shape:?}: result {index} is wrong by {error:e}");
        }
    }
}

#[test]
fn a_value_that_is_read_twice_keeps_its_gradient() {
    // the gradient's memory is written over only where nobody else reads it
    let run = |kernels: bool| {
        let x = tensor("x", [3, 2, 4, 4]);
        let affine = || Affine {
            weight: tensor("weight", [2]),
            bias: tensor("bias", [2]),
            residual: Some(x.clone()),
            epsilon: 1e-5,
            rectify: true,
        };
        let (y, _) = operations::normalise_batch(x.clone(), affine(), kernels);
        let (z, _) =
            operations::normalise_batch(y.clone(), Affine { residual: None, ..affine() }, kernels);
        let gradients = (y.clone() * z + y).sum().backward();
        values(x.grad(&gradients).unwrap())
    };
    assert!(difference(&run(true), &run(false)) < 2e-5);
}

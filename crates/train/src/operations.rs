//! The kernels as operations of burn, with gradients.
//!
//! burn records what leads to a loss and asks each operation for its part of the gradient; an operation of
//! one's own is a type with [`Backward`]. On other devices than the processor, where the kernels do not run,
//! the same is composed from burn's own operations.

use std::sync::Arc;

use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::{Flex, FlexTensor};
use burn_tensor::ops::ConvOptions;
use burn_tensor::{Device, Tensor, TensorData, activation, module};

use crate::kernels::convolution::Convolution;
use crate::kernels::geometry::Window;
use crate::kernels::normalisation::{Moments, Normalisation};

type Tracked = Autodiff<Flex, NoCheckpointing>;

/// The numbers of a tensor, in the order of its indices.
fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_default()
}

fn dense(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// Whether the kernels run on the tensor's device: a processor's memory.
fn flex<const D: usize>(x: Tensor<D>) -> Option<FlexTensor> {
    x.inner().try_into_primitive::<Flex>().ok().map(dense)
}

#[derive(Clone, Debug)]
struct ConvolutionState {
    plan: Arc<Convolution>,
    x: FlexTensor,
    weight: FlexTensor,
}

#[derive(Debug)]
struct ConvolutionGradient;

impl Backward<Flex, 2> for ConvolutionGradient {
    type State = ConvolutionState;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [x_node, weight_node] = ops.parents;
        let g = dense(grads.consume::<Flex>(&ops.node));
        let ConvolutionState { plan, x, weight } = ops.state;
        let mut gx = x_node.as_ref().map(|_| vec![0.0; numbers(&x).len()]);
        let gw = plan.backward(numbers(&x), numbers(&weight), numbers(&g), gx.as_deref_mut());
        if let (Some(node), Some(gx)) = (x_node, gx) {
            grads.register::<Flex>(node.id, like(gx, &x));
        }
        if let Some(node) = weight_node {
            grads.register::<Flex>(node.id, like(gw, &weight));
        }
    }
}

fn like(values: Vec<f32>, other: &FlexTensor) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, other.layout().shape().clone()))
}

/// A convolution of one group: x is batch x from x height x width, weight to x from x kernel.
pub fn convolution(x: Tensor<4>, weight: Tensor<4>, plan: &Arc<Convolution>) -> Tensor<4> {
    let [batch, ..] = x.dims();
    let [to, ..] = weight.dims();
    let [height, width] = plan.output();
    let forward = |x: &FlexTensor, weight: &FlexTensor| {
        let mut y = vec![0.0; batch * to * height * width];
        plan.forward(numbers(x), numbers(weight), &mut y);
        tensor(y, [batch, to, height, width])
    };
    if !weight.is_autodiff() {
        let (Some(x), Some(weight)) = (flex(x), flex(weight)) else { unreachable!("{ELSEWHERE}") };
        return Tensor::from_primitive::<Flex>(forward(&x, &weight));
    }
    let (Ok(x), Ok(weight)) =
        (x.autodiff().try_into_primitive::<Tracked>(), weight.try_into_primitive::<Tracked>())
    else {
        unreachable!("{ELSEWHERE}")
    };
    let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
    let (x, weight) = (dense(x), dense(weight));
    let y = forward(&x, &weight);
    let kind = ConvolutionGradient
        .prepare::<NoCheckpointing>([x_node, weight_node])
        .compute_bound()
        .stateful();
    Tensor::from_primitive::<Tracked>(match kind {
        OpsKind::Tracked(prepared) => {
            prepared.finish(ConvolutionState { plan: plan.clone(), x, weight }, y)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    })
}

const ELSEWHERE: &str = "the kernels are used on a processor's memory only";

#[derive(Clone, Debug)]
struct NormalisationState {
    plan: Normalisation,
    moments: Moments,
    x: FlexTensor,
    weight: FlexTensor,
    out: FlexTensor,
}

#[derive(Debug)]
struct NormalisationGradient;

impl NormalisationGradient {
    /// Gradients with respect to x, weight, bias and, if `residual`, what was added.
    fn gradients(
        state: NormalisationState,
        g: FlexTensor,
        residual: bool,
    ) -> ([FlexTensor; 3], Option<FlexTensor>) {
        let NormalisationState { plan, moments, x, weight, out } = state;
        let mut g = dense(g);
        let mut added = residual.then(|| vec![0.0; numbers(&x).len()]);
        let out = numbers(&out);
        // the gradient's own memory, if nobody else reads it
        let g_numbers = match g.as_slice::<f32>() {
            Some(all) if size_of_val(all) == g.bytes().len() => g.storage_mut::<f32>(),
            _ => {
                g = like(numbers(&g).to_vec(), &x);
                g.storage_mut::<f32>()
            }
        };
        let gradients = plan.backward(
            numbers(&x),
            &moments,
            numbers(&weight),
            out,
            g_numbers,
            added.as_deref_mut(),
        );
        let added = added.map(|added| like(added, &x));
        ([g, like(gradients.weight, &weight), like(gradients.bias, &weight)], added)
    }
}

impl Backward<Flex, 3> for NormalisationGradient {
    type State = NormalisationState;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = grads.consume::<Flex>(&ops.node);
        let (gradients, _) = Self::gradients(ops.state, g, false);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

impl Backward<Flex, 4> for NormalisationGradient {
    type State = NormalisationState;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let g = grads.consume::<Flex>(&ops.node);
        let (gradients, added) = Self::gradients(ops.state, g, true);
        for (node, gradient) in ops.parents.into_iter().zip(gradients.into_iter().chain(added)) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

/// What a normalisation is given beside x.
pub struct Affine {
    /// A factor a channel.
    pub weight: Tensor<1>,
    /// A summand a channel.
    pub bias: Tensor<1>,
    /// Added to the result.
    pub residual: Option<Tensor<4>>,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether what is negative then becomes 0.
    pub rectify: bool,
}

/// Normalises every channel by the mean and the (biased) variance that it has over this batch, which are given
/// back.
pub fn normalise_batch(x: Tensor<4>, affine: Affine, kernels: bool) -> (Tensor<4>, [Tensor<1>; 2]) {
    if !kernels {
        return composed_normalise_batch(x, affine);
    }
    let shape = x.dims();
    let plan = plan(shape, &affine);
    let Affine { weight, bias, residual, .. } = affine;
    let tracked = |x: Tensor<4>| x.autodiff().try_into_primitive::<Tracked>();
    let (Ok(x), Ok(weight), Ok(bias)) = (
        tracked(x),
        weight.autodiff().try_into_primitive::<Tracked>(),
        bias.autodiff().try_into_primitive::<Tracked>(),
    ) else {
        unreachable!("{ELSEWHERE}")
    };
    let ((x, x_node), (weight, weight_node), (bias, bias_node)) =
        (x.into_parts(), weight.into_parts(), bias.into_parts());
    let (x, weight, bias) = (dense(x), dense(weight), dense(bias));
    let moments = plan.moments(numbers(&x));
    let apply = |residual: Option<&FlexTensor>| {
        let mut out = vec![0.0; numbers(&x).len()];
        let affine = [numbers(&weight), numbers(&bias)];
        plan.forward(numbers(&x), &moments, affine, residual.map(numbers), &mut out);
        tensor(out, shape)
    };
    let state = |out: &FlexTensor| NormalisationState {
        plan,
        moments: moments.clone(),
        x: x.clone(),
        weight: weight.clone(),
        out: out.clone(),
    };
    let nodes = [x_node, weight_node, bias_node];
    let result = match residual.map(tracked) {
        None => {
            let out = apply(None);
            match Backward::<Flex, 3>::prepare::<NoCheckpointing>(NormalisationGradient, nodes)
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prepared) => prepared.finish(state(&out), out),
                OpsKind::UnTracked(prepared) => prepared.finish(out),
            }
        }
        Some(Ok(residual)) => {
            let (residual, residual_node) = residual.into_parts();
            let out = apply(Some(&dense(residual)));
            let [a, b, c] = nodes;
            let nodes = [a, b, c, residual_node];
            match Backward::<Flex, 4>::prepare::<NoCheckpointing>(NormalisationGradient, nodes)
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prepared) => prepared.finish(state(&out), out),
                OpsKind::UnTracked(prepared) => prepared.finish(out),
            }
        }
        Some(Err(_)) => unreachable!("{ELSEWHERE}"),
    };
    let Moments { mean, variance } = moments;
    let vector = |values: Vec<f32>| {
        let length = values.len();
        Tensor::from_primitive::<Flex>(tensor(values, [length]))
    };
    (Tensor::from_primitive::<Tracked>(result), [vector(mean), vector(variance)])
}

fn plan([batch, channels, height, width]: [usize; 4], affine: &Affine) -> Normalisation {
    let (epsilon, rectify) = (affine.epsilon, affine.rectify);
    Normalisation { batch, channels, area: height * width, epsilon, rectify }
}

/// Normalises every channel by a mean and a variance that are known; without gradients.
pub fn normalise(
    x: Tensor<4>,
    [mean, variance]: [Tensor<1>; 2],
    affine: Affine,
    kernels: bool,
) -> Tensor<4> {
    if !kernels {
        let centred = x - channels(mean);
        return composed_affine(centred, channels(variance), affine);
    }
    let shape = x.dims();
    let (Some(mean), Some(variance)) = (flex(mean), flex(variance)) else {
        unreachable!("{ELSEWHERE}")
    };
    let moments = Moments { mean: numbers(&mean).to_vec(), variance: numbers(&variance).to_vec() };
    let plan = plan(shape, &affine);
    let Affine { weight, bias, residual, .. } = affine;
    let residual = residual.map(flex);
    let (Some(x), Some(weight), Some(bias)) = (flex(x), flex(weight), flex(bias)) else {
        unreachable!("{ELSEWHERE}")
    };
    let mut out = vec![0.0; numbers(&x).len()];
    let residual = residual.flatten();
    let affine = [numbers(&weight), numbers(&bias)];
    plan.forward(numbers(&x), &moments, affine, residual.as_ref().map(numbers), &mut out);
    Tensor::from_primitive::<Flex>(tensor(out, shape))
}

/// Whether the kernels run on a device.
pub fn available(device: &Device) -> bool {
    flex(Tensor::<1>::zeros([1], &device.clone().inner())).is_some()
}

fn channels(vector: Tensor<1>) -> Tensor<4> {
    let [length] = vector.dims();
    vector.reshape([1, length, 1, 1])
}

/// Weight, bias and what follows them, on values around 0.
fn composed_affine(centred: Tensor<4>, variance: Tensor<4>, affine: Affine) -> Tensor<4> {
    let Affine { weight, bias, residual, epsilon, rectify } = affine;
    let y = centred / (variance + epsilon).sqrt() * channels(weight) + channels(bias);
    let y = match residual {
        Some(residual) => y + residual,
        None => y,
    };
    if rectify { activation::relu(y) } else { y }
}

fn composed_normalise_batch(x: Tensor<4>, affine: Affine) -> (Tensor<4>, [Tensor<1>; 2]) {
    let over = |x: Tensor<4>| x.mean_dim(0).mean_dim(2).mean_dim(3);
    let mean = over(x.clone());
    let centred = x - mean.clone();
    let variance = over(centred.clone().square());
    let [_, length, ..] = mean.dims();
    let moments = [mean, variance.clone()].map(|moment| moment.inner().reshape([length]));
    (composed_affine(centred, variance, affine), moments)
}

/// Zeros before and after, down and to the right, as burn has them.
pub fn padding(pads: &[usize; 4]) -> [(usize, usize); 2] {
    [(pads[0], pads[2]), (pads[1], pads[3])]
}

/// [`convolution`] from burn's operations: any device, any number of groups.
pub fn composed_convolution(
    x: Tensor<4>,
    weight: Tensor<4>,
    window: &Window,
    groups: usize,
) -> Tensor<4> {
    let options = ConvOptions {
        stride: window.stride,
        padding: padding(&window.pads),
        dilation: [1, 1],
        groups,
    };
    module::conv2d(x, weight, None, options)
}

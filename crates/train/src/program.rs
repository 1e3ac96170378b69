//! A network's graph as steps that burn computes.
//!
//! The graph is the zoo's own ([`Blueprint`]), node for node; there is no second definition of any
//! architecture. Where the kernels run, a normalisation takes the sum and the rectification behind it along.

use std::collections::HashMap;
use std::sync::Arc;

use burn_tensor::{Device, Distribution, Tensor, activation, module};
use introspective_network::{Blueprint, Operation};

use crate::constants::Constant;
use crate::error::{Result, TrainError};
use crate::kernels::convolution::Convolution;
use crate::kernels::geometry::Window;
use crate::operations::{self, Affine};

/// Where a value lies while the steps run.
type Place = usize;
/// Which tensor of a state dict.
type Index = usize;

/// What one step computes.
#[derive(Clone, Debug)]
enum Action {
    Convolve {
        weight: Index,
        bias: Option<Index>,
        window: Window,
        groups: usize,
        plan: Option<Arc<Convolution>>,
    },
    Normalise {
        tensors: [Index; 4],
        epsilon: f32,
        residual: Option<Place>,
        rectify: bool,
    },
    Rectify,
    Add(Place),
    MaxPool {
        window: Window,
        ceil: bool,
    },
    AveragePool {
        window: Window,
    },
    GlobalAverage,
    Flatten,
    Linear {
        weight: Index,
        bias: Index,
    },
    Concatenate(Vec<Place>),
    /// Every picture's rows, or columns, mixed by a constant matrix.
    Mix {
        matrix: Constant,
        rows: bool,
    },
    Drop(f32),
}

#[derive(Clone, Debug)]
struct Step {
    action: Action,
    from: Place,
    to: Place,
    /// Places that no later step reads.
    done: Vec<Place>,
}

/// A network ready to be trained on pictures of one size.
#[derive(Clone, Debug)]
pub struct Program {
    steps: Vec<Step>,
    input: Place,
    logits: Place,
    places: usize,
    kernels: bool,
}

/// A value: feature maps of a batch, or vectors.
#[derive(Clone)]
enum Value {
    Maps(Tensor<4>),
    Rows(Tensor<2>),
}

/// What a step leaves behind, as far as it is known beforehand.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Maps([usize; 3]),
    Rows(usize),
}

/// What a normalisation found in a batch: the mean and the variance of each channel, and over how many values.
pub struct Observed {
    /// Indices of the running mean and the running variance.
    pub tensors: [usize; 2],
    /// A mean a channel.
    pub mean: Tensor<1>,
    /// A variance a channel, over all values.
    pub variance: Tensor<1>,
    /// Values that each was taken over.
    pub count: usize,
}

/// How a program runs.
pub enum Mode<'a> {
    /// Normalising by the batch's own moments, which are added to the list, and with dropout.
    Train(&'a mut Vec<Observed>),
    /// Normalising by the running moments.
    Predict,
}

impl Program {
    /// Reads a graph for pictures of this height and width. `tensors` gives each tensor's index by its name.
    ///
    /// # Errors
    /// The pictures are too small, or the graph has an operator that is not trained here.
    pub fn new(
        blueprint: &Blueprint,
        size: [usize; 2],
        tensors: &HashMap<String, usize>,
        device: &Device,
    ) -> Result<Self> {
        let kernels = operations::available(device);
        Writer::new(blueprint, size, tensors, kernels).write()
    }

    /// Whether numbers are zeroed at random while training.
    pub fn has_dropout(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Drop(_)))
    }

    #[cfg(test)]
    pub fn forget_dropout(&mut self) {
        for step in &mut self.steps {
            if let Action::Drop(probability) = &mut step.action {
                *probability = 0.0;
            }
        }
    }

    /// Logits (batch x classes) of pictures (batch x channels x height x width).
    pub fn run(
        &self,
        tensors: &[Tensor<1>],
        shapes: &[Vec<usize>],
        x: Tensor<4>,
        mut mode: Mode<'_>,
    ) -> Tensor<2> {
        let weights = Weights { tensors, shapes };
        let mut values: Vec<Option<Value>> = vec![None; self.places];
        values[self.input] = Some(Value::Maps(x));
        for step in &self.steps {
            let value = self.step(step, &weights, &values, &mut mode);
            for &place in &step.done {
                values[place] = None;
            }
            values[step.to] = Some(value);
        }
        match values[self.logits].take() {
            Some(Value::Rows(logits)) => logits,
            _ => unreachable!("the logits are vectors, which the writer made sure of"),
        }
    }

    fn step(
        &self,
        step: &Step,
        weights: &Weights<'_>,
        values: &[Option<Value>],
        mode: &mut Mode<'_>,
    ) -> Value {
        let maps = |place: Place| match &values[place] {
            Some(Value::Maps(maps)) => maps.clone(),
            _ => unreachable!("the writer followed the shapes"),
        };
        let rows = || match &values[step.from] {
            Some(Value::Rows(rows)) => rows.clone(),
            _ => unreachable!("the writer followed the shapes"),
        };
        let x = || maps(step.from);
        Value::Maps(match &step.action {
            Action::Convolve { weight, bias, window, groups, plan } => {
                let kernel = weights.kernel(*weight);
                let y = match plan {
                    Some(plan) => operations::convolution(x(), kernel, plan),
                    None => operations::composed_convolution(x(), kernel, window, *groups),
                };
                match bias {
                    Some(bias) => y + weights.channels(*bias),
                    None => y,
                }
            }
            Action::Normalise { tensors, epsilon, residual, rectify } => {
                let [weight, bias, mean, variance] = *tensors;
                let affine = Affine {
                    weight: weights.vector(weight),
                    bias: weights.vector(bias),
                    residual: residual.map(maps),
                    epsilon: *epsilon,
                    rectify: *rectify,
                };
                match mode {
                    Mode::Predict => {
                        let moments = [weights.vector(mean), weights.vector(variance)];
                        operations::normalise(x(), moments, affine, self.kernels)
                    }
                    Mode::Train(observed) => {
                        let x = x();
                        let [batch, _, height, width] = x.dims();
                        let (y, [m, v]) = operations::normalise_batch(x, affine, self.kernels);
                        observed.push(Observed {
                            tensors: [mean, variance],
                            mean: m,
                            variance: v,
                            count: batch * height * width,
                        });
                        y
                    }
                }
            }
            Action::Rectify => match &values[step.from] {
                Some(Value::Rows(rows)) => return Value::Rows(activation::relu(rows.clone())),
                _ => activation::relu(x()),
            },
            Action::Add(other) => x() + maps(*other),
            Action::MaxPool { window, ceil } => {
                let Window { kernel, stride, pads } = window;
                let options = burn_tensor::ops::MaxPoolOptions {
                    kernel_size: *kernel,
                    stride: *stride,
                    padding: operations::padding(pads),
                    dilation: [1, 1],
                    ceil_mode: *ceil,
                };
                module::max_pool2d(x(), options)
            }
            Action::AveragePool { window } => {
                let Window { kernel, stride, pads } = window;
                let options = burn_tensor::ops::AvgPoolOptions {
                    kernel_size: *kernel,
                    stride: *stride,
                    padding: operations::padding(pads),
                    count_include_pad: false,
                    ceil_mode: false,
                };
                module::avg_pool2d(x(), options)
            }
            Action::GlobalAverage => x().mean_dim(3).mean_dim(2),
            Action::Flatten => return Value::Rows(x().flatten(1, 3)),
            Action::Linear { weight, bias } => {
                let y = rows().matmul(weights.matrix(*weight).transpose());
                return Value::Rows(y + weights.vector(*bias).unsqueeze());
            }
            Action::Concatenate(others) => Tensor::cat(
                std::iter::once(step.from).chain(others.iter().copied()).map(maps).collect(),
                1,
            ),
            Action::Mix { matrix, rows } => {
                let x = x();
                let matrix = matrix.tensor(&x.device());
                if *rows { matrix.matmul(x) } else { x.matmul(matrix) }
            }
            Action::Drop(probability) => match (mode, &values[step.from]) {
                (Mode::Predict, Some(value)) => return value.clone(),
                (_, Some(Value::Rows(rows))) => {
                    return Value::Rows(drop(rows.clone(), *probability));
                }
                _ => drop(x(), *probability),
            },
        })
    }
}

/// Zeroes numbers with this probability and scales the others up by as much.
fn drop<const D: usize>(x: Tensor<D>, probability: f32) -> Tensor<D> {
    let keep = f64::from(1.0 - probability);
    let mask = Tensor::random(x.dims(), Distribution::Bernoulli(keep), &x.device());
    x * mask * (1.0 / keep)
}

/// The tensors of a state dict, flat, and their shapes.
struct Weights<'a> {
    tensors: &'a [Tensor<1>],
    shapes: &'a [Vec<usize>],
}

impl Weights<'_> {
    fn vector(&self, index: Index) -> Tensor<1> {
        self.tensors[index].clone()
    }

    fn channels(&self, index: Index) -> Tensor<4> {
        let length = self.shapes[index].iter().product();
        self.vector(index).reshape([1, length, 1, 1])
    }

    fn kernel(&self, index: Index) -> Tensor<4> {
        match self.shapes[index][..] {
            [a, b, c, d] => self.vector(index).reshape([a, b, c, d]),
            _ => unreachable!("a kernel has four axes"),
        }
    }

    fn matrix(&self, index: Index) -> Tensor<2> {
        match self.shapes[index][..] {
            [a, b] => self.vector(index).reshape([a, b]),
            _ => unreachable!("a linear layer's weight has two axes"),
        }
    }
}

/// Turns the nodes of a graph into steps.
struct Writer<'a> {
    blueprint: &'a Blueprint,
    tensors: &'a HashMap<String, usize>,
    kernels: bool,
    places: HashMap<&'a str, (Place, Shape)>,
    constants: HashMap<&'a str, Constant>,
    steps: Vec<Step>,
    count: usize,
    size: [usize; 2],
}

impl<'a> Writer<'a> {
    fn new(
        blueprint: &'a Blueprint,
        size: [usize; 2],
        tensors: &'a HashMap<String, usize>,
        kernels: bool,
    ) -> Self {
        let [height, width] = size;
        let input = (0, Shape::Maps([blueprint.channels(), height, width]));
        Self {
            blueprint,
            tensors,
            kernels,
            places: HashMap::from([(blueprint.input(), input)]),
            constants: HashMap::new(),
            steps: Vec::new(),
            count: 1,
            size,
        }
    }

    fn write(mut self) -> Result<Program> {
        let nodes: Vec<Operation<'a>> = self.blueprint.operations().collect();
        let fused =
            if self.kernels { fusions(&nodes, self.blueprint.logits()) } else { HashMap::new() };
        let passed: Vec<usize> = fused.values().flat_map(|f| f.instead.iter().copied()).collect();
        for (index, &node) in nodes.iter().enumerate() {
            if let Some(fusion) = fused.get(&index) {
                let norm = nodes[fusion.normalisation];
                let residual =
                    fusion.residual.as_deref().map(|name| self.place(name)).transpose()?;
                let (action, shape) = self.normalisation(norm, residual, fusion.rectify)?;
                self.push(action, &norm.inputs()[0], node.output(), shape)?;
            } else if !passed.contains(&index) {
                self.node(node)?;
            }
        }
        let (logits, shape) = self.named(self.blueprint.logits())?;
        if !matches!(shape, Shape::Rows(_)) {
            return Err(self.unfit("its logits are no vectors".to_owned()));
        }
        release(&mut self.steps, logits);
        Ok(Program {
            steps: self.steps,
            input: 0,
            logits,
            places: self.count,
            kernels: self.kernels,
        })
    }

    fn unfit(&self, reason: String) -> TrainError {
        TrainError::Untrainable { architecture: self.blueprint.architecture().to_string(), reason }
    }

    fn named(&self, name: &str) -> Result<(Place, Shape)> {
        self.places
            .get(name)
            .copied()
            .ok_or_else(|| self.unfit(format!("nothing computes {name:?}")))
    }

    fn place(&self, name: &str) -> Result<Place> {
        Ok(self.named(name)?.0)
    }

    fn maps(&self, name: &str) -> Result<[usize; 3]> {
        match self.named(name)?.1 {
            Shape::Maps(shape) => Ok(shape),
            Shape::Rows(_) => Err(self.unfit(format!("{name:?} has no height and width"))),
        }
    }

    fn tensor(&self, name: &str) -> Result<Index> {
        self.tensors
            .get(name)
            .copied()
            .ok_or_else(|| self.unfit(format!("there is no tensor {name:?}")))
    }

    fn push(&mut self, action: Action, from: &str, output: &'a str, shape: Shape) -> Result<()> {
        let mut from = self.place(from)?;
        let drop = self.blueprint.dropout(output).map(Action::Drop);
        for action in std::iter::once(action).chain(drop) {
            let to = self.count;
            self.count += 1;
            self.steps.push(Step { action, from, to, done: Vec::new() });
            self.places.insert(output, (to, shape));
            from = to;
        }
        Ok(())
    }

    fn window(&self, node: Operation<'a>, kernel: &[usize]) -> Result<Window> {
        let pair = |values: Vec<usize>| <[usize; 2]>::try_from(values).ok();
        let window = || {
            Some(Window {
                kernel: pair(node.ints("kernel_shape", kernel))?,
                stride: pair(node.ints("strides", &[1, 1]))?,
                pads: <[usize; 4]>::try_from(node.ints("pads", &[0; 4])).ok()?,
            })
        };
        window().ok_or_else(|| self.unfit(format!("{:?} is not of two dimensions", node.output())))
    }

    fn small(&self, node: Operation<'a>) -> TrainError {
        let [height, width] = self.size;
        self.unfit(format!(
            "pictures of {width} x {height} are too small for it: {:?} has nothing left to look at",
            node.output()
        ))
    }

    fn normalisation(
        &self,
        node: Operation<'a>,
        residual: Option<Place>,
        rectify: bool,
    ) -> Result<(Action, Shape)> {
        let [x, names @ ..] = node.inputs() else {
            return Err(self.unfit(format!("{:?} has no input", node.output())));
        };
        let tensors: Vec<Index> =
            names.iter().map(|name| self.tensor(name)).collect::<Result<_>>()?;
        let tensors = tensors
            .try_into()
            .map_err(|_| self.unfit(format!("{:?} has not four tensors", node.output())))?;
        let epsilon = node.float("epsilon", 1e-5);
        Ok((Action::Normalise { tensors, epsilon, residual, rectify }, Shape::Maps(self.maps(x)?)))
    }

    fn node(&mut self, node: Operation<'a>) -> Result<()> {
        let inputs = node.inputs();
        let x = inputs.first().map_or("", String::as_str);
        if let Some(constant) = self.constant(node)? {
            self.constants.insert(node.output(), constant);
            return Ok(());
        }
        let (action, shape) = match node.operator() {
            "Conv" => {
                let [channels, height, width] = self.maps(x)?;
                let weight = self.tensor(&inputs[1])?;
                let bias = inputs.get(2).map(|name| self.tensor(name)).transpose()?;
                let (_, shape) = self.shape_of(&inputs[1])?;
                let to = shape.first().copied().unwrap_or_default();
                let window = self.window(node, shape.get(2..).unwrap_or_default())?;
                let groups = node.int("group", 1).max(1) as usize;
                if node.ints("dilations", &[1, 1]) != [1, 1] {
                    return Err(self.unfit(format!("{:?} is dilated", node.output())));
                }
                let [h, w] = window.output([height, width]).ok_or_else(|| self.small(node))?;
                let plan = if self.kernels && groups == 1 {
                    Convolution::new(&window, [height, width], channels, to).map(Arc::new)
                } else {
                    None
                };
                (Action::Convolve { weight, bias, window, groups, plan }, Shape::Maps([to, h, w]))
            }
            "BatchNormalization" => self.normalisation(node, None, false)?,
            "Relu" => (Action::Rectify, self.named(x)?.1),
            "Add" => (Action::Add(self.place(&inputs[1])?), Shape::Maps(self.maps(x)?)),
            "MaxPool" | "AveragePool" => {
                let [channels, height, width] = self.maps(x)?;
                let window = self.window(node, &[])?;
                let ceil = node.int("ceil_mode", 0) != 0;
                let shape =
                    pooled(&window, [height, width], ceil).ok_or_else(|| self.small(node))?;
                let action = if node.operator() == "MaxPool" {
                    Action::MaxPool { window, ceil }
                } else {
                    Action::AveragePool { window }
                };
                (action, Shape::Maps([channels, shape[0], shape[1]]))
            }
            "GlobalAveragePool" => (Action::GlobalAverage, Shape::Maps([self.maps(x)?[0], 1, 1])),
            "Flatten" => (Action::Flatten, Shape::Rows(self.maps(x)?.iter().product())),
            "Gemm" => {
                let (weight, shape) = self.shape_of(&inputs[1])?;
                let (Shape::Rows(from), &[to, expected]) = (self.named(x)?.1, shape) else {
                    return Err(
                        self.unfit(format!("{:?} does not multiply vectors", node.output()))
                    );
                };
                if from != expected {
                    let reason =
                        format!("{:?} has {expected} inputs and is given {from}", node.output());
                    return Err(self.unfit(reason));
                }
                (Action::Linear { weight, bias: self.tensor(&inputs[2])? }, Shape::Rows(to))
            }
            "Concat" => {
                let mut shape = self.maps(x)?;
                let mut others = Vec::new();
                for name in &inputs[1..] {
                    shape[0] += self.maps(name)?[0];
                    others.push(self.place(name)?);
                }
                (Action::Concatenate(others), Shape::Maps(shape))
            }
            "MatMul" => return self.product(node),
            other => return Err(self.unfit(format!("the operator {other} is not trained here"))),
        };
        self.push(action, x, node.output(), shape)
    }

    fn shape_of(&self, tensor: &str) -> Result<(Index, &'a [usize])> {
        let index = self.tensor(tensor)?;
        let shape = self.blueprint.tensors().iter().find(|(name, _)| name == tensor);
        Ok((index, shape.map(|(_, shape)| shape.as_slice()).unwrap_or_default()))
    }

    /// A matrix product with a constant on one side: half of an adaptive pooling.
    fn product(&mut self, node: Operation<'a>) -> Result<()> {
        let unfit = || self.unfit(format!("{:?} multiplies two values", node.output()));
        let [left, right] = node.inputs() else { return Err(unfit()) };
        let (matrix, x, rows) = match (self.constants.get(&**left), self.constants.get(&**right)) {
            (Some(matrix), None) => (matrix.clone(), right, true),
            (None, Some(matrix)) => (matrix.clone(), left, false),
            _ => return Err(unfit()),
        };
        let [channels, height, width] = self.maps(x)?;
        let [a, b] = matrix.dims()[..] else { return Err(unfit()) };
        let shape = if rows { [channels, a, width] } else { [channels, height, b] };
        self.push(Action::Mix { matrix, rows }, x, node.output(), Shape::Maps(shape))
    }

    /// The node's value, if it does not depend on the pictures.
    fn constant(&self, node: Operation<'a>) -> Result<Option<Constant>> {
        if node.operator() == "Shape" {
            let [channels, height, width] = self.maps(&node.inputs()[0])?;
            // the batch's size is looked at by nobody
            return Ok(Some(Constant::integers(
                &[4],
                &[0, channels, height, width].map(|n| n as i64),
            )));
        }
        let inputs: Option<Vec<Constant>> = node
            .inputs()
            .iter()
            .map(|name| {
                let given = || {
                    let (dims, values) = self.blueprint.constant(name)?;
                    Some(Constant::integers(dims, &values))
                };
                self.constants.get(&**name).cloned().or_else(given)
            })
            .collect();
        match inputs {
            Some(inputs) if !inputs.is_empty() => {
                Constant::compute(node, &inputs).map(Some).ok_or_else(|| {
                    self.unfit(format!("{:?} cannot be computed beforehand", node.output()))
                })
            }
            _ => Ok(None),
        }
    }
}

fn pooled(window: &Window, size: [usize; 2], ceil: bool) -> Option<[usize; 2]> {
    let mut shape = window.output(size)?;
    for axis in 0..2 {
        let padded = size[axis] + window.pads[axis] + window.pads[axis + 2];
        let rest = (padded - window.kernel[axis]) % window.stride[axis];
        // a last window that would begin in the padding is left out
        let begins = shape[axis] * window.stride[axis];
        if ceil && rest > 0 && begins < size[axis] + window.pads[axis] {
            shape[axis] += 1;
        }
    }
    Some(shape)
}

/// A normalisation with what follows it, computed where the last of them stands.
struct Fusion {
    normalisation: usize,
    /// Nodes that are computed with the last one.
    instead: Vec<usize>,
    residual: Option<String>,
    rectify: bool,
}

/// For the index of the last node of each: normalisation, rectification; normalisation, sum, rectification.
fn fusions(nodes: &[Operation<'_>], logits: &str) -> HashMap<usize, Fusion> {
    let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for input in node.inputs() {
            readers.entry(input).or_default().push(index);
        }
    }
    let only_reader = |index: usize, operator: &str| match readers
        .get(nodes[index].output())
        .map(Vec::as_slice)
    {
        Some(&[reader])
            if nodes[reader].operator() == operator && nodes[index].output() != logits =>
        {
            Some(reader)
        }
        _ => None,
    };
    let mut fusions = HashMap::new();
    let mut summed = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        if node.operator() != "BatchNormalization" {
            continue;
        }
        if let Some(relu) = only_reader(index, "Relu") {
            let fusion = Fusion {
                normalisation: index,
                instead: vec![index],
                residual: None,
                rectify: true,
            };
            fusions.insert(relu, fusion);
        } else if let Some(add) = only_reader(index, "Add").filter(|add| !summed.contains(add)) {
            let Some(relu) = only_reader(add, "Relu") else { continue };
            // of two normalisations that are summed, the first takes the sum along
            summed.push(add);
            let residual = nodes[add].inputs().iter().find(|name| *name != node.output()).cloned();
            let fusion =
                Fusion { normalisation: index, instead: vec![index, add], residual, rectify: true };
            fusions.insert(relu, fusion);
        }
    }
    fusions
}

/// Notes at each step which places nobody reads any more.
fn release(steps: &mut [Step], logits: Place) {
    let mut read = vec![logits];
    for step in steps.iter_mut().rev() {
        let mut reads = vec![step.from];
        match &step.action {
            Action::Add(other) => reads.push(*other),
            Action::Normalise { residual: Some(residual), .. } => reads.push(*residual),
            Action::Concatenate(others) => reads.extend(others),
            _ => {}
        }
        for place in reads {
            if !read.contains(&place) {
                read.push(place);
                step.done.push(place);
            }
        }
    }
}

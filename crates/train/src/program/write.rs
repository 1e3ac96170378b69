//! From the nodes of a graph to steps.

use std::collections::HashMap;
use std::sync::Arc;

use introspective_network::{Blueprint, Operation};

use super::fusion::fusions;
use super::{Action, Index, Place, Program, Shape, Step};
use crate::constants::Constant;
use crate::error::{Result, TrainError};
use crate::kernels::convolution::Convolution;
use crate::kernels::geometry::Window;

/// Turns the nodes of a graph into steps.
pub(super) struct Writer<'a> {
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
    pub fn new(
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

    pub fn write(mut self) -> Result<Program> {
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
            #[cfg(test)]
            names: self.places.iter().map(|(&name, place)| (name.to_owned(), place.0)).collect(),
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

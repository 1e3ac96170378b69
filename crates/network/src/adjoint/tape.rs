//! The adjoint graph while it grows.

use std::collections::{HashMap, HashSet};

use rten_onnx::onnx::DataType;

use super::Plan;
use crate::error::{NetworkError, Result};
use crate::graph::{Attribute, Data, Graph, Initializer, Node, Setting, int};
use crate::weights::{Element, to_f32};

/// Walks the path backwards and collects gradients.
pub(super) struct Tape<'g> {
    pub plan: &'g Plan<'g>,
    /// Shapes of forward values, for a batch of one.
    pub shapes: &'g HashMap<String, Vec<usize>>,
    pub graph: Graph,
    /// Forward values that are inputs of the adjoint graph.
    pub saved: Vec<String>,
    /// Contributions to the gradient of each forward value.
    gradients: HashMap<String, Vec<String>>,
    /// Initialisers and constant values already taken over into the adjoint graph.
    copied: HashSet<String>,
    counter: usize,
    /// Elements of the largest gradient for one row of the upstream batch.
    pub largest: usize,
}

impl<'g> Tape<'g> {
    pub fn new(plan: &'g Plan<'g>, shapes: &'g HashMap<String, Vec<usize>>) -> Self {
        Self {
            plan,
            shapes,
            graph: Graph::default(),
            saved: Vec::new(),
            gradients: HashMap::new(),
            copied: HashSet::new(),
            counter: 0,
            largest: 0,
        }
    }

    pub fn is_active(&self, value: &str) -> bool {
        self.plan.active.contains(value)
    }

    /// The sum of all contributions to a value's gradient.
    pub fn total(&mut self, value: &str) -> Option<String> {
        let parts = self.gradients.remove(value)?;
        let mut parts = parts.into_iter();
        let first = parts.next()?;
        Some(parts.fold(first, |sum, part| self.emit("Add", &[&sum, &part])))
    }

    /// Adds to the gradient of a forward value; dropped if the value does not depend on the target.
    pub fn contribute(&mut self, value: &str, gradient: impl Into<String>) {
        if self.is_active(value) {
            let elements = self.shapes.get(value).map_or(0, |shape| shape.iter().product());
            self.largest = self.largest.max(elements);
            self.gradients.entry(value.to_owned()).or_default().push(gradient.into());
        }
    }

    /// A node of the adjoint graph with one output, whose name is returned.
    pub fn emit(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.emit_with(operator, inputs, Vec::new())
    }

    pub fn emit_with(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let name = self.fresh(operator);
        self.graph.node(operator, &name, inputs, &[&name], attributes);
        name
    }

    pub fn fresh(&mut self, what: &str) -> String {
        self.counter += 1;
        format!("adjoint/{what}_{}", self.counter)
    }

    /// A list of integers as an input of the adjoint graph's nodes.
    pub fn integers(&mut self, values: &[i64]) -> String {
        let words: Vec<String> = values.iter().map(i64::to_string).collect();
        let name = format!("adjoint/integers_{}", words.join("_"));
        if self.copied.insert(name.clone()) {
            self.graph.integers(&name, &[values.len()], values);
        }
        name
    }

    /// One number, without axes.
    pub fn scalar(&mut self, value: f32) -> String {
        let name = format!("adjoint/scalar_{:08x}", value.to_bits());
        if self.copied.insert(name.clone()) {
            self.graph.floats(&name, &[], &[value]);
        }
        name
    }

    pub fn floats(&mut self, what: &str, dims: &[usize], values: &[f32]) -> String {
        let name = self.fresh(what);
        self.graph.floats(&name, dims, values);
        name
    }

    /// `gradient` with another shape; the leading axis stays the batch of questions.
    pub fn reshape(&mut self, gradient: &str, shape: &[usize]) -> String {
        let dims: Vec<i64> =
            std::iter::once(-1).chain(shape.iter().skip(1).map(|&d| d as i64)).collect();
        let dims = self.integers(&dims);
        self.emit("Reshape", &[gradient, &dims])
    }

    /// `gradient` summed over these axes, which stay with size one.
    pub fn sum(&mut self, gradient: &str, axes: &[usize]) -> String {
        self.over("ReduceSum", gradient, axes)
    }

    /// As [`Tape::sum`], the mean.
    pub fn mean(&mut self, gradient: &str, axes: &[usize]) -> String {
        self.over("ReduceMean", gradient, axes)
    }

    /// A reduction over these axes, which stay with size one.
    pub fn over(&mut self, operator: &str, gradient: &str, axes: &[usize]) -> String {
        let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        let axes = self.integers(&axes);
        self.emit(operator, &[gradient, &axes])
    }

    /// One where a condition holds, else zero. (Multiplying gradients with it is much quicker than
    /// selecting them: the condition is worked out once for all questions.)
    pub fn ones_where(&mut self, condition: &str) -> String {
        let to = int("to", i64::from(DataType::FLOAT.0));
        self.emit_with("Cast", &[condition], vec![to])
    }

    /// A forward value as an input of the adjoint graph.
    pub fn save(&mut self, value: &str) -> String {
        if !self.saved.iter().any(|name| name == value) {
            self.saved.push(value.to_owned());
        }
        value.to_owned()
    }

    /// An input of a node, whatever it is: a stored constant, one computed from such, or a forward value.
    pub fn operand(&mut self, node: &Node, position: usize) -> Result<String> {
        let name = self.input(node, position)?;
        if !self.copy_constant(name) {
            self.shape(node, name)?;
            self.save(name);
        }
        Ok(name.to_owned())
    }

    /// An input of a node if it does not depend on the picture: stored, or computed from such.
    pub fn constant(&mut self, node: &Node, position: usize) -> Result<Option<String>> {
        let name = self.input(node, position)?;
        Ok(self.copy_constant(name).then(|| name.to_owned()))
    }

    /// Name of a node's input.
    pub fn input<'n>(&self, node: &'n Node, position: usize) -> Result<&'n str> {
        node.inputs
            .get(position)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
            .ok_or_else(|| unsupported(node, format!("it has no input {position}")))
    }

    /// Takes a constant over into the adjoint graph, with the nodes that compute it; false if the
    /// value depends on the picture (or on nodes that read differently in another operator set).
    fn copy_constant(&mut self, name: &str) -> bool {
        if self.copied.contains(name) {
            return true;
        }
        let forward = self.plan.forward;
        if let Some(tensor) = forward.initializer(name) {
            self.graph.initializers.push(tensor.clone());
        } else {
            let Some(node) = forward.producer(name) else { return false };
            let same = matches!(
                node.operator.as_str(),
                "Add"
                    | "Cast"
                    | "Constant"
                    | "Div"
                    | "Exp"
                    | "Identity"
                    | "Mul"
                    | "Neg"
                    | "Reshape"
                    | "Reciprocal"
                    | "Sqrt"
                    | "Sub"
                    | "Transpose"
            );
            if !same || !node.inputs.iter().all(|input| self.copy_constant(input)) {
                return false;
            }
            self.graph.nodes.push(node.clone());
        }
        self.copied.insert(name.to_owned())
    }

    /// Shape of a value of the forward graph.
    pub fn shape(&self, node: &Node, value: &str) -> Result<&'g [usize]> {
        if let Some(shape) = self.shapes.get(value) {
            return Ok(shape);
        }
        let stored = self.plan.forward.initializer(value).map(|tensor| &tensor.dims[..]);
        stored.ok_or_else(|| unsupported(node, format!("the shape of {value} is unknown")))
    }

    /// Shape of a value with batch, channels, height and width.
    pub fn image_shape(&self, node: &Node, value: &str) -> Result<[usize; 4]> {
        let shape = self.shape(node, value)?;
        shape
            .try_into()
            .map_err(|_| unsupported(node, format!("{value} has shape {shape:?}, not four axes")))
    }

    /// The stored tensor behind a name: an initialiser or a Constant node, also behind Identity nodes.
    fn stored(&self, name: &str) -> Option<Stored<'g>> {
        let forward = self.plan.forward;
        if let Some(tensor) = forward.initializer(name) {
            return Some(Stored::Tensor(tensor));
        }
        let node = forward.producer(name)?;
        match node.operator.as_str() {
            "Identity" => self.stored(node.inputs.first()?),
            "Constant" => match &node.attributes.first()?.value {
                Setting::Tensor(tensor) => Some(Stored::Tensor(tensor)),
                Setting::Int(value) => Some(Stored::Int(*value)),
                Setting::Ints(values) => Some(Stored::Ints(values)),
                Setting::Float(value) => Some(Stored::Float(*value)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The integers of a setting that older operator sets give as an attribute and newer ones as an
    /// input; `None` if the node has neither.
    pub fn setting(&self, node: &Node, name: &str, position: usize) -> Result<Option<Vec<i64>>> {
        if let Some(values) = node.signed(name) {
            return Ok(Some(values.to_vec()));
        }
        let Ok(input) = self.input(node, position) else { return Ok(None) };
        let values = match self.stored(input) {
            Some(Stored::Int(value)) => Some(vec![value]),
            Some(Stored::Ints(values)) => Some(values.to_vec()),
            Some(Stored::Tensor(tensor)) => tensor.integers(),
            _ => None,
        };
        let known = values.ok_or_else(|| unsupported(node, format!("its {name} are no constants")));
        known.map(Some)
    }

    /// A stored single number; `None` if it is anything else.
    pub fn number(&self, name: &str) -> Option<f32> {
        match self.stored(name)? {
            Stored::Float(value) => Some(value),
            Stored::Int(value) => Some(value as f32),
            Stored::Ints(_) => None,
            Stored::Tensor(tensor) => {
                let values = tensor_floats(tensor)
                    .or_else(|| Some(tensor.integers()?.iter().map(|&v| v as f32).collect()));
                match values?[..] {
                    [value] => Some(value),
                    _ => None,
                }
            }
        }
    }
}

enum Stored<'g> {
    Int(i64),
    Ints(&'g [i64]),
    Float(f32),
    Tensor(&'g Initializer),
}

/// (Numbers that rules read are never in the weights' buffer: only large tensors are.)
fn tensor_floats(tensor: &Initializer) -> Option<Vec<f32>> {
    let element = match tensor.element {
        DataType::FLOAT => Element::F32,
        DataType::FLOAT16 => Element::F16,
        _ => return None,
    };
    match &tensor.data {
        Data::Inline(raw) => Some(to_f32(raw, element).collect()),
        Data::External { .. } => None,
    }
}

/// The error for what no rule covers.
pub(super) fn unsupported(node: &Node, detail: impl Into<String>) -> NetworkError {
    NetworkError::NotDifferentiable {
        node: node.name.clone(),
        operator: node.operator.clone(),
        detail: detail.into(),
    }
}

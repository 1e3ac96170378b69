//! The gradient of the logits as a graph of its own.
//!
//! Only the nodes between the target layer and the logits are differentiated. The adjoint graph reads
//! the forward values it needs (ReLU outputs, the windows of a max-pooling) as inputs, and a batch of
//! upstream gradients `g` (B x N): `B` questions are answered in one run. Its output is
//! `alpha[b, k] = mean over (u, v) of sum_n g[b, n] dz_n / dA[k, u, v]` (METHOD section 4), B x K.

mod rules;

use std::collections::{HashMap, HashSet};

use crate::error::{NetworkError, Result};
use crate::graph::{Attribute, Axis, Graph, Node, int};

/// Name of the adjoint graph's upstream input.
const UPSTREAM: &str = "upstream";
/// Name of its only output.
pub(crate) const ALPHA: &str = "alpha";

/// The adjoint of the nodes between a layer and the logits, for one input size.
pub(crate) struct Adjoint {
    pub graph: Graph,
    /// Forward values that are its inputs, in order; the upstream gradient follows as the last one.
    pub saved: Vec<String>,
    /// Elements of the largest gradient for one row of the upstream batch.
    pub elements_per_row: usize,
}

/// Builds the adjoint of `forward` from `logits` back to `target`.
///
/// `shapes` has the shape of every forward value on the way, for a batch of one.
///
/// # Errors
/// No path leads from the layer to the logits, or an operator on it has no adjoint here.
pub(crate) fn adjoint(
    forward: &Graph,
    target: &str,
    logits: &str,
    shapes: &HashMap<String, Vec<usize>>,
) -> Result<Adjoint> {
    let path = forward.between(target, logits);
    let mut tape = Tape {
        forward,
        shapes,
        graph: Graph::default(),
        active: HashSet::from([target]),
        saved: Vec::new(),
        gradients: HashMap::new(),
        copied: HashSet::new(),
        counter: 0,
        largest: 0,
    };
    for &index in &path {
        tape.active.extend(forward.nodes[index].outputs.iter().map(String::as_str));
    }
    if !tape.active.contains(logits) {
        return Err(NetworkError::NoPath { layer: target.to_owned() });
    }
    tape.gradients.insert(logits.to_owned(), vec![UPSTREAM.to_owned()]);
    for &index in path.iter().rev() {
        let node = &forward.nodes[index];
        let Some(output) = node.outputs.first() else { continue };
        // the target's own gradient is asked for, so nothing that computes it is on the path
        if let Some(gradient) = tape.total(output) {
            tape.differentiate(node, output, &gradient)?;
        }
    }
    let gradient =
        tape.total(target).ok_or_else(|| NetworkError::NoPath { layer: target.to_owned() })?;
    tape.graph.integers("spatial_axes", &[2], &[2, 3]);
    tape.graph.node(
        "ReduceMean",
        ALPHA,
        &[&gradient, "spatial_axes"],
        &[ALPHA],
        vec![int("keepdims", 0)],
    );
    let classes = shapes.get(logits).and_then(|shape| shape.last()).copied().unwrap_or(0);
    let Tape { mut graph, saved, largest, .. } = tape;
    for name in &saved {
        let shape = shapes.get(name).cloned().unwrap_or_default();
        let axes: Vec<Axis> = shape.into_iter().map(Axis::Fixed).collect();
        graph.input(name, &axes);
    }
    graph.input(UPSTREAM, &[Axis::Free("questions"), Axis::Fixed(classes)]);
    Ok(Adjoint { graph, saved, elements_per_row: largest })
}

struct Tape<'g> {
    forward: &'g Graph,
    shapes: &'g HashMap<String, Vec<usize>>,
    graph: Graph,
    /// Forward values that depend on the target.
    active: HashSet<&'g str>,
    saved: Vec<String>,
    /// Contributions to the gradient of each forward value.
    gradients: HashMap<String, Vec<String>>,
    /// Initialisers already taken over into the adjoint graph.
    copied: HashSet<String>,
    counter: usize,
    largest: usize,
}

impl<'g> Tape<'g> {
    /// The sum of all contributions to a value's gradient.
    fn total(&mut self, value: &str) -> Option<String> {
        let parts = self.gradients.remove(value)?;
        let mut parts = parts.into_iter();
        let first = parts.next()?;
        Some(parts.fold(first, |sum, part| self.emit("Add", &[&sum, &part], Vec::new())))
    }

    fn contribute(&mut self, value: &str, gradient: String) {
        if self.active.contains(value) {
            let elements = self.shapes.get(value).map_or(0, |shape| shape.iter().product());
            self.largest = self.largest.max(elements);
            self.gradients.entry(value.to_owned()).or_default().push(gradient);
        }
    }

    fn emit(&mut self, operator: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let name = self.fresh(operator);
        self.graph.node(operator, &name, inputs, &[&name], attributes);
        name
    }

    fn fresh(&mut self, what: &str) -> String {
        self.counter += 1;
        format!("adjoint/{what}_{}", self.counter)
    }

    /// A forward value as an input of the adjoint graph.
    fn save(&mut self, value: &str) -> String {
        if !self.saved.iter().any(|name| name == value) {
            self.saved.push(value.to_owned());
        }
        value.to_owned()
    }

    /// A weight as an initialiser of the adjoint graph.
    fn weight(&mut self, node: &Node, position: usize) -> Result<(String, Vec<usize>)> {
        let name = node.inputs.get(position).map(String::as_str).unwrap_or_default();
        let missing = || unsupported(node, format!("input {position} is not a stored weight"));
        let tensor = self.forward.initializer(name).ok_or_else(missing)?;
        if self.copied.insert(name.to_owned()) {
            self.graph.initializers.push(tensor.clone());
        }
        Ok((name.to_owned(), tensor.dims.clone()))
    }

    fn shape(&self, node: &Node, value: &str) -> Result<&'g [usize]> {
        self.shapes
            .get(value)
            .map(Vec::as_slice)
            .ok_or_else(|| unsupported(node, format!("the shape of {value} is unknown")))
    }

    fn image_shape(&self, node: &Node, value: &str) -> Result<[usize; 4]> {
        let shape = self.shape(node, value)?;
        shape
            .try_into()
            .map_err(|_| unsupported(node, format!("{value} has shape {shape:?}, not four axes")))
    }

    fn integers(&mut self, values: &[i64]) -> String {
        let name = self.fresh("integers");
        self.graph.integers(&name, &[values.len()], values);
        name
    }
}

fn unsupported(node: &Node, detail: String) -> NetworkError {
    NetworkError::NotDifferentiable {
        node: node.name.clone(),
        operator: node.operator.clone(),
        detail,
    }
}

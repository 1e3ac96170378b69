//! Every rule against PyTorch's autograd: value and gradient of small graphs around each operator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod activations;
mod arithmetic;
mod broadcasting;
mod convolutions;
mod normalisations;
mod poolings;
mod products;
mod reductions;
mod refused;
mod shapes;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use ndarray::{ArrayD, Axis as Direction, IxDyn, concatenate};
use ndarray_npy::NpzReader;

use super::{Plan, gradient};
use crate::graph::{Attribute, Axis, Graph};
use crate::runtime::{LoadOptions, Runtime};
use crate::{NetworkError, common};

/// A graph from `x` to its last node's output.
struct Case {
    name: &'static str,
    graph: Graph,
    /// Where the gradient is asked for.
    target: &'static str,
    x: ArrayD<f32>,
    /// Shape of the result, where the engine cannot run the operator: the stored result is taken.
    given: Option<Vec<usize>>,
}

fn generated(case: &str, name: &str, shape: &[usize], value: fn(f64) -> f64) -> ArrayD<f32> {
    let values = common::uniform(&format!("{case}/{name}")).map(|u| value(u) as f32);
    ArrayD::from_shape_vec(shape, values.take(shape.iter().product()).collect()).unwrap()
}

fn case(name: &'static str, shape: &[usize]) -> Case {
    case_of(name, shape, |u| 4.0 * u - 2.0)
}

/// Multiples of one half: equals and exact zeros.
fn halves(name: &'static str, shape: &[usize]) -> Case {
    case_of(name, shape, |u| (8.0 * u).floor() / 2.0 - 2.0)
}

fn wide(name: &'static str, shape: &[usize]) -> Case {
    case_of(name, shape, |u| 16.0 * u - 8.0)
}

fn positive(name: &'static str, shape: &[usize]) -> Case {
    case_of(name, shape, |u| u + 0.25)
}

fn case_of(name: &'static str, shape: &[usize], value: fn(f64) -> f64) -> Case {
    let mut graph = Graph::default();
    let axes: Vec<Axis> = shape.iter().map(|&size| Axis::Fixed(size)).collect();
    graph.input("x", &axes);
    let x = generated(name, "x", shape, value);
    Case { name, graph, target: "x", x, given: None }
}

impl Case {
    fn opset(mut self, version: i64) -> Self {
        self.graph.opset = version;
        self
    }

    fn at(mut self, target: &'static str) -> Self {
        self.target = target;
        self
    }

    fn given(mut self, shape: &[usize]) -> Self {
        self.given = Some(shape.to_vec());
        self
    }

    fn weight(self, name: &str, shape: &[usize]) -> Self {
        self.tensor(name, shape, |u| 2.0 * u - 1.0)
    }

    fn positive(self, name: &str, shape: &[usize]) -> Self {
        self.tensor(name, shape, |u| u + 0.25)
    }

    fn tensor(mut self, name: &str, shape: &[usize], value: fn(f64) -> f64) -> Self {
        let values = generated(self.name, name, shape, value);
        self.graph.floats(name, shape, values.as_slice().unwrap());
        self
    }

    fn floats(mut self, name: &str, shape: &[usize], values: &[f32]) -> Self {
        self.graph.floats(name, shape, values);
        self
    }

    fn number(mut self, name: &str, value: f32) -> Self {
        self.graph.floats(name, &[], &[value]);
        self
    }

    fn integers(mut self, name: &str, values: &[i64]) -> Self {
        self.graph.integers(name, &[values.len()], values);
        self
    }

    /// `"Operator input input > output output"`.
    fn node(self, text: &str) -> Self {
        self.node_with(text, Vec::new())
    }

    /// As [`Case::node`]; `-` is an input left out.
    fn node_with(mut self, text: &str, attributes: Vec<Attribute>) -> Self {
        let (from, to) = text.split_once(" > ").unwrap();
        let mut inputs = from.split(' ').map(|name| if name == "-" { "" } else { name });
        let operator = inputs.next().unwrap();
        let inputs: Vec<&str> = inputs.collect();
        let outputs: Vec<&str> = to.split(' ').collect();
        self.graph.node(operator, &format!("the_{operator}"), &inputs, &outputs, attributes);
        self
    }

    fn last(&self) -> String {
        self.graph.nodes.last().unwrap().outputs[0].clone()
    }

    /// Values of the forward graph, by name.
    fn forward(&self, runtime: &Runtime, plan: &Plan<'_>) -> HashMap<String, ArrayD<f32>> {
        if let Some(shape) = &self.given {
            let stored = if self.name.is_empty() { self.x.clone() } else { stored(self.name) };
            let y = stored.iter().copied().take(shape.iter().product()).collect();
            let y = ArrayD::from_shape_vec(&shape[..], y).unwrap();
            return HashMap::from([("x".to_owned(), self.x.clone()), (self.last(), y)]);
        }
        let values = plan.values();
        let asked: Vec<&str> = values.iter().copied().filter(|&name| name != "x").collect();
        let engine = runtime
            .load(&self.graph, &asked, LoadOptions::default())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let results = engine.run(&[self.x.view()]);
        let results = results.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let mut values: HashMap<String, ArrayD<f32>> =
            asked.iter().map(|&name| name.to_owned()).zip(results).collect();
        values.insert("x".to_owned(), self.x.clone());
        values
    }

    /// The result, flattened, and the gradients for two upstream gradients generated from the name.
    fn run(&self) -> Result<(ArrayD<f32>, ArrayD<f32>), NetworkError> {
        self.run_on(&Runtime::new(Cow::Owned(Vec::new())))
    }

    fn run_on(&self, runtime: &Runtime) -> Result<(ArrayD<f32>, ArrayD<f32>), NetworkError> {
        let logits = self.last();
        let plan = Plan::new(&self.graph, self.target, &logits)
            .ok_or_else(|| NetworkError::NoPath { layer: self.target.to_owned() })?;
        let values = self.forward(runtime, &plan);
        let shapes: HashMap<String, Vec<usize>> =
            values.iter().map(|(name, value)| (name.clone(), value.shape().to_vec())).collect();
        let (adjoint, name) = gradient(&plan, &shapes)?;
        let y = &values[&logits];
        let upstream = generated(self.name, "upstream", &[2, y.len()], |u| 2.0 * u - 1.0);
        let mut inputs: Vec<_> = adjoint.saved.iter().map(|name| values[name].view()).collect();
        inputs.push(upstream.view());
        let engine = runtime
            .load(&adjoint.graph, &[&name], LoadOptions::default())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let mut found =
            engine.run(&inputs).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let gradient = found.pop().unwrap();
        let mut shape = self.x.shape().to_vec();
        shape[0] = 2;
        assert_eq!(gradient.shape(), shape, "{}: the gradient's shape", self.name);
        Ok((flat(y), flat(&gradient)))
    }

    /// Value and gradient are PyTorch's, on every engine that is at hand.
    #[track_caller]
    fn check(self) {
        for runtime in Runtime::each() {
            self.check_on(&runtime);
        }
    }

    #[track_caller]
    fn check_on(&self, runtime: &Runtime) {
        let on = runtime.info().name;
        let (y, gradient) =
            self.run_on(runtime).unwrap_or_else(|error| panic!("{} on {on}: {error}", self.name));
        let expected = stored(self.name);
        let found = concatenate(Direction(0), &[y.view(), gradient.view()]).unwrap();
        assert_eq!(found.len(), expected.len(), "{}: the result's size", self.name);
        let (values, gradients) = expected.view().split_at(Direction(0), y.len());
        for (what, found, expected) in
            [("value", y.view(), values), ("gradient", gradient.view(), gradients)]
        {
            let scale = expected.fold(1e-3_f32, |largest, v| largest.max(v.abs()));
            for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert!(
                    (found - expected).abs() <= 1e-5 * scale,
                    "{} on {on}: {what} {index} is {found}, PyTorch's {expected}",
                    self.name
                );
            }
        }
    }

    /// The error that the graph gives instead of a gradient.
    fn error(self) -> String {
        self.run().unwrap_err().to_string()
    }
}

fn flat(values: &ArrayD<f32>) -> ArrayD<f32> {
    ArrayD::from_shape_vec(IxDyn(&[values.len()]), values.iter().copied().collect()).unwrap()
}

fn stored(name: &str) -> ArrayD<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/operators.npz");
    let mut npz = NpzReader::new(File::open(path).unwrap()).unwrap();
    npz.by_name(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every stored case is one that a test asks for.
#[test]
fn no_case_is_forgotten() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/operators.npz");
    let mut npz = NpzReader::new(File::open(path).unwrap()).unwrap();
    let sources = [
        include_str!("tests/activations.rs"),
        include_str!("tests/arithmetic.rs"),
        include_str!("tests/convolutions.rs"),
        include_str!("tests/normalisations.rs"),
        include_str!("tests/poolings.rs"),
        include_str!("tests/products.rs"),
        include_str!("tests/reductions.rs"),
        include_str!("tests/shapes.rs"),
    ];
    for name in npz.names().unwrap() {
        let quoted = format!("\"{}\"", name.trim_end_matches(".npy"));
        assert!(sources.iter().any(|source| source.contains(&quoted)), "{quoted} has no test");
    }
}

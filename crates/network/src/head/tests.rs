//! What counts as a closed form, in the spellings of different exporters; and each against the adjoint.
#![allow(clippy::unwrap_used)]

use ndarray::{Array1, Array2};

use super::Head;
use crate::common::{picture, uniform};
use crate::graph::{Attribute, Axis, Graph, float, int, ints, signed};
use crate::{Classifier, Session, SessionOptions};

const CLASSES: usize = 5;

/// Two convolutions on a picture of 12 x 10, `a` and `b` with 4 and 6 channels, unrectified; `tail`
/// makes the logits from them.
fn graph(tail: impl FnOnce(&mut Net) -> String) -> (Graph, String) {
    let mut net = Net(Graph::default());
    let fixed = [1, 3, 12, 10].map(Axis::Fixed);
    net.0.input("picture", &fixed);
    for (name, channels) in [("a", 4), ("b", 6)] {
        let weight = net.weight(&format!("{name}.weight"), &[channels, 3, 3, 3]);
        let attributes = vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4])];
        net.0.node("Conv", name, &["picture", &weight], &[name], attributes);
    }
    let logits = tail(&mut net);
    (net.0, logits)
}

struct Net(Graph);

impl Net {
    fn node(&mut self, operator: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let name = format!("{}_{}", operator.to_lowercase(), self.0.nodes.len());
        self.0.node(operator, &name, inputs, &[&name], attributes);
        name
    }

    fn weight(&mut self, name: &str, dims: &[usize]) -> String {
        let mut drawn = uniform(name).map(|u| u as f32 - 0.45);
        let values: Vec<f32> = drawn.by_ref().take(dims.iter().product()).collect();
        self.0.floats(name, dims, &values);
        name.to_owned()
    }

    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.0.integers(name, &[values.len()], values);
        name.to_owned()
    }

    fn relu(&mut self, x: &str) -> String {
        self.node("Relu", &[x], Vec::new())
    }

    fn pool(&mut self, operator: &str, x: &str, settings: Vec<Attribute>) -> String {
        let size = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
        self.node(operator, &[x], [size, settings].concat())
    }

    fn gemm(&mut self, name: &str, x: &str, from: usize, to: usize) -> String {
        let weight = self.weight(name, &[to, from]);
        self.node("Gemm", &[x, &weight], vec![int("transB", 1)])
    }

    fn matmul_add(&mut self, name: &str, x: &str, from: usize, to: usize) -> String {
        let weight = self.weight(name, &[from, to]);
        let bias = self.weight(&format!("{name}.bias"), &[to]);
        let y = self.node("MatMul", &[x, &weight], Vec::new());
        self.node("Add", &[&bias, &y], Vec::new())
    }

    fn pointwise(&mut self, x: &str, from: usize, to: usize, settings: Vec<Attribute>) -> String {
        let weight = self.weight("pointwise", &[to, from, 1, 1]);
        let size = vec![ints("kernel_shape", &[1, 1])];
        self.node("Conv", &[x, &weight], [size, settings].concat())
    }
}

/// The closed form's gradients at `target` equal the adjoint's, and so do its maps of all classes from either end.
#[track_caller]
fn equals_the_adjoint(target: &str, tail: impl FnOnce(&mut Net) -> String) {
    let (graph, logits) = graph(tail);
    let bytes = graph.to_onnx(&[&logits]).unwrap();
    let classifier = Classifier::from_onnx_bytes(bytes, "made here").unwrap();
    let of = |without_closed_form: bool| {
        let layer = Some(target.to_owned());
        let options = SessionOptions { layer, without_closed_form, ..SessionOptions::default() };
        let session = Session::new(&classifier, &options).unwrap();
        assert_eq!(session.has_closed_form(), !without_closed_form);
        let observation = session.observe(picture(3, 12, 10).view()).unwrap();
        let alpha = session.alpha(&observation, Array2::eye(CLASSES).view()).unwrap();
        let ends = session.cams_from_each_end(&observation).unwrap();
        (alpha, ends)
    };
    let ((closed, ends), (adjoint, one)) = (of(false), of(true));
    assert_eq!((ends.len(), one.len()), (2, 1));
    near(&closed, &adjoint);
    for maps in &ends {
        near(maps, &one[0]);
    }
}

#[track_caller]
fn near(found: &Array2<f32>, expected: &Array2<f32>) {
    let size = expected.iter().map(|v| v.abs()).collect::<Array1<f32>>().mean().unwrap();
    assert!(size > 1e-4, "the values are nearly zero");
    assert_eq!(found.dim(), expected.dim());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-4 * size, "{found} {expected}");
    }
}

#[track_caller]
fn has_none(target: &str, tail: impl FnOnce(&mut Net) -> String) {
    let (graph, logits) = graph(tail);
    assert_eq!(Head::find(&graph, target, &logits), None);
}

fn axes(net: &mut Net, values: &[i64]) -> String {
    net.integers("axes", values)
}

#[test]
fn means_over_the_positions_in_all_spellings() {
    equals_the_adjoint("a", |net| {
        let x = net.node("GlobalAveragePool", &["a"], Vec::new());
        let x = net.node("Flatten", &[&x], Vec::new());
        let x = net.node("Identity", &[&x], Vec::new());
        net.gemm("fc", &x, 4, CLASSES)
    });
    equals_the_adjoint("a", |net| {
        let axes = axes(net, &[-1, -2]);
        let x = net.node("ReduceMean", &["a", &axes], vec![int("keepdims", 0)]);
        net.matmul_add("fc", &x, 4, CLASSES)
    });
    // a ReLU in front is the same at every position
    equals_the_adjoint("a", |net| {
        let x = net.relu("a");
        let axes = axes(net, &[2, 3]);
        let x = net.node("ReduceMean", &[&x, &axes], Vec::new());
        let shape = net.integers("rows", &[0, -1]);
        let x = net.node("Reshape", &[&x, &shape], Vec::new());
        net.gemm("fc", &x, 4, CLASSES)
    });
}

/// Only read here: the runtime knows the newer form, and no Dropout.
#[test]
fn axes_as_an_attribute_and_dropout() {
    let (graph, logits) = graph(|net| {
        let settings = vec![signed("axes", &[-2, -1]), int("keepdims", 0)];
        let x = net.node("ReduceMean", &["a"], settings);
        let x = net.node("Dropout", &[&x], Vec::new());
        net.gemm("fc", &x, 4, CLASSES)
    });
    assert!(Head::find(&graph, "a", &logits).is_some());
}

#[test]
fn poolings_flattening_and_hidden_layers() {
    equals_the_adjoint("a", |net| {
        let x = net.pool("MaxPool", "a", vec![ints("pads", &[1; 4])]);
        let x = net.pool("AveragePool", &x, vec![ints("pads", &[1; 4])]);
        let x = net.node("Identity", &[&x], Vec::new());
        let x = net.node("Flatten", &[&x], vec![int("axis", 1)]);
        let x = net.gemm("one", &x, 4 * 4 * 4, 40);
        let x = net.relu(&x);
        let x = net.node("Identity", &[&x], Vec::new());
        let x = net.matmul_add("two", &x, 40, 30);
        let x = net.relu(&x);
        net.gemm("three", &x, 30, CLASSES)
    });
    // in x out behind the flattening; the target's rectified form
    equals_the_adjoint("relu_2", |net| {
        let x = net.relu("a");
        let x = net.pool("AveragePool", &x, Vec::new());
        let shape = net.integers("rows", &[1, -1]);
        let x = net.node("Reshape", &[&x, &shape], Vec::new());
        net.matmul_add("fc", &x, 4 * 6 * 5, CLASSES)
    });
}

/// `x.view(x.size(0), -1)` as the older exporter writes it: the value is read twice, once for its shape.
#[test]
fn flattening_by_a_shape_computed_on_the_way() {
    equals_the_adjoint("a", |net| {
        let x = net.pool("MaxPool", "a", Vec::new());
        let shape = net.node("Shape", &[&x], Vec::new());
        let first = net.integers("first", &[0]);
        let batch = net.node("Gather", &[&shape, &first], Vec::new());
        let rest = net.integers("rest", &[-1]);
        let shape = net.node("Concat", &[&batch, &rest], vec![int("axis", 0)]);
        let x = net.node("Reshape", &[&x, &shape], Vec::new());
        net.gemm("fc", &x, 4 * 6 * 5, CLASSES)
    });
}

#[test]
fn one_by_one_convolutions() {
    // to the classes, rectified and averaged, from one part of a concatenation
    equals_the_adjoint("b", |net| {
        let x = net.node("Concat", &["a", "b"], vec![int("axis", 1)]);
        let x = net.pointwise(&x, 10, CLASSES, Vec::new());
        let x = net.relu(&x);
        let x = net.node("GlobalAveragePool", &[&x], Vec::new());
        net.node("Flatten", &[&x], Vec::new())
    });
    // between the layer and flattened maps of another width
    equals_the_adjoint("a", |net| {
        let x = net.pointwise("a", 4, 7, Vec::new());
        let x = net.pool("MaxPool", &x, Vec::new());
        let x = net.node("Flatten", &[&x], Vec::new());
        net.gemm("fc", &x, 7 * 6 * 5, CLASSES)
    });
    // behind the pooling, with a ReLU at its one position
    equals_the_adjoint("a", |net| {
        let x = net.node("GlobalAveragePool", &["a"], Vec::new());
        let x = net.pointwise(&x, 4, 20, Vec::new());
        let x = net.relu(&x);
        let x = net.node("Flatten", &[&x], Vec::new());
        net.gemm("fc", &x, 20, CLASSES)
    });
}

#[test]
fn what_would_not_be_exact_is_left_to_the_adjoint() {
    fn ending(net: &mut Net, x: &str, inputs: usize) -> String {
        let x = net.node("Flatten", &[x], Vec::new());
        net.gemm("fc", &x, inputs, CLASSES)
    }
    has_none("a", |net| {
        let x = net.relu("a");
        let x = net.pool("MaxPool", &x, Vec::new());
        ending(net, &x, 4 * 6 * 5)
    });
    has_none("a", |net| {
        let settings = vec![ints("pads", &[1; 4]), int("count_include_pad", 1)];
        let x = net.pool("AveragePool", "a", settings);
        ending(net, &x, 4 * 7 * 6)
    });
    // a second reader
    has_none("a", |net| {
        let y = net.node("Sigmoid", &["a"], Vec::new());
        let x = net.node("Mul", &["a", &y], Vec::new());
        ending(net, &x, 4 * 12 * 10)
    });
    has_none("a", |net| {
        let x = net.pointwise("a", 2, 4, vec![int("group", 2)]);
        ending(net, &x, 4 * 12 * 10)
    });
    has_none("a", |net| {
        let x = net.node("Flatten", &["a"], Vec::new());
        let weight = net.weight("fc", &[CLASSES, 4 * 12 * 10]);
        net.node("Gemm", &[&x, &weight], vec![int("transB", 1), float("alpha", 2.0)])
    });
    // a product whose rows do not sum to one
    has_none("a", |net| {
        let weight = net.weight("columns", &[10, 7]);
        let x = net.node("MatMul", &["a", &weight], Vec::new());
        ending(net, &x, 4 * 12 * 7)
    });
    // the mean over one axis only
    has_none("a", |net| {
        let axes = axes(net, &[3]);
        let x = net.node("ReduceMean", &["a", &axes], Vec::new());
        ending(net, &x, 4 * 12)
    });
}

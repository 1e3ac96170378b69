//! Heads written by hand, in every form that is looked through, and those that are none.
#![allow(clippy::panic)]

use std::borrow::Cow;
use std::collections::HashMap;

use ndarray::{Array2, Array4, s};
use rten_onnx::onnx::DataType;

use super::*;
use crate::classifier::Parts;
use crate::common::uniform;
use crate::graph::{Attribute, Axis, Data, Initializer, float, int, ints, signed};
use crate::layers::Layers;
use crate::runtime::RuntimeChoice;
use crate::{Extractor, ExtractorOptions};

const CHANNELS: usize = 4;
const CLASSES: usize = 3;
const SIZE: [usize; 2] = [5, 6];

/// Operator, inputs, output, attributes.
type Line<'a> = (&'a str, &'a [&'a str], &'a str, Vec<Attribute>);

/// A network on pictures x of four channels with the logits z; `flat` is 4 numbers a picture, `pooled` the same as maps
/// of one position, and there are constants of many shapes.
fn graph(nodes: Vec<Line<'_>>) -> Graph {
    let mut graph = Graph::default();
    let axes = [Axis::Free("batch"), Axis::Fixed(CHANNELS), Axis::Free("h"), Axis::Free("w")];
    graph.input("x", &axes);
    graph.node("GlobalAveragePool", "pooled", &["x"], &["pooled"], Vec::new());
    graph.node("Flatten", "flat", &["pooled"], &["flat"], Vec::new());
    let constants: [(&str, &[usize]); 10] = [
        ("w", &[CLASSES, CHANNELS]),
        ("wt", &[CHANNELS, CLASSES]),
        ("b", &[CLASSES]),
        ("row", &[1, CLASSES]),
        ("maps", &[1, CLASSES, 1, 1]),
        ("one", &[]),
        ("kernel", &[CLASSES, CHANNELS, 1, 1]),
        ("whole", &[CLASSES, CHANNELS, SIZE[0], SIZE[1]]),
        ("window", &[CLASSES, CHANNELS, 3, 3]),
        ("pictures", &[2, CLASSES]),
    ];
    for (name, dims) in constants {
        let values: Vec<f32> =
            uniform(name).take(dims.iter().product()).map(|v| v as f32 * 1.5 - 0.4).collect();
        graph.floats(name, dims, &values);
    }
    let half =
        [0_u16, 0x3c00, 0xbc00, 0x3800, 0x4000, 0x4200, 0xb800, 0x2e66, 0, 0x3c00, 0x3400, 0];
    graph.initializers.push(Initializer {
        name: "half".to_owned(),
        dims: vec![CHANNELS, CLASSES],
        element: DataType::FLOAT16,
        data: Data::Inline(half.iter().flat_map(|bits| bits.to_le_bytes()).collect()),
    });
    graph.integers("to_rows", &[2], &[-1, CLASSES as i64]);
    graph.integers("to_maps", &[4], &[-1, CLASSES as i64, 1, 1]);
    graph.integers("places", &[2], &[2, 3]);
    for (operator, inputs, output, attributes) in nodes {
        graph.node(operator, output, inputs, &[output], attributes);
    }
    graph
}

fn classifier(graph: Graph) -> Classifier {
    Classifier::assemble(Parts {
        name: "hand".to_owned(),
        graph,
        layers: Layers::default(),
        logits: "z".to_owned(),
        classes: CLASSES,
        channels: CHANNELS,
        input_size: Some(SIZE),
        one_at_a_time: false,
        default_layer: String::new(),
        bytes: Cow::Borrowed(&[]),
        sha256: String::new(),
        origin: "hand".to_owned(),
    })
    .unwrap()
}

fn pictures() -> Array4<f32> {
    let mut noise = uniform("pictures");
    Array4::from_shape_simple_fn((3, CHANNELS, SIZE[0], SIZE[1]), || {
        noise.next().unwrap() as f32 * 2.0 - 0.7
    })
}

/// Checks `z = W h + b` on each engine, and returns h and whether there is a last layer.
#[track_caller]
fn check(what: &str, nodes: Vec<Line<'_>>) -> (Array2<f32>, bool) {
    let graph = graph(nodes);
    let mut other = classifier(graph.clone());
    let mut engines = vec![classifier(graph)];
    match other.choose_runtime(RuntimeChoice::OnnxRuntime) {
        Ok(_) => engines.push(other),
        Err(NetworkError::RuntimeNotBuilt | NetworkError::RuntimeNotFound { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    let mut last = None;
    for classifier in engines {
        let layer = classifier.last_layer().unwrap_or_else(|error| panic!("{what}: {error}"));
        let extractor = Extractor::new(&classifier, &ExtractorOptions::default()).unwrap();
        let features = extractor.extract(pictures().view()).unwrap();
        if let Some(LastLayer { weight, bias }) = &layer {
            let made = features.h.dot(&weight.t()) + bias;
            let worst = (&made - &features.z).fold(0_f32, |m, v| m.max(v.abs()));
            let scale = features.z.fold(0_f32, |m, v| m.max(v.abs()));
            assert!(scale > 0.01 && worst < 1e-5 * scale.max(1.0), "{what}: {worst} of {scale}");
        }
        last = Some((features.h, layer.is_some()));
    }
    last.unwrap()
}

fn means() -> Array2<f32> {
    pictures().mean_axis(ndarray::Axis(3)).unwrap().mean_axis(ndarray::Axis(2)).unwrap()
}

#[track_caller]
fn affine(what: &str, nodes: Vec<Line<'_>>) {
    let (h, affine) = check(what, nodes);
    assert!(affine, "{what}");
    let worst = (h - means()).fold(0_f32, |m, v| m.max(v.abs()));
    assert!(worst < 1e-6, "{what}: h is off by {worst}");
}

#[track_caller]
fn refused(part: &str, nodes: Vec<Line<'_>>) {
    let error = classifier(graph(nodes)).last_layer().unwrap_err();
    assert!(matches!(error, NetworkError::NoPenultimate { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains(part) && error.contains("brought as a file"), "{error}");
}

#[test]
fn gemm_in_every_form() {
    affine("plain", vec![("Gemm", &["flat", "wt"], "z", vec![])]);
    affine("turned", vec![("Gemm", &["flat", "w", "b"], "z", vec![int("transB", 1)])]);
    for bias in ["b", "row", "one"] {
        let scaled = vec![float("alpha", 0.5), float("beta", -2.0), int("transB", 1)];
        affine(bias, vec![("Gemm", &["flat", "w", bias], "z", scaled)]);
    }
}

#[test]
fn products_with_constants_behind_them() {
    affine("bare", vec![("MatMul", &["flat", "wt"], "z", vec![])]);
    affine(
        "everything",
        vec![
            ("MatMul", &["flat", "wt"], "0", vec![]),
            ("Add", &["b", "0"], "1", vec![]),
            ("Mul", &["1", "one"], "2", vec![]),
            ("Sub", &["row", "2"], "3", vec![]),
            ("Identity", &["3"], "4", vec![]),
            ("Reshape", &["4", "to_maps"], "5", vec![]),
            ("Mul", &["maps", "5"], "6", vec![]),
            ("Transpose", &["6"], "7", vec![signed("perm", &[0, 2, 3, 1])]),
            ("Reshape", &["7", "to_rows"], "8", vec![]),
            ("Sub", &["8", "b"], "9", vec![]),
            ("Div", &["9", "row"], "10", vec![]),
            ("Identity", &["10"], "z", vec![]),
        ],
    );
}

#[test]
fn weights_that_are_computed_from_constants() {
    affine(
        "turned and negated",
        vec![
            ("Transpose", &["w"], "0", vec![signed("perm", &[1, 0])]),
            ("Neg", &["0"], "1", vec![]),
            ("Neg", &["b"], "2", vec![]),
            ("MatMul", &["flat", "1"], "3", vec![]),
            ("Add", &["3", "2"], "z", vec![]),
        ],
    );
    affine("half precision", vec![("Gemm", &["flat", "half"], "z", vec![])]);
}

#[test]
fn convolutions_that_see_all() {
    let point = || vec![ints("kernel_shape", &[1, 1])];
    affine(
        "1x1 on one position",
        vec![("Conv", &["pooled", "kernel", "b"], "0", point()), ("Flatten", &["0"], "z", vec![])],
    );
    let (h, linear) = check(
        "one window",
        vec![
            ("Conv", &["x", "whole", "b"], "0", vec![ints("kernel_shape", &SIZE)]),
            ("Flatten", &["0"], "z", vec![]),
        ],
    );
    assert!(linear);
    assert_eq!(h, pictures().into_shape_with_order((3, CHANNELS * SIZE[0] * SIZE[1])).unwrap());
}

/// The average over positions commutes with the convolution, but not with a ReLU.
#[test]
fn convolutions_before_the_average() {
    let conv = || -> Line<'_> {
        ("Conv", &["x", "kernel", "b"], "0", vec![ints("kernel_shape", &[1, 1])])
    };
    let flatten = || -> Line<'_> { ("Flatten", &["2"], "z", vec![]) };
    for with_relu in [false, true] {
        let relu: Line<'_> = if with_relu {
            ("Relu", &["0"], "1", vec![])
        } else {
            ("Add", &["0", "maps"], "1", vec![])
        };
        let averages: [Line<'_>; 3] = [
            ("GlobalAveragePool", &["1"], "2", vec![]),
            ("ReduceMean", &["1", "places"], "2", vec![int("keepdims", 0)]),
            (
                "AveragePool",
                &["1"],
                "2",
                vec![ints("kernel_shape", &SIZE), ints("strides", &[1, 1])],
            ),
        ];
        for average in averages {
            let what = format!("{} behind {}", average.0, relu.0);
            let (h, linear) = check(&what, vec![conv(), relu.clone(), average, flatten()]);
            assert_eq!(linear, !with_relu, "{what}");
            let worst = (h - means()).fold(0_f32, |m, v| m.max(v.abs()));
            assert!(worst < 1e-6, "{what}: h is off by {worst}");
        }
    }
}

#[test]
fn a_relu_last_leaves_the_features_and_no_last_layer() {
    let nodes = vec![("Gemm", &["flat", "wt"][..], "0", vec![]), ("Relu", &["0"], "z", vec![])];
    assert!(!check("relu", nodes).1);
}

#[test]
fn what_is_no_linear_layer_is_named() {
    refused("node z (Concat)", vec![("Concat", &["flat", "flat"], "z", vec![int("axis", 1)])]);
    refused("node z (Softmax)", vec![("Softmax", &["flat"], "z", vec![])]);
    refused(
        "node z (Add)",
        vec![
            ("Gemm", &["flat", "wt"], "0", vec![]),
            ("Gemm", &["flat", "wt"], "1", vec![]),
            ("Add", &["0", "1"], "z", vec![]),
        ],
    );
    refused(
        "node z (Div)",
        vec![("Gemm", &["flat", "wt"], "0", vec![]), ("Div", &["one", "0"], "z", vec![])],
    );
    refused("node z (Gemm)", vec![("Gemm", &["flat", "wt"], "z", vec![int("transA", 1)])]);
    refused(
        "does not multiply features by a constant",
        vec![
            ("Gemm", &["flat", "wt"], "0", vec![]),
            ("Transpose", &["flat"], "1", vec![signed("perm", &[1, 0])]),
            ("MatMul", &["1", "0"], "z", vec![]),
        ],
    );
    refused("does not make 3 logits", vec![("Gemm", &["flat", "w"], "z", vec![])]);
    let window = vec![ints("kernel_shape", &[3, 3])];
    refused(
        "node 0 (Conv)",
        vec![
            ("Conv", &["x", "window"], "0", window),
            ("GlobalAveragePool", &["0"], "1", vec![]),
            ("Flatten", &["1"], "z", vec![]),
        ],
    );
    refused("come from x without a linear layer", vec![("Flatten", &["x"], "z", vec![])]);
    refused("lacks an input", vec![("Gemm", &["flat"], "z", vec![])]);
    // one number a picture of a batch, as a graph traced with two pictures may have it
    refused(
        "pictures has 6 numbers; expected one, or one a class (3)",
        vec![("Gemm", &["flat", "wt"], "0", vec![]), ("Add", &["0", "pictures"], "z", vec![])],
    );
}

/// As they come in before they are sorted, or if sorting were to miss something.
#[test]
fn damaged_graphs_end_in_errors() {
    let empty = HashMap::new();
    let cases: [Vec<Line<'_>>; 5] = [
        vec![("Identity", &["a"], "z", vec![]), ("Identity", &["z"], "a", vec![])],
        vec![("Add", &["z", "one"], "z", vec![])],
        vec![("Gemm", &["z", "z"], "z", vec![])],
        vec![("Relu", &[], "z", vec![])],
        vec![("Conv", &["nowhere", "b"], "z", vec![])],
    ];
    for nodes in cases {
        let graph = graph(nodes);
        Penultimate::find(&graph, "z", CLASSES, &empty).unwrap_err();
        Penultimate::find(&graph, "nowhere", CLASSES, &empty).unwrap_err();
    }
    // without any shape, what is stored is enough for a linear layer
    let graph = graph(vec![("Gemm", &["flat", "w"], "z", vec![int("transB", 1)])]);
    assert_eq!(Penultimate::find(&graph, "z", CLASSES, &empty).unwrap().width, CHANNELS);
}

/// Tied weights: the last layer's matrix is used before, too.
#[test]
fn a_weight_that_two_layers_share() {
    let nodes = vec![
        ("Gemm", &["flat", "w"][..], "0", vec![int("transB", 1)]),
        ("Gemm", &["0", "w"], "1", vec![]),
        ("Gemm", &["1", "w", "b"], "z", vec![int("transB", 1)]),
    ];
    let (h, linear) = check("tied", nodes);
    assert!(linear);
    assert_eq!(h.slice(s![.., 0]).len(), 3);
}

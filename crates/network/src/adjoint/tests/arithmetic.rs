//! Operators of several values.

use rten_onnx::onnx::DataType;

use super::{case, halves, positive};
use crate::graph::{Data, Initializer, Setting, int, signed};

const IMAGE: [usize; 4] = [1, 3, 4, 5];

#[test]
fn sums() {
    case("add_channels", &IMAGE).weight("w", &[3, 1, 1]).node("Add w x > y").check();
    case("add_repeats_x", &[1, 3, 1, 5]).weight("w", &[1, 3, 4, 5]).node("Add x w > y").check();
    case("add_both", &IMAGE).node("GlobalAveragePool x > mean").node("Add x mean > y").check();
    case("add_twice", &IMAGE).node("Add x x > y").check();
    case("sum", &IMAGE).weight("w", &[5]).node("Sum x w x > y").check();
}

#[test]
fn differences() {
    case("sub_left", &IMAGE).weight("w", &[3, 1, 1]).node("Sub x w > y").check();
    case("sub_right", &IMAGE).weight("w", &[3, 4, 1]).node("Sub w x > y").check();
    case("sub_both", &IMAGE)
        .opset(13)
        .node_with("ReduceMean x > mean", vec![signed("axes", &[-1])])
        .node("Sub x mean > y")
        .check();
}

#[test]
fn products_and_quotients() {
    case("mul_right", &IMAGE).weight("w", &[1, 1, 4, 5]).node("Mul w x > y").check();
    case("mul_repeats_x", &[1, 1, 4, 1]).weight("w", &[3, 1, 5]).node("Mul x w > y").check();
    case("square", &IMAGE).node("Mul x x > y").check();
    case("div_left", &IMAGE).positive("w", &[3, 1, 1]).node("Div x w > y").check();
    positive("div_right", &IMAGE).weight("w", &[3, 1, 1]).node("Div w x > y").check();
    case("div_both", &IMAGE)
        .integers("axes", &[1])
        .node("Mul x x > squares")
        .node("ReduceSum squares axes > sum")
        .node("Sqrt sum > length")
        .node("Div x length > y")
        .check();
}

#[test]
fn powers() {
    case("pow_2", &IMAGE).number("two", 2.0).node("Pow x two > y").check();
    case("pow_3_integer", &IMAGE)
        .integers("three", &[3])
        .node("Pow x three > y")
        .given(&IMAGE)
        .check();
    positive("pow_half", &IMAGE)
        .node_with(
            "Constant > half",
            vec![crate::graph::Attribute {
                name: "value_float".to_owned(),
                value: Setting::Float(0.5),
            }],
        )
        .node("Pow x half > y")
        .check();
}

#[test]
fn choices() {
    halves("max_of_values", &IMAGE).number("half", 0.5).node("Max x half > y").check();
    case("min_of_both", &IMAGE)
        .integers("axes", &[1])
        .node("ReduceMean x axes > mean")
        .node("Min x mean > y")
        .check();
    let mut choice = case("where", &IMAGE).number("factor", -2.0);
    choice.graph.initializers.push(Initializer {
        name: "even".to_owned(),
        dims: vec![5],
        element: DataType::BOOL,
        data: Data::Inline(vec![1, 0, 1, 0, 1]),
    });
    choice.node("Mul x factor > other").node("Where even x other > y").check();
}

/// SiLU-like gates whose gate does not depend on the layer, and gates of squeeze-and-excitation.
#[test]
fn gates() {
    case("beside", &IMAGE)
        .at("layer")
        .node("Identity x > layer")
        .node("Sigmoid x > gate")
        .node("Mul layer gate > y")
        .check();
    case("squeeze_excitation", &IMAGE)
        .weight("down", &[2, 3, 1, 1])
        .weight("up", &[3, 2, 1, 1])
        .integers("axes", &[2, 3])
        .node_with("ReduceMean x axes > mean", vec![int("keepdims", 1)])
        .node_with("Conv mean down > few", vec![signed("kernel_shape", &[1, 1])])
        .node("Relu few > open")
        .node_with("Conv open up > many", vec![signed("kernel_shape", &[1, 1])])
        .node_with(
            "HardSigmoid many > gate",
            vec![crate::graph::float("alpha", 1.0 / 6.0), crate::graph::float("beta", 0.5)],
        )
        .node("Mul x gate > y")
        .check();
}

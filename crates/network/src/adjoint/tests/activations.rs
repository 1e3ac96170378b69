//! Functions of one value.

use super::{Case, case, halves, positive, wide};
use crate::graph::{Attribute, Setting, float, int};

const IMAGE: [usize; 4] = [1, 3, 4, 5];

fn text(name: &str, value: &str) -> Attribute {
    Attribute { name: name.to_owned(), value: Setting::Text(value.to_owned()) }
}

#[test]
fn relus() {
    case("relu", &IMAGE).node("Relu x > y").check();
    halves("relu_at_zero", &IMAGE).node("Relu x > y").check();
    case("leaky_relu", &IMAGE).node("LeakyRelu x > y").check();
    case("leaky_relu_alpha", &IMAGE)
        .node_with("LeakyRelu x > y", vec![float("alpha", -0.2)])
        .check();
    case("prelu", &IMAGE)
        .weight("slope", &[3])
        .integers("dims", &[3, 1, 1])
        .node("Reshape slope dims > slopes")
        .node("PRelu x slopes > y")
        .check();
    case("elu", &IMAGE).node_with("Elu x > y", vec![float("alpha", 0.7)]).check();
    case("selu", &IMAGE).node("Selu x > y").given(&IMAGE).check();
}

#[test]
fn clipping() {
    let bounds = vec![float("min", 0.0), float("max", 6.0)];
    wide("relu6_attributes", &IMAGE).opset(6).node_with("Clip x > y", bounds).check();
    wide("relu6_inputs", &IMAGE)
        .number("low", 0.0)
        .number("high", 6.0)
        .node("Clip x low high > y")
        .check();
    case("clip_min", &IMAGE).number("low", 0.3).node("Clip x low > y").check();
    case("clip_max", &IMAGE).number("high", 0.3).node("Clip x - high > y").check();
    case("clip_max_attribute", &IMAGE)
        .opset(6)
        .node_with("Clip x > y", vec![float("max", 0.3)])
        .check();
}

#[test]
fn smooth_ones() {
    wide("sigmoid", &IMAGE).node("Sigmoid x > y").check();
    case("tanh", &IMAGE).node("Tanh x > y").check();
    case("softplus", &IMAGE).node("Softplus x > y").check();
    case("softsign", &IMAGE).node("Softsign x > y").check();
    wide("mish", &IMAGE).node("Mish x > y").given(&IMAGE).check();
    case("swish", &IMAGE).opset(24).node_with("Swish x > y", vec![float("alpha", 1.5)]).check();
    case("silu", &IMAGE).node("Sigmoid x > s").node("Mul x s > y").check();
    case("gelu", &IMAGE).opset(20).node("Gelu x > y").check();
    case("gelu_tanh", &IMAGE)
        .opset(20)
        .node_with("Gelu x > y", vec![text("approximate", "tanh")])
        .check();
    case("gelu_of_erf", &IMAGE)
        .number("root", std::f32::consts::SQRT_2)
        .number("one", 1.0)
        .number("half", 0.5)
        .node("Div x root > scaled")
        .node("Erf scaled > erf")
        .node("Add erf one > sum")
        .node("Mul x sum > product")
        .node("Mul product half > y")
        .check();
}

#[test]
fn hard_ones() {
    let slope = vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)];
    wide("hard_sigmoid", &IMAGE).node_with("HardSigmoid x > y", slope).check();
    wide("hard_sigmoid_default", &IMAGE).node("HardSigmoid x > y").check();
    wide("hard_swish", &IMAGE).node("HardSwish x > y").check();
}

#[test]
fn elementary_ones() {
    let one = |case: Case, operator: &str| case.node(&format!("{operator} x > y")).check();
    one(case("erf", &IMAGE), "Erf");
    one(case("exp", &IMAGE), "Exp");
    one(positive("log", &IMAGE), "Log");
    one(positive("sqrt", &IMAGE), "Sqrt");
    one(positive("reciprocal", &IMAGE), "Reciprocal");
    one(halves("abs", &IMAGE), "Abs");
    one(case("neg", &IMAGE), "Neg");
}

#[test]
fn what_changes_nothing() {
    case("dropout", &IMAGE).node("Dropout x > y mask").given(&IMAGE).check();
    case("cast", &IMAGE)
        .node("Identity x > same")
        .node_with("Cast same > float", vec![int("to", 1)])
        .node("Relu float > y")
        .check();
}

//! What no rule covers is refused by the node's name.

use super::case;
use crate::graph::{Attribute, Setting, int, ints, signed};

const IMAGE: [usize; 4] = [1, 3, 4, 5];

#[track_caller]
fn assert_names(error: &str, node: &str, detail: &str) {
    assert!(error.contains(&format!("node the_{node}:")), "{error}");
    assert!(error.contains(detail), "{error}");
}

#[test]
fn unknown_operators() {
    let error = case("", &IMAGE).node("Cos x > y").error();
    assert_names(&error, "Cos", "no rule for this operator");
    let error = case("", &IMAGE).integers("axis", &[1]).node("CumSum x axis > y").error();
    assert_names(&error, "CumSum", "no rule for this operator");
}

#[test]
fn whatever_moves_the_batch() {
    let error =
        case("", &IMAGE).node_with("Transpose x > y", vec![signed("perm", &[1, 0, 2, 3])]).error();
    assert_names(&error, "Transpose", "first axis");
    let error = case("", &IMAGE).node_with("Flatten x > y", vec![int("axis", 2)]).error();
    assert_names(&error, "Flatten", "[3, 20]");
    let error = case("", &IMAGE).node_with("Concat x x > y", vec![int("axis", 0)]).error();
    assert_names(&error, "Concat", "batch");
    let error = case("", &IMAGE).node("ReduceMean x > y").error();
    assert_names(&error, "ReduceMean", "all axes");
    let error = case("", &IMAGE).integers("axes", &[0, 1]).node("ReduceSum x axes > y").error();
    assert_names(&error, "ReduceSum", "along the batch axis");
    let error = case("", &[1, 3]).weight("w", &[1, 4, 3]).node("Add x w > y").error();
    assert_names(&error, "Add", "moves the batch");
}

#[test]
fn operands_that_depend_on_the_layer() {
    let error = case("", &[1, 6])
        .integers("dims", &[6, 1])
        .node("Reshape x dims > w")
        .node("Gemm x w > y")
        .error();
    assert_names(&error, "Gemm", "depends on the layer");
    let error = case("", &[1, 6]).weight("a", &[1, 1]).node("Gemm a x > y").error();
    assert_names(&error, "Gemm", "depends on the layer");
    let error =
        case("", &IMAGE).node_with("Conv x x > y", vec![ints("kernel_shape", &[4, 5])]).error();
    assert_names(&error, "Conv", "depends on the layer");
    let error = case("", &IMAGE).node("Pow x x > y").error();
    assert_names(&error, "Pow", "exponent");
}

#[test]
fn settings_that_no_rule_covers() {
    let mode = Attribute { name: "mode".to_owned(), value: Setting::Text("reflect".to_owned()) };
    let error = case("", &IMAGE)
        .integers("pads", &[0, 0, 1, 1, 0, 0, 1, 1])
        .node_with("Pad x pads > y", vec![mode])
        .error();
    assert_names(&error, "Pad", "reflect");
    let error = case("", &IMAGE)
        .integers("start", &[0])
        .integers("end", &[5])
        .integers("axis", &[3])
        .integers("step", &[2])
        .node("Slice x start end axis step > y")
        .error();
    assert_names(&error, "Slice", "steps are [2]");
    let error = case("", &[6, 1])
        .weight("w", &[6, 2])
        .node_with("Gemm x w > y", vec![int("transA", 1)])
        .error();
    assert_names(&error, "Gemm", "transA");
    let error = case("", &IMAGE)
        .integers("four", &[1, 3])
        .node_with("Gather x four > y", vec![int("axis", 2)])
        .error();
    assert_names(&error, "Gather", "not one stored number");
}

/// Nothing is built that grows with what a file claims.
#[test]
fn absurd_windows() {
    let window = |kernel: usize, stride: usize| {
        let attributes = vec![ints("kernel_shape", &[kernel; 2]), ints("strides", &[stride; 2])];
        case("", &[1, 1, 2, 2]).node_with("MaxPool x > y", attributes).given(&[1, 1, 1, 1]).error()
    };
    assert_names(&window(1 << 40, 1), "MaxPool", "1099511627776");
    assert_names(&window(0, 1), "MaxPool", "kernel is [0, 0]");
    assert_names(&window(50, 1), "MaxPool", "very large");
    assert_names(&window(1, 1 << 15), "MaxPool", "very large");
}

#[test]
fn sizes_that_are_not_stored() {
    let error = case("", &IMAGE)
        .integers("end", &[4])
        .integers("axis", &[2])
        .node_with("Shape x > one", vec![int("start", 0), int("end", 1)])
        .node("Slice x one end axis > y")
        .error();
    assert_names(&error, "Slice", "its starts are no constants");
}

/// Nothing but sizes leads from the layer to the logits.
#[test]
fn layers_without_a_gradient() {
    let error = case("", &IMAGE)
        .node("Shape x > dims")
        .node_with("Cast dims > floats", vec![int("to", 1)])
        .node("Relu floats > y")
        .error();
    assert!(error.contains("do not depend on layer x"), "{error}");
}

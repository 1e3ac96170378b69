//! Operators that move values.

use super::case;
use crate::graph::{int, signed};

const IMAGE: [usize; 4] = [1, 3, 4, 5];

#[test]
fn reshapings() {
    case("flatten", &IMAGE).weight("w", &[60]).node("Flatten x > f").node("Mul f w > y").check();
    case("reshape", &IMAGE)
        .weight("w", &[12])
        .integers("dims", &[1, 5, -1])
        .node("Reshape x dims > f")
        .node("Mul f w > y")
        .check();
    case("squeeze_attribute", &[1, 3, 1, 4])
        .opset(11)
        .weight("w", &[4])
        .node_with("Squeeze x > s", vec![signed("axes", &[2])])
        .node("Mul s w > y")
        .check();
    case("squeeze_input", &[1, 3, 1, 4])
        .weight("w", &[4])
        .integers("axes", &[-2])
        .node("Squeeze x axes > s")
        .node("Mul s w > y")
        .check();
    case("unsqueeze_attribute", &[1, 3, 4])
        .opset(11)
        .weight("w", &[4])
        .node_with("Unsqueeze x > s", vec![signed("axes", &[1])])
        .node("Mul s w > y")
        .check();
    case("unsqueeze_input", &[1, 3, 4])
        .weight("w", &[3, 1, 2])
        .integers("axes", &[-1])
        .node("Unsqueeze x axes > s")
        .node("Mul s w > y")
        .check();
}

/// `Reshape` to a size that the graph computes from the layer's own shape, as exporters write it.
#[test]
fn sizes_computed_from_the_layer_are_no_gradients() {
    case("reshape", &IMAGE)
        .weight("w", &[12])
        .integers("five", &[5])
        .integers("rest", &[-1])
        .node_with("Shape x > batch", vec![int("start", 0), int("end", 1)])
        .node_with("Concat batch five rest > dims", vec![int("axis", 0)])
        .node("Reshape x dims > f")
        .node("Mul f w > y")
        .check();
}

#[test]
fn permutations() {
    case("transpose", &IMAGE)
        .weight("w", &[4, 5, 3])
        .node_with("Transpose x > t", vec![signed("perm", &[0, 2, 3, 1])])
        .node("Mul t w > y")
        .check();
}

#[test]
fn joining() {
    case("concat_channels", &IMAGE)
        .weight("a", &[1, 2, 4, 5])
        .node("Neg x > minus")
        .node_with("Concat a x minus > y", vec![int("axis", 1)])
        .check();
    case("concat_last", &IMAGE)
        .at("layer")
        .integers("start", &[-1])
        .integers("end", &[-100])
        .integers("axis", &[3])
        .node("Identity x > layer")
        .node("Slice x start end axis start > flipped")
        .node("Mul layer layer > squares")
        .node_with("Concat layer flipped squares > y", vec![int("axis", -1)])
        .check();
}

#[test]
fn splitting() {
    let sum = vec![signed("axes", &[1]), int("keepdims", 0)];
    case("split_attribute", &[1, 5, 4])
        .opset(11)
        .node_with("Split x > a b", vec![int("axis", 1), signed("split", &[2, 3])])
        .node_with("ReduceSum a > p", sum.clone())
        .node_with("ReduceSum b > q", sum.clone())
        .node("Mul p q > y")
        .check();
    case("split_input", &[1, 4, 5])
        .integers("sizes", &[2, 2, 1])
        .integers("axes", &[2])
        .integers("last", &[-1])
        .node_with("Split x sizes > a unused b", vec![int("axis", -1)])
        .node_with("ReduceSum a axes > p", vec![int("keepdims", 0)])
        .node("Squeeze b last > q")
        .node("Mul p q > y")
        .check();
    case("split_count", &[1, 5, 4])
        .node_with("Split x > a b", vec![int("axis", 1), int("num_outputs", 2)])
        .integers("axes", &[1])
        .node_with("ReduceSum a axes > p", vec![int("keepdims", 0)])
        .node_with("ReduceSum b axes > q", vec![int("keepdims", 0)])
        .node("Mul p q > y")
        .check();
}

#[test]
fn slices() {
    let places = vec![signed("starts", &[1, 1]), signed("ends", &[9, 3]), signed("axes", &[1, 3])];
    case("slice_attributes", &IMAGE).opset(9).node_with("Slice x > y", places).check();
    case("slice_inputs", &IMAGE)
        .integers("start", &[-3])
        .integers("end", &[-1])
        .integers("axis", &[-2])
        .node("Slice x start end axis > y")
        .check();
    case("slice_batch", &IMAGE)
        .integers("start", &[0, 1, 0, -9])
        .integers("end", &[1, 2, 9, 9])
        .node("Slice x start end > y")
        .check();
}

#[test]
fn single_places() {
    let mut place = case("gather", &[1, 4, 5]).weight("w", &[5]);
    place.graph.integers("last", &[], &[-1]);
    place.node_with("Gather x last > token", vec![int("axis", 1)]).node("Mul token w > y").check();
    case("gather_one", &[1, 4, 5])
        .weight("w", &[5])
        .integers("second", &[1])
        .node_with("Gather x second > token", vec![int("axis", 1)])
        .node("Mul token w > y")
        .check();
}

#[test]
fn paddings() {
    case("pad_attribute", &IMAGE)
        .opset(10)
        .weight("w", &[6, 6])
        .node_with("Pad x > p", vec![signed("pads", &[0, 0, 0, 1, 0, 0, 2, 0])])
        .node("Mul p w > y")
        .check();
    case("pad_input", &IMAGE)
        .weight("w", &[4, 8])
        .number("three", 3.0)
        .integers("pads", &[0, 0, 0, 1, 0, 0, 0, 2])
        .node("Pad x pads three > p")
        .node("Mul p w > y")
        .check();
    case("pad_negative", &IMAGE)
        .weight("w", &[4, 6])
        .integers("pads", &[0, 0, 0, -1, 0, 0, 0, 2])
        .node("Pad x pads > p")
        .node("Mul p w > y")
        .check();
    case("pad_axes", &IMAGE)
        .integers("pads", &[2, 0])
        .integers("axes", &[-1])
        .node("Pad x pads - axes > y")
        .given(&[1, 3, 4, 7])
        .check();
}

#[test]
fn expansion() {
    case("expand", &[1, 3, 1, 5])
        .weight("w", &[4, 5])
        .integers("dims", &[1, 4, 1])
        .node("Expand x dims > e")
        .node("Mul e w > y")
        .check();
}

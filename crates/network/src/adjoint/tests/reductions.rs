//! Sums, means and maxima over axes.

use super::{case, halves};
use crate::graph::{int, signed};

const IMAGE: [usize; 4] = [1, 3, 4, 5];

#[test]
fn means_and_sums() {
    case("reduce_mean_attribute", &IMAGE)
        .opset(13)
        .node_with("ReduceMean x > y", vec![signed("axes", &[2, 3]), int("keepdims", 0)])
        .check();
    case("reduce_mean_input", &IMAGE)
        .weight("w", &[4, 1])
        .integers("axes", &[-1, 1])
        .node("ReduceMean x axes > m")
        .node("Mul m w > y")
        .check();
    case("reduce_sum", &IMAGE)
        .weight("w", &[3, 5])
        .integers("axes", &[-2])
        .node_with("ReduceSum x axes > s", vec![int("keepdims", 0)])
        .node("Mul s w > y")
        .check();
    case("reduce_none", &IMAGE)
        .weight("w", &[4, 5])
        .node_with("ReduceSum x > s", vec![int("noop_with_empty_axes", 1)])
        .node("Mul s w > y")
        .check();
    case("global_average", &IMAGE).node("GlobalAveragePool x > y").check();
}

#[test]
fn lengths() {
    case("reduce_sum_square", &IMAGE)
        .integers("axes", &[1])
        .node_with("ReduceSumSquare x axes > y", vec![int("keepdims", 0)])
        .check();
    case("reduce_l2", &IMAGE)
        .integers("axes", &[2, 3])
        .node("ReduceL2 x axes > length")
        .node("Mul length x > y")
        .check();
    case("reduce_l2_of_zeros", &[1, 8, 2])
        .number("one", 1.0)
        .integers("axes", &[2])
        .node("Sub x one > less")
        .node("Relu less > open")
        .node_with("ReduceL2 open axes > y", vec![int("keepdims", 0)])
        .check();
}

#[test]
fn extremes_among_equals() {
    halves("reduce_max", &[1, 3, 12])
        .integers("axes", &[2])
        .node_with("ReduceMax x axes > y", vec![int("keepdims", 0)])
        .check();
    halves("reduce_min", &[1, 3, 12]).integers("axes", &[2]).node("ReduceMin x axes > y").check();
    halves("global_max", &[1, 3, 5, 6]).node("GlobalMaxPool x > y").check();
}

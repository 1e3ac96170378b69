//! Matrix products.

use super::case;
use crate::graph::{float, int, signed};

#[test]
fn linear_layers() {
    case("gemm", &[1, 6])
        .weight("w", &[4, 6])
        .weight("b", &[4])
        .node_with("Gemm x w b > y", vec![int("transB", 1)])
        .check();
    case("gemm_alpha", &[1, 6])
        .weight("w", &[6, 4])
        .weight("b", &[4])
        .node_with("Gemm x w b > y", vec![float("alpha", 0.5), float("beta", 2.0)])
        .check();
}

#[test]
fn stored_weights() {
    case("mat_mul", &[1, 6]).weight("w", &[6, 4]).node("MatMul x w > y").check();
    case("mat_mul_tokens", &[1, 5, 6]).weight("w", &[6, 4]).node("MatMul x w > y").check();
    case("mat_mul_batched", &[1, 3, 5, 6]).weight("w", &[3, 6, 4]).node("MatMul x w > y").check();
    case("mat_mul_repeats_x", &[1, 1, 5, 6])
        .weight("w", &[1, 3, 6, 4])
        .node("MatMul x w > y")
        .check();
    case("mat_mul_left", &[1, 3, 5, 6]).weight("w", &[4, 5]).node("MatMul w x > y").check();
    case("mat_mul_transposed", &[1, 5, 6])
        .weight("w", &[4, 6])
        .node_with("Transpose w > t", vec![signed("perm", &[1, 0])])
        .node("MatMul x t > y")
        .check();
}

#[test]
fn attention() {
    let mut attention = case("attention", &[1, 5, 6])
        .integers("heads", &[1, 5, 2, 3])
        .number("scale", 3f32.sqrt().recip());
    for part in ["q", "k", "v"] {
        let order = if part == "k" { [0, 2, 3, 1] } else { [0, 2, 1, 3] };
        attention = attention
            .weight(&format!("w{part}"), &[6, 6])
            .node(&format!("MatMul x w{part} > {part}1"))
            .node(&format!("Reshape {part}1 heads > {part}2"))
            .node_with(&format!("Transpose {part}2 > {part}"), vec![signed("perm", &order)]);
    }
    attention
        .node("MatMul q k > products")
        .node("Mul products scale > scaled")
        .node_with("Softmax scaled > shares", vec![int("axis", -1)])
        .node("MatMul shares v > y")
        .check();
}

/// Adaptive pooling as two products whose matrices the graph computes: saved, not stored.
#[test]
fn operands_that_are_computed_beside_the_layer() {
    let shares = [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25, 0.25, 0.5];
    case("pooling_by_products", &[1, 3, 5, 5])
        .at("layer")
        .floats("shares", &[2, 5], &shares)
        .number("nothing", 0.0)
        .integers("all", &[0, 1, 2, 3])
        .node("Identity x > layer")
        .node_with("ReduceMax x all > most", vec![int("keepdims", 0)])
        .node("Mul most nothing > zero")
        .node("Add shares zero > rows")
        .node_with("Transpose rows > columns", vec![signed("perm", &[1, 0])])
        .node("MatMul rows layer > fewer")
        .node("MatMul fewer columns > y")
        .check();
}

//! Convolutions: strides, paddings, groups, dilations, and where the weight comes from.

use super::{Case, case};
use crate::graph::{Attribute, Setting, int, ints};

const IMAGE: [usize; 4] = [1, 3, 4, 5];
const POOL: [usize; 4] = [1, 2, 7, 6];

fn conv(case: Case, weight: [usize; 4], more: Vec<Attribute>) -> Case {
    let mut attributes = vec![ints("kernel_shape", &weight[2..])];
    attributes.extend(more);
    case.weight("w", &weight).node_with("Conv x w > y", attributes)
}

fn auto_pad(value: &str) -> Attribute {
    Attribute { name: "auto_pad".to_owned(), value: Setting::Text(value.to_owned()) }
}

#[test]
fn strides_and_paddings() {
    case("conv", &IMAGE)
        .weight("w", &[2, 3, 3, 3])
        .weight("b", &[2])
        .node_with("Conv x w b > y", vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4])])
        .check();
    conv(case("conv_pointwise", &IMAGE), [4, 3, 1, 1], vec![]).check();
    let strides = vec![ints("strides", &[2, 2])];
    conv(case("conv_pointwise_strided", &IMAGE), [4, 3, 1, 1], strides).check();
    let uneven = vec![ints("strides", &[2, 3]), ints("pads", &[2, 1, 1, 0])];
    conv(case("conv_strided", &POOL), [3, 2, 3, 2], uneven).check();
    let uneven = vec![ints("pads", &[2, 1, 1, 0])];
    conv(case("conv_many_to_few", &[1, 5, 4, 6]), [2, 5, 3, 2], uneven).check();
    let widely = vec![ints("pads", &[2, 3, 2, 3])];
    conv(case("conv_pads_widely", &IMAGE), [2, 3, 1, 2], widely).check();
}

#[test]
fn groups() {
    let group = |count| vec![int("group", count), ints("pads", &[1; 4])];
    let x = [1, 4, 5, 5];
    conv(case("conv_grouped", &x), [6, 2, 3, 3], group(2)).check();
    conv(case("conv_depthwise", &x), [4, 1, 3, 3], group(4)).check();
    let dilated = vec![int("group", 4), ints("dilations", &[3, 2]), ints("pads", &[0, 2, 3, 1])];
    conv(case("conv_depthwise_dilated", &[1, 4, 6, 5]), [4, 1, 2, 3], dilated).check();
    let widely = vec![int("group", 2), ints("pads", &[2; 4])];
    conv(case("conv_depthwise_pads_widely", &[1, 2, 4, 4]), [2, 1, 2, 2], widely).check();
    let mut strided = group(4);
    strided.push(ints("strides", &[2, 2]));
    conv(case("conv_depthwise_strided", &[1, 4, 5, 6]), [4, 1, 3, 3], strided).check();
}

#[test]
fn dilations() {
    conv(case("conv_dilated", &POOL), [3, 2, 3, 2], vec![ints("dilations", &[2, 3])]).check();
    let padded = vec![ints("dilations", &[2, 2]), ints("pads", &[2; 4])];
    conv(case("conv_dilated_padded", &POOL), [3, 2, 3, 3], padded).check();
}

#[test]
fn automatic_paddings() {
    let same = |value| vec![auto_pad(value), ints("strides", &[2, 2])];
    conv(case("conv_same_upper", &POOL), [3, 2, 3, 3], same("SAME_UPPER")).check();
    conv(case("conv_same_lower", &POOL), [3, 2, 3, 3], same("SAME_LOWER"))
        .given(&[1, 3, 4, 3])
        .check();
    conv(case("conv_valid", &POOL), [3, 2, 3, 3], vec![auto_pad("VALID")]).check();
}

#[test]
fn weights_that_nodes_compute() {
    let kernel = vec![ints("kernel_shape", &[3, 3])];
    case("conv_behind_identity", &IMAGE)
        .weight("w", &[2, 3, 3, 3])
        .node("Identity w > same")
        .node_with("Conv x same > y", kernel.clone())
        .check();
    case("conv_computed_weight", &IMAGE)
        .weight("w", &[2, 3, 3, 3])
        .weight("s", &[2, 1, 1, 1])
        .node("Mul w s > scaled")
        .node_with("Conv x scaled > y", kernel)
        .check();
}

#[test]
fn transposed() {
    case("conv_transpose", &IMAGE)
        .weight("w", &[3, 2, 3, 3])
        .node_with(
            "ConvTranspose x w > y",
            vec![
                ints("kernel_shape", &[3, 3]),
                ints("strides", &[2, 2]),
                ints("pads", &[1; 4]),
                ints("output_padding", &[1, 1]),
            ],
        )
        .check();
    case("conv_transpose_grouped", &[1, 4, 4, 3])
        .weight("w", &[4, 3, 2, 2])
        .node_with("ConvTranspose x w > y", vec![ints("kernel_shape", &[2, 2]), int("group", 2)])
        .check();
}

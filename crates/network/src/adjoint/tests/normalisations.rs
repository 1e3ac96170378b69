//! Normalisations.

use super::{Case, case};
use crate::graph::{float, int};

const IMAGE: [usize; 4] = [1, 3, 4, 5];

#[test]
fn softmaxes() {
    case("softmax", &[1, 3, 5]).node("Softmax x > y").check();
    case("softmax_channels", &IMAGE).node_with("Softmax x > y", vec![int("axis", 1)]).check();
    case("log_softmax", &[1, 3, 5]).node_with("LogSoftmax x > y", vec![int("axis", 1)]).check();
}

/// Before operator set 13 a softmax runs over all axes from the given one on.
#[test]
fn softmaxes_of_old() {
    case("softmax_of_old", &IMAGE).opset(12).node("Softmax x > y").given(&IMAGE).check();
}

#[test]
fn batches() {
    let normalised = |case: Case| {
        case.weight("scale", &[3])
            .weight("bias", &[3])
            .weight("mean", &[3])
            .positive("var", &[3])
            .node_with("BatchNormalization x scale bias mean var > y", vec![float("epsilon", 1e-2)])
            .check();
    };
    normalised(case("batch_norm", &IMAGE));
    normalised(case("batch_norm_2d", &[1, 3]));
    normalised(case("batch_norm_3d", &[1, 3, 7]));
}

#[test]
fn layers() {
    case("layer_norm", &[1, 4, 6])
        .weight("scale", &[6])
        .weight("bias", &[6])
        .node("LayerNormalization x scale bias > y")
        .check();
    case("layer_norm_axes", &IMAGE)
        .weight("scale", &[3, 4, 5])
        .node_with("LayerNormalization x scale > y", vec![int("axis", 1), float("epsilon", 0.1)])
        .check();
    case("layer_norm_decomposed", &[1, 4, 6])
        .weight("scale", &[6])
        .weight("bias", &[6])
        .number("two", 2.0)
        .number("epsilon", 1e-5)
        .integers("axes", &[-1])
        .node("ReduceMean x axes > mean")
        .node("Sub x mean > centred")
        .node("Pow centred two > squares")
        .node("ReduceMean squares axes > variance")
        .node("Add variance epsilon > sum")
        .node("Sqrt sum > deviation")
        .node("Div centred deviation > normal")
        .node("Mul normal scale > scaled")
        .node("Add scaled bias > y")
        .check();
}

#[test]
fn instances_and_groups() {
    case("instance_norm", &IMAGE)
        .weight("scale", &[3])
        .weight("bias", &[3])
        .node("InstanceNormalization x scale bias > y")
        .check();
    case("group_norm_decomposed", &[1, 4, 3, 5])
        .weight("scale", &[4])
        .weight("bias", &[4])
        .floats("ones", &[2], &[1.0, 1.0])
        .floats("zeros", &[2], &[0.0, 0.0])
        .integers("groups", &[0, 2, -1])
        .integers("axes", &[1, 2])
        .node("Reshape x groups > grouped")
        .node("InstanceNormalization grouped ones zeros > normal")
        .node_with("Shape x > dims", Vec::new())
        .node("Reshape normal dims > image")
        .node("Unsqueeze scale axes > scales")
        .node("Mul image scales > scaled")
        .node("Unsqueeze bias axes > biases")
        .node("Add scaled biases > y")
        .check();
}

//! DenseNet as torchvision writes it (`torchvision/models/densenet.py`).
//!
//! Every layer of a block reads the concatenation of all features before it. The concatenations are
//! n-ary and each is read once, so that the runtime normalises and rectifies it in place.

use super::Plan;
use super::builder::{Builder, Conv, MaxPool};

/// The last normalisation, before the ReLU that torchvision applies as a function.
pub(super) const DEFAULT_LAYER: &str = "features.norm5";

/// Width of a layer's 1x1 convolution, in growths.
const BOTTLENECK: usize = 4;

/// `growth` channels are added by each layer, `stem` is the first convolution's width.
pub(super) fn densenet(b: &mut Builder, growth: usize, stem: usize, depths: [usize; 4]) -> Plan {
    let channels = b.channels("features.conv0.weight");
    let classes = b.classes("classifier.weight");

    let x = b.input(channels);
    let conv = Conv::new(channels, stem, 7).stride(2).padding(3).no_bias();
    let x = b.conv("features.conv0", &x, conv);
    let x = b.batch_norm("features.norm0", &x, stem);
    let x = b.relu("features.relu0", &x);
    let pool = MaxPool { kernel: 3, stride: 2, padding: 1, ceil: false };
    let mut x = b.max_pool("features.pool0", &x, pool);

    let mut width = stem;
    for (index, depth) in (1..).zip(depths) {
        x = block(b, &format!("features.denseblock{index}"), &x, width, growth, depth);
        width += depth * growth;
        if index < depths.len() {
            x = transition(b, &format!("features.transition{index}"), &x, width);
            width /= 2;
        }
    }
    let x = b.batch_norm("features.norm5", &x, width);
    b.alias("features", &x);

    let x = b.relu_function("features.relu5", &x);
    let x = b.global_average_pool_function("pooled", &x);
    let x = b.flatten("flatten", &x);
    let logits = b.linear("classifier", &x, width, classes);
    Plan { logits, classes, channels }
}

fn block(b: &mut Builder, name: &str, x: &str, from: usize, growth: usize, depth: usize) -> String {
    let mut features = vec![x.to_owned()];
    let concat = |b: &mut Builder, value: &str, features: &[String]| {
        let parts: Vec<&str> = features.iter().map(String::as_str).collect();
        match parts[..] {
            [only] => only.to_owned(),
            _ => b.concat(value, &parts),
        }
    };
    for index in 0..depth {
        let layer = format!("{name}.denselayer{}", index + 1);
        let module = |part: &str| format!("{layer}.{part}");
        let width = from + index * growth;
        let y = concat(b, &module("concat"), &features);
        let y = b.batch_norm(&module("norm1"), &y, width);
        let y = b.relu(&module("relu1"), &y);
        let y = b.conv(&module("conv1"), &y, Conv::new(width, BOTTLENECK * growth, 1).no_bias());
        let y = b.batch_norm(&module("norm2"), &y, BOTTLENECK * growth);
        let y = b.relu(&module("relu2"), &y);
        let conv = Conv::new(BOTTLENECK * growth, growth, 3).padding(1).no_bias();
        let y = b.conv(&module("conv2"), &y, conv);
        b.alias(&layer, &y);
        features.push(y);
    }
    let out = concat(b, &format!("{name}.concat"), &features);
    b.alias(name, &out);
    out
}

fn transition(b: &mut Builder, name: &str, x: &str, width: usize) -> String {
    let module = |part: &str| format!("{name}.{part}");
    let x = b.batch_norm(&module("norm"), x, width);
    let x = b.relu(&module("relu"), &x);
    let x = b.conv(&module("conv"), &x, Conv::new(width, width / 2, 1).no_bias());
    let x = b.average_pool(&module("pool"), &x, 2);
    b.alias(name, &x);
    x
}

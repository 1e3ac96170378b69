//! ResNet, ResNeXt and Wide ResNet as torchvision writes them (`torchvision/models/resnet.py`:
//! stride in the 3x3 convolution of a bottleneck, the ReLU module shared within a block), and the
//! narrow ResNets for small pictures of METHOD section 3, from the same blocks.

use super::Plan;
use super::builder::{Builder, Conv, MaxPool};

/// Output of the last residual block.
pub(super) const DEFAULT_LAYER: &str = "layer4";
/// The same of the networks for small pictures.
pub(super) const CIFAR_DEFAULT_LAYER: &str = "layer3";

/// Which residual block, and how wide.
#[derive(Clone, Copy, Debug)]
pub(super) enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3 in `groups` of `width / 64` of the stage's planes, 1x1 to four times the planes.
    Bottleneck { groups: usize, width: usize },
}

pub(super) const BASIC: Block = Block::Basic;
pub(super) const BOTTLENECK: Block = bottleneck(1, 64);

pub(super) const fn bottleneck(groups: usize, width: usize) -> Block {
    Block::Bottleneck { groups, width }
}

impl Block {
    fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck { .. } => 4,
        }
    }
}

pub(super) fn resnet(b: &mut Builder, block: Block, depths: [usize; 4]) -> Plan {
    let channels = b.channels("conv1.weight");
    let x = b.input(channels);
    let x = b.conv("conv1", &x, Conv::new(channels, 64, 7).stride(2).padding(3).no_bias());
    let x = b.batch_norm("bn1", &x, 64);
    let x = b.relu("relu", &x);
    let pool = MaxPool { kernel: 3, stride: 2, padding: 1, ceil: false };
    let x = b.max_pool("maxpool", &x, pool);
    stages(b, &x, block, 64, &depths, channels)
}

/// Three stages of 16, 32, 64 planes behind a 3x3 convolution, without a max-pooling: made for
/// pictures of 32 x 32, on which layer3 is 8 x 8.
pub(super) fn cifar_resnet(b: &mut Builder, block: Block, depths: [usize; 3]) -> Plan {
    let channels = b.channels("conv1.weight");
    let x = b.input(channels);
    let x = b.conv("conv1", &x, Conv::new(channels, 16, 3).padding(1).no_bias());
    let x = b.batch_norm("bn1", &x, 16);
    let x = b.relu("relu", &x);
    stages(b, &x, block, 16, &depths, channels)
}

/// Stages of residual blocks, each but the first halving the map and doubling its `planes`, and the
/// head: global average pooling and a linear layer.
fn stages(
    b: &mut Builder,
    x: &str,
    block: Block,
    planes: usize,
    depths: &[usize],
    channels: usize,
) -> Plan {
    let classes = b.classes("fc.weight");
    let (mut x, mut from) = (x.to_owned(), planes);
    for (stage, &depth) in depths.iter().enumerate() {
        let layer = format!("layer{}", stage + 1);
        let planes = planes << stage;
        for index in 0..depth {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            x = residual(b, &format!("{layer}.{index}"), &x, block, from, planes, stride);
            from = planes * block.expansion();
        }
        b.alias(&layer, &x);
    }

    let x = b.global_average_pool("avgpool", &x);
    let x = b.flatten("flatten", &x);
    let logits = b.linear("fc", &x, from, classes);
    Plan { logits, classes, channels }
}

fn residual(
    b: &mut Builder,
    name: &str,
    x: &str,
    block: Block,
    from: usize,
    planes: usize,
    stride: usize,
) -> String {
    let to = planes * block.expansion();
    let module = |part: &str| format!("{name}.{part}");
    let relu = module("relu");

    let y = match block {
        Block::Basic => {
            let conv = Conv::new(from, planes, 3).stride(stride).padding(1).no_bias();
            let y = b.conv(&module("conv1"), x, conv);
            let y = b.batch_norm(&module("bn1"), &y, planes);
            let y = b.relu_call(&relu, 1, &y);
            let y = b.conv(&module("conv2"), &y, Conv::new(planes, planes, 3).padding(1).no_bias());
            b.batch_norm(&module("bn2"), &y, planes)
        }
        Block::Bottleneck { groups, width } => {
            let inner = planes * width / 64 * groups;
            let y = b.conv(&module("conv1"), x, Conv::new(from, inner, 1).no_bias());
            let y = b.batch_norm(&module("bn1"), &y, inner);
            let y = b.relu_call(&relu, 1, &y);
            let conv =
                Conv::new(inner, inner, 3).stride(stride).padding(1).groups(groups).no_bias();
            let y = b.conv(&module("conv2"), &y, conv);
            let y = b.batch_norm(&module("bn2"), &y, inner);
            let y = b.relu_call(&relu, 2, &y);
            let y = b.conv(&module("conv3"), &y, Conv::new(inner, to, 1).no_bias());
            b.batch_norm(&module("bn3"), &y, to)
        }
    };
    let shortcut = if stride != 1 || from != to {
        let conv = Conv::new(from, to, 1).stride(stride).no_bias();
        let s = b.conv(&module("downsample.0"), x, conv);
        let s = b.batch_norm(&module("downsample.1"), &s, to);
        b.alias(&module("downsample"), &s);
        s
    } else {
        x.to_owned()
    };
    let sum = b.add(&module("add"), &y, &shortcut);
    let out = b.relu(&relu, &sum);
    b.alias(name, &out);
    out
}

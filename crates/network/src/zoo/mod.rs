//! Architectures that a bare state dict can be read into.
//!
//! Each is written once, as calls of [`Builder`](builder::Builder) methods with torchvision's module
//! names; graph, layer names and the list of expected tensors follow from those calls. To add one,
//! write such a function, give it a line in [`Architecture`] and fixtures in `tests/parity.rs`.

mod builder;
mod resnet;
mod squeezenet;

use std::fmt;
use std::str::FromStr;

use self::resnet::Block;
use crate::error::{Mismatch, NetworkError, Result};
use crate::graph::Graph;
use crate::layers::Layers;
use crate::nearest::nearest;
use crate::weights::Weights;
use builder::{Builder, Source};

/// What a builder function says about the network it wrote.
struct Plan {
    logits: String,
    classes: usize,
    channels: usize,
}

/// A network read from a state dict.
pub(crate) struct Built {
    pub graph: Graph,
    pub layers: Layers,
    pub logits: String,
    pub classes: usize,
    pub channels: usize,
    pub default_layer: &'static str,
}

/// An architecture of the zoo, by torchvision's name.
#[allow(non_camel_case_types, missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    SqueezeNet1_0,
    SqueezeNet1_1,
    ResNet18,
    ResNet34,
    ResNet50,
    ResNet101,
    ResNet152,
    ResNeXt50_32x4d,
    ResNeXt101_32x8d,
    WideResNet50_2,
    WideResNet101_2,
}

impl Architecture {
    /// All of them, families together, small before large.
    pub const ALL: [Self; 11] = [
        Self::SqueezeNet1_0,
        Self::SqueezeNet1_1,
        Self::ResNet18,
        Self::ResNet34,
        Self::ResNet50,
        Self::ResNet101,
        Self::ResNet152,
        Self::ResNeXt50_32x4d,
        Self::ResNeXt101_32x8d,
        Self::WideResNet50_2,
        Self::WideResNet101_2,
    ];

    /// Torchvision's name: `resnet50`, `squeezenet1_1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SqueezeNet1_0 => "squeezenet1_0",
            Self::SqueezeNet1_1 => "squeezenet1_1",
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
            Self::ResNet101 => "resnet101",
            Self::ResNet152 => "resnet152",
            Self::ResNeXt50_32x4d => "resnext50_32x4d",
            Self::ResNeXt101_32x8d => "resnext101_32x8d",
            Self::WideResNet50_2 => "wide_resnet50_2",
            Self::WideResNet101_2 => "wide_resnet101_2",
        }
    }

    /// The layer that maps are drawn at unless another is named: the last convolutional block.
    pub fn default_layer(self) -> &'static str {
        match self {
            Self::SqueezeNet1_0 | Self::SqueezeNet1_1 => squeezenet::DEFAULT_LAYER,
            _ => resnet::DEFAULT_LAYER,
        }
    }

    /// Names and shapes of all its tensors, as torchvision's state dict has them (batch counters
    /// apart), sorted by name.
    pub fn tensors(self, classes: usize, channels: usize) -> Vec<(String, Vec<usize>)> {
        self.write(Source::Shapes { classes, channels }).1.into_tensors()
    }

    /// Architectures whose every tensor the file has, in the right shape, and no other.
    ///
    /// No two of today's architectures share all shapes, so at most one fits.
    pub fn fitting(weights: &Weights) -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|arch| arch.write(Source::Weights(weights)).1.mismatch().is_empty())
            .collect()
    }

    /// How the weights differ from the architecture that they differ least from.
    pub fn closest(weights: &Weights) -> Mismatch {
        let count = |m: &Mismatch| m.missing.len() + m.unexpected.len() + m.misshaped.len();
        Self::ALL
            .into_iter()
            .map(|arch| arch.write(Source::Weights(weights)).1.mismatch())
            .min_by_key(count)
            .unwrap_or_default()
    }

    fn write(self, source: Source<'_>) -> (Plan, Builder<'_>) {
        let mut builder = Builder::new(self.name(), source);
        let b = &mut builder;
        let bottleneck = |groups, width| Block::Bottleneck { groups, width };
        let plan = match self {
            Self::SqueezeNet1_0 => squeezenet::squeezenet1_0(b),
            Self::SqueezeNet1_1 => squeezenet::squeezenet1_1(b),
            Self::ResNet18 => resnet::resnet(b, Block::Basic, [2, 2, 2, 2]),
            Self::ResNet34 => resnet::resnet(b, Block::Basic, [3, 4, 6, 3]),
            Self::ResNet50 => resnet::resnet(b, bottleneck(1, 64), [3, 4, 6, 3]),
            Self::ResNet101 => resnet::resnet(b, bottleneck(1, 64), [3, 4, 23, 3]),
            Self::ResNet152 => resnet::resnet(b, bottleneck(1, 64), [3, 8, 36, 3]),
            Self::ResNeXt50_32x4d => resnet::resnet(b, bottleneck(32, 4), [3, 4, 6, 3]),
            Self::ResNeXt101_32x8d => resnet::resnet(b, bottleneck(32, 8), [3, 4, 23, 3]),
            Self::WideResNet50_2 => resnet::resnet(b, bottleneck(1, 128), [3, 4, 6, 3]),
            Self::WideResNet101_2 => resnet::resnet(b, bottleneck(1, 128), [3, 4, 23, 3]),
        };
        (plan, builder)
    }

    /// The graph of this architecture over these weights.
    pub(crate) fn build(self, weights: &Weights) -> Result<Built> {
        let (plan, builder) = self.write(Source::Weights(weights));
        let mismatch = builder.mismatch();
        if !mismatch.is_empty() {
            let fits = Self::fitting(weights).iter().map(|a| a.name().to_owned()).collect();
            return Err(NetworkError::Mismatch(Box::new(Mismatch { fits, ..mismatch })));
        }
        let Plan { logits, classes, channels } = plan;
        let Builder { graph, layers, .. } = builder;
        Ok(Built { graph, layers, logits, classes, channels, default_layer: self.default_layer() })
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Architecture {
    type Err = NetworkError;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name).ok_or_else(|| {
            NetworkError::UnknownArchitecture {
                name: name.to_owned(),
                nearest: nearest(name, Self::ALL.iter().map(|arch| arch.name()), 4),
            }
        })
    }
}

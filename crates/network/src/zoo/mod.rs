//! Architectures that a bare state dict can be read into.
//!
//! Each is written once, as calls of [`Builder`](builder::Builder) methods with torchvision's module
//! names; graph, layer names and the list of expected tensors follow from those calls. To add one,
//! write such a function, give it a line in [`Architecture`] and fixtures in `tests/parity.rs`.

mod adaptive;
mod alexnet;
mod builder;
mod densenet;
mod resnet;
mod squeezenet;
mod vgg;

use std::fmt;
use std::str::FromStr;

use self::resnet::{BASIC, BOTTLENECK, bottleneck};
use crate::blueprint::Blueprint;
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

/// Declares [`Architecture`] with one line an architecture: variant, name, default layer, and the
/// function that writes it down.
macro_rules! architectures {
    ($($variant:ident = $name:literal, $layer:expr, $write:expr;)*) => {
        /// An architecture of the zoo, by torchvision's name; the `cifar_resnet`s are the narrow
        /// networks for pictures of 32 x 32 in the paper's experiments.
        #[allow(non_camel_case_types, missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Architecture {
            $($variant,)*
        }

        impl Architecture {
            /// All of them, families together, small before large.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// Torchvision's name: `resnet50`, `squeezenet1_1`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The layer that maps are drawn at unless another is named: the last convolutional block,
            /// or the last activation before the last max-pooling.
            pub fn default_layer(self) -> &'static str {
                match self {
                    $(Self::$variant => $layer,)*
                }
            }

            fn writer(self) -> fn(&mut Builder<'_>) -> Plan {
                match self {
                    $(Self::$variant => $write,)*
                }
            }
        }
    };
}

architectures! {
    SqueezeNet1_0 = "squeezenet1_0", squeezenet::DEFAULT_LAYER, squeezenet::squeezenet1_0;
    SqueezeNet1_1 = "squeezenet1_1", squeezenet::DEFAULT_LAYER, squeezenet::squeezenet1_1;
    AlexNet = "alexnet", alexnet::DEFAULT_LAYER, alexnet::alexnet;
    VGG11 = "vgg11", "features.19", |b| vgg::vgg(b, vgg::VGG11, false);
    VGG13 = "vgg13", "features.23", |b| vgg::vgg(b, vgg::VGG13, false);
    VGG16 = "vgg16", "features.29", |b| vgg::vgg(b, vgg::VGG16, false);
    VGG19 = "vgg19", "features.35", |b| vgg::vgg(b, vgg::VGG19, false);
    VGG11_BN = "vgg11_bn", "features.27", |b| vgg::vgg(b, vgg::VGG11, true);
    VGG13_BN = "vgg13_bn", "features.33", |b| vgg::vgg(b, vgg::VGG13, true);
    VGG16_BN = "vgg16_bn", "features.42", |b| vgg::vgg(b, vgg::VGG16, true);
    VGG19_BN = "vgg19_bn", "features.51", |b| vgg::vgg(b, vgg::VGG19, true);
    ResNet18 = "resnet18", resnet::DEFAULT_LAYER, |b| resnet::resnet(b, BASIC, [2, 2, 2, 2]);
    ResNet34 = "resnet34", resnet::DEFAULT_LAYER, |b| resnet::resnet(b, BASIC, [3, 4, 6, 3]);
    ResNet50 = "resnet50", resnet::DEFAULT_LAYER, |b| resnet::resnet(b, BOTTLENECK, [3, 4, 6, 3]);
    ResNet101 = "resnet101", resnet::DEFAULT_LAYER, |b| resnet::resnet(b, BOTTLENECK, [3, 4, 23, 3]);
    ResNet152 = "resnet152", resnet::DEFAULT_LAYER, |b| resnet::resnet(b, BOTTLENECK, [3, 8, 36, 3]);
    ResNeXt50_32x4d = "resnext50_32x4d", resnet::DEFAULT_LAYER, |b| resnet::resnet(b, bottleneck(32, 4), [3, 4, 6, 3]);
    ResNeXt101_32x8d = "resnext101_32x8d", resnet::DEFAULT_LAYER, |b| resnet::resnet(b, bottleneck(32, 8), [3, 4, 23, 3]);
    WideResNet50_2 = "wide_resnet50_2", resnet::DEFAULT_LAYER, |b| resnet::resnet(b, bottleneck(1, 128), [3, 4, 6, 3]);
    WideResNet101_2 = "wide_resnet101_2", resnet::DEFAULT_LAYER, |b| resnet::resnet(b, bottleneck(1, 128), [3, 4, 23, 3]);
    DenseNet121 = "densenet121", densenet::DEFAULT_LAYER, |b| densenet::densenet(b, 32, 64, [6, 12, 24, 16]);
    DenseNet169 = "densenet169", densenet::DEFAULT_LAYER, |b| densenet::densenet(b, 32, 64, [6, 12, 32, 32]);
    DenseNet201 = "densenet201", densenet::DEFAULT_LAYER, |b| densenet::densenet(b, 32, 64, [6, 12, 48, 32]);
    DenseNet161 = "densenet161", densenet::DEFAULT_LAYER, |b| densenet::densenet(b, 48, 96, [6, 12, 36, 24]);
    CifarResNet18 = "cifar_resnet18", resnet::CIFAR_DEFAULT_LAYER, |b| resnet::cifar_resnet(b, BASIC, [2, 2, 2]);
    CifarResNet34 = "cifar_resnet34", resnet::CIFAR_DEFAULT_LAYER, |b| resnet::cifar_resnet(b, BASIC, [3, 4, 6]);
    CifarResNet50 = "cifar_resnet50", resnet::CIFAR_DEFAULT_LAYER, |b| resnet::cifar_resnet(b, BOTTLENECK, [3, 4, 6]);
    CifarResNet101 = "cifar_resnet101", resnet::CIFAR_DEFAULT_LAYER, |b| resnet::cifar_resnet(b, BOTTLENECK, [3, 4, 23]);
}

impl Architecture {
    /// Names and shapes of all its tensors, as torchvision's state dict has them (batch counters
    /// apart), sorted by name.
    pub fn tensors(self, classes: usize, channels: usize) -> Vec<(String, Vec<usize>)> {
        self.write(Source::Shapes { classes, channels }).1.into_tensors()
    }

    /// Its graph for so many classes and input channels, to be read.
    pub fn blueprint(self, classes: usize, channels: usize) -> Blueprint {
        let (plan, builder) = self.write(Source::Shapes { classes, channels });
        Blueprint {
            architecture: self,
            graph: builder.graph.clone(),
            layers: builder.layers.clone(),
            dropouts: builder.dropouts.clone(),
            tensors: builder.into_tensors(),
            logits: plan.logits,
            classes,
            channels,
        }
    }

    /// Architectures whose every tensor the file has, in the right shape, and no other.
    ///
    /// No two of today's architectures share all shapes, so at most one fits.
    pub fn fitting(weights: &Weights) -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|arch| {
                let mut builder = Builder::screening(weights);
                arch.writer()(&mut builder);
                builder.fits()
            })
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
        let plan = self.writer()(&mut builder);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tensors_of_an_architecture_fit_no_other() {
        for arch in Architecture::ALL {
            let weights = Weights::zeros(arch.tensors(7, 1));
            assert_eq!(Architecture::fitting(&weights), [arch]);
            let mut more = arch.tensors(7, 1);
            more.push(("head.extra".to_owned(), vec![1]));
            assert_eq!(Architecture::fitting(&Weights::zeros(more)), []);
        }
    }

    #[test]
    fn default_layers_before_the_last_max_pooling() {
        let families = ["alexnet", "vgg"];
        let ends_in_linear_layers =
            |arch: &Architecture| families.iter().any(|family| arch.name().starts_with(family));
        let networks: Vec<_> =
            Architecture::ALL.into_iter().filter(ends_in_linear_layers).collect();
        assert_eq!(networks.len(), 9);
        for arch in networks {
            let (_, builder) = arch.write(Source::Shapes { classes: 2, channels: 3 });
            let mut nodes = builder.graph.nodes.iter().rev();
            let pooling = nodes.find(|node| node.operator == "MaxPool").map(|node| &node.inputs[0]);
            assert_eq!(pooling.map(String::as_str), Some(arch.default_layer()), "{arch}");
            let relu = nodes.next().map(|node| (node.operator.as_str(), node.name.as_str()));
            assert_eq!(relu, Some(("Relu", arch.default_layer())), "{arch}");
        }
    }
}

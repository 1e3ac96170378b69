//! The weights that training starts from: those that torchvision's networks start from.

use introspective_network::{Architecture, Blueprint};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Weights of every tensor of a network, in the order of [`Blueprint::tensors`].
///
/// Convolutions: normal with variance `2 / fan`, where fan is what leaves (ResNets, VGG) or enters (DenseNet) each
/// of their places, or uniform with variance `2 / fan in` (SqueezeNet), or PyTorch's default, uniform within
/// `1 / sqrt(fan in)` (AlexNet). Linear layers: PyTorch's default, of VGG normal with standard deviation 0.01.
/// Normalisations begin as the identity. Biases are 0, or uniform within `1 / sqrt(fan in)` where that is the
/// default. Source: torchvision's models, and He et al. 2015.
pub fn initial(blueprint: &Blueprint, seed: u64) -> Vec<Vec<f32>> {
    let tensors = blueprint.tensors();
    let shape =
        |name: &str| tensors.iter().find(|(other, _)| other == name).map(|(_, shape)| shape);
    let recipe = Recipe::of(blueprint.architecture());
    let kinds: Vec<(&str, &[String])> =
        blueprint.operations().map(|node| (node.operator(), node.inputs())).collect();
    let last = kinds.iter().rev().find(|(operator, _)| matches!(*operator, "Conv" | "Gemm"));
    tensors
        .iter()
        .enumerate()
        .map(|(index, (name, dims))| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(index as u64);
            let count: usize = dims.iter().product();
            let user = kinds.iter().find(|(_, inputs)| inputs.contains(name));
            let Some((operator, inputs)) = user else { return vec![0.0; count] };
            let place = inputs.iter().position(|input| input == name).unwrap_or_default();
            let weight = shape(&inputs[1]).map(Vec::as_slice).unwrap_or_default();
            let fan_in: usize = weight.iter().skip(1).product::<usize>().max(1);
            let window: usize = weight.iter().skip(2).product();
            let fan_out = (weight.first().copied().unwrap_or(1) * window).max(1);
            let default = (fan_in as f64).sqrt().recip();
            let is_last = last.is_some_and(|(_, last)| last.contains(name));
            let law = match (*operator, place) {
                // weight and running variance
                ("BatchNormalization", 1 | 4) => Law::Constant(1.0),
                ("Conv", 1) => match recipe {
                    Recipe::FanOut | Recipe::Vgg => Law::Normal((2.0 / fan_out as f64).sqrt()),
                    Recipe::FanIn => Law::Normal((2.0 / fan_in as f64).sqrt()),
                    Recipe::Squeeze if is_last => Law::Normal(0.01),
                    Recipe::Squeeze => Law::Uniform((6.0 / fan_in as f64).sqrt()),
                    Recipe::Default => Law::Uniform(default),
                },
                ("Gemm", 1) if recipe == Recipe::Vgg => Law::Normal(0.01),
                ("Gemm", 1) => Law::Uniform(default),
                ("Conv", 2) if recipe == Recipe::Default => Law::Uniform(default),
                ("Gemm", 2) if matches!(recipe, Recipe::Default | Recipe::FanOut) => {
                    Law::Uniform(default)
                }
                _ => Law::Constant(0.0),
            };
            (0..count).map(|_| law.draw(&mut random)).collect()
        })
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Recipe {
    FanOut,
    Vgg,
    FanIn,
    Squeeze,
    Default,
}

impl Recipe {
    fn of(architecture: Architecture) -> Self {
        let name = architecture.name();
        let families = [
            ("vgg", Self::Vgg),
            ("densenet", Self::FanIn),
            ("squeezenet", Self::Squeeze),
            ("alexnet", Self::Default),
        ];
        let family = families.into_iter().find(|(family, _)| name.starts_with(family));
        family.map_or(Self::FanOut, |(_, recipe)| recipe)
    }
}

#[derive(Clone, Copy)]
enum Law {
    Constant(f32),
    /// Standard deviation.
    Normal(f64),
    /// Largest absolute value.
    Uniform(f64),
}

impl Law {
    fn draw(self, random: &mut ChaCha8Rng) -> f32 {
        match self {
            Self::Constant(value) => value,
            Self::Uniform(bound) => ((2.0 * unit(random) - 1.0) * bound) as f32,
            Self::Normal(deviation) => {
                // Box and Muller 1958; 1 - u is never 0
                let radius = (-2.0 * (1.0 - unit(random)).ln()).sqrt();
                let angle = std::f64::consts::TAU * unit(random);
                (radius * angle.cos() * deviation) as f32
            }
        }
    }
}

/// A number in 0..1, in steps of 2^-53.
fn unit(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 * (-53f64).exp2()
}

//! The last linear layer as one matrix, with everything behind it folded in.

use ndarray::{Array1, Array2, Axis};

use super::constants::constants;
use super::{Linear, Penultimate, Step};
use crate::classifier::Classifier;
use crate::error::{NetworkError, Result};

/// The layer that makes the logits of the features: `z = W h + b`.
#[derive(Clone, Debug, PartialEq)]
pub struct LastLayer {
    /// W, N x d: a row a class.
    pub weight: Array2<f32>,
    /// b, N.
    pub bias: Array1<f32>,
}

impl Classifier {
    /// The last linear layer, `z = W h + b`, of the features that [`Extractor`](crate::Extractor) gives; `None`
    /// where the logits are not affine in them.
    ///
    /// What is added to or multiplied with the logits afterwards is part of W and b. There is none for networks
    /// whose last layer is a 1x1 convolution with a ReLU and an average over positions behind it (SqueezeNet):
    /// their features are the average over positions of what the convolution reads, and
    /// `z_c = mean over positions of ReLU(W_c a + b_c)`.
    ///
    /// # Errors
    /// [`NetworkError::NoPenultimate`] where the features cannot be told.
    pub fn last_layer(&self) -> Result<Option<LastLayer>> {
        let Penultimate { linear, width, .. } = self.penultimate()?;
        let folded = |linear: &Linear| linear.fold(self, width);
        linear.as_ref().map(folded).transpose().map_err(|reason| NetworkError::NoPenultimate {
            model: self.name().to_owned(),
            reason: format!("its last layer cannot be written as one matrix: {reason}"),
        })
    }
}

impl Linear {
    /// The layer with everything behind it.
    fn fold(&self, classifier: &Classifier, width: usize) -> Result<LastLayer, String> {
        let Classifier { graph, runtime, .. } = classifier;
        let classes = classifier.classes();
        let names = self.steps.iter().filter_map(|step| step.constant());
        let names: Vec<&str> = std::iter::once(self.weight.as_str()).chain(names).collect();
        let mut values = constants(graph, runtime, &names)?.into_iter();
        let stored = values.next().unwrap_or_default();
        let dims = if self.out_first { (classes, width) } else { (width, classes) };
        let stored: Array2<f32> = stored
            .into_shape_with_order(dims)
            .map_err(|_| format!("the weight {} has an unexpected shape", self.weight))?;
        let mut weight =
            if self.out_first { stored } else { stored.t().as_standard_layout().into_owned() };
        let mut bias = Array1::zeros(classes);
        for step in &self.steps {
            let constant = match step.constant() {
                Some(name) => {
                    let value: Array1<f32> =
                        values.next().unwrap_or_default().into_iter().collect();
                    let shape = value.len();
                    let value = value.broadcast(classes).map(|all| all.to_owned());
                    value.ok_or_else(|| {
                        format!(
                            "{name} has {shape} numbers; expected one, or one a class ({classes})"
                        )
                    })?
                }
                None => Array1::zeros(classes),
            };
            step.apply(&mut weight, &mut bias, &constant);
        }
        Ok(LastLayer { weight, bias })
    }
}

impl Step {
    fn constant(&self) -> Option<&str> {
        match self {
            Self::Scale(_) => None,
            Self::AddScaled(_, name)
            | Self::Add(name)
            | Self::Subtract(name)
            | Self::SubtractFrom(name)
            | Self::Multiply(name)
            | Self::Divide(name) => Some(name),
        }
    }

    fn apply(&self, weight: &mut Array2<f32>, bias: &mut Array1<f32>, c: &Array1<f32>) {
        let column = || c.view().insert_axis(Axis(1));
        match self {
            Self::Scale(bits) => {
                let alpha = f32::from_bits(*bits);
                *weight *= alpha;
                *bias *= alpha;
            }
            Self::AddScaled(bits, _) => bias.scaled_add(f32::from_bits(*bits), c),
            Self::Add(_) => *bias += c,
            Self::Subtract(_) => *bias -= c,
            Self::SubtractFrom(_) => {
                *weight *= -1.0;
                *bias = c - &*bias;
            }
            Self::Multiply(_) => {
                *weight *= &column();
                *bias *= c;
            }
            Self::Divide(_) => {
                *weight /= &column();
                *bias /= c;
            }
        }
    }
}

//! The scaling of everything a head reads: from the training set, the set being scored, or what has come in.

use ndarray::{Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};

use crate::columns::{Columns, Scaler};
use crate::question::Question;

/// Where the statistics of a scaling come from when a head is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// The training set: a prediction depends on its image alone.
    #[default]
    Train,
    /// The set being scored: transductive, each prediction depends on the others.
    Batch,
    /// Running mean and deviation of the last images, the image itself included, begun with the training
    /// statistics, and those of the training set exactly wherever the mix of classes or the number of images makes them
    /// unsafe ([`Guard`](crate::Guard)). Z-score only.
    Stream,
    /// Running mean and deviation of all that has come in, the image itself included, begun with the training
    /// statistics at the weight of [`STREAM_WEIGHT`] images, whatever comes. Z-score only; wrong where classes do not
    /// come mixed.
    StreamUnguarded,
    /// None: features as they are.
    None,
}

/// How many images the training statistics count for when a stream begins, n0.
pub const STREAM_WEIGHT: f64 = 256.0;

impl Scaling {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Train, Self::Batch, Self::Stream, Self::StreamUnguarded, Self::None];

    /// `train`, `batch`, `stream`, `stream-unguarded`, `none`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Batch => "batch",
            Self::Stream => "stream",
            Self::StreamUnguarded => "stream-unguarded",
            Self::None => "none",
        }
    }

    /// True for running statistics, which each image has of its own.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Stream | Self::StreamUnguarded)
    }
}

/// Statistics of the introspective features.
#[derive(Clone, Debug, PartialEq)]
pub enum OfGradients {
    /// Of the N d products.
    Products(Columns),
    /// Of g and of h, for a low-rank first layer.
    Pair(Columns, Columns),
}

/// Statistics of all that the second stage and its controls read.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Of the gradients.
    pub gradients: OfGradients,
    /// Of h, d columns.
    pub h: Columns,
    /// Of the pooled activations of the stages, S columns; none if no network reads them.
    pub stages: Columns,
    /// Of z, N columns.
    pub z: Columns,
}

impl Statistics {
    /// Of a set of images: activations n x (d + S), of which the first d are h, and z n x N.
    pub fn of(
        activations: ArrayView2<'_, f32>,
        features: usize,
        z: ArrayView2<'_, f32>,
        question: &Question,
        scaler: Scaler,
        low_rank: bool,
    ) -> Self {
        let (h, stages) = activations.split_at(Axis(1), features);
        let g = question.gradients(z);
        let of_h = Columns::of_matrix(h, scaler);
        let gradients = if low_rank {
            OfGradients::Pair(Columns::of_matrix(g.view(), scaler), of_h.clone())
        } else {
            OfGradients::Products(Columns::of_products(g.view(), h, scaler))
        };
        Self {
            gradients,
            h: of_h,
            stages: Columns::of_matrix(stages, scaler),
            z: Columns::of_matrix(z, scaler),
        }
    }

    /// What these would be without scaling.
    pub(crate) fn without_scaling(&self) -> Self {
        let none = |columns: &Columns| Columns { scaler: Scaler::Identity, ..columns.clone() };
        Self {
            gradients: match &self.gradients {
                OfGradients::Products(r) => OfGradients::Products(none(r)),
                OfGradients::Pair(g, h) => OfGradients::Pair(none(g), none(h)),
            },
            h: none(&self.h),
            stages: none(&self.stages),
            z: none(&self.z),
        }
    }
}

/// Two matrices of n rows side by side.
pub(crate) fn side_by_side(left: ArrayView2<'_, f32>, right: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut both = Array2::zeros((left.nrows(), left.ncols() + right.ncols()));
    both.slice_mut(s![.., ..left.ncols()]).assign(&left);
    both.slice_mut(s![.., left.ncols()..]).assign(&right);
    both
}

//! The scaling of everything a head reads: from the training set, the set being scored, or what has come in.

use ndarray::{Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};

use crate::columns::{Columns, Moments, Scaler};
use crate::error::{ReflectError, Result};
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
    /// Running mean and deviation of what has come in, the image itself included, begun with the training
    /// statistics at the weight of [`STREAM_WEIGHT`] images. Z-score only.
    Stream,
    /// None: features as they are.
    None,
}

/// How many images the training statistics count for when a stream begins, n0.
pub const STREAM_WEIGHT: f64 = 256.0;

impl Scaling {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Train, Self::Batch, Self::Stream, Self::None];

    /// `train`, `batch`, `stream`, `none`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Batch => "batch",
            Self::Stream => "stream",
            Self::None => "none",
        }
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

/// Running statistics of a stream of images.
#[derive(Clone, Debug)]
pub struct Stream {
    question: Question,
    /// Width d of h.
    features: usize,
    gradients: RunningGradients,
    h: Moments,
    stages: Moments,
    z: Moments,
}

#[derive(Clone, Debug)]
enum RunningGradients {
    Products(Moments),
    Pair(Moments, Moments),
}

impl Stream {
    /// One that begins with the training statistics.
    ///
    /// # Errors
    /// The statistics are not those of a z-score: minimum and maximum cannot be weighed against new images.
    pub fn start(training: &Statistics, question: Question) -> Result<Self> {
        let (d, classes) = (training.h.len(), training.z.len());
        if training.h.scaler != Scaler::ZScore {
            return Err(ReflectError::Scaling {
                asked: "stream",
                reason: "it is a running mean and deviation, and the head was fitted with another scaler than \
                         zscore; fit it with --scaler zscore",
            });
        }
        let row =
            |columns: &Columns| Moments::started_from(columns, 1, columns.len(), STREAM_WEIGHT);
        let gradients = match &training.gradients {
            OfGradients::Products(r) => {
                RunningGradients::Products(Moments::started_from(r, classes, d, STREAM_WEIGHT))
            }
            OfGradients::Pair(g, h) => RunningGradients::Pair(row(g), row(h)),
        };
        let (h, stages, z) = (row(&training.h), row(&training.stages), row(&training.z));
        Ok(Self { question, features: d, gradients, h, stages, z })
    }

    /// Takes the next image in, and gives the statistics to score it with. Activations
    /// are 1 x (d + S), `z` is 1 x N.
    pub fn next(&mut self, activations: ArrayView2<'_, f32>, z: ArrayView2<'_, f32>) -> Statistics {
        let (h, stages) = activations.split_at(Axis(1), self.features);
        let g = self.question.gradients(z);
        let one = Array2::ones((h.nrows(), 1));
        let add = |moments: &mut Moments, x: ArrayView2<'_, f32>| {
            moments.add(one.view(), x);
            moments.columns()
        };
        let of_h = add(&mut self.h, h);
        let of_stages = add(&mut self.stages, stages);
        let of_z = add(&mut self.z, z);
        let gradients = match &mut self.gradients {
            RunningGradients::Products(r) => {
                r.add(g.view(), h);
                OfGradients::Products(r.columns())
            }
            RunningGradients::Pair(running, h_running) => {
                let of_g = add(running, g.view());
                OfGradients::Pair(of_g, add(h_running, h))
            }
        };
        Statistics { gradients, h: of_h, stages: of_stages, z: of_z }
    }
}

/// Two matrices of n rows side by side.
pub(crate) fn side_by_side(left: ArrayView2<'_, f32>, right: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut both = Array2::zeros((left.nrows(), left.ncols() + right.ncols()));
    both.slice_mut(s![.., ..left.ncols()]).assign(&left);
    both.slice_mut(s![.., left.ncols()..]).assign(&right);
    both
}

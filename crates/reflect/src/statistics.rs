//! The scaling of everything a head reads: from the training set, the set being scored, or what has come in.

use ndarray::{Array2, ArrayView2, s};
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
    /// Of z, N columns.
    pub z: Columns,
}

impl Statistics {
    /// Of a set of images, h n x d and z n x N.
    pub fn of(
        h: ArrayView2<'_, f32>,
        z: ArrayView2<'_, f32>,
        question: &Question,
        scaler: Scaler,
        low_rank: bool,
    ) -> Self {
        let g = question.gradients(z);
        let of_h = Columns::of_matrix(h, scaler);
        let gradients = if low_rank {
            OfGradients::Pair(Columns::of_matrix(g.view(), scaler), of_h.clone())
        } else {
            OfGradients::Products(Columns::of_products(g.view(), h, scaler))
        };
        Self { gradients, h: of_h, z: Columns::of_matrix(z, scaler) }
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
            z: none(&self.z),
        }
    }
}

/// Running statistics of a stream of images.
#[derive(Clone, Debug)]
pub struct Stream {
    question: Question,
    gradients: RunningGradients,
    h: Moments,
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
        Ok(Self { question, gradients, h: row(&training.h), z: row(&training.z) })
    }

    /// Takes the next image in, and gives the statistics to score it with. `h` is 1 x d, `z` is 1 x N.
    pub fn next(&mut self, h: ArrayView2<'_, f32>, z: ArrayView2<'_, f32>) -> Statistics {
        let g = self.question.gradients(z);
        let one = Array2::ones((h.nrows(), 1));
        let add = |moments: &mut Moments, x: ArrayView2<'_, f32>| {
            moments.add(one.view(), x);
            moments.columns()
        };
        let of_h = add(&mut self.h, h);
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
        Statistics { gradients, h: of_h, z: of_z }
    }
}

/// h and z side by side, n x (d + N), scaled.
pub(crate) fn side_by_side(h: &Array2<f32>, z: &Array2<f32>) -> Array2<f32> {
    let mut both = Array2::zeros((h.nrows(), h.ncols() + z.ncols()));
    both.slice_mut(s![.., ..h.ncols()]).assign(h);
    both.slice_mut(s![.., h.ncols()..]).assign(z);
    both
}

//! Scaling with what has come in so far.

use ndarray::{Array2, ArrayView2, Axis};

use crate::columns::{Columns, Moments, Scaler};
use crate::error::{ReflectError, Result};
use crate::guard::{Guard, Verdict};
use crate::question::Question;
use crate::statistics::{OfGradients, STREAM_WEIGHT, Statistics};

/// For how many images a guarded stream remembers: an image's weight, and that of the training statistics, falls by the
/// factor `1 - 1 / 500` with each that follows.
pub const STREAM_WINDOW: f64 = 500.0;

/// Running statistics of a stream of images. What an image is scaled with depends on those before it and on itself, never on
/// those that follow.
#[derive(Clone, Debug)]
pub struct Stream {
    question: Question,
    /// Width d of h.
    features: usize,
    gradients: RunningGradients,
    h: Moments,
    stages: Moments,
    z: Moments,
    guarded: Option<(Guard, Statistics)>,
}

/// What the next image of a stream is scaled with.
#[derive(Clone, Debug)]
pub struct Streamed {
    /// The statistics.
    pub statistics: Statistics,
    /// What the guard said; anything but [`Verdict::Mixed`] means that `statistics` are exactly the training set's.
    pub verdict: Verdict,
}

#[derive(Clone, Debug)]
enum RunningGradients {
    Products(Moments),
    Pair(Moments, Moments),
}

impl RunningGradients {
    fn add(&mut self, g: ArrayView2<'_, f32>, h: ArrayView2<'_, f32>, fade: f64) {
        match self {
            Self::Products(r) => {
                r.fade(fade);
                r.add(g, h);
            }
            Self::Pair(of_g, of_h) => {
                add(of_g, g, fade);
                add(of_h, h, fade);
            }
        }
    }

    fn columns(&self) -> OfGradients {
        match self {
            Self::Products(r) => OfGradients::Products(r.columns()),
            Self::Pair(g, h) => OfGradients::Pair(g.columns(), h.columns()),
        }
    }
}

fn add(moments: &mut Moments, x: ArrayView2<'_, f32>, fade: f64) {
    moments.fade(fade);
    moments.add(Array2::ones((x.nrows(), 1)).view(), x);
}

impl Stream {
    /// All that came in, begun with the training statistics at the weight of [`STREAM_WEIGHT`] images, whatever comes.
    ///
    /// # Errors
    /// The statistics are not those of a z-score: minimum and maximum cannot be weighed against new images.
    pub fn unguarded(training: &Statistics, question: Question) -> Result<Self> {
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
        Ok(Self { question, features: d, gradients, h, stages, z, guarded: None })
    }

    /// The last [`STREAM_WINDOW`] images or so, begun in the same way, where `guard` lets them be used, and else the training
    /// statistics.
    ///
    /// # Errors
    /// As [`Stream::unguarded`].
    pub fn guarded(training: &Statistics, question: Question, guard: Guard) -> Result<Self> {
        let guarded = Some((guard, training.clone()));
        Ok(Self { guarded, ..Self::unguarded(training, question)? })
    }

    /// Takes the next image in, and gives what to score it with. Activations are 1 x (d + S), `z` is 1 x N.
    pub fn next(&mut self, activations: ArrayView2<'_, f32>, z: ArrayView2<'_, f32>) -> Streamed {
        let (h, stages) = activations.split_at(Axis(1), self.features);
        let verdict = match &mut self.guarded {
            Some((guard, _)) => guard.next(h, z),
            None => Verdict::Mixed,
        };
        if verdict != Verdict::NotFinite {
            let fade = if self.guarded.is_some() { 1.0 - 1.0 / STREAM_WINDOW } else { 1.0 };
            let g = self.question.gradients(z);
            add(&mut self.h, h, fade);
            add(&mut self.stages, stages, fade);
            add(&mut self.z, z, fade);
            self.gradients.add(g.view(), h, fade);
        }
        let statistics = match &self.guarded {
            Some((_, training)) if verdict != Verdict::Mixed => training.clone(),
            _ => Statistics {
                gradients: self.gradients.columns(),
                h: self.h.columns(),
                stages: self.stages.columns(),
                z: self.z.columns(),
            },
        };
        Streamed { statistics, verdict }
    }
}

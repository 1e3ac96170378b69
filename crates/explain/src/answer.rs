//! The maps that answer the questions.

use introspective_network::{NetworkError, Observation, Session, resize_bilinear};
use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::questions::{Asked, QuestionError, Questions, largest};
use crate::softmax::softmax;

/// A decision and the answers to the questions about it.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Logits z, N.
    pub logits: Array1<f32>,
    /// Softmax probabilities, N.
    pub probabilities: Array1<f64>,
    /// The predicted class P.
    pub predicted: usize,
    /// One answer a question, in the order of [`Questions::about`].
    pub answers: Vec<Answer>,
}

/// One question and its map.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked.
    pub asked: Asked,
    /// The signed map at the layer's resolution, u x v: before ReLU, unscaled, in units of logits.
    pub raw: Array2<f32>,
}

/// A map to look at.
#[derive(Clone, Debug)]
pub struct Display {
    /// In [0, 1]; all zero if the map is empty.
    pub map: Array2<f32>,
    /// True if the rectified map is constant ([`Answer::is_empty`]), so that there is no range to scale.
    pub empty: bool,
}

/// How much of a raw map the rectified picture shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// `sum ReLU(m) / sum |m|`, in [0, 1]: the positive part of the map's mass; 0 for a zero map.
    pub share: f64,
    /// Fraction of positions with a positive value, in [0, 1].
    pub area: f64,
}

impl Evidence {
    /// Below this [`share`](Self::share) a map is called nearly empty. (A choice of this software:
    /// min-max scaling makes the faintest remainder as bright as solid evidence, so it must be said.)
    pub const NEARLY_EMPTY: f64 = 0.02;

    /// True if the positive part is less than [`Self::NEARLY_EMPTY`] of the map's mass.
    pub fn is_nearly_empty(&self) -> bool {
        self.share < Self::NEARLY_EMPTY
    }
}

/// Why a picture could not be explained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The question makes no sense for this network.
    #[error(transparent)]
    Question(#[from] QuestionError),
    /// A map has values that are infinite or not a number.
    #[error(
        "the maps at layer {layer} are infinite or not a number: the network's activations overflow there"
    )]
    NotFinite {
        /// The layer.
        layer: String,
    },
    /// The gradient could not be computed.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Answers the questions about an observed picture.
///
/// All maps come from one batch of upstream rows, so the gradient is taken once for all of them.
///
/// # Errors
/// A class is out of range, Q = C, or the layer's gradient cannot be computed.
pub fn explain(
    session: &Session<'_>,
    observation: &Observation,
    questions: &Questions,
) -> Result<Explanation, ExplainError> {
    let logits = &observation.logits;
    let asked = questions.about(logits.view())?;
    let maps = maps(session, observation, &asked)?;
    let answers = asked.into_iter().zip(maps).map(|(asked, raw)| Answer { asked, raw }).collect();
    Ok(Explanation {
        logits: logits.clone(),
        probabilities: softmax(logits.view()),
        predicted: largest(logits.view(), None).unwrap_or(0),
        answers,
    })
}

/// The raw maps of these questions, all from one batch of upstream rows.
pub(crate) fn maps(
    session: &Session<'_>,
    observation: &Observation,
    asked: &[Asked],
) -> Result<Vec<Array2<f32>>, ExplainError> {
    let logits = observation.logits.view();
    let mut upstream = Array2::zeros((asked.len(), logits.len()));
    for (mut row, question) in upstream.axis_iter_mut(Axis(0)).zip(asked) {
        row.assign(&question.upstream(logits));
    }
    let alpha = session.alpha(observation, upstream.view())?;
    let maps = combine(alpha.view(), observation);
    if maps.len() != asked.len() || maps.iter().flatten().any(|v| !v.is_finite()) {
        return Err(ExplainError::NotFinite { layer: session.layer().to_owned() });
    }
    Ok(maps)
}

/// `CAM_b = sum_k alpha_bk A_k`: B x K weights give B maps of u x v.
pub(crate) fn combine(alpha: ArrayView2<'_, f32>, observation: &Observation) -> Vec<Array2<f32>> {
    let activations = &observation.activations;
    let (channels, height, width) = activations.dim();
    let flat = activations.to_shape((channels, height * width));
    let Ok(flat) = flat else { return Vec::new() };
    let maps = alpha.dot(&flat);
    maps.outer_iter()
        .filter_map(|map| map.to_owned().into_shape_with_order((height, width)).ok())
        .collect()
}

impl Answer {
    /// The map as the authors draw it: ReLU, bilinear upsampling to `height` x `width`
    /// (align_corners = false), min-max to [0, 1]. A constant map stays zero and is reported empty.
    pub fn display(&self, height: usize, width: usize) -> Display {
        let rectified = self.raw.mapv(|v| v.max(0.0));
        let mut map = resize_bilinear(rectified.view(), height, width);
        let low = map.iter().copied().fold(f32::INFINITY, f32::min);
        let high = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let range = high - low;
        // shrinking may pass over all that differed
        let empty = self.is_empty() || is_constant(low, high) || !range.is_finite();
        map.mapv_inplace(|v| if empty { 0.0 } else { (v - low) / range });
        Display { map, empty }
    }

    /// True if the rectified raw map is constant but for rounding: its range is at most a millionth of its
    /// largest value. (Upsampling a constant rounds too, and min-max would stretch that to a pattern.)
    pub fn is_empty(&self) -> bool {
        let (low, high) = self.range();
        is_constant(low, high)
    }

    /// How much of the raw map is positive.
    pub fn evidence(&self) -> Evidence {
        let mass = |positive: bool| -> f64 {
            self.raw.iter().filter(|&&v| (v > 0.0) == positive).map(|&v| f64::from(v.abs())).sum()
        };
        let (positive, rest) = (mass(true), mass(false));
        let total = positive + rest;
        let cells = self.raw.iter().filter(|&&v| v > 0.0).count();
        Evidence {
            // an empty sum of floats is -0
            share: if positive > 0.0 { positive / total } else { 0.0 },
            area: if self.raw.is_empty() { 0.0 } else { cells as f64 / self.raw.len() as f64 },
        }
    }

    /// Smallest and largest value of the raw map.
    pub fn range(&self) -> (f32, f32) {
        self.raw
            .iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
    }
}

/// Whether a raw map between `low` and `high` is constant once it is rectified ([`Answer::is_empty`]).
pub(crate) fn is_constant(low: f32, high: f32) -> bool {
    let (low, high) = (low.max(0.0), high.max(0.0));
    high - low <= 1e-6 * high
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::array;

    use super::*;
    use crate::questions::Questions;

    fn answer(raw: Array2<f32>) -> Answer {
        let asked = Questions::default().about(array![1.0, 2.0].view()).unwrap()[0];
        Answer { asked, raw }
    }

    /// Upsampling a constant rounds, and min-max must not stretch that to a pattern.
    #[test]
    fn a_constant_map_is_empty_at_every_size() {
        for value in [0.708_094_3, 0.1, 3.3e-7, 1e20, -1.0, 0.0] {
            for shape in [(1, 1), (7, 7), (3, 5)] {
                let answer = answer(Array2::from_elem(shape, value));
                for side in [31, 224, 337] {
                    let display = answer.display(side, side);
                    assert!(display.empty && display.map.iter().all(|&v| v == 0.0), "{value}");
                }
            }
        }
    }

    #[test]
    fn a_map_that_is_constant_where_it_is_positive_is_not_empty() {
        assert!(!answer(array![[0.5, -0.5], [0.5, 0.5]]).display(9, 9).empty);
        assert!(!answer(array![[1.0, 1.00001]]).display(9, 9).empty);
        assert!(answer(array![[-1.0, -2.0]]).display(9, 9).empty);
    }

    #[test]
    fn a_map_without_positive_values_has_a_share_of_plain_zero() {
        let evidence = answer(array![[-1.0, -2.0]]).evidence();
        assert!(evidence.share == 0.0 && evidence.share.is_sign_positive());
    }
}

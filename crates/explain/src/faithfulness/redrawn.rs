//! What becomes of a map when the network forgets what it has learned.

use introspective_measure::spearman;
use introspective_network::{NetworkError, Redraw, Session, SessionOptions};
use ndarray::{ArrayView2, ArrayView3};

use super::CheckError;
use crate::answer::{ExplainError, Explanation, maps};
use crate::questions::Asked;

/// A map held against those of networks whose weights were re-drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct RedrawnMap {
    /// Which layers had lost what they had learned.
    pub which: Redraw,
    /// Spearman's rank correlation of the raw map and each re-drawn network's, one a draw, in [-1, 1]; `None` where one of
    /// the two maps is constant, or the re-drawn network's activations overflow.
    pub correlations: Vec<Option<f64>>,
}

impl RedrawnMap {
    /// From this [`correlation`](Self::correlation) on a map is called unchanged. (A choice of this software. Maps of a few
    /// cells are alike by chance, and all maps of a layer share its activations: what is far below is no proof of anything,
    /// and what is above is a warning.)
    pub const UNCHANGED: f64 = 0.9;

    /// Mean of the correlations that there are.
    pub fn correlation(&self) -> Option<f64> {
        let known: Vec<f64> = self.correlations.iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }

    /// True if the map stays as it is without what the network has learned: it does not depend on that.
    pub fn is_unchanged(&self) -> bool {
        self.correlation().is_some_and(|correlation| correlation >= Self::UNCHANGED)
    }
}

/// Asks networks with re-drawn weights the questions of an explanation, about the same classes, and compares the raw maps: for
/// each answer one [`RedrawnMap`] for each of `which`, from `draws` draws with the seeds `seed`, `seed + 1`, ...
///
/// The cascade goes from the logits down ([`Classifier::redrawn`](introspective_network::Classifier::redrawn)). One re-drawn
/// network is in memory at a time, with all weights of its own.
///
/// # Errors
/// Those of re-drawing and of explaining, but for activations that overflow.
pub fn redrawn_maps(
    session: &Session<'_>,
    input: ArrayView3<'_, f32>,
    explanation: &Explanation,
    which: &[Redraw],
    draws: usize,
    seed: u64,
) -> Result<Vec<Vec<RedrawnMap>>, CheckError> {
    let asked: Vec<Asked> = explanation.answers.iter().map(|answer| answer.asked).collect();
    let empty = |&which| RedrawnMap { which, correlations: Vec::with_capacity(draws) };
    let mut all: Vec<Vec<RedrawnMap>> =
        asked.iter().map(|_| which.iter().map(empty).collect()).collect();
    for (number, &which) in which.iter().enumerate() {
        for draw in 0..draws as u64 {
            let copy = session.classifier().redrawn(which, seed.wrapping_add(draw))?;
            let options = SessionOptions {
                layer: Some(session.layer().to_owned()),
                threads: session.threads().cloned(),
                ..SessionOptions::default()
            };
            let other = Session::new(&copy, &options)?;
            let observed = other.observe(input).map_err(ExplainError::from);
            let found = observed.and_then(|observation| maps(&other, &observation, &asked));
            let found = match found {
                Ok(found) => found.into_iter().map(Some).collect(),
                Err(
                    ExplainError::NotFinite { .. }
                    | ExplainError::Network(NetworkError::NotFinite { .. }),
                ) => vec![None; asked.len()],
                Err(error) => return Err(error.into()),
            };
            for ((answer, found), maps) in explanation.answers.iter().zip(found).zip(&mut all) {
                let correlation =
                    found.and_then(|found| correlation(answer.raw.view(), found.view()));
                maps[number].correlations.push(correlation);
            }
        }
    }
    Ok(all)
}

/// Spearman's rank correlation of two maps of the same shape.
fn correlation(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Option<f64> {
    let values = |map: ArrayView2<'_, f32>| -> Vec<f64> { map.iter().map(|&v| v.into()).collect() };
    spearman(&values(a), &values(b)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(correlations: &[Option<f64>]) -> RedrawnMap {
        RedrawnMap { which: Redraw::All, correlations: correlations.to_vec() }
    }

    #[test]
    fn draws_that_say_nothing_do_not_count() {
        assert_eq!(drawn(&[Some(1.0), None, Some(0.5)]).correlation(), Some(0.75));
        assert_eq!(drawn(&[None]).correlation(), None);
        assert!(!drawn(&[None]).is_unchanged() && !drawn(&[]).is_unchanged());
        assert!(drawn(&[Some(0.95), Some(0.9)]).is_unchanged());
        assert!(!drawn(&[Some(0.95), Some(-0.2)]).is_unchanged());
    }
}

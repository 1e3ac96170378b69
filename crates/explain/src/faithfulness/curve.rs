//! What a network says of a picture that changes step by step.

use ndarray::{Array2, ArrayView1};

/// What is looked at in the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// `p_C`, the softmax probability of a class.
    Class(usize),
    /// `p_C / (p_C + p_Q) = 1 / (1 + exp(z_Q - z_C))`: the class against another one, all the rest aside. What a contrast
    /// is about.
    Pair {
        /// The class C asked about.
        class: usize,
        /// The other one, Q.
        contrast: usize,
    },
}

impl Score {
    /// The score of one picture's finite logits, in [0, 1].
    pub fn of(self, logits: ArrayView1<'_, f32>) -> f64 {
        let z = |class: usize| f64::from(logits[class]);
        let odds = match self {
            Self::Class(class) => {
                (0..logits.len()).filter(|&c| c != class).map(|c| (z(c) - z(class)).exp()).sum()
            }
            Self::Pair { class, contrast } => (z(contrast) - z(class)).exp(),
        };
        1.0 / (1.0 + odds)
    }
}

/// The logits of a picture in each of its steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Share of the pixels that was changed, from 0 to 1, S + 1 of them.
    pub shares: Vec<f64>,
    /// (S + 1) x N.
    pub logits: Array2<f32>,
}

/// A score against the share of pixels that was changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// From 0 to 1, ascending, at least two.
    pub shares: Vec<f64>,
    /// In [0, 1], one a share.
    pub scores: Vec<f64>,
}

impl Trace {
    /// The curve of a score.
    pub fn curve(&self, score: Score) -> Curve {
        let scores = self.logits.outer_iter().map(|logits| score.of(logits)).collect();
        Curve { shares: self.shares.clone(), scores }
    }
}

impl Curve {
    /// The area under the curve by the trapezoid rule, in [0, 1].
    pub fn area(&self) -> f64 {
        let steps = self.shares.windows(2).zip(self.scores.windows(2));
        steps.map(|(x, y)| (x[1] - x[0]) * (y[0] + y[1]) / 2.0).sum()
    }

    /// The score before anything is changed.
    pub fn start(&self) -> f64 {
        self.scores.first().copied().unwrap_or_default()
    }

    /// The score when all pixels are changed.
    pub fn end(&self) -> f64 {
        self.scores.last().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::softmax;
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn an_area_by_hand() {
        let curve = Curve { shares: vec![0.0, 0.5, 1.0], scores: vec![1.0, 0.5, 0.1] };
        assert!((curve.area() - (0.375 + 0.15)).abs() < 1e-12);
        assert_eq!((curve.start(), curve.end()), (1.0, 0.1));
    }

    #[test]
    fn scores_by_hand() {
        let z = array![2f32.ln(), 0.0, 0.0];
        assert!((Score::Class(0).of(z.view()) - 0.5).abs() < 1e-7);
        assert!((Score::Pair { class: 0, contrast: 1 }.of(z.view()) - 2.0 / 3.0).abs() < 1e-7);
        // neither overflows
        let far = array![-2000.0, 2000.0];
        assert_eq!(Score::Class(0).of(far.view()), 0.0);
        assert_eq!(Score::Pair { class: 1, contrast: 0 }.of(far.view()), 1.0);
    }

    proptest! {
        #[test]
        fn the_score_of_a_class_is_its_softmax(z in prop::collection::vec(-30f32..30.0, 2..20)) {
            let z = ndarray::Array1::from(z);
            let p = softmax(z.view());
            for (class, p) in p.iter().enumerate() {
                // which takes differences in single precision
                prop_assert!((Score::Class(class).of(z.view()) - p).abs() < 1e-6);
            }
        }

        #[test]
        fn areas_lie_between_0_and_1(scores in prop::collection::vec(0f64..=1.0, 2..40)) {
            let last = scores.len() as f64 - 1.0;
            let curve = Curve { shares: (0..scores.len()).map(|k| k as f64 / last).collect(), scores };
            prop_assert!((0.0..=1.0 + 1e-12).contains(&curve.area()));
        }
    }
}

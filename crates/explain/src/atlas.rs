//! The maps of all classes at once.

use introspective_network::{Observation, Session};
use ndarray::{Array1, Array2, Array3, ArrayView2, Axis, Zip};

use crate::answer::{Answer, ExplainError};
use crate::questions::{Asked, Form, Question, largest};
use crate::softmax::softmax;

/// A decision and the maps of all N classes, as raw as [`Answer::raw`]: at the layer's resolution u x v, before ReLU,
/// unscaled, in units of logits.
#[derive(Clone, Debug)]
pub struct Atlas {
    /// Logits z, N.
    pub logits: Array1<f32>,
    /// Softmax probabilities p, N.
    pub probabilities: Array1<f64>,
    /// The predicted class P.
    pub predicted: usize,
    /// `CAM_c` of every class c, N x u x v: its Grad-CAM.
    pub cam: Array3<f32>,
    /// `sum_c p_c (CAM_c - CAM_Q)` of every class Q, N x u x v: *Why P, rather than Q?*, the gradient of the
    /// cross-entropy loss that wants Q. The row of P itself follows the same formula, `sum_{c != P} p_c (CAM_c - CAM_P)`:
    /// it asks what would make P surer, vanishes as p_P goes to one, and is no contrast; rankings and [`Atlas::voice`]
    /// leave it out.
    pub rather_than: Array3<f32>,
}

/// The maps of all classes of an observed picture, from one forward pass.
///
/// `CAM` comes from [`Session::cams`]. Contrasts are formed from the differences `D_c = CAM_c - CAM_P` in double
/// precision, as `sum_{c != P} p_c D_c - D_Q` (derived), so that nothing cancels in any row, that of P included, however
/// near to one p_P is. `sum_Q p_Q rather_than_Q = 0`. Rows equal the maps of [`explain`](crate::explain).
///
/// # Errors
/// The layer's gradient cannot be computed, or the maps are not finite.
pub fn atlas(session: &Session<'_>, observation: &Observation) -> Result<Atlas, ExplainError> {
    let cam = session.cams(observation)?;
    let logits = observation.logits.clone();
    let probabilities = softmax(logits.view());
    let predicted = largest(logits.view(), None).unwrap_or(0);
    let rather_than = contrasts(&cam, &probabilities, predicted);
    if cam.iter().chain(&rather_than).any(|value| !value.is_finite()) {
        return Err(ExplainError::NotFinite { layer: session.layer().to_owned() });
    }
    Ok(Atlas { logits, probabilities, predicted, cam, rather_than })
}

/// `sum_c p_c (CAM_c - CAM_Q)` for every Q.
fn contrasts(cam: &Array3<f32>, p: &Array1<f64>, predicted: usize) -> Array3<f32> {
    let mut contrasts = Array3::zeros(cam.dim());
    if cam.is_empty() {
        return contrasts;
    }
    let center = cam.index_axis(Axis(0), predicted).mapv(f64::from);
    let mut mean = Array2::<f64>::zeros(center.dim());
    for (map, &p) in cam.outer_iter().zip(p) {
        Zip::from(&mut mean)
            .and(map)
            .and(&center)
            .for_each(|mean, &value, &center| *mean += p * (f64::from(value) - center));
    }
    for (mut contrast, map) in contrasts.outer_iter_mut().zip(cam.outer_iter()) {
        Zip::from(&mut contrast).and(map).and(&mean).and(&center).for_each(
            |contrast, &value, &mean, &center| {
                *contrast = (mean - (f64::from(value) - center)) as f32;
            },
        );
    }
    contrasts
}

impl Atlas {
    /// How many classes there are, N.
    pub fn classes(&self) -> usize {
        self.logits.len()
    }

    /// *Why P?*
    pub fn why(&self) -> Answer {
        self.answer(Question::Why, Form::GradCam, None, self.map(&self.cam, self.predicted))
    }

    /// *Why P, rather than Q?*; `None` if Q is P or no class.
    pub fn rather_than(&self, class: usize) -> Option<Answer> {
        if class == self.predicted || class >= self.classes() {
            return None;
        }
        let map = self.map(&self.rather_than, class);
        let form = Form::CrossEntropyContrast;
        Some(self.answer(Question::RatherThan, form, Some(class), map))
    }

    /// The other classes Q, the most probable first; among equals the first.
    pub fn others(&self) -> Vec<usize> {
        let mut others: Vec<usize> =
            (0..self.classes()).filter(|&class| class != self.predicted).collect();
        others.sort_by(|&a, &b| self.logits[b].total_cmp(&self.logits[a]).then(a.cmp(&b)));
        others
    }

    pub(crate) fn map<'a>(&self, maps: &'a Array3<f32>, class: usize) -> ArrayView2<'a, f32> {
        maps.index_axis(Axis(0), class)
    }

    fn answer(
        &self,
        question: Question,
        form: Form,
        contrast: Option<usize>,
        map: ArrayView2<'_, f32>,
    ) -> Answer {
        let asked = Asked { question, class: self.predicted, contrast, form };
        Answer { asked, raw: map.to_owned() }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::{Array, array};
    use proptest::prelude::*;

    use super::*;

    /// An atlas of these class maps.
    pub(crate) fn of(cam: Array3<f32>, logits: Array1<f32>) -> Atlas {
        let probabilities = softmax(logits.view());
        let predicted = largest(logits.view(), None).unwrap();
        let rather_than = contrasts(&cam, &probabilities, predicted);
        Atlas { logits, probabilities, predicted, cam, rather_than }
    }

    /// Logits and maps of 2 to 7 classes.
    pub(crate) fn any(span: f32) -> impl Strategy<Value = Atlas> {
        (2usize..8, 1usize..6, 1usize..6).prop_flat_map(move |(classes, height, width)| {
            let maps = prop::collection::vec(-2f32..2.0, classes * height * width);
            let logits = prop::collection::vec(-span..span, classes);
            (maps, logits).prop_map(move |(maps, logits)| {
                of(
                    Array::from(maps).into_shape_with_order((classes, height, width)).unwrap(),
                    logits.into(),
                )
            })
        })
    }

    /// p_P is 1 - 2e-9: in single precision `sum_c p_c CAM_c` is CAM_P, and their difference zero.
    #[test]
    fn nothing_cancels_when_the_network_is_sure() {
        let cam = array![[[3.0f32, 1.0]], [[1.0, 7.0]]];
        let atlas = of(cam, array![20.0, 0.0]);
        let p = (-20f64).exp() / (1.0 + (-20f64).exp());
        for (found, expected) in atlas.rather_than.iter().zip([
            p * (1.0 - 3.0),
            p * (7.0 - 1.0),
            (1.0 - p) * (3.0 - 1.0),
            (1.0 - p) * (1.0 - 7.0),
        ]) {
            assert!((f64::from(*found) / expected - 1.0).abs() < 1e-6, "{found} for {expected}");
        }
    }

    #[test]
    fn a_single_class_has_no_contrast_and_a_class_that_is_none_has_no_answer() {
        let atlas = of(array![[[3.0, 1.0]]], array![2.0]);
        assert_eq!(atlas.rather_than, array![[[0.0, 0.0]]]);
        assert!(atlas.others().is_empty());
        assert!(atlas.rather_than(0).is_none() && atlas.rather_than(1).is_none());
        assert_eq!(atlas.why().raw, array![[3.0, 1.0]]);
    }

    proptest! {
        /// Contrasts weigh all classes against each other: their mean under p is zero.
        #[test]
        fn the_mean_of_all_contrasts_is_zero(atlas in any(12.0)) {
            let mut mean = Array2::<f64>::zeros(atlas.why().raw.dim());
            for (map, p) in atlas.rather_than.outer_iter().zip(&atlas.probabilities) {
                mean += &map.mapv(|value| p * f64::from(value));
            }
            prop_assert!(mean.iter().all(|value| value.abs() < 1e-6), "{mean}");
        }

        /// The same as the row `p - e_Q` times the class maps, which is how `explain` asks.
        #[test]
        fn a_row_is_that_of_the_upstream_gradient(atlas in any(4.0)) {
            for class in atlas.others() {
                let answer = atlas.rather_than(class).unwrap();
                let upstream = answer.asked.upstream(atlas.logits.view());
                let mut expected = Array2::<f64>::zeros(answer.raw.dim());
                for (map, &g) in atlas.cam.outer_iter().zip(&upstream) {
                    expected += &map.mapv(|value| f64::from(g) * f64::from(value));
                }
                for (found, expected) in answer.raw.iter().zip(&expected) {
                    prop_assert!((f64::from(*found) - expected).abs() < 1e-5);
                }
            }
        }

        /// Numbering the classes otherwise renumbers the maps and changes nothing else.
        #[test]
        fn classes_may_come_in_any_order(atlas in any(4.0), turn in 1usize..7) {
            let classes = atlas.classes();
            let order: Vec<usize> = (0..classes).map(|class| (class + turn) % classes).collect();
            let turned = of(atlas.cam.select(Axis(0), &order), atlas.logits.select(Axis(0), &order));
            let expected = atlas.rather_than.select(Axis(0), &order);
            prop_assert!(turned.rather_than.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
}

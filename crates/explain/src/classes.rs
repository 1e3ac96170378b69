//! The maps of some classes, from which every question about them can be answered later without the network.

use introspective_network::{Observation, Session};
use ndarray::{Array2, Array3, ArrayView1, Axis};

use crate::answer::{ExplainError, combine};
use crate::atlas::Atlas;
use crate::questions::largest;
use crate::softmax::softmax;

/// Class maps of one picture, raw: at the layer's resolution u x v, before ReLU, in units of logits.
///
/// With them the three questions about any of these classes are sums: *Why C?* is `CAM_C`, *What if not C?* is `-CAM_C`, *Why P,
/// rather than Q?* is `mean - (CAM_Q - CAM_P)`, and of another class *Why C, rather than Q?* is `CAM_C - CAM_Q`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassMaps {
    /// Which classes; the predicted one P is the first.
    pub classes: Vec<usize>,
    /// `CAM_c` of each, in this order, n x u x v.
    pub cam: Array3<f32>,
    /// `sum_{c != P} p_c (CAM_c - CAM_P)` over all N classes, u x v.
    pub mean: Array2<f32>,
}

/// The maps of these classes of an observed picture, and of the predicted one: one batch of gradients.
///
/// # Errors
/// A class is out of range, the layer's gradient cannot be computed, or the maps are not finite.
pub fn class_maps(
    session: &Session<'_>,
    observation: &Observation,
    classes: &[usize],
) -> Result<ClassMaps, ExplainError> {
    let logits = observation.logits.view();
    let predicted = largest(logits, None).unwrap_or(0);
    let mut wanted = vec![predicted];
    for &class in classes {
        if class >= logits.len() {
            let classes = logits.len();
            return Err(crate::QuestionError::OutOfRange { class, classes }.into());
        }
        if !wanted.contains(&class) {
            wanted.push(class);
        }
    }
    let mut upstream = Array2::zeros((wanted.len() + 1, logits.len()));
    for (row, &class) in wanted.iter().enumerate() {
        upstream[[row, class]] = 1.0;
    }
    upstream.row_mut(wanted.len()).assign(&mean_row(logits, predicted));
    let alpha = session.alpha(observation, upstream.view())?;
    let maps = combine(alpha.view(), observation);
    let not_finite = || ExplainError::NotFinite { layer: session.layer().to_owned() };
    if maps.len() != upstream.nrows() || maps.iter().flatten().any(|v| !v.is_finite()) {
        return Err(not_finite());
    }
    let views: Vec<_> = maps[..wanted.len()].iter().map(|map| map.view()).collect();
    let cam = ndarray::stack(Axis(0), &views).map_err(|_| not_finite())?;
    let mean = maps[wanted.len()].clone();
    Ok(ClassMaps { classes: wanted, cam, mean })
}

impl Atlas {
    /// Of its maps those of these classes, and of the predicted one, which comes first. Classes that do not exist are left out.
    pub fn class_maps(&self, classes: &[usize]) -> ClassMaps {
        let mut wanted = vec![self.predicted];
        let mut taken = vec![false; self.classes()];
        for &class in classes {
            let new = taken.get_mut(class).is_some_and(|taken| !std::mem::replace(taken, true));
            if new && class != self.predicted {
                wanted.push(class);
            }
        }
        let cam = self.cam.select(Axis(0), &wanted);
        // the row of P is that sum, see the field
        let mean = self.rather_than.index_axis(Axis(0), self.predicted).to_owned();
        ClassMaps { classes: wanted, cam, mean }
    }
}

/// The upstream row of `sum_{c != P} p_c (CAM_c - CAM_P)`; nothing cancels in it when p_P is near one.
fn mean_row(logits: ArrayView1<'_, f32>, predicted: usize) -> ndarray::Array1<f32> {
    let p = softmax(logits);
    let others: f64 =
        p.iter().enumerate().filter(|&(class, _)| class != predicted).map(|(_, p)| p).sum();
    let mut row = p.mapv(|p| p as f32);
    if let Some(own) = row.get_mut(predicted) {
        *own = -others as f32;
    }
    row
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;
    use crate::atlas::tests::any;

    #[test]
    fn the_row_of_the_mean_does_not_cancel() {
        let row = mean_row(array![40.0f32, 0.0, 0.0].view(), 0);
        let p = (-40f64).exp();
        assert!((f64::from(row[1]) / p - 1.0).abs() < 1e-5);
        assert!((f64::from(row[0]) / (-2.0 * p) - 1.0).abs() < 1e-5);
    }

    proptest! {
        /// What a page makes of these maps is what the atlas says.
        #[test]
        fn contrasts_are_sums_of_class_maps(atlas in any(6.0)) {
            let maps = atlas.class_maps(&[0, 1, 99, 0]);
            prop_assert_eq!(maps.classes[0], atlas.predicted);
            prop_assert_eq!(maps.classes.len(), 2 + usize::from(atlas.predicted > 1));
            let own = maps.cam.index_axis(Axis(0), 0);
            for (place, &class) in maps.classes.iter().enumerate().skip(1) {
                let other = maps.cam.index_axis(Axis(0), place);
                let page: Array2<f32> = &maps.mean - &(&other - &own);
                let answer = atlas.rather_than(class).unwrap();
                prop_assert!(page.iter().zip(&answer.raw).all(|(a, b)| (a - b).abs() < 1e-5));
            }
        }
    }
}

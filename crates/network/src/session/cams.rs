//! The maps of all classes at once.

use ndarray::{Array2, Array3, ArrayView2, Ix2, s};

use super::{Observation, Route, Session};
use crate::error::{NetworkError, Result};
use crate::head::{Closed, Head};

/// Upstream rows of all classes are made in batches of so many floats: for 1000 classes all at once, for many
/// more in parts.
const UPSTREAM_ELEMENTS: usize = 1 << 22;

impl Session<'_> {
    /// The class activation map of every class, before ReLU: `CAM_c = sum_k alpha_ck A_k` with
    /// `alpha_ck = mean over (u, v) of dz_c / dA[k, u, v]` (METHOD section 4). N x u x v, in units of logits.
    ///
    /// With a closed form this is a few matrix products, multiplied out from the classes or from the positions,
    /// whichever is less work (derived). Else alpha is taken of all classes, in batches whose memory is bounded, which
    /// costs N times the way back from the logits to the layer.
    ///
    /// # Errors
    /// Another session made the observation, or the layer's gradient cannot be computed.
    pub fn cams(&self, observation: &Observation) -> Result<Array3<f32>> {
        if observation.session != self.id {
            return Err(self.foreign(observation));
        }
        let (channels, height, width) = observation.activations.dim();
        let activations = observation.activations.as_standard_layout();
        let flat = activations.to_shape((channels, height * width));
        let shape = |error: ndarray::ShapeError| self.failed(observation, error.to_string());
        let flat = flat.map_err(shape)?;
        let maps = match &self.route {
            Route::Closed(head, slot) => {
                let closed = self.closed(head, slot, channels)?;
                let (classes, positions) = (self.classifier.classes(), flat.ncols());
                let from_positions = positions.saturating_mul(closed.multiplications);
                let from_classes = closed.multiplications.saturating_add(channels * positions);
                if from_positions <= from_classes.saturating_mul(classes) {
                    self.cams_from_positions(observation, head, closed, flat.view())?
                } else {
                    self.cams_from_classes(observation, flat.view())?
                }
            }
            Route::Adjoint(_) => self.cams_from_classes(observation, flat.view())?,
        };
        maps.into_shape_with_order((self.classifier.classes(), height, width)).map_err(shape)
    }

    /// The closed form applied to the activations, K x uv; the result is N x uv.
    fn cams_from_positions(
        &self,
        observation: &Observation,
        head: &Head,
        closed: &Closed,
        flat: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>> {
        let crate::Classifier { graph, runtime, name, .. } = self.classifier;
        let (channels, positions) = flat.dim();
        let engine = closed.maps(head, graph, runtime, channels, self.threads.as_ref()).map_err(
            |reason| NetworkError::Load { model: format!("the head of {name}"), reason },
        )?;
        let mut inputs = self.saved(observation, head.saved())?;
        inputs.extend(closed.summed.as_ref().map(|value| value.view()));
        inputs.push(flat.into_dyn());
        let mut outputs = engine.run(&inputs).map_err(|reason| self.failed(observation, reason))?;
        let maps = outputs
            .pop()
            .and_then(|maps| maps.into_dimensionality::<Ix2>().ok())
            .filter(|maps| maps.dim() == (self.classifier.classes(), positions))
            .ok_or_else(|| self.failed(observation, "the maps have an unexpected shape"))?;
        Ok(maps / positions as f32)
    }

    /// `alpha A` with alpha of all classes, a batch of classes at a time; A is K x uv, the result N x uv.
    fn cams_from_classes(
        &self,
        observation: &Observation,
        flat: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>> {
        let classes = self.classifier.classes();
        let batch = (UPSTREAM_ELEMENTS / classes.max(1)).max(1);
        let mut maps = Array2::zeros((classes, flat.ncols()));
        for start in (0..classes).step_by(batch) {
            let end = (start + batch).min(classes);
            let upstream = Array2::from_shape_fn((end - start, classes), |(row, class)| {
                f32::from(u8::from(start + row == class))
            });
            let alpha = self.alpha(observation, upstream.view())?;
            maps.slice_mut(s![start..end, ..]).assign(&alpha.dot(&flat));
        }
        Ok(maps)
    }

    fn failed(&self, observation: &Observation, reason: impl Into<String>) -> NetworkError {
        let [height, width] = observation.input;
        self.classifier.run_error(height, width, reason.into())
    }

    /// The maps (N x uv) by every way that this session has: from the classes, and with a closed form from the positions.
    #[cfg(test)]
    pub(crate) fn cams_from_each_end(&self, observation: &Observation) -> Result<Vec<Array2<f32>>> {
        let (channels, height, width) = observation.activations.dim();
        let flat = observation.activations.to_shape((channels, height * width));
        let flat = flat.map_err(|error| self.failed(observation, error.to_string()))?;
        let mut maps = vec![self.cams_from_classes(observation, flat.view())?];
        if let Route::Closed(head, slot) = &self.route {
            let closed = self.closed(head, slot, channels)?;
            maps.push(self.cams_from_positions(observation, head, closed, flat.view())?);
        }
        Ok(maps)
    }
}

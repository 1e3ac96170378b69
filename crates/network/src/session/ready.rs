//! The gradient by the adjoint graph: built when a picture shows its size.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{ArrayD, ArrayView3, Axis};

use super::Session;
use crate::adjoint::{ALPHA, Adjoint, Plan, adjoint};
use crate::classifier::Classifier;
use crate::error::{NetworkError, Result};
use crate::runtime::{Engine, LoadOptions};

/// What most pictures are resized to.
const LIKELY_SIZE: [usize; 2] = [224, 224];

/// An adjoint graph, loaded, for pictures of one size.
pub(super) struct Ready {
    input: [usize; 2],
    pub(super) adjoint: Adjoint,
    pub(super) engine: Engine,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").field("input", &self.input).finish_non_exhaustive()
    }
}

/// The forward values that the gradient needs: found by building the adjoint for a likely size, because
/// whatever else is declared as an output costs memory and time in every run. If the shapes for that
/// cannot be inferred: all values on the way.
pub(super) fn needed(classifier: &Classifier, plan: &Plan<'_>) -> Result<Vec<String>> {
    let shapes = classifier.shapes(classifier.input_size().unwrap_or(LIKELY_SIZE));
    let values = plan.values();
    if values.iter().all(|value| shapes.contains_key(*value)) {
        return Ok(adjoint(plan, &shapes)?.saved);
    }
    tracing::debug!("some shapes are unknown before the network runs");
    Ok(values.into_iter().map(str::to_owned).collect())
}

impl Session<'_> {
    /// The adjoint graph for a picture of this size, of which the engine made these values.
    pub(super) fn prepare(
        &self,
        slot: &Mutex<Option<Arc<Ready>>>,
        picture: ArrayView3<'_, f32>,
        values: &HashMap<String, ArrayD<f32>>,
    ) -> Result<Arc<Ready>> {
        let (_, height, width) = picture.dim();
        let input = [height, width];
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = slot.as_ref().filter(|ready| ready.input == input) {
            return Ok(Arc::clone(ready));
        }
        let Classifier { graph, logits, runtime, .. } = self.classifier;
        let plan = Plan::new(graph, &self.outputs[1], logits)
            .ok_or_else(|| NetworkError::NoPath { layer: self.layer.clone() })?;
        let adjoint = adjoint(&plan, &self.shapes(&plan, picture, values)?)?;
        if let Some(name) = adjoint.saved.iter().find(|name| !values.contains_key(*name)) {
            let reason = format!("the gradient needs {name}, which was not foreseen");
            return Err(self.classifier.run_error(height, width, reason));
        }
        tracing::debug!(layer = %self.layer, nodes = adjoint.graph.nodes.len(), "adjoint built");
        let engine =
            runtime.load(&adjoint.graph, &[ALPHA], self.load_options()).map_err(|reason| {
                NetworkError::Load {
                    model: format!("the adjoint of {}", self.classifier.name),
                    reason,
                }
            })?;
        let ready = Arc::new(Ready { input, adjoint, engine });
        *slot = Some(Arc::clone(&ready));
        Ok(ready)
    }

    /// For graphs that few runs make use of.
    fn load_options(&self) -> LoadOptions<'_> {
        LoadOptions { optimise: false, threads: self.threads.as_ref() }
    }

    /// Shapes of a plan's values: inferred, and if that leaves a gap or is at odds with what the engine
    /// made, measured by running everything once more.
    fn shapes(
        &self,
        plan: &Plan<'_>,
        picture: ArrayView3<'_, f32>,
        values: &HashMap<String, ArrayD<f32>>,
    ) -> Result<HashMap<String, Vec<usize>>> {
        let (_, height, width) = picture.dim();
        let mut shapes = self.classifier.shapes([height, width]);
        let agree = |shape: Option<&Vec<usize>>, value: &ArrayD<f32>| {
            shape.is_none_or(|shape| shape == value.shape())
        };
        let mut trusted = true;
        for (name, value) in values {
            trusted &= agree(shapes.get(name), value);
            shapes.insert(name.clone(), value.shape().to_vec());
        }
        let names = plan.values();
        if trusted && names.iter().all(|name| shapes.contains_key(*name)) {
            return Ok(shapes);
        }
        let Classifier { name, graph, runtime, .. } = self.classifier;
        let engine = runtime
            .load(graph, &names, self.load_options())
            .map_err(|reason| NetworkError::Load { model: name.clone(), reason })?;
        let measured = engine
            .run(&[picture.insert_axis(Axis(0)).into_dyn()])
            .map_err(|reason| self.classifier.run_error(height, width, reason))?;
        let names = names.into_iter().map(str::to_owned);
        Ok(names.zip(measured.iter().map(|value| value.shape().to_vec())).collect())
    }
}

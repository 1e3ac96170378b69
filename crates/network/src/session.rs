//! Running a classifier with one layer watched: logits, activations, and gradients between the two.

mod cams;
mod ready;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use ndarray::{
    Array1, Array2, Array3, ArrayD, ArrayView2, ArrayView3, ArrayViewD, Axis, Ix2, Ix3, s,
};

use self::ready::{Ready, needed};
use crate::adjoint::Plan;
use crate::classifier::Classifier;
use crate::error::{NetworkError, Result};
use crate::head::{Closed, Head};
use crate::runtime::{Engine, LoadOptions, Threads};
use crate::stages::{Stage, pooled};

/// Upstream rows are answered in batches whose largest gradient stays under this many floats. (Four times as many were
/// measured to be no faster for 1000 classes, and to take two and a half times the memory.)
const BATCH_ELEMENTS: usize = 1 << 22;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// Settings of a [`Session`].
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// Dotted or underscore name of the target layer; `None` takes the classifier's default.
    pub layer: Option<String>,
    /// Worker threads; `None` takes one per physical core.
    pub threads: Option<Threads>,
    /// Compute gradients by the adjoint graph even where a closed form exists (for checks).
    pub without_closed_form: bool,
    /// Let the engine fuse operators: pays off from a few pictures on.
    pub optimise: bool,
    /// Give the penultimate features of every picture too, from the same forward pass.
    pub penultimate: bool,
    /// Give the pooled activations of the stages of every picture too.
    pub stages: bool,
}

/// A classifier with a target layer.
pub struct Session<'c> {
    classifier: &'c Classifier,
    layer: String,
    threads: Option<Threads>,
    /// Tells this session's observations from others'.
    id: u64,
    engine: Engine,
    /// Names of the engine's outputs; the first is the logits, the second the target layer.
    outputs: Vec<String>,
    /// The value with the penultimate features, where they are wanted, and how many there are.
    features: Option<(String, usize)>,
    /// The stages that are wanted.
    stages: Vec<Stage>,
    route: Route,
}

enum Route {
    /// The closed form is loaded when the first gradient is asked for.
    Closed(Head, Box<OnceLock<std::result::Result<Closed, String>>>),
    /// The adjoint graph depends on the input's size; it is built when the first picture shows it.
    Adjoint(Mutex<Option<Arc<Ready>>>),
}

/// What a classifier made of one picture.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Logits z, N.
    pub logits: Array1<f32>,
    /// Activations A of the target layer, K x u x v.
    pub activations: Array3<f32>,
    /// Penultimate features h, d, as [`Extractor`](crate::Extractor) gives them, if [`SessionOptions::penultimate`] asked
    /// for them.
    pub penultimate: Option<Array1<f32>>,
    /// Pooled activations of the stages, S, as [`Extractor`](crate::Extractor) gives them; none unless
    /// [`SessionOptions::stages`] asked for them.
    pub stages: Array1<f32>,
    session: u64,
    /// Height and width of the picture.
    input: [usize; 2],
    /// Further forward values that the gradient needs.
    saved: HashMap<String, ArrayD<f32>>,
    /// The adjoint graph for this picture's size, where there is no closed form.
    adjoint: Option<Arc<Ready>>,
}

impl Observation {
    /// Bytes of memory that its values take, those that a gradient needs among them.
    pub fn bytes(&self) -> usize {
        let saved: usize = self.saved.values().map(ArrayD::len).sum();
        let h = self.penultimate.as_ref().map_or(0, Array1::len);
        4 * (self.logits.len() + self.activations.len() + h + self.stages.len() + saved)
    }
}

impl<'c> Session<'c> {
    /// Loads the classifier with a target layer.
    ///
    /// # Errors
    /// The layer does not exist, an operator above it has no known gradient, or the runtime refuses the graph;
    /// the penultimate features are wanted and cannot be told ([`NetworkError::NoPenultimate`]).
    pub fn new(classifier: &'c Classifier, options: &SessionOptions) -> Result<Self> {
        let graph = &classifier.graph;
        let wanted = options.layer.as_deref().unwrap_or(classifier.default_layer());
        if wanted.is_empty() {
            return Err(NetworkError::NoDefaultLayer { model: classifier.name.clone() });
        }
        let (layer, target) = classifier.layers.find(&classifier.name, wanted)?;

        if target == classifier.logits {
            let shape = vec![1, classifier.classes()];
            return Err(NetworkError::NotSpatial { layer: layer.to_owned(), shape });
        }
        if classifier.layers.is_channels_last(target) {
            return Err(NetworkError::ChannelsLast { layer: layer.to_owned() });
        }
        let closed = (!options.without_closed_form)
            .then(|| Head::find(graph, target, &classifier.logits))
            .flatten();
        let mut outputs = vec![classifier.logits.clone(), target.to_owned()];
        let route = match closed {
            Some(head) => {
                outputs.extend(head.saved().cloned());
                Route::Closed(head, Box::default())
            }
            None => {
                let plan = Plan::new(graph, target, &classifier.logits)
                    .ok_or_else(|| NetworkError::NoPath { layer: layer.to_owned() })?;
                outputs.extend(needed(classifier, &plan)?);
                Route::Adjoint(Mutex::new(None))
            }
        };
        let mut graph = Cow::Borrowed(graph);
        let features = if options.penultimate {
            let penultimate = classifier.penultimate()?;
            Some((penultimate.declare(graph.to_mut()), penultimate.width))
        } else {
            None
        };
        outputs.extend(features.iter().map(|(value, _)| value.clone()));
        let stages = if options.stages { classifier.stages() } else { Vec::new() };
        outputs.extend(stages.iter().map(|stage| stage.value.clone()));
        let mut seen = HashSet::new();
        outputs.retain(|name| seen.insert(name.clone()));
        let names: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let load = LoadOptions { optimise: options.optimise, threads: options.threads.as_ref() };
        let engine = classifier
            .runtime
            .load(&graph, &names, load)
            .map_err(|reason| NetworkError::Load { model: classifier.name.clone(), reason })?;
        Ok(Self {
            classifier,
            layer: layer.to_owned(),
            threads: options.threads.clone(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            engine,
            outputs,
            features,
            stages,
            route,
        })
    }

    /// The classifier.
    pub fn classifier(&self) -> &'c Classifier {
        self.classifier
    }

    /// The worker threads it was given.
    pub fn threads(&self) -> Option<&Threads> {
        self.threads.as_ref()
    }

    /// Dotted name of the target layer.
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// True if gradients come from a closed form rather than from the adjoint graph.
    pub fn has_closed_form(&self) -> bool {
        matches!(self.route, Route::Closed(..))
    }

    /// Runs the classifier on one picture, C x H x W, preprocessed.
    ///
    /// # Errors
    /// The picture has the wrong number of channels or is too small, the layer's output is no stack
    /// of maps, an operator above it has no known gradient, or the logits are not finite.
    pub fn observe(&self, picture: ArrayView3<'_, f32>) -> Result<Observation> {
        let (channels, height, width) = picture.dim();
        if channels != self.classifier.channels() {
            return Err(NetworkError::Shape {
                what: "the input",
                found: picture.shape().to_vec(),
                expected: format!("{} x height x width", self.classifier.channels()),
            });
        }
        if let Some(expected) = self.classifier.input_size().filter(|&e| e != [height, width]) {
            let (model, found) = (self.classifier.name.clone(), [height, width]);
            return Err(NetworkError::InputSize { model, found, expected });
        }
        let values = self
            .engine
            .run(&[picture.insert_axis(Axis(0)).into_dyn()])
            .map_err(|reason| self.classifier.run_error(height, width, reason))?;
        let mut values: HashMap<String, ArrayD<f32>> =
            self.outputs.iter().cloned().zip(values).collect();

        let logits = self.take_logits(&values)?;
        let penultimate = self.take_features(&values)?;
        let stages = pooled(&self.stages, 1, |_, stage| values.get(&stage.value))
            .map_err(|reason| self.classifier.run_error(height, width, reason))?;
        let stages = stages.index_axis_move(Axis(0), 0);
        let target = &self.outputs[1];
        let activations = values.get(target).cloned().unwrap_or_default();
        let shape = activations.shape().to_vec();
        let not_spatial =
            || NetworkError::NotSpatial { layer: self.layer.clone(), shape: shape.clone() };
        if shape.len() != 4 {
            return Err(not_spatial());
        }
        let activations = activations
            .index_axis_move(Axis(0), 0)
            .into_dimensionality::<Ix3>()
            .map_err(|_| not_spatial())?;

        let adjoint = match &self.route {
            Route::Closed(..) => None,
            Route::Adjoint(slot) => Some(self.prepare(slot, picture, &values)?),
        };
        values.retain(|name, _| match (&adjoint, &self.route) {
            (Some(ready), _) => ready.adjoint.saved.contains(name),
            (None, Route::Closed(head, _)) => head.saved().any(|saved| saved == name),
            (None, Route::Adjoint(_)) => false,
        });
        let (session, input) = (self.id, [height, width]);
        let saved = values;
        Ok(Observation { logits, activations, penultimate, stages, session, input, saved, adjoint })
    }

    fn take_logits(&self, values: &HashMap<String, ArrayD<f32>>) -> Result<Array1<f32>> {
        let logits: Array1<f32> =
            values.get(&self.outputs[0]).map(|z| z.iter().copied().collect()).unwrap_or_default();
        if logits.len() != self.classifier.classes() {
            return Err(NetworkError::Shape {
                what: "the logits",
                found: vec![logits.len()],
                expected: format!("{} classes", self.classifier.classes()),
            });
        }
        let count = logits.iter().filter(|z| !z.is_finite()).count();
        if count > 0 {
            return Err(NetworkError::NotFinite { model: self.classifier.name.clone(), count });
        }
        Ok(logits)
    }

    /// The penultimate features, if they are wanted.
    fn take_features(&self, values: &HashMap<String, ArrayD<f32>>) -> Result<Option<Array1<f32>>> {
        let Some((name, width)) = &self.features else { return Ok(None) };
        let features: Array1<f32> =
            values.get(name).map(|h| h.iter().copied().collect()).unwrap_or_default();
        if features.len() != *width {
            return Err(NetworkError::Shape {
                what: "the penultimate features",
                found: vec![features.len()],
                expected: format!("{width} numbers"),
            });
        }
        Ok(Some(features))
    }

    /// Spatially averaged gradients at the target layer:
    /// `alpha[b, k] = mean over (u, v) of sum_n upstream[b, n] dz_n / dA[k, u, v]`.
    ///
    /// `upstream` is B x N: a one-hot row gives a class's Grad-CAM weights, any other row a
    /// combination of classes. The result is B x K.
    ///
    /// # Errors
    /// `upstream` is not B x N, or another session made the observation.
    pub fn alpha(
        &self,
        observation: &Observation,
        upstream: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>> {
        let classes = self.classifier.classes();
        if upstream.ncols() != classes {
            return Err(NetworkError::Shape {
                what: "the upstream gradient",
                found: upstream.shape().to_vec(),
                expected: format!("questions x {classes}"),
            });
        }
        let (channels, height, width) = observation.activations.dim();
        if observation.session != self.id {
            return Err(self.foreign(observation));
        }
        match &self.route {
            Route::Closed(head, slot) => {
                let closed = self.closed(head, slot, channels)?;
                let mut inputs = self.saved(observation, head.saved())?;
                inputs.extend(closed.summed.as_ref().map(|value| value.view()));
                let answer = Answer {
                    engine: &closed.engine,
                    inputs,
                    elements_per_row: closed.elements_per_row,
                };
                Ok(self.answer(&answer, observation, upstream)? / (height * width) as f32)
            }
            Route::Adjoint(_) => {
                let ready = observation.adjoint.as_deref();
                let Ready { adjoint, engine, .. } =
                    ready.ok_or_else(|| self.foreign(observation))?;
                let inputs = self.saved(observation, &adjoint.saved)?;
                let elements_per_row = adjoint.elements_per_row;
                self.answer(&Answer { engine, inputs, elements_per_row }, observation, upstream)
            }
        }
    }

    /// The error for an observation that another session made.
    fn foreign(&self, observation: &Observation) -> NetworkError {
        NetworkError::Shape {
            what: "the observation",
            found: observation.activations.shape().to_vec(),
            expected: format!("one that this session made, of layer {}", self.layer),
        }
    }

    fn closed<'s>(
        &self,
        head: &Head,
        slot: &'s OnceLock<std::result::Result<Closed, String>>,
        channels: usize,
    ) -> Result<&'s Closed> {
        let Classifier { graph, runtime, name, .. } = self.classifier;
        slot.get_or_init(|| Closed::load(head, graph, runtime, channels, self.threads.as_ref()))
            .as_ref()
            .map_err(|reason| NetworkError::Load {
                model: format!("the head of {name}"),
                reason: reason.clone(),
            })
    }

    /// Forward values that an observation keeps.
    fn saved<'o>(
        &self,
        observation: &'o Observation,
        names: impl IntoIterator<Item = &'o String>,
    ) -> Result<Vec<ArrayViewD<'o, f32>>> {
        let [height, width] = observation.input;
        names
            .into_iter()
            .map(|name| {
                observation.saved.get(name).map(|value| value.view()).ok_or_else(|| {
                    let reason =
                        format!("the observation lacks {name}; it belongs to another session");
                    self.classifier.run_error(height, width, reason)
                })
            })
            .collect()
    }

    /// Runs a gradient's graph on the upstream rows, a batch at a time.
    fn answer(
        &self,
        Answer { engine, inputs, elements_per_row }: &Answer<'_>,
        observation: &Observation,
        upstream: ArrayView2<'_, f32>,
    ) -> Result<Array2<f32>> {
        let [height, width] = observation.input;
        let run_error = |reason| self.classifier.run_error(height, width, reason);
        let channels = observation.activations.dim().0;
        let rows = (BATCH_ELEMENTS / (*elements_per_row).max(1)).max(1);
        let mut alpha = Array2::zeros((upstream.nrows(), channels));
        for start in (0..upstream.nrows()).step_by(rows) {
            let end = (start + rows).min(upstream.nrows());
            let mut inputs = inputs.clone();
            inputs.push(upstream.slice(s![start..end, ..]).into_dyn());
            let mut outputs = engine.run(&inputs).map_err(run_error)?;
            let part = outputs
                .pop()
                .and_then(|part| part.into_dimensionality::<Ix2>().ok())
                .filter(|part| part.dim() == (end - start, channels))
                .ok_or_else(|| run_error("the gradient has an unexpected shape".to_owned()))?;
            alpha.slice_mut(s![start..end, ..]).assign(&part);
        }
        Ok(alpha)
    }
}

/// What a gradient is computed with.
struct Answer<'a> {
    engine: &'a Engine,
    /// All inputs but the upstream rows, which come last.
    inputs: Vec<ArrayViewD<'a, f32>>,
    elements_per_row: usize,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Plan, Session, SessionOptions};
    use crate::{Architecture, Classifier, Weights, common};

    /// What nothing reads is not kept: of 60 values between conv1 and the logits, the ReLUs' outputs and
    /// what the max-pooling saw.
    #[test]
    fn only_what_the_gradient_needs_is_an_output() {
        let architecture = Architecture::ResNet18;
        let weights = common::weights(&architecture.tensors(5, 3));
        let weights = Weights::from_bytes(weights, "generated").unwrap();
        let classifier = Classifier::from_zoo(architecture, weights).unwrap();
        let layer = Some("conv1".to_owned());
        let options = SessionOptions { layer, ..SessionOptions::default() };
        let session = Session::new(&classifier, &options).unwrap();
        let plan = Plan::new(&classifier.graph, &session.outputs[1], &classifier.logits).unwrap();
        // logits, the layer, 17 ReLUs (one is what the max-pooling reads), the max-pooling's output
        assert_eq!(session.outputs.len(), 2 + 17 + 1, "{:?}", session.outputs);
        assert!(plan.values().len() > 60);
    }

    /// Servers share one session among threads.
    #[test]
    fn sessions_may_be_shared_among_threads() {
        fn shareable<T: Send + Sync>() {}
        shareable::<super::Session<'static>>();
        shareable::<super::Observation>();
    }
}

//! A network, and what pictures it has seen, as a backend of the server.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use introspective_data::{Picture, PictureError, decode_within};
use introspective_explain::{ClassMaps, Explanation, Questions, Verdict, class_maps, explain};
use introspective_network::{
    ClassNames, Classifier, Observation, Opened, Prepared, Preprocessing, Session, SessionOptions,
    Threads,
};
use introspective_reflect::Scaling;
use introspective_report::manifest::{SecondStage, Stored};
use introspective_report::{Drawing, ExplanationReport, Explorer, Style, Subject, facts};
use introspective_serve::{Ask, Backend, Refusal};
use ndarray::{Array1, Array3};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::archive::zipped;
use super::sessions::Sessions;
use crate::args::ServeArgs;
use crate::per_picture::{stored, to_click};
use crate::preprocessing::preprocessing;
use crate::second::opinion::{Opinion, in_doubt};
use crate::second::predictor::Predictor;
use crate::{check, network, output, second};

/// What answers requests. Everything that is borrowed lives as long as the process.
pub struct Viewer {
    classifier: &'static Classifier,
    classes: ClassNames,
    preprocessing: Preprocessing,
    opinion: Option<&'static Opinion<'static>>,
    predictor: Option<Mutex<Predictor<'static>>>,
    layers: Vec<String>,
    sessions: Sessions,
    max_pixels: u64,
    command: String,
}

/// A picture.
struct Shot {
    name: String,
    stored: Stored,
    pixels: Array3<u8>,
    prepared: Prepared,
}

/// A picture as the network saw it at one layer.
pub struct Seen {
    shot: Arc<Shot>,
    session: Arc<Session<'static>>,
    observation: Observation,
    /// What the head reads of it; without a head h, if there is any.
    row: Option<Array1<f32>>,
    /// What the second stage says, and its probabilities.
    second: Option<(SecondStage, Vec<f64>)>,
}

impl Viewer {
    /// Opens the network and the head that the flags mean.
    pub fn open(args: &ServeArgs) -> Result<Self> {
        let threads = args.threads.map(usize::from).map(Threads::new);
        let opened: &'static mut Opened = Box::leak(Box::new(network::open(&args.network)?));
        network::choose_runtime(&args.runtime, &mut opened.classifier, usize::MAX)?;
        let opened: &'static Opened = opened;
        let classifier = &opened.classifier;
        let classes = network::class_names(args.classes.as_deref(), &args.network, opened)?;
        let preprocessing = preprocessing(&args.preprocessing, opened)?;
        let found = second::head::find(args.head.as_deref(), &args.network, || {
            Ok(second::head::Fits::classifier(classifier, &preprocessing)?)
        })?;
        let opinion = match found {
            Some(found) => {
                let opinion = Opinion::new(found, classifier, threads.clone(), true)?;
                Some(&*Box::leak(Box::new(opinion)))
            }
            None => None,
        };
        let predictor = match classifier.penultimate_width() {
            Ok(_) => {
                let head = opinion.map(|opinion| &opinion.head);
                let predictor = Predictor::new(head, None, Scaling::Train, None, classes.clone())?;
                Some(Mutex::new(predictor))
            }
            Err(_) => None,
        };
        let layer = args.layer.as_deref().unwrap_or(classifier.default_layer());
        let layer = classifier.find_layer(layer).context("--layer")?.to_owned();
        let side = preprocessing.input_size();
        let spatial = |layer: &introspective_network::Layer| matches!(layer.shape[..], [_, _, height, width] if height * width > 1);
        let layers = classifier.layers(side, side)?;
        let mut layers: Vec<String> =
            layers.into_iter().filter(spatial).map(|layer| layer.name).collect();
        if !layers.contains(&layer) {
            layers.push(layer.clone());
        }
        let head = opinion.map(|opinion| &opinion.head);
        let options = SessionOptions { threads, optimise: true, ..SessionOptions::default() };
        let mut options = Opinion::wants(head, options);
        options.penultimate |= predictor.is_some();
        let sessions = Sessions::new(classifier, layer, options);
        // what is wrong with the layer is said before the first picture
        sessions.get(None)?;
        Ok(Self {
            classifier,
            classes,
            preprocessing,
            opinion,
            predictor,
            layers,
            sessions,
            max_pixels: u64::from(args.max_pixels) * 1_000_000,
            command: output::command_line(),
        })
    }

    /// What it shows, for a person.
    pub fn says(&self) -> String {
        let head = if self.opinion.is_some() { " and its second stage" } else { "" };
        format!("{}{head}, layer {}", self.classifier.name(), self.sessions.usual())
    }

    fn look(&self, shot: Arc<Shot>, layer: Option<&str>) -> Result<Seen, Refusal> {
        let session = self.sessions.get(layer).map_err(|error| Refusal::Question(words(&error)))?;
        let input = shot.prepared.input.view();
        let observation = session.observe(input).map_err(|error| Refusal::Failed(words(&error)))?;
        let z = observation.logits.view();
        let (row, second) = match self.opinion {
            Some(opinion) => {
                let row = opinion.row(&observation, input).map_err(failed)?;
                let said = opinion.says(row.view(), z, &self.classes).map_err(failed)?;
                (Some(row), Some(said))
            }
            None => (observation.penultimate.clone(), None),
        };
        Ok(Seen { shot, session, observation, row, second })
    }

    fn questions(&self, ask: &Ask) -> Result<Questions, Refusal> {
        let find = |name: &Option<String>| {
            let found = name.as_deref().map(|name| self.classes.find(name)).transpose();
            found.map_err(|error| Refusal::Question(words(&error)))
        };
        let rather_than = find(&ask.rather_than)?.into_iter().collect();
        Ok(Questions { class: find(&ask.class)?, rather_than })
    }

    fn explained(&self, seen: &Seen, ask: &Ask) -> Result<Explanation, Refusal> {
        let questions =
            in_doubt(&self.questions(ask)?, seen.second.as_ref().map(|(stage, _)| stage));
        explain(&seen.session, &seen.observation, &questions).map_err(|error| match error {
            introspective_explain::ExplainError::Question(error) => {
                Refusal::Question(error.to_string())
            }
            other => Refusal::Failed(words(&other)),
        })
    }

    fn drawing(ask: &Ask) -> Result<Drawing, Refusal> {
        let style: Style = match &ask.style {
            Some(name) => name.parse().map_err(|error| Refusal::Question(words(&error)))?,
            None => Style::Blend,
        };
        Ok(Drawing { style, colormap: style.default_colormap(), ..Drawing::default() })
    }

    /// Everything about an explanation, handed to `use_it`.
    fn report<T>(
        &self,
        seen: &Seen,
        ask: &Ask,
        use_it: impl FnOnce(&ExplanationReport<'_>, &ClassMaps) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let explanation = self.explained(seen, ask)?;
        let maps = class_maps(&seen.session, &seen.observation, &to_click(&explanation));
        let maps = maps.map_err(|error| Refusal::Failed(words(&error)))?;
        let subject = self.subject(&seen.shot);
        let report = ExplanationReport {
            subject: &subject,
            session: &seen.session,
            explanation: &explanation,
            layer_shape: seen.observation.activations.dim().into(),
            classes: &self.classes,
            drawing: Self::drawing(ask)?,
            second_stage: seen.second.as_ref().map(|(stage, _)| stage.clone()),
            verdicts: self.verdicts(seen, &explanation),
            checks: None,
            maps: Some(&maps),
            command: &self.command,
        };
        use_it(&report, &maps)
    }

    fn verdicts(&self, seen: &Seen, explanation: &Explanation) -> Vec<Verdict> {
        let said = self.opinion.zip(seen.second.as_ref());
        let said = said.map(|(opinion, (_, probabilities))| check::Second {
            about: &opinion.head.about,
            logits: explanation.logits.view(),
            probabilities,
        });
        check::verdicts(explanation, &self.classes, said, None)
    }

    fn subject<'a>(&'a self, shot: &'a Shot) -> Subject<'a> {
        Subject {
            image: shot.name.clone(),
            stored: shot.stored.clone(),
            pixels: shot.pixels.view(),
            preprocessing: &self.preprocessing,
            prepared: &shot.prepared,
        }
    }
}

impl Backend for Viewer {
    type Seen = Seen;

    fn see(&self, bytes: &[u8], ask: &Ask) -> Result<Seen, Refusal> {
        let name = ask.name.clone().unwrap_or_else(|| "picture".to_owned());
        let picture =
            decode_within(bytes, &name, self.max_pixels).map_err(|error| match error {
                PictureError::TooLarge { .. } => Refusal::TooLarge(words(&error)),
                other => Refusal::Picture(words(&other)),
            })?;
        let Picture { pixels, info, .. } = picture;
        let prepared = self
            .preprocessing
            .apply(pixels.view())
            .map_err(|error| Refusal::Picture(words(&error)))?;
        let shot = Arc::new(Shot { name, stored: stored(info), pixels, prepared });
        self.look(shot, ask.layer.as_deref())
    }

    fn see_again(&self, seen: &Seen, ask: &Ask) -> Result<Seen, Refusal> {
        self.look(Arc::clone(&seen.shot), ask.layer.as_deref())
    }

    fn size(&self, seen: &Seen) -> usize {
        seen.shot.pixels.len() + 4 * seen.shot.prepared.input.len() + seen.observation.bytes()
    }

    fn predict(&self, seen: &Seen) -> Result<Value, Refusal> {
        let no_features = || {
            Refusal::Failed(
                "this network has no penultimate features, which scores need".to_owned(),
            )
        };
        let predictor = self.predictor.as_ref().ok_or_else(no_features)?;
        let z = seen.observation.logits.view();
        let row = seen.row.as_ref().ok_or_else(no_features)?;
        let mut predictor = predictor.lock().unwrap_or_else(PoisonError::into_inner);
        let line = predictor.line(seen.shot.name.clone(), row.view(), z).map_err(failed)?;
        as_written(&line)
    }

    fn explain(&self, seen: &Seen, ask: &Ask) -> Result<Value, Refusal> {
        self.report(seen, ask, |report, _| {
            let manifest = report.describe();
            let rows = |map: &ndarray::Array2<f32>| -> Vec<Vec<f32>> {
                map.outer_iter().map(|row| row.to_vec()).collect()
            };
            let named = manifest.questions.iter().map(|question| question.map.clone());
            let raw =
                report.explanation.answers.iter().map(|answer| as_written(&rows(&answer.raw)));
            let maps = named.zip(raw).map(|(name, rows)| Ok((name, rows?)));
            let maps: Map<String, Value> = maps.collect::<Result<_, Refusal>>()?;
            let mut value = as_written(&manifest)?;
            if let Some(fields) = value.as_object_mut() {
                fields.insert("maps".to_owned(), Value::Object(maps));
            }
            Ok(value)
        })
    }

    fn explorer(&self, seen: &Seen, ask: &Ask) -> Result<String, Refusal> {
        self.report(seen, ask, |report, maps| {
            let asked = report.explanation.answers.iter().map(|answer| answer.asked);
            let explorer = Explorer {
                subject: report.subject,
                layer: seen.session.layer(),
                logits: report.explanation.logits.view(),
                maps,
                asked: asked.clone().next().map_or(report.explanation.predicted, |a| a.class),
                other: asked.clone().find_map(|asked| asked.contrast),
                classes: &self.classes,
                drawing: report.drawing,
                second_stage: report.second_stage.clone(),
                verdicts: &report.verdicts,
                voice: None,
                facts: facts(&seen.session, report.layer_shape, &self.command),
            };
            let data = explorer.data().map_err(|error| Refusal::Failed(words(&error)))?;
            serde_json::to_string(&data).map_err(|error| Refusal::Failed(error.to_string()))
        })
    }

    fn cam(&self, seen: &Seen, class: usize) -> Result<Vec<f32>, Refusal> {
        let maps = class_maps(&seen.session, &seen.observation, &[class]);
        let maps = maps.map_err(|error| match error {
            introspective_explain::ExplainError::Question(error) => {
                Refusal::Question(error.to_string())
            }
            other => Refusal::Failed(words(&other)),
        })?;
        let place = maps.classes.iter().position(|&known| known == class).unwrap_or(0);
        Ok(maps.cam.index_axis(ndarray::Axis(0), place).iter().copied().collect())
    }

    fn archive(&self, seen: &Seen, ask: &Ask) -> Result<Vec<u8>, Refusal> {
        let folder = tempfile::tempdir().map_err(|error| Refusal::Failed(error.to_string()))?;
        self.report(seen, ask, |report, _| {
            report.write(folder.path()).map_err(|error| Refusal::Failed(words(&error)))
        })?;
        zipped(folder.path()).map_err(failed)
    }

    fn about(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "model": self.classifier.name(),
            "weights_sha256": self.classifier.sha256(),
            "runtime": self.classifier.runtime(),
            "classes": self.classifier.classes(),
            "second_stage": self.opinion.is_some(),
            "layer": self.sessions.usual(),
            "layers": self.layers,
        })
    }
}

/// The JSON that the commands write: in text a number of single precision keeps its short form.
fn as_written(value: &impl Serialize) -> Result<Value, Refusal> {
    let text = serde_json::to_string(value);
    text.and_then(|text| serde_json::from_str(&text))
        .map_err(|error| Refusal::Failed(error.to_string()))
}

fn failed(error: anyhow::Error) -> Refusal {
    Refusal::Failed(output::chain(&error))
}

/// An error with its causes.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

//! `introspect explain`.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use introspective_data::Picture;
use introspective_explain::{Questions, explain};
use introspective_network::{
    ClassNames, Extractor, ExtractorOptions, Observation, Preprocessing, Session, SessionOptions,
    Statistics, Threads,
};
use introspective_reflect::Method::Reflection;
use introspective_reflect::{Disagreement, Head, largest, probabilities};
use introspective_report::manifest::{Manifest, Scored, SecondStage};
use introspective_report::{Drawing, Existing, ExplanationReport, RunFolder, Subject};
use ndarray::{Array1, ArrayView3, Axis};

use crate::args::ExplainArgs;
use crate::interrupt::Interrupt;
use crate::per_picture::{Run, WORTH_OPTIMISING, Work, drawing, stored};
use crate::pictures::Images;
use crate::preprocessing::preprocessing;
use crate::run_folder;
use crate::second::sensing::Reading;
use crate::{network, output, second};

/// Where results go unless `--out` says otherwise.
const DEFAULT_OUT: &str = "introspect-out";

/// ImageNet's class of cups.
const CUP: usize = 968;

/// Explains every picture; one that cannot be explained does not stop the others.
pub fn run(args: &ExplainArgs) -> Result<ExitCode> {
    let threads = args.threads.map(usize::from);
    output::limit_threads(args.threads)?;
    let images = Images::find(&args.images)?;
    // from here on hidden folders come and go, which a signal must not leave behind
    let interrupt = Interrupt::watch()?;
    // before the network is read, which may take long
    let folder = RunFolder::open(out(args), existing(args))?;
    let pictures = images.read_ahead();
    let drawing = drawing(args.style, args.colormap.as_deref(), args.picture_size)?;

    // the process ends after this, and giving the weights back piece by piece takes a tenth of its time
    let mut opened = ManuallyDrop::new(network::open(&args.network)?);
    network::choose_runtime(&args.runtime, &mut opened.classifier, images.count())?;
    let classifier = &opened.classifier;
    let classes = network::class_names(args.classes.as_deref(), &args.network, &opened)?;
    let preprocessing = preprocessing(&args.preprocessing, &opened)?;
    let mut questions = questions(args, &classes)?;
    let untouched = args.network.weights.is_none()
        && args.network.model.is_none()
        && args.classes.is_none()
        && args.preprocessing.is_default()
        && questions == Questions::default();
    if untouched && matches!(images, Images::Sample) {
        // the photograph shows espresso in a cup: the two answers a person hesitates between
        questions.rather_than = vec![CUP];
    }
    let second = second::head::find(args.head.as_deref(), &args.network, || {
        Ok(second::head::Fits::classifier(classifier)?)
    })?;
    let reading = second.as_ref().map(|(head, _)| Reading::of(head)).unwrap_or_default();
    let options = SessionOptions {
        layer: args.layer.clone(),
        penultimate: second.is_some(),
        stages: reading.stages,
        threads: threads.map(Threads::new),
        optimise: images.count() >= WORTH_OPTIMISING,
        ..SessionOptions::default()
    };
    let session = ManuallyDrop::new(Session::new(classifier, &options)?);

    let own = match reading.own {
        Some(share) => Some(Extractor::new(
            classifier,
            &ExtractorOptions {
                threads: threads.map(Threads::new),
                optimise: images.count() >= WORTH_OPTIMISING,
                statistics: Statistics::Own(share),
                stages: false,
            },
        )?),
        None => None,
    };
    let job = Job {
        second: second.as_ref(),
        own: own.as_ref(),
        session: &session,
        classes: &classes,
        preprocessing: &preprocessing,
        questions: &questions,
        drawing,
        command: output::command_line(),
    };
    let run = Run { folder: &folder, command: &job.command, json: args.json };
    run.over(&job, &images, pictures, &interrupt)
}

fn out(args: &ExplainArgs) -> PathBuf {
    args.out.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_OUT))
}

fn existing(args: &ExplainArgs) -> Existing {
    run_folder::existing(args.out.as_deref(), args.force)
}

/// Everything that is the same for all pictures.
struct Job<'a> {
    second: Option<&'a (Head, PathBuf)>,
    /// The pass with the picture's own statistics, if the second stage reads one.
    own: Option<&'a Extractor<'a>>,
    session: &'a Session<'a>,
    classes: &'a ClassNames,
    preprocessing: &'a Preprocessing,
    questions: &'a Questions,
    drawing: Drawing,
    command: String,
}

impl Work for Job<'_> {
    type Manifest = Manifest;

    fn work(&self, image: &str, picture: Picture, folder: &Path) -> Result<Manifest> {
        let prepared = self.preprocessing.apply(picture.pixels.view())?;
        let observation = self.session.observe(prepared.input.view())?;
        let second = self.reflect(&observation, prepared.input.view())?;
        // where the stages differ, that is the question
        let mut questions = self.questions.clone();
        if let Some(second) = second.as_ref().filter(|second| !second.agrees)
            && questions == Questions::default()
        {
            questions.rather_than = vec![second.prediction.index];
        }
        let explanation = explain(self.session, &observation, &questions)?;
        let (channels, height, width) = observation.activations.dim();
        drop(observation);
        let subject = Subject {
            image: image.to_owned(),
            stored: stored(picture.info),
            pixels: picture.pixels.view(),
            preprocessing: self.preprocessing,
            prepared: &prepared,
        };
        let report = ExplanationReport {
            subject: &subject,
            session: self.session,
            explanation: &explanation,
            layer_shape: [channels, height, width],
            classes: self.classes,
            drawing: self.drawing,
            second_stage: second,
            command: &self.command,
        };
        Ok(report.write(folder)?)
    }

    fn explanation(manifest: &Manifest) -> &Manifest {
        manifest
    }

    fn say(&self, manifest: &Manifest, place: &Path) -> Result<()> {
        let top: Vec<String> = manifest
            .top5
            .iter()
            .take(3)
            .map(|s| format!("{} {:.3}", self.classes.short(s.index), s.probability))
            .collect();
        output::line(&format!("{}: {}", manifest.image, top.join(", ")))?;
        if let Some(second) = &manifest.second_stage {
            let class = self.classes.short(second.prediction.index);
            let says = if second.agrees { "agrees" } else { "disagrees" };
            let p = second.prediction.probability;
            output::line(&format!("  on reflection: {class} {p:.3} (the second stage {says})"))?;
        }
        let width = manifest.questions.iter().map(|q| q.text.chars().count()).max().unwrap_or(0);
        for question in &manifest.questions {
            output::line(&format!("  {:<width$}  {}", question.text, question.note))?;
        }
        output::line(&format!("  {}", place.join("panel.png").display()))
    }
}

impl Job<'_> {
    /// What the second stage says of the picture.
    fn reflect(
        &self,
        observation: &Observation,
        input: ArrayView3<'_, f32>,
    ) -> Result<Option<SecondStage>> {
        let (Some((head, path)), Some(h)) = (self.second, &observation.penultimate) else {
            return Ok(None);
        };
        let z = &observation.logits;
        let mut row: Vec<f32> = h.iter().chain(&observation.stages).copied().collect();
        if let Some(own) = self.own {
            let pass = own.extract(input.insert_axis(Axis(0)))?;
            row.extend(&pass.h);
        }
        let row = Array1::from(row);
        let (rows, logits) = (row.view().insert_axis(Axis(0)), z.view().insert_axis(Axis(0)));
        let second = head.logits(Reflection, 0, &head.statistics, rows, logits);
        let second = second.context("the head has no network H")?.row(0).to_owned();
        let Disagreement { classes_differ, total_variation } =
            Disagreement::between(z.view(), second.view());
        let p = probabilities(second.view());
        let mut order: Vec<usize> = (0..p.len()).collect();
        order.sort_by(|&a, &b| second[b].total_cmp(&second[a]).then(a.cmp(&b)));
        let scored = |index: usize| Scored {
            index,
            name: self.classes.name(index).to_owned(),
            logit: second[index],
            probability: p[index],
        };
        Ok(Some(SecondStage {
            head: path.display().to_string(),
            prediction: scored(largest(second.view())),
            top5: order.into_iter().take(5).map(scored).collect(),
            agrees: !classes_differ,
            total_variation,
        }))
    }
}

fn questions(args: &ExplainArgs, classes: &ClassNames) -> Result<Questions> {
    let class =
        args.class.as_deref().map(|name| classes.find(name).context("--class")).transpose()?;
    let rather_than = args
        .rather_than
        .iter()
        .map(|name| classes.find(name).context("--rather-than"))
        .collect::<Result<_>>()?;
    Ok(Questions { class, rather_than })
}

//! `introspect explain`.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use introspective_data::Picture;
use introspective_explain::{Questions, class_maps, explain};
use introspective_network::{ClassNames, Preprocessing, Session, SessionOptions, Threads};
use introspective_report::manifest::Manifest;
use introspective_report::{Drawing, Existing, ExplanationReport, RunFolder, Subject};

use crate::args::ExplainArgs;
use crate::check::{self, Checker};
use crate::interrupt::Interrupt;
use crate::per_picture::{Run, WORTH_OPTIMISING, Work, drawing, stored, to_click};
use crate::pictures::Images;
use crate::preprocessing::preprocessing;
use crate::run_folder;
use crate::second::opinion::{Opinion, in_doubt};
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
        Ok(second::head::Fits::classifier(classifier, &preprocessing)?)
    })?;
    let optimise = images.count() >= WORTH_OPTIMISING;
    let options = SessionOptions {
        layer: args.layer.clone(),
        threads: threads.map(Threads::new),
        optimise,
        ..SessionOptions::default()
    };
    let options = Opinion::wants(second.as_ref().map(|(head, _)| head), options);
    let session = ManuallyDrop::new(Session::new(classifier, &options)?);
    let opinion =
        second.map(|found| Opinion::new(found, classifier, threads.map(Threads::new), optimise));
    let checker = Checker::new(args, classifier)?;
    let job = Job {
        opinion: opinion.transpose()?,
        checker: checker.as_ref(),
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
    opinion: Option<Opinion<'a>>,
    /// What checks the maps, if that was asked for.
    checker: Option<&'a Checker<'a>>,
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
        let (second, probabilities) = match &self.opinion {
            Some(opinion) => {
                let said = opinion.of(&observation, prepared.input.view(), self.classes)?;
                (Some(said.0), Some(said.1))
            }
            None => (None, None),
        };
        let questions = in_doubt(self.questions, second.as_ref());
        let explanation = explain(self.session, &observation, &questions)?;
        let maps = class_maps(self.session, &observation, &to_click(&explanation))?;
        let (channels, height, width) = observation.activations.dim();
        drop(observation);
        let input = prepared.input.view();
        let checker = self.checker;
        let checks = checker.map(|c| c.check(self.session, input, &explanation)).transpose()?;
        let head = self.opinion.as_ref().map(|opinion| &opinion.head.about);
        let said = probabilities.as_ref().zip(head).map(|(probabilities, about)| check::Second {
            about,
            logits: explanation.logits.view(),
            probabilities,
        });
        let verdicts = check::verdicts(&explanation, self.classes, said, checks.as_deref());
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
            verdicts,
            checks: checks.as_deref().zip(checker.map(|checker| &checker.options)),
            maps: Some(&maps),
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
        for line in check::lines(manifest) {
            output::line(&format!("  {line}"))?;
        }
        output::line(&format!("  {}", place.join("panel.png").display()))
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

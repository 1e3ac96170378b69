//! `introspect explain`.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use introspective_data::Picture;
use introspective_explain::{Questions, explain};
use introspective_network::{
    ClassNames, Extractor, ExtractorOptions, Observation, Preprocessing, Session, SessionOptions,
    Statistics, Threads,
};
use introspective_reflect::Method::Reflection;
use introspective_reflect::{Disagreement, Head, largest, probabilities};
use introspective_report::manifest::{
    BatchEntry, BatchManifest, CheckedSet, Manifest, Scored, SecondStage, Stored,
};
use introspective_report::{
    Drawing, Existing, ExplanationReport, RunFolder, Style, Subject, unique_names,
};
use ndarray::{Array1, ArrayView3, Axis};
use serde_json::json;

use crate::args::ExplainArgs;
use crate::check::{self, Checker};
use crate::interrupt::Interrupt;
use crate::pictures::{Images, ReadAhead};
use crate::preprocessing::preprocessing;
use crate::run_folder;
use crate::second::sensing::Reading;
use crate::{advice, network, output, second};

/// Where results go unless `--out` says otherwise.
const DEFAULT_OUT: &str = "introspect-out";

/// ImageNet's class of cups.
const CUP: usize = 968;

/// Graph optimisation costs tens of milliseconds when loading and gives some per picture.
const WORTH_OPTIMISING: usize = 8;

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
    let drawing = drawing(args)?;

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
    let checker = Checker::new(args, classifier)?;
    let job = Job {
        second: second.as_ref(),
        checker: checker.as_ref(),
        own: own.as_ref(),
        session: &session,
        classes: &classes,
        preprocessing: &preprocessing,
        questions: &questions,
        drawing,
        command: output::command_line(),
    };
    match &images {
        Images::Sample | Images::One(_) => one(args, &job, &folder, pictures),
        Images::Many(paths) => many(args, &job, &folder, pictures, paths, &interrupt),
    }
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
    /// What checks the maps, if that was asked for.
    checker: Option<&'a Checker<'a>>,
    session: &'a Session<'a>,
    classes: &'a ClassNames,
    preprocessing: &'a Preprocessing,
    questions: &'a Questions,
    drawing: Drawing,
    command: String,
}

impl Job<'_> {
    /// Explains one picture into an existing folder. A panic becomes an error.
    fn explain(&self, image: &str, picture: Result<Picture>, folder: &Path) -> Result<Manifest> {
        output::without_panics(|| self.explain_unguarded(image, picture?, folder))
            .unwrap_or_else(|panic| Err(anyhow!(panic)))
    }

    fn explain_unguarded(&self, image: &str, picture: Picture, folder: &Path) -> Result<Manifest> {
        let prepared = self.preprocessing.apply(picture.pixels.view())?;
        let observation = self.session.observe(prepared.input.view())?;
        let second = self.reflect(&observation, prepared.input.view())?;
        // where the stages differ, that is the question
        let mut questions = self.questions.clone();
        if let Some((second, _)) = second.as_ref().filter(|(second, _)| !second.agrees)
            && questions == Questions::default()
        {
            questions.rather_than = vec![second.prediction.index];
        }
        let explanation = explain(self.session, &observation, &questions)?;
        let (channels, height, width) = observation.activations.dim();
        drop(observation);
        let input = prepared.input.view();
        let checker = self.checker;
        let checks = checker.map(|c| c.check(self.session, input, &explanation)).transpose()?;
        let verdicts = check::verdicts(
            &explanation,
            self.classes,
            second.as_ref().zip(self.second).map(|((_, probabilities), (head, _))| check::Second {
                about: &head.about,
                logits: explanation.logits.view(),
                probabilities,
            }),
            checks.as_deref(),
        );
        let info = picture.info;
        let subject = Subject {
            image: image.to_owned(),
            stored: Stored {
                width: info.width,
                height: info.height,
                format: info.format,
                colour: info.colour,
                orientation: info.orientation,
            },
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
            second_stage: second.map(|(stage, _)| stage),
            verdicts,
            checks: checks.as_deref().zip(checker.map(|checker| &checker.options)),
            command: &self.command,
        };
        Ok(report.write(folder)?)
    }

    /// What the second stage says of the picture, and its probabilities of all classes.
    fn reflect(
        &self,
        observation: &Observation,
        input: ArrayView3<'_, f32>,
    ) -> Result<Option<(SecondStage, Vec<f64>)>> {
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
        let stage = SecondStage {
            head: path.display().to_string(),
            prediction: scored(largest(second.view())),
            top5: order.into_iter().take(5).map(scored).collect(),
            agrees: !classes_differ,
            total_variation,
        };
        Ok(Some((stage, p)))
    }
}

fn one(
    args: &ExplainArgs,
    job: &Job<'_>,
    folder: &RunFolder,
    mut pictures: ReadAhead,
) -> Result<ExitCode> {
    let (name, picture) = pictures.next().context("the picture could not be read")?;
    let staged = folder.stage()?;
    match job.explain(&name, picture, staged.path()) {
        Ok(manifest) => {
            let place = staged.commit_into(None)?;
            print(args, job.classes, &manifest, &place)?;
            say(args, check::caveat(manifest.checks.is_some()).map(|line| format!("  {line}")))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if args.json => {
            failed(args, &name, &error)?;
            Ok(ExitCode::from(2))
        }
        Err(error) => Err(error),
    }
}

fn many(
    args: &ExplainArgs,
    job: &Job<'_>,
    folder: &RunFolder,
    pictures: ReadAhead,
    paths: &[PathBuf],
    interrupt: &Interrupt,
) -> Result<ExitCode> {
    let progress = progress(args, paths.len());
    let mut entries = Vec::with_capacity(paths.len());
    let mut failures = 0;
    let mut checked = Vec::new();
    let mut unheard = None;
    // Whoever reads stdout may go away, or its disk be full: that does not stop the pictures still to come.
    for ((name, picture), stem) in pictures.zip(unique_names(paths)) {
        let staged = folder.stage()?;
        match job.explain(&name, picture, staged.path()) {
            Ok(manifest) => {
                let place = staged.commit_into(Some(&stem))?;
                let printed = progress.suspend(|| print(args, job.classes, &manifest, &place));
                unheard = unheard.or(printed.err());
                checked.extend(check::of_questions(&manifest));
                entries.push(BatchEntry::Explained {
                    image: name,
                    folder: stem,
                    prediction: manifest.prediction,
                });
            }
            Err(error) => {
                failures += 1;
                unheard = unheard.or(progress.suspend(|| failed(args, &name, &error)).err());
                entries.push(BatchEntry::Failed { image: name, error: output::chain(&error) });
            }
        }
        progress.inc(1);
        if interrupt.came() {
            break;
        }
    }
    progress.finish_and_clear();
    let done = entries.len();
    if failures == done {
        // nothing was committed, so an earlier run stays
        eprintln!("error: none of {failures} pictures could be explained");
        return Ok(ExitCode::from(2));
    }
    let mut index = BatchManifest::new(&job.command, entries);
    index.checks = CheckedSet::of(checked.iter().map(|(question, map)| (*question, map)));
    unheard = unheard.or(say(args, check::set_lines(&index)).err());
    let staged = folder.stage()?;
    index.write(staged.path())?;
    staged.commit_into(None)?;
    if let Some(error) = unheard.filter(|error| !output::is_broken_pipe(error)) {
        return Err(error);
    }
    if done < paths.len() {
        eprintln!("interrupted after {done} of {} pictures; those are in place", paths.len());
        return Ok(ExitCode::from(Interrupt::EXIT_CODE));
    }
    if failures > 0 {
        eprintln!("error: {failures} of {} pictures could not be explained", paths.len());
        return Ok(ExitCode::from(2));
    }
    Ok(ExitCode::SUCCESS)
}

/// A bar on stderr, absent when it is no terminal or with `--json`.
fn progress(args: &ExplainArgs, count: usize) -> ProgressBar {
    if args.json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} pictures, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A finished picture: its manifest as a line of JSON, or the answers in words.
fn print(
    args: &ExplainArgs,
    classes: &ClassNames,
    manifest: &Manifest,
    place: &Path,
) -> Result<()> {
    if args.json {
        return output::line(&serde_json::to_string(manifest)?);
    }
    let top: Vec<String> = manifest
        .top5
        .iter()
        .take(3)
        .map(|s| format!("{} {:.3}", classes.short(s.index), s.probability))
        .collect();
    output::line(&format!("{}: {}", manifest.image, top.join(", ")))?;
    if let Some(second) = &manifest.second_stage {
        let class = classes.short(second.prediction.index);
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

/// Lines for people.
fn say(args: &ExplainArgs, lines: impl IntoIterator<Item = String>) -> Result<()> {
    lines.into_iter().filter(|_| !args.json).try_for_each(|line| output::line(&line))
}

/// A picture that could not be explained: a line of JSON, or words on stderr.
fn failed(args: &ExplainArgs, name: &str, error: &anyhow::Error) -> Result<()> {
    if args.json {
        return output::line(&json!({"image": name, "error": output::chain(error)}).to_string());
    }
    // errors about the file itself begin with its name, those about the network do not
    let text = output::chain(error);
    let text = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text);
    eprintln!("error: {name}: {text}");
    if let Some(advice) = advice::for_error(error) {
        eprintln!("  {advice}");
    }
    Ok(())
}

fn drawing(args: &ExplainArgs) -> Result<Drawing> {
    let style = Style::from(args.style);
    let colormap = match &args.colormap {
        Some(name) => name.parse()?,
        None => style.default_colormap(),
    };
    style.check(colormap)?;
    Ok(Drawing { style, colormap, picture_size: args.picture_size as usize })
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

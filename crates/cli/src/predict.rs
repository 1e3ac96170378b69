//! `introspect predict`.

use std::borrow::Cow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use introspective_data::{find_pictures, read};
use introspective_network::ClassNames;
use introspective_reflect::{
    About, Disagreement, GradientScores, Head, LastLayer, LogitScores, Loss, Method, Question,
    Scaling, Statistics, Stream, Target, Verdict, largest, probabilities,
};
use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use serde::Serialize;

use crate::args::PredictArgs;
use crate::interrupt::Interrupt;
use crate::output;
use crate::second::extract::{Interrupted, Owned, Reader};
use crate::second::head::Fits;
use crate::second::sensing::Reading;
use crate::second::source::{Network, from_file};
use crate::second::{bar, head, named};

/// What both stages say of a picture: a line of the output.
#[derive(Serialize)]
struct Line {
    image: String,
    f: Stage,
    #[serde(skip_serializing_if = "Option::is_none")]
    reflection: Option<Stage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disagreement: Option<Disagreement>,
    gradients: GradientScores,
    /// What the guard of a stream said; anything but `mixed` means the training set's statistics.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Verdict>,
}

/// What one stage says.
#[derive(Serialize)]
struct Stage {
    prediction: usize,
    class: String,
    #[serde(flatten)]
    scores: LogitScores,
    /// Confidence at the fitted temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    calibrated_confidence: Option<f64>,
    probabilities: Vec<f64>,
}

/// Predicts every picture; one that cannot be read does not stop the others.
pub fn run(args: &PredictArgs) -> Result<ExitCode> {
    output::limit_threads(args.run.threads)?;
    let interrupt = Interrupt::watch()?;
    let scaling = named(&Scaling::ALL, Scaling::name, &args.scaling)?;
    let printer = Printer { csv: args.csv };
    printer.begin()?;
    match &args.features {
        Some(path) => from_features(args, path, scaling, &printer),
        None => from_pictures(args, scaling, &printer, &interrupt),
    }
}

/// The head to predict with; without one a note says how to get it.
fn find(args: &PredictArgs, fits: Fits<'_>) -> Result<Option<Head>> {
    let head = head::find(args.head.as_deref(), &args.run.network, || Ok(fits))?;
    if head.is_none() {
        eprintln!(
            "note: no head of a second stage: f alone predicts; `introspect fit` makes one, --head names it"
        );
    }
    Ok(head.map(|(head, _)| head))
}

fn from_features(
    args: &PredictArgs,
    path: &Path,
    scaling: Scaling,
    printer: &Printer,
) -> Result<ExitCode> {
    let features = from_file(path, false)?.features;
    let head = find(args, Fits::from(&features))?;
    let head = head.as_ref();
    let names = features.names.clone().or_else(|| head.and_then(|head| head.about.names.clone()));
    let names = names.map_or_else(|| ClassNames::numbered(features.classes()), ClassNames::new);
    let last = features.last_layer.as_ref();
    let mut predictor = Predictor::new(head, last, scaling, args.head_seed, names)?;
    let activations = match head {
        Some(head) => head.activations(&features),
        None => Cow::Borrowed(&features.h),
    };
    predictor.see_all(&activations, &features.z)?;
    for (row, (a, z)) in activations.outer_iter().zip(features.z.outer_iter()).enumerate() {
        printer.line(&predictor.line(format!("{}#{row}", path.display()), a, z)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn from_pictures(
    args: &PredictArgs,
    scaling: Scaling,
    printer: &Printer,
    interrupt: &Interrupt,
) -> Result<ExitCode> {
    let paths = Arc::new(find_pictures(&args.images)?);
    let network = Network::open(&args.run, paths.len())?;
    let head = find(args, network.fits()?)?;
    let head = head.as_ref();
    let sensing = network.sensing(head.map(Reading::of).unwrap_or_default())?;
    let own = head.and_then(|head| head.about.names.clone()).map(ClassNames::new);
    let names = match (&network.names, own) {
        (None, Some(names)) => names,
        _ => network.class_names(),
    };
    let last = network.last_layer()?;
    let mut predictor = Predictor::new(head, last.as_ref(), scaling, args.head_seed, names)?;
    let read: Arc<Reader> = {
        let paths = Arc::clone(&paths);
        Arc::new(move |number| Ok(read(&paths[number])?))
    };
    let name = |number: usize| paths[number].display().to_string();
    let progress = bar(true, paths.len(), "pictures");
    let extraction = network.extraction(&sensing, interrupt, &progress);
    let (mut failures, mut done) = (0, 0);
    let mut tell = |number: usize, line: Result<Line>| {
        done += 1;
        progress.suspend(|| match line {
            Ok(line) => printer.line(&line),
            Err(error) => {
                failures += 1;
                printer.failed(&name(number), &error)
            }
        })
    };
    let result = if scaling == Scaling::Batch && head.is_some() {
        // what the first picture is scaled with depends on the last one: all are kept, and none is told before
        let mut rows = Vec::with_capacity(paths.len());
        let run = extraction.each(0..paths.len(), &read, &mut |_, row| {
            rows.push(row.map(|(a, z)| (a.to_owned(), z.to_owned())));
            Ok(())
        });
        run.and_then(|()| {
            predictor.see(&rows)?;
            rows.into_iter().enumerate().try_for_each(|(number, row)| {
                let line = row.and_then(|(a, z)| predictor.line(name(number), a.view(), z.view()));
                tell(number, line)
            })
        })
    } else {
        extraction.each(0..paths.len(), &read, &mut |number, row| {
            tell(number, row.and_then(|(a, z)| predictor.line(name(number), a, z)))
        })
    };
    progress.finish_and_clear();
    match result {
        Err(error) if error.downcast_ref::<Interrupted>().is_some() => {
            eprintln!("interrupted after {done} of {} pictures", paths.len());
            return Ok(ExitCode::from(Interrupt::EXIT_CODE));
        }
        other => other?,
    }
    if failures > 0 {
        eprintln!("error: {failures} of {} pictures gave no prediction", paths.len());
        return Ok(ExitCode::from(2));
    }
    Ok(ExitCode::SUCCESS)
}

/// The head with what it needs from picture to picture.
struct Predictor<'a> {
    head: Option<&'a Head>,
    seed: usize,
    names: ClassNames,
    question: Question,
    scaling: Scaling,
    statistics: Option<Statistics>,
    stream: Option<Stream>,
}

impl<'a> Predictor<'a> {
    fn new(
        head: Option<&'a Head>,
        last: Option<&LastLayer>,
        scaling: Scaling,
        seed: Option<u64>,
        names: ClassNames,
    ) -> Result<Self> {
        let seed = match (head, seed) {
            (Some(head), Some(seed)) => {
                let seeds: Vec<u64> = head.about.seeds.iter().map(|record| record.seed).collect();
                let found = seeds.iter().position(|known| *known == seed);
                found
                    .with_context(|| format!("--head-seed {seed}: the head has seeds {seeds:?}"))?
            }
            _ => 0,
        };
        let stream = match (head, scaling) {
            (Some(head), scaling) if scaling.is_stream() => Some(head.stream(scaling, last)?),
            _ => None,
        };
        let statistics = match (head, scaling) {
            (Some(head), Scaling::Train | Scaling::None) => {
                let (width, n) = (head.width(), head.about.classes);
                let (none, z) = (Array2::zeros((0, width)), Array2::zeros((0, n)));
                Some(head.statistics_for(scaling, none.view(), z.view())?)
            }
            _ => None,
        };
        // without a head the norm is that of the questions with M = 0
        let question = match head {
            Some(head) => head.about.question,
            None => Question::new(Loss::Mse, Target::AllOnes, 0.0)?,
        };
        Ok(Self { head, seed, names, question, scaling, statistics, stream })
    }

    /// Takes the statistics of all rows that there are, where that was asked for.
    fn see(&mut self, rows: &[Result<Owned>]) -> Result<()> {
        let good: Vec<&Owned> = rows.iter().filter_map(|row| row.as_ref().ok()).collect();
        let rows: Vec<_> = good.iter().map(|(row, _)| row.view()).collect();
        let z: Vec<_> = good.iter().map(|(_, z)| z.view()).collect();
        if good.is_empty() {
            return Ok(());
        }
        self.see_all(&ndarray::stack(Axis(0), &rows)?, &ndarray::stack(Axis(0), &z)?)
    }

    /// Takes the statistics of all images, where that was asked for.
    fn see_all(&mut self, activations: &Array2<f32>, z: &Array2<f32>) -> Result<()> {
        if let (Some(head), Scaling::Batch) = (self.head, self.scaling) {
            self.statistics =
                Some(head.statistics_for(Scaling::Batch, activations.view(), z.view())?);
        }
        Ok(())
    }

    fn line(
        &mut self,
        image: String,
        activations: ArrayView1<'_, f32>,
        z: ArrayView1<'_, f32>,
    ) -> Result<Line> {
        let (second, verdict) = match self.second(activations, z)? {
            Some((second, verdict)) => (Some(second), verdict),
            None => (None, None),
        };
        let features = self.head.map_or(activations.len(), |head| head.about.features);
        let h = activations.slice(s![..features]);
        let temperatures = self.head.map(|head| {
            let About { temperature, seeds, .. } = &head.about;
            (*temperature, seeds[self.seed].temperatures.get(&Method::Reflection).copied())
        });
        Ok(Line {
            image,
            f: self.stage(z, temperatures.map(|(first, _)| first)),
            reflection: second.as_ref().map(|second| {
                self.stage(second.view(), temperatures.and_then(|(_, second)| second))
            }),
            disagreement: second.as_ref().map(|second| Disagreement::between(z, second.view())),
            gradients: GradientScores::of(&self.question, h, z),
            stream: verdict.filter(|_| self.scaling == Scaling::Stream),
        })
    }

    fn second(
        &mut self,
        activations: ArrayView1<'_, f32>,
        z: ArrayView1<'_, f32>,
    ) -> Result<Option<(Array1<f32>, Option<Verdict>)>> {
        let Some(head) = self.head else { return Ok(None) };
        let (a, z) = (activations.insert_axis(Axis(0)), z.insert_axis(Axis(0)));
        let streamed = self.stream.as_mut().map(|stream| stream.next(a, z));
        let own = streamed.as_ref().map(|streamed| &streamed.statistics);
        let statistics = own.or(self.statistics.as_ref());
        let statistics = statistics.context("no statistics to scale with")?;
        let logits = head.logits(Method::Reflection, self.seed, statistics, a, z);
        let logits = logits.ok_or_else(|| anyhow!("the head has no network H"))?;
        Ok(Some((logits.row(0).to_owned(), streamed.map(|streamed| streamed.verdict))))
    }

    fn stage(&self, logits: ArrayView1<'_, f32>, temperature: Option<f32>) -> Stage {
        let prediction = largest(logits);
        Stage {
            prediction,
            class: self.names.name(prediction).to_owned(),
            scores: LogitScores::of(logits),
            calibrated_confidence: temperature
                .map(|t| LogitScores::of(logits.mapv(|z| z / t).view()).confidence),
            probabilities: probabilities(logits),
        }
    }
}

/// How lines are written.
struct Printer {
    csv: bool,
}

/// Columns of the table.
const COLUMNS: [&str; 23] = [
    "image",
    "f_prediction",
    "f_class",
    "f_confidence",
    "f_calibrated_confidence",
    "f_entropy",
    "f_margin",
    "f_max_logit",
    "f_negative_energy",
    "reflection_prediction",
    "reflection_class",
    "reflection_confidence",
    "reflection_calibrated_confidence",
    "reflection_entropy",
    "classes_differ",
    "total_variation",
    "introspective_norm",
    "gradnorm",
    "gradtrust",
    "purview",
    "reflection_margin",
    "stream",
    "error",
];

impl Printer {
    fn begin(&self) -> Result<()> {
        if self.csv { self.row(COLUMNS.map(str::to_owned).to_vec()) } else { Ok(()) }
    }

    fn line(&self, line: &Line) -> Result<()> {
        if !self.csv {
            return output::line(&serde_json::to_string(line)?);
        }
        let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
        let Line { image, f, reflection, disagreement, gradients, stream } = line;
        let second = |of: fn(&Stage) -> f64| number(reflection.as_ref().map(of));
        let r = reflection.as_ref();
        self.row(vec![
            image.clone(),
            f.prediction.to_string(),
            f.class.clone(),
            f.scores.confidence.to_string(),
            number(f.calibrated_confidence),
            f.scores.entropy.to_string(),
            f.scores.margin.to_string(),
            f.scores.max_logit.to_string(),
            f.scores.negative_energy.to_string(),
            r.map(|r| r.prediction.to_string()).unwrap_or_default(),
            r.map(|r| r.class.clone()).unwrap_or_default(),
            second(|r| r.scores.confidence),
            number(r.and_then(|r| r.calibrated_confidence)),
            second(|r| r.scores.entropy),
            disagreement.map(|d| d.classes_differ.to_string()).unwrap_or_default(),
            number(disagreement.map(|d| d.total_variation)),
            gradients.introspective_norm.to_string(),
            gradients.gradnorm.to_string(),
            number(gradients.gradtrust),
            gradients.purview.to_string(),
            second(|r| r.scores.margin),
            stream.map(|verdict| verdict.name().to_owned()).unwrap_or_default(),
            String::new(),
        ])
    }

    fn failed(&self, image: &str, error: &anyhow::Error) -> Result<()> {
        let text = output::chain(error);
        eprintln!("error: {image}: {}", text.strip_prefix(&format!("{image}: ")).unwrap_or(&text));
        if !self.csv {
            return output::line(&serde_json::json!({"image": image, "error": text}).to_string());
        }
        let mut cells = vec![String::new(); COLUMNS.len()];
        image.clone_into(&mut cells[0]);
        cells[COLUMNS.len() - 1] = text;
        self.row(cells)
    }

    fn row(&self, cells: Vec<String>) -> Result<()> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::Any(b'\n'))
            .from_writer(Vec::new());
        writer.write_record(&cells)?;
        let bytes = writer.into_inner().map_err(|error| anyhow!("{error}"))?;
        output::line(String::from_utf8_lossy(&bytes).trim_end_matches('\n'))
    }
}

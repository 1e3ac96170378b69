//! `introspect predict`.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use introspective_data::{find_pictures, read};
use introspective_network::ClassNames;
use introspective_reflect::{Head, Scaling};
use introspective_report::{
    EvaluationFacts, PredictedClasses, PredictedPicture, Said, predictions_page,
};

use crate::args::PredictArgs;
use crate::interrupt::Interrupt;
use crate::output;
use crate::second::extract::{Interrupted, Reader};
use crate::second::head::Fits;
use crate::second::predictor::{Line, Predictor, Stage};
use crate::second::sensing::Reading;
use crate::second::source::{Network, from_file};
use crate::second::{bar, head, named};

/// Predicts every picture; one that cannot be read does not stop the others.
pub fn run(args: &PredictArgs) -> Result<ExitCode> {
    output::limit_threads(args.run.threads)?;
    let interrupt = Interrupt::watch()?;
    let scaling = named(&Scaling::ALL, Scaling::name, &args.scaling)?;
    if let Some(path) = args.report.as_ref().filter(|path| path.exists() && !args.force) {
        bail!("--report {} is there already; choose another name, or add --force", path.display());
    }
    let printer = Printer { csv: args.csv, pictures: args.report.is_some().then(RefCell::default) };
    printer.begin()?;
    let done = match &args.features {
        Some(path) => from_features(args, path, scaling, &printer),
        None => from_pictures(args, scaling, &printer, &interrupt),
    };
    // what was predicted before something went wrong is not lost
    if let (Some(path), Some(pictures)) = (&args.report, &printer.pictures) {
        let mut facts = EvaluationFacts::default();
        facts.facts.push(("command".to_owned(), output::command_line()));
        facts.facts.push(("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
        let page = predictions_page(&pictures.borrow(), &facts);
        std::fs::write(path, page).with_context(|| format!("--report {}", path.display()))?;
    }
    done
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

/// How lines are written.
struct Printer {
    csv: bool,
    /// What goes into the page, if one is wanted.
    pictures: Option<RefCell<Vec<PredictedPicture>>>,
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
        if let Some(pictures) = &self.pictures {
            let outcome = Ok(of_line(line));
            pictures.borrow_mut().push(PredictedPicture { image: line.image.clone(), outcome });
        }
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
        if let Some(pictures) = &self.pictures {
            let (image, outcome) = (image.to_owned(), Err(text.clone()));
            pictures.borrow_mut().push(PredictedPicture { image, outcome });
        }
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

/// A line as a row of the page.
fn of_line(line: &Line) -> PredictedClasses {
    let said = |stage: &Stage| Said {
        class: stage.class.clone(),
        probability: stage.calibrated_confidence.unwrap_or(stage.scores.confidence),
    };
    PredictedClasses {
        first: said(&line.f),
        second: line.reflection.as_ref().map(said),
        total_variation: line.disagreement.map(|disagreement| disagreement.total_variation),
        entropy: line.f.scores.entropy,
        negative_energy: line.f.scores.negative_energy,
    }
}

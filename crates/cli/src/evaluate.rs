//! `introspect evaluate`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use introspective_corrupt::Severity;
use introspective_measure::{
    CompareOptions, Comparison, Curves, Method as Compared, Metric, compare, curves,
};
use introspective_network::Statistics as BatchNorm;
use introspective_reflect::{GUARD_IMAGES, Scaling, Verdict};
use introspective_report::{
    EvaluationFacts, RunFolder, Skipped, contrasts_csv, evaluation_csv, evaluation_page,
};
use introspective_study::{
    Scored, against_controls, names, of_features, of_head, reason, verdicts,
};
use ndarray::{Array2, Axis};
use serde_json::{Value, json};

use crate::args::{EvaluateArgs, SplitArg};
use crate::interrupt::Interrupt;
use crate::output;
use crate::run_folder;
use crate::second::corrupted::CorruptedFiles;
use crate::second::corruption::{corrupted, corrupting, corruptions};
use crate::second::extract::{Interrupted, Reader};
use crate::second::head::Fits;
use crate::second::sensing::Reading;
use crate::second::source::{
    Labelled, Network, STATISTICS_BATCH, Source, batch_norm_logits, from_file, shuffled,
};
use crate::second::{bar, head, named};

/// Where results go unless `--out` says otherwise.
const DEFAULT_OUT: &str = "introspect-evaluation";

/// Measures all methods on the same images.
pub fn run(args: &EvaluateArgs) -> Result<ExitCode> {
    output::limit_threads(args.run.threads)?;
    let interrupt = Interrupt::watch()?;
    let existing = run_folder::existing(args.out.as_deref(), args.force);
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_OUT));
    if let Some(path) = args.save_features.as_ref().filter(|path| path.exists() && !args.force) {
        bail!(
            "--save-features {} is there already; choose another name, or add --force",
            path.display()
        );
    }
    let folder = RunFolder::open(&out, existing)?;
    let scalings: Vec<Scaling> = args
        .scaling
        .iter()
        .map(|name| named(&Scaling::ALL, Scaling::name, name))
        .collect::<Result<_>>()?;

    let evaluation = match evaluated(args, &scalings, &interrupt) {
        Err(error) if error.downcast_ref::<Interrupted>().is_some() => {
            eprintln!("interrupted; nothing was written");
            return Ok(ExitCode::from(Interrupt::EXIT_CODE));
        }
        other => other?,
    };
    let staged = folder.stage()?;
    evaluation.write(staged.path())?;
    let place = staged.commit_into(None)?;
    if args.json {
        output::line(&evaluation.json()?.to_string())?;
    } else {
        evaluation.print()?;
        output::line(&format!("  {}", place.join("report.html").display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What was measured.
struct Evaluation {
    comparison: Comparison,
    curves: Vec<Curves>,
    skipped: Vec<Skipped>,
    notes: Vec<String>,
    facts: BTreeMap<String, Value>,
}

fn evaluated(
    args: &EvaluateArgs,
    scalings: &[Scaling],
    interrupt: &Interrupt,
) -> Result<Evaluation> {
    let wants_batch_norm = scalings.contains(&Scaling::Batch);
    let find = |fits: Fits<'_>| head::find(args.head.as_deref(), &args.run.network, || Ok(fits));
    let (source, batch_norm, head, order) = match (&args.data.features, &args.data.data) {
        (Some(path), _) => {
            let mut source = from_file(path, true)?;
            // every row is scored, copies of one image too
            source.images = (0..source.features.len()).collect();
            let head = find(Fits::from(&source.features))?;
            let why = "features are given, and this needs the network and the pictures";
            let order = order(args, source.images.len());
            (source, Err(why.to_owned()), head, order)
        }
        (None, Some(data)) => {
            let network = Network::open(&args.run, usize::MAX)?;
            // before the pictures, which take long
            let head = find(network.fits()?)?;
            let mut reading = head.as_ref().map(|(head, _)| Reading::of(head)).unwrap_or_default();
            // whoever keeps the features may use any head on them
            reading.stages |= args.save_features.is_some();
            let wants = Wants { batch_norm: wants_batch_norm, reading };
            let (source, logits, order) = extracted(args, &network, data, wants, interrupt)?;
            (source, logits, head, order)
        }
        (None, None) => bail!("give labelled pictures with --data, or features with --features"),
    };
    let Source { features, images, mut facts, .. } = source;
    if let Some(path) = &args.save_features {
        features.write(path).context("--save-features")?;
    }
    let (features, batch_norm) = if args.shuffle {
        let order = rows_in(&order, &images);
        facts.insert("order".to_owned(), json!(format!("shuffled with seed {}", args.seed)));
        (features.select(&order), batch_norm.map(|logits| logits.select(Axis(0), &order)))
    } else {
        (features, batch_norm)
    };
    let (mut methods, mut skipped) = match &head {
        Some((head, _)) => of_head(head, &features, scalings)?,
        None => of_features(&features),
    };
    if wants_batch_norm {
        match batch_norm {
            Ok(logits) => {
                methods.push(Scored { name: "f-batch-norm".to_owned(), seeds: vec![logits] })
            }
            Err(why) => skipped.push(reason("f-batch-norm", &why)),
        }
    }
    let compared: Vec<Compared<'_>> = methods.iter().map(Scored::compared).collect();
    let options = CompareOptions {
        resamples: args.resamples as usize,
        seed: args.seed,
        bins: args.bins.into(),
        contrasts: against_controls(&names(&methods)),
        ..CompareOptions::default()
    };
    let comparison = compare(&compared, &features.labels, &options)?;
    let curves = compared
        .iter()
        .map(|method| curves(method, &features.labels, options.bins))
        .collect::<Result<_, _>>()?;
    let mut notes = Vec::new();
    if let Some((head, path)) = &head {
        facts.insert("head".to_owned(), json!(path.display().to_string()));
        facts.insert("head_about".to_owned(), serde_json::to_value(&head.about)?);
        if !head.about.kept_unseen {
            notes.push(
                "The temperatures were fitted on images that the classifier may have been trained on; they may be too low."
                    .to_owned(),
            );
        }
    }
    if scalings.contains(&Scaling::Batch) || scalings.contains(&Scaling::StreamUnguarded) {
        notes.push(
            "Methods named -batch, -stream-unguarded, f-matched and f-batch-norm use statistics of the images being scored: \
             each prediction depends on the others, and they fail where classes are not balanced."
                .to_owned(),
        );
    }
    let guarded = head.as_ref().filter(|_| scalings.contains(&Scaling::Stream));
    let judged = guarded.and_then(|(head, _)| Some((head, verdicts(head, &features)?)));
    if let Some((head, verdicts)) = judged {
        let threshold = head.guard(features.last_layer.as_ref()).threshold();
        let (value, note) = guard_report(&verdicts, threshold);
        facts.insert("stream_guard".to_owned(), value);
        notes.push(note);
    }
    if scalings.iter().any(|scaling| scaling.is_stream()) && !args.shuffle {
        notes.push(
            "Streams ran in the order of the set, which in a folder is one class after the other; --shuffle mixes it."
                .to_owned(),
        );
    }
    facts.insert("command".to_owned(), json!(output::command_line()));
    facts.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
    Ok(Evaluation { comparison, curves, skipped, notes, facts })
}

/// What the guard of the stream made of the images, for programs and for people.
fn guard_report(verdicts: &[Verdict], threshold: f64) -> (Value, String) {
    let share = |wanted: Verdict| {
        let found = verdicts.iter().filter(|&&verdict| verdict == wanted).count();
        found as f64 / verdicts.len().max(1) as f64
    };
    let training = 1.0 - share(Verdict::Mixed);
    let [few, mix] = [Verdict::FewImages, Verdict::ClassMix].map(share);
    let value = json!({
        "training_statistics": training,
        "few_images": few,
        "class_mix": mix,
        "share_threshold": threshold,
        "images_threshold": GUARD_IMAGES,
    });
    let note = format!(
        "Methods named -stream use statistics of the last images before each and of itself; {:.1} % of the images were scored \
         with the training set's instead: {:.1} % as long as fewer than {GUARD_IMAGES} had come, {:.1} % because the \
         classes of the last ones did not look mixed.",
        100.0 * training,
        100.0 * few,
        100.0 * mix
    );
    (value, note)
}

/// The order in which pictures are taken, of all that there are.
fn order(args: &EvaluateArgs, count: usize) -> Vec<usize> {
    if args.shuffle { shuffled(count, args.seed) } else { (0..count).collect() }
}

/// The rows of features in that order; `images` are the numbers of those that could be read, rising.
fn rows_in(order: &[usize], images: &[usize]) -> Vec<usize> {
    order.iter().filter_map(|number| images.binary_search(number).ok()).collect()
}

type BatchNormLogits = std::result::Result<Array2<f32>, String>;

/// What is asked of the network beside h and z.
struct Wants {
    batch_norm: bool,
    reading: Reading,
}

fn extracted(
    args: &EvaluateArgs,
    network: &Network,
    data: &Path,
    wants: Wants,
    interrupt: &Interrupt,
) -> Result<(Source, BatchNormLogits, Vec<usize>)> {
    let part = args.data.split.unwrap_or(SplitArg::Test);
    let labelled = Labelled::open(data, part, args.data.split.is_some(), network)?;
    let sensing = network.sensing(wants.reading)?;
    let count = labelled.set.len();
    let progress = bar(!args.json, count * (1 + usize::from(wants.batch_norm)), "pictures");
    let extraction = network.extraction(&sensing, interrupt, &progress);
    let order = order(args, count);
    let read = reader(args, &labelled, &order)?;
    let extracted = extraction.collect(0..count, &read, &|n| labelled.set.name(n))?;
    let rows = extracted.rows.clone();
    if rows.is_empty() {
        bail!("{}: none of {count} pictures could be read", data.display());
    }
    let features = network.features(extracted, wants.reading, &labelled.labels)?;
    let mut batch_norm = Err("it was not asked for".to_owned());
    if wants.batch_norm {
        let batch = network.batch.unwrap_or(STATISTICS_BATCH);
        let name = |number: usize| labelled.set.name(number);
        let pictures = (&read, &name as &dyn Fn(usize) -> String);
        // a network without batch normalisation costs this method alone
        let logits = network.plain(BatchNorm::Batch).and_then(|sensing| {
            let order = (args.seed, batch);
            batch_norm_logits(network, &sensing, pictures, &rows, order, interrupt, &progress)
        });
        batch_norm = logits.map_err(|error| output::chain(&error));
        if interrupt.came() {
            return Err(Interrupted.into());
        }
    }
    progress.finish_and_clear();
    let mut facts = labelled.facts(data);
    facts.insert("left_out".to_owned(), json!(count - rows.len()));
    if let Some(severity) = args.severity {
        let names = args.corruption.join(", ");
        let from = match &args.corrupted {
            Some(folder) => format!("from {}", folder.display()),
            None => format!("seed {}", args.seed),
        };
        let changing = args.changing.map(|n| format!(", changing every {n} images"));
        let text = format!("{names} {severity}{}, {from}", changing.unwrap_or_default());
        facts.insert("corruption".to_owned(), json!(text));
    }
    facts.insert("classifier".to_owned(), json!(network.opened.classifier.name()));
    facts.insert("classifier_sha256".to_owned(), json!(network.opened.classifier.sha256()));
    facts.insert("runtime".to_owned(), json!(network.opened.classifier.runtime().to_string()));
    let source = Source { features, images: rows, owner: network.owner(), facts };
    Ok((source, batch_norm, order))
}

/// Pictures as they are, corrupted ones from files, or corrupted on the fly: all alike, or in turns along the order in which
/// they are taken.
fn reader(args: &EvaluateArgs, labelled: &Labelled, order: &[usize]) -> Result<Arc<Reader>> {
    let read = labelled.reader();
    let Some(severity) = args.severity else { return Ok(read) };
    let severity = Severity::new(severity)?;
    let Some(changing) = args.changing else {
        let [corruption] = corruptions(&args.corruption)?[..] else {
            bail!(
                "--corruption {}: give one corruption; --changing N reads several as one stream, `introspect study \
                 recognition` takes each by itself",
                args.corruption.join(",")
            )
        };
        return match &args.corrupted {
            Some(folder) => {
                CorruptedFiles::open(folder, &labelled.set)?.images(corruption, severity)
            }
            None => Ok(corrupting(read, corruption, severity, args.seed)),
        };
    };
    let mut turns = Vec::new();
    for name in &args.corruption {
        match name.as_str() {
            "none" => turns.push(None),
            _ => turns.extend(corruptions(std::slice::from_ref(name))?.into_iter().map(Some)),
        }
    }
    let mut own = vec![None; order.len()];
    for (position, &number) in order.iter().enumerate() {
        own[number] = turns[position / changing as usize % turns.len()];
    }
    let seed = args.seed;
    Ok(Arc::new(move |number| {
        let picture = read(number)?;
        match own[number] {
            Some(corruption) => corrupted(picture, corruption, severity, seed, number as u64),
            None => Ok(picture),
        }
    }))
}

impl Evaluation {
    fn json(&self) -> Result<Value> {
        let mut value = serde_json::to_value(&self.comparison)?;
        value["skipped"] = self
            .skipped
            .iter()
            .map(|skipped| json!({"name": skipped.name, "reason": skipped.reason}))
            .collect();
        value["notes"] = json!(self.notes);
        value["facts"] = json!(self.facts);
        Ok(value)
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let page = evaluation_page(&self.comparison, &self.curves, &self.page_facts());
        let mut files = vec![
            ("report.html", page),
            ("evaluation.csv", evaluation_csv(&self.comparison)?),
            ("evaluation.json", serde_json::to_string_pretty(&self.json()?)? + "\n"),
        ];
        if !self.comparison.contrasts.is_empty() {
            files.push(("contrasts.csv", contrasts_csv(&self.comparison)?));
        }
        run_folder::write_files(folder, &files, &self.facts)
    }

    fn print(&self) -> Result<()> {
        let shown = [Metric::Accuracy, Metric::Nll, Metric::Brier, Metric::Ece, Metric::Aurc];
        let width = self.comparison.methods.iter().map(|m| m.name.len()).max().unwrap_or(0);
        let titles: Vec<String> =
            shown.iter().map(|metric| format!("{:>24}", metric.key())).collect();
        output::line(&format!("{:<width$}{}", "", titles.join("")))?;
        for method in &self.comparison.methods {
            let cells: Vec<String> = shown
                .iter()
                .filter_map(|metric| method.metrics.get(*metric))
                .map(|e| format!("{:>24}", format!("{:.4} ({:.4}-{:.4})", e.value, e.low, e.high)))
                .collect();
            output::line(&format!("{:<width$}{}", method.name, cells.join("")))?;
        }
        for skipped in &self.skipped {
            output::line(&format!("{:<width$}  skipped: {}", skipped.name, skipped.reason))?;
        }
        for note in &self.notes {
            output::line(&format!("note: {note}"))?;
        }
        let level = 100.0 * self.comparison.level;
        output::line(&format!(
            "{} images; in brackets {level:.0} % intervals ({} resamples)",
            self.comparison.n, self.comparison.resamples
        ))
    }

    fn page_facts(&self) -> EvaluationFacts {
        EvaluationFacts {
            title: "Evaluation of both stages".to_owned(),
            facts: output::facts(&self.facts),
            notes: self.notes.clone(),
            skipped: self.skipped.clone(),
        }
    }
}

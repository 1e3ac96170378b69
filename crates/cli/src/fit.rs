//! `introspect fit`.

use std::collections::HashSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use introspective_corrupt::{Corruption, Family};
use introspective_data::{Augmentation, held_out};
use introspective_reflect::{
    Features, FitOptions, Head, KeepState, Loss, Method, Reads, ReflectError, Schedule, Target,
    fit, largest,
};
use serde_json::{Value, json};

use crate::args::{AugmentArg, FitArgs, SplitArg};
use crate::interrupt::Interrupt;
use crate::output;
use crate::run_folder;
use crate::second::corruption::{Mixed, corruptions};
use crate::second::extract::{Interrupted, Reader};
use crate::second::recipe::Settings;
use crate::second::sensing::Reading;
use crate::second::source::{Labelled, Network, Source, from_file};
use crate::second::{bar, named};

/// Epochs between two checkpoints of a network.
const CHECKPOINT_EVERY: usize = 10;

/// Fits the second stage and writes its file.
pub fn run(args: &FitArgs) -> Result<ExitCode> {
    let settings = Settings::of(args)?;
    let options = options(args, &settings)?;
    output::limit_threads(args.run.threads)?;
    refuse_existing(args)?;
    let interrupt = Interrupt::watch()?;
    let work = run_folder::work_folder(&args.out, "fit", args.resume, args.force)?;
    match fitted(args, &settings, options, &work, &interrupt) {
        Ok((head, summary)) => {
            head.write(&args.out)?;
            // what it was for is done
            let _ = fs::remove_dir_all(&work);
            print(args, &head, &summary)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if stopped(&error) => {
            eprintln!(
                "interrupted; the same command with --resume goes on from {}",
                work.display()
            );
            Ok(ExitCode::from(Interrupt::EXIT_CODE))
        }
        Err(error) => {
            // nothing in it that would be worth going on with
            let _ = fs::remove_dir(&work);
            Err(error)
        }
    }
}

fn stopped(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Interrupted>().is_some()
        || matches!(error.downcast_ref::<ReflectError>(), Some(ReflectError::Stopped))
}

fn fitted(
    args: &FitArgs,
    settings: &Settings,
    mut options: FitOptions,
    work: &Path,
    interrupt: &Interrupt,
) -> Result<(Head, Summary)> {
    let source = match (&args.data.features, &args.data.data) {
        (Some(path), _) => from_file(path, true)?,
        (None, Some(data)) => extracted(args, settings, data, work, interrupt)?,
        (None, None) => bail!("give labelled pictures with --data, or features with --features"),
    };
    if let Some(path) = &args.save_features {
        source.features.write(path).context("--save-features")?;
    }
    if args.average.is_none() && source.features.own_share.is_none() {
        // a recipe's default, which needs a second pass
        options.blend = false;
    }
    let kept = kept(args, &source)?;
    let rows = others(&source.images, &kept);
    let aside = aside(&source.images, &kept);
    let training = source.features.select(&without(args, &source.features, rows)?);
    let copies = source.features.select(&left_in(args, &source.features, aside)?);
    let kept = source.features.select(&kept);
    let Source { owner, mut facts, .. } = source;
    facts.insert("kept".to_owned(), json!(kept.len()));

    let jobs = options.seeds * if options.controls { Method::ALL.len() } else { 1 };
    let progress = bar(!args.json, jobs * options.schedule.epochs, "epochs");
    let state = KeepState { folder: work.to_owned(), every: CHECKPOINT_EVERY };
    let watch = |news: introspective_reflect::Progress<'_>| {
        match news.figures {
            Some(figures) => {
                progress.inc(1);
                progress.set_message(format!(
                    "({} {}: loss {:.4}, accuracy {:.3})",
                    news.method.name(),
                    news.seed,
                    figures.loss,
                    figures.accuracy
                ));
            }
            None => progress.inc(news.epoch as u64),
        }
        if interrupt.came() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let kept_too = if options.blend { &copies } else { &kept };
    let result = fit(&training, kept_too, &owner, &options, Some(&state), &watch);
    progress.finish_and_clear();
    let mut head = result?;
    facts.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
    facts.insert("command".to_owned(), json!(output::command_line()));
    head.about.facts = facts;
    let summary = Summary::of(&head, &kept);
    Ok((head, summary))
}

/// Runs the network over the pictures, and the changed copies of them.
fn extracted(
    args: &FitArgs,
    settings: &Settings,
    data: &Path,
    work: &Path,
    interrupt: &Interrupt,
) -> Result<Source> {
    let network = Network::open(&args.run, usize::MAX)?;
    let part = args.data.split.unwrap_or(SplitArg::Train);
    let labelled = Labelled::open(data, part, args.data.split.is_some(), &network)?;
    let images = labelled.set.len();
    let augmentation = augmentation(args.augment);
    let corruption = Mixed::new(&settings.corruption, &settings.severity)?;
    let changed = augmentation.is_some() || corruption.is_some();
    let copies = if changed { settings.copies } else { 0 };
    let count = images * (1 + copies);

    let (set, seed, mixed) = (Arc::clone(&labelled.set), args.seed, corruption.clone());
    let read: Arc<Reader> = Arc::new(move |number| {
        let mut picture = set.picture(number % images)?;
        if number < images {
            return Ok(picture);
        }
        if let Some(augmentation) = augmentation {
            picture = augmentation.apply(picture, seed, number as u64);
        }
        match &mixed {
            Some(mixed) => mixed.apply(picture, seed, number as u64),
            None => Ok(picture),
        }
    });
    // whoever keeps the features may fit any head on them
    let stages = args.save_features.is_some() || settings.reads == Reads::Activations;
    let reading = Reading { stages, own: own_share(args, settings, &network)? };
    let sensing = network.sensing(reading)?;
    let progress = bar(!args.json, count, "pictures");
    let extraction = network.extraction(&sensing, interrupt, &progress);
    let identity = json!({
        "classifier": network.opened.classifier.sha256(),
        "data": labelled.set.fingerprint(),
        "preprocessing": &network.preprocessing,
        "augment": format!("{:?}", args.augment),
        "corruption": corruption.as_ref().map(Mixed::names),
        "copies": copies,
        "seed": if copies > 0 { Some(seed) } else { None },
        "runtime": network.opened.classifier.runtime(),
        "batch": extraction.batch,
        "activations": sensing.width(),
        "own_share": reading.own,
    });
    let name = |number: usize| labelled.set.name(number % images);
    let extracted = extraction.collect_stored(count, &read, &name, work, &identity.to_string());
    progress.finish_and_clear();
    let extracted = extracted?;
    if extracted.rows.is_empty() {
        bail!("{}: none of {images} pictures could be read", data.display());
    }
    let rows = extracted.rows.clone();
    let labels: Vec<usize> = (0..count).map(|number| labelled.labels[number % images]).collect();
    let mut features = network.features(extracted, reading, &labels)?;
    // clean ones come first, and of those some may be known to be new to the network
    if let Some(held) = labelled.held_out_in_training(&network)? {
        let mut unseen = vec![false; images];
        for index in held {
            unseen[index] = true;
        }
        features.held_out = rows.iter().map(|&row| unseen[row % images]).collect();
    }
    let clean = rows.iter().filter(|&&row| row < images).count();
    let of: Vec<usize> = rows.iter().map(|row| row % images).collect();
    if copies > 0 {
        let change = |&row: &usize| match &corruption {
            _ if row < images => String::new(),
            Some(mixed) => mixed
                .draw(seed, row as u64)
                .map_or("", |(corruption, _)| corruption.name())
                .to_owned(),
            None => format!("{:?}", args.augment).to_lowercase(),
        };
        features.changes = rows.iter().map(change).collect();
        features.images = of.clone();
    }
    let mut facts = labelled.facts(data);
    facts.insert("images".to_owned(), json!(clean));
    facts.insert("left_out".to_owned(), json!(images - clean));
    facts.insert("augment".to_owned(), json!(format!("{:?}", args.augment).to_lowercase()));
    if let Some(mixed) = &corruption {
        facts.insert("corruption".to_owned(), json!(mixed.names()));
    }
    facts.insert("copies".to_owned(), json!(copies));
    facts.insert("preprocessing".to_owned(), serde_json::to_value(&network.preprocessing)?);
    Ok(Source { features, images: of, owner: network.owner(), facts })
}

/// Share of own statistics in the second pass: what a recipe wants is left out where a network has no batch normalisations,
/// what a flag wants is not.
fn own_share(args: &FitArgs, settings: &Settings, network: &Network) -> Result<Option<f32>> {
    let without = network.opened.classifier.batch_norms() == 0;
    if settings.own.is_some() && args.own_statistics.is_none() && without {
        eprintln!(
            "note: the network has no batch normalisations (or an exporter folded them): no second pass, H reads the first alone"
        );
        return Ok(None);
    }
    Ok(settings.own)
}

/// Names of the corruptions of a kind.
fn kind(family: Family) -> Vec<String> {
    let own = Corruption::ALL.into_iter().filter(|corruption| corruption.family() == family);
    own.map(|corruption| corruption.name().to_owned()).collect()
}

/// Number of rows that are images as they are: those before the first copy.
fn clean(source: &Source) -> usize {
    let mut seen = HashSet::new();
    source.images.iter().take_while(|&&image| seen.insert(image)).count()
}

/// Rows kept aside for the temperatures: those that the classifier has not seen, where that is known; else a share
/// drawn from each class. Of changed copies none.
fn kept(args: &FitArgs, source: &Source) -> Result<Vec<usize>> {
    let (features, clean) = (&source.features, clean(source));
    let unseen: Vec<usize> =
        (0..clean).filter(|&row| features.held_out.get(row).copied().unwrap_or(false)).collect();
    if !unseen.is_empty() {
        return Ok(unseen);
    }
    eprintln!(
        "note: nothing says which images the classifier was not trained on; temperatures are fitted on a share \
         (--fit-split {}) that it may have seen, and then come out too low",
        args.fit_split
    );
    let labels = &features.labels[..clean];
    Ok(held_out(labels, args.fit_split, args.seed).context("--fit-split")?.held)
}

/// Of some rows those that are no copies with the corruptions of --leave-out.
///
/// # Errors
/// There are none of them among the rows.
fn without(args: &FitArgs, features: &Features, rows: Vec<usize>) -> Result<Vec<usize>> {
    let all = rows.len();
    let staying = left_in(args, features, rows)?;
    if !args.leave_out.is_empty() && staying.len() == all {
        bail!(
            "--leave-out {}: no row is a copy with one of these corruptions; they come from --corruption, or from features \
             that were saved with it",
            args.leave_out.join(",")
        );
    }
    Ok(staying)
}

fn left_in(args: &FitArgs, features: &Features, mut rows: Vec<usize>) -> Result<Vec<usize>> {
    let names = corruptions(&args.leave_out).context("--leave-out")?;
    let left: HashSet<&str> = names.iter().map(|corruption| corruption.name()).collect();
    let drawn = |row: &usize| features.changes.get(*row).map(String::as_str).unwrap_or_default();
    rows.retain(|row| !left.contains(drawn(row)));
    Ok(rows)
}

/// The kept rows and the copies of their images.
fn aside(images: &[usize], kept: &[usize]) -> Vec<usize> {
    let aside: HashSet<usize> = kept.iter().map(|&row| images[row]).collect();
    (0..images.len()).filter(|&row| aside.contains(&images[row])).collect()
}

/// Rows to train on: of the images of the kept rows neither they nor their copies. `images` says which image each row
/// is of.
fn others(images: &[usize], kept: &[usize]) -> Vec<usize> {
    let aside: HashSet<usize> = kept.iter().map(|&row| images[row]).collect();
    (0..images.len()).filter(|&row| !aside.contains(&images[row])).collect()
}

fn augmentation(arg: AugmentArg) -> Option<Augmentation> {
    match arg {
        AugmentArg::None => None,
        AugmentArg::Flip => Some(Augmentation::Flip),
        AugmentArg::CropFlip => Some(Augmentation::CropFlip),
        AugmentArg::Mild => Some(Augmentation::Mild),
    }
}

fn options(args: &FitArgs, settings: &Settings) -> Result<FitOptions> {
    let options = FitOptions {
        reads: settings.reads,
        blend: settings.average,
        kinds: Family::ALL.map(kind).to_vec(),
        loss: named(&Loss::ALL, Loss::name, &args.loss)?,
        target: named(&Target::ALL, Target::name, &args.target)?,
        height: args.height,
        scaler: settings.scaler,
        rank: args.rank.map(|rank| rank as usize),
        hidden: settings.hidden.clone(),
        activation: settings.activation,
        schedule: Schedule {
            epochs: settings.epochs,
            batch: args.fit_batch as usize,
            learning_rate: settings.learning_rate,
            milestones: args.milestones.clone(),
            decay: args.decay,
            momentum: args.momentum,
            weight_decay: args.weight_decay,
        },
        seed: args.seed,
        seeds: args.seeds as usize,
        controls: !args.without_controls,
    };
    options.check()?;
    if !(args.fit_split > 0.0 && args.fit_split < 1.0) {
        bail!("--fit-split {}: expected a share between 0 and 1", args.fit_split);
    }
    Ok(options)
}

fn refuse_existing(args: &FitArgs) -> Result<()> {
    let named = [("--out", Some(&args.out)), ("--save-features", args.save_features.as_ref())];
    for (flag, path) in named {
        if let Some(path) = path.filter(|path| path.exists() && !args.force) {
            bail!(
                "{flag} {} is there already; choose another name, or add --force",
                path.display()
            );
        }
    }
    Ok(())
}

/// How the classifier and each method do on the kept images.
struct Summary {
    rows: Vec<(String, f64)>,
}

impl Summary {
    fn of(head: &Head, kept: &Features) -> Self {
        let accuracy = |logits: ndarray::ArrayView2<'_, f32>| {
            let rows = logits.outer_iter().zip(&kept.labels);
            let right = rows.filter(|(row, label)| largest(*row) == **label).count();
            right as f64 / kept.len().max(1) as f64
        };
        let mut rows = vec![("f".to_owned(), accuracy(kept.z.view()))];
        let activations = head.activations(kept);
        for method in Method::ALL {
            let (a, z) = (activations.view(), kept.z.view());
            let logits = head.logits(method, 0, &head.statistics, a, z);
            rows.extend(logits.map(|logits| (method.name().to_owned(), accuracy(logits.view()))));
        }
        Self { rows }
    }
}

fn print(args: &FitArgs, head: &Head, summary: &Summary) -> Result<()> {
    let about = &head.about;
    if args.json {
        let accuracies: serde_json::Map<String, Value> =
            summary.rows.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let line = json!({
            "head": args.out.display().to_string(),
            "about": about,
            "parameters": head.parameters(Method::Reflection),
            "kept_accuracy": accuracies,
        });
        return output::line(&line.to_string());
    }
    let parameters = head.parameters(Method::Reflection).unwrap_or(0);
    output::line(&format!(
        "H of {parameters} parameters, {} classes, {} features; M = {:.4}; trained on {} images",
        about.classes, about.features, about.question.height, about.trained_on
    ))?;
    let temperatures = about.seeds.first().map(|seed| &seed.temperatures);
    for (name, accuracy) in &summary.rows {
        let method = Method::ALL.into_iter().find(|method| method.name() == name);
        let temperature = method.map_or(Some(about.temperature), |method| {
            temperatures.and_then(|all| all.get(&method).copied())
        });
        let temperature = temperature.unwrap_or(1.0);
        output::line(&format!(
            "  {name:<11} accuracy {accuracy:.4} on the {} images kept aside; temperature {temperature:.3}",
            about.kept
        ))?;
    }
    output::line(&format!("  {}", args.out.display()))
}

#[cfg(test)]
mod tests {
    use super::others;

    /// Whatever is missing among the copies: of picture 1 the second copy, of picture 2 the first.
    #[test]
    fn no_copy_of_a_kept_image_is_trained_on() {
        let images = [0, 1, 2, 3, 0, 1, 3, 0, 2, 3];
        assert_eq!(others(&images, &[1, 3]), [0, 2, 4, 7, 8]);
        assert_eq!(others(&images, &[]), (0..10).collect::<Vec<_>>());
    }
}

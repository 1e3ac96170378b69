//! `introspect fit`.

mod pictures;
mod rows;
mod summary;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use introspective_corrupt::{Corruption, Family};
use introspective_reflect::{
    FitOptions, Head, KeepState, Loss, Method, ReflectError, Schedule, Target, fit,
};
use serde_json::json;

use crate::args::FitArgs;
use crate::interrupt::Interrupt;
use crate::output;
use crate::run_folder;
use crate::second::extract::Interrupted;
use crate::second::recipe::{Recipe, Settings};
use crate::second::source::{Network, Source, from_file};
use crate::second::{bar, named};
use rows::{aside, kept, left_in, others, without};
use summary::Summary;

/// Epochs between two checkpoints of a network.
const CHECKPOINT_EVERY: usize = 10;

/// Fits the second stage and writes its file.
pub fn run(args: &FitArgs) -> Result<ExitCode> {
    // what is wrong with the flags is said before anything is read, as far as it can be told by then
    if let Some(recipe) = args.recipe {
        options(args, &Settings::of(args, recipe)?)?;
    }
    output::limit_threads(args.run.threads)?;
    refuse_existing(args)?;
    let interrupt = Interrupt::watch()?;
    let work = run_folder::work_folder(&args.out, "fit", args.resume, args.force)?;
    match fitted(args, &work, &interrupt) {
        Ok((head, summary)) => {
            head.write(&args.out)?;
            // what it was for is done
            let _ = fs::remove_dir_all(&work);
            summary::print(args, &head, &summary)?;
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

fn fitted(args: &FitArgs, work: &Path, interrupt: &Interrupt) -> Result<(Head, Summary)> {
    let (source, settings) = match (&args.data.features, &args.data.data) {
        (Some(path), _) => {
            let source = from_file(path, true)?;
            let recipe = Recipe::of(args, source.features.stages.ncols());
            (source, Settings::of(args, recipe)?)
        }
        (None, Some(data)) => {
            let network = Network::open(&args.run, usize::MAX)?;
            let recipe = Recipe::of(args, network.opened.classifier.stages_width());
            let settings = Settings::of(args, recipe)?;
            (pictures::source(args, &settings, &network, data, work, interrupt)?, settings)
        }
        (None, None) => bail!("give labelled pictures with --data, or features with --features"),
    };
    let mut options = options(args, &settings)?;
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

/// Names of the corruptions of a kind.
fn kind(family: Family) -> Vec<String> {
    let own = Corruption::ALL.into_iter().filter(|corruption| corruption.family() == family);
    own.map(|corruption| corruption.name().to_owned()).collect()
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

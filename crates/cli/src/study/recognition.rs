//! `introspect study recognition`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use introspective_corrupt::{Corruption, Family, Severity};
use introspective_measure::{CompareOptions, Condition, Conditions, Group, Method as Compared};
use introspective_network::Statistics;
use introspective_report::RunFolder;
use introspective_study::{Scored, reason};
use serde_json::{Value, json};

use super::changed::Changed;
use super::conditions::Runs;
use super::heads::Heads;
use super::origin::{chosen, origin};
use super::outcome::Outcome;
use crate::args::{RecognitionArgs, SplitArg};
use crate::interrupt::Interrupt;
use crate::output;
use crate::run_folder;
use crate::second::bar;
use crate::second::corrupted::CorruptedFiles;
use crate::second::corruption::corruptions;
use crate::second::extract::Interrupted;
use crate::second::source::{Labelled, Network};

/// Where results go unless `--out` says otherwise.
const DEFAULT_OUT: &str = "introspect-study";

/// Measures all methods under all conditions.
pub fn run(args: &RecognitionArgs) -> Result<ExitCode> {
    output::limit_threads(args.run.threads)?;
    // a wrong name costs nothing yet
    corruptions(&args.corruption)?;
    let existing = run_folder::existing(args.out.as_deref(), args.force);
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_OUT));
    let folder = RunFolder::open(&out, existing)?;
    let interrupt = Interrupt::watch()?;
    let work = run_folder::work_folder(&out, "study", args.resume, args.force)?;
    let outcome = match studied(args, &work, &interrupt) {
        Err(error) if error.downcast_ref::<Interrupted>().is_some() => {
            eprintln!(
                "interrupted; the same command with --resume goes on from {}",
                work.display()
            );
            return Ok(ExitCode::from(Interrupt::EXIT_CODE));
        }
        Err(error) => {
            // nothing in it that would be worth going on with
            let _ = fs::remove_dir(&work);
            return Err(error);
        }
        Ok(outcome) => outcome,
    };
    let staged = folder.stage()?;
    outcome.write(staged.path())?;
    let place = staged.commit_into(None)?;
    if !args.keep {
        // what it was for is done
        let _ = fs::remove_dir_all(&work);
    }
    outcome.print(args.json, &place)?;
    Ok(ExitCode::SUCCESS)
}

fn studied(args: &RecognitionArgs, work: &Path, interrupt: &Interrupt) -> Result<Outcome> {
    let network = Network::open(&args.run, usize::MAX)?;
    let heads = Heads::open(args, &network)?;
    let part = args.split.unwrap_or(SplitArg::Test);
    let labelled = Labelled::open(&args.data, part, args.split.is_some(), &network)?;
    let files = args.corrupted.as_ref();
    let files = files.map(|folder| CorruptedFiles::open(folder, &labelled.set)).transpose()?;
    let (corruptions, severities) = chosen(args, files.as_ref())?;
    let mut skipped = Vec::new();
    let reading = heads.reading(args)?;
    let sensing = network.sensing(reading)?;
    let wanted = !args.without_batch_norm;
    let with_batch = match wanted.then(|| network.plain(Statistics::Batch)) {
        Some(Ok(sensing)) => Some(sensing),
        Some(Err(error)) => {
            skipped.push(reason("f-batch-norm", &output::chain(&error)));
            None
        }
        None => {
            skipped.push(reason("f-batch-norm", "--without-batch-norm"));
            None
        }
    };
    let conditions = conditions(&corruptions, &severities);
    let passes = 1 + usize::from(with_batch.is_some());
    let progress = bar(!args.json, labelled.set.len() * passes * conditions.len(), "pictures");
    let runs = Runs {
        network: &network,
        labelled: &labelled,
        sensing: &sensing,
        reading,
        batch_norm: with_batch.as_ref(),
        files: files.as_ref(),
        seed: args.seed,
        work,
        interrupt,
        progress: &progress,
    };
    let mut study: Option<Conditions> = None;
    let mut changed = Changed::new(args.seed);
    for condition in conditions {
        progress.set_message(format!("({})", condition.name()));
        let run = runs.run(&condition)?;
        let (methods, without) = heads.methods(&condition, &run)?;
        let study = match &mut study {
            Some(study) => study,
            None => {
                skipped.extend(without);
                let options = CompareOptions {
                    resamples: args.resamples as usize,
                    seed: args.seed,
                    contrasts: heads.contrasts(&methods),
                    ..CompareOptions::default()
                };
                study.insert(Conditions::new(run.features.labels.clone(), &options)?)
            }
        };
        let compared: Vec<Compared<'_>> = methods.iter().map(Scored::compared).collect();
        changed.see(&condition, &run.features, &methods);
        study.add(condition, &compared)?;
        if interrupt.came() {
            return Err(Interrupted.into());
        }
    }
    progress.finish_and_clear();
    let study = study.context("there are no conditions")?;
    let groups = groups(&corruptions, &severities);
    let table = study.table(&groups)?;
    let changed = changed.explained(&runs, &groups)?;
    let mut facts = labelled.facts(&args.data);
    facts.extend(heads.facts()?);
    facts.extend(about(&network)?);
    facts.extend(origin(args, files.as_ref()));
    Ok(Outcome { table, changed, skipped, facts })
}

/// The images as they are, then every corruption at every severity.
fn conditions(corruptions: &[Corruption], severities: &[Severity]) -> Vec<Condition> {
    let corrupted = corruptions.iter().flat_map(|corruption| {
        severities.iter().map(|severity| Condition {
            corruption: Some(corruption.name().to_owned()),
            severity: severity.get(),
        })
    });
    [Condition::clean()].into_iter().chain(corrupted).collect()
}

/// What is averaged: all, the usual lists, families, severities, and each corruption.
fn groups(corruptions: &[Corruption], severities: &[Severity]) -> Vec<Group> {
    let group = |name: &str, belongs: &dyn Fn(&Corruption) -> bool, severities: &[u8]| Group {
        name: name.to_owned(),
        corruptions: (corruptions.iter().filter(|corruption| belongs(corruption)))
            .map(|corruption| corruption.name().to_owned())
            .collect(),
        severities: severities.to_vec(),
    };
    let mut groups = vec![
        group("corrupted", &|_| true, &[]),
        group("common", &|corruption| Corruption::COMMON.contains(corruption), &[]),
        group("extra", &|corruption| Corruption::EXTRA.contains(corruption), &[]),
    ];
    groups
        .extend(Family::ALL.map(|family| group(family.name(), &|one| one.family() == family, &[])));
    for severity in severities.iter().map(|severity| severity.get()) {
        groups.push(group(&format!("severity-{severity}"), &|_| true, &[severity]));
    }
    for corruption in corruptions {
        groups.push(group(corruption.name(), &|one| one == corruption, &[]));
    }
    groups
}

fn about(network: &Network) -> Result<BTreeMap<String, Value>> {
    let classifier = &network.opened.classifier;
    Ok(BTreeMap::from([
        ("classifier".to_owned(), json!(classifier.name())),
        ("classifier_sha256".to_owned(), json!(classifier.sha256())),
        ("runtime".to_owned(), json!(classifier.runtime().to_string())),
        ("preprocessing".to_owned(), serde_json::to_value(&network.preprocessing)?),
        ("command".to_owned(), json!(output::command_line())),
        ("version".to_owned(), json!(env!("CARGO_PKG_VERSION"))),
    ]))
}

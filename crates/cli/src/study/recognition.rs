//! `introspect study recognition`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use introspective_corrupt::{Corruption, Family, Severity};
use introspective_measure::{CompareOptions, Condition, Conditions, Group, Method as Compared};
use introspective_network::Statistics;
use introspective_reflect::{Head, Scaling};
use introspective_report::{RunFolder, Skipped};
use introspective_study::{
    Scored, against_controls, names, of_features, of_head, reason, tempered,
};
use serde_json::{Value, json};

use super::changed::Changed;
use super::conditions::{Run, Runs};
use super::origin::{chosen, origin};
use super::outcome::Outcome;
use crate::args::{RecognitionArgs, SplitArg};
use crate::interrupt::Interrupt;
use crate::output;
use crate::run_folder;
use crate::second::corrupted::CorruptedFiles;
use crate::second::corruption::corruptions;
use crate::second::extract::Interrupted;
use crate::second::sensing::Reading;
use crate::second::source::{Labelled, Network};
use crate::second::{bar, head};

/// Where results go unless `--out` says otherwise.
const DEFAULT_OUT: &str = "introspect-study";

/// Transductive methods that are also measured at their temperature; H with training statistics always is.
const TEMPERED: [&str; 4] = ["mlp-h-batch", "reflection-batch", "f-matched", "f-batch-norm"];

/// f is f, whatever the head.
const OF_F: [&str; 4] = ["f", "f+temperature", "f-own-norm", "f-own-norm+temperature"];

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
        let (methods, without) = heads.methods(&run)?;
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

/// The heads of a study, each with what stands behind its methods' names.
struct Heads {
    heads: Vec<(Head, PathBuf, String)>,
}

impl Heads {
    fn open(args: &RecognitionArgs, network: &Network) -> Result<Self> {
        let named: Vec<Option<&Path>> = match args.head.len() {
            0 => vec![None],
            _ => args.head.iter().map(|path| Some(path.as_path())).collect(),
        };
        let mut heads: Vec<(Head, PathBuf, String)> = Vec::new();
        for flag in named {
            let found = head::find(flag, &args.run.network, || network.fits())?;
            if let Some((head, path)) = found {
                let scaler = format!("@{}", head.about.scaler.name());
                let own = match heads.len() {
                    0 => String::new(),
                    number => {
                        let first = &heads[0].0.about.scaler;
                        let taken = *first == head.about.scaler
                            || heads.iter().any(|(_, _, other)| *other == scaler);
                        if taken { format!("@{}", number + 1) } else { scaler }
                    }
                };
                heads.push((head, path, own));
            }
        }
        Ok(Self { heads })
    }

    /// What they read of a picture, all together.
    ///
    /// # Errors
    /// Two heads read passes with different shares of own statistics.
    fn reading(&self, args: &RecognitionArgs) -> Result<Reading> {
        // kept features serve heads to come
        let mut reading = Reading { stages: args.keep, own: args.own_statistics };
        reading.stages |= reading.own.is_some();
        for (head, path, _) in &self.heads {
            let wanted = Reading::of(head);
            if let (Some(one), Some(other)) = (reading.own, wanted.own)
                && one != other
            {
                bail!(
                    "{}: it reads a second pass with {other} of a picture's own statistics, and others one with {one}; study \
                     them one by one",
                    path.display()
                );
            }
            reading.stages |= wanted.stages;
            reading.own = reading.own.or(wanted.own);
        }
        Ok(reading)
    }

    /// All methods on the features of a condition.
    fn methods(&self, run: &Run) -> Result<(Vec<Scored>, Vec<Skipped>)> {
        let (mut all, mut skipped) = (Vec::new(), Vec::new());
        for (number, (head, _, suffix)) in self.heads.iter().enumerate() {
            let (mut methods, without) = of_head(head, &run.features, &[Scaling::Batch])?;
            if let (0, Some(logits)) = (number, &run.batch_norm) {
                let name = "f-batch-norm".to_owned();
                methods.push(Scored { name, seeds: vec![logits.clone()] });
            }
            let cooler: Vec<Scored> = (methods.iter())
                .filter(|method| TEMPERED.contains(&method.name.as_str()))
                .filter_map(|method| tempered(head, method))
                .collect();
            methods.extend(cooler);
            if number > 0 {
                methods.retain(|method| !OF_F.contains(&method.name.as_str()));
            }
            let renamed = |name: String| full_name(&name, suffix);
            all.extend(
                methods
                    .into_iter()
                    .map(|Scored { name, seeds }| Scored { name: renamed(name), seeds }),
            );
            skipped.extend(
                without
                    .into_iter()
                    .map(|Skipped { name, reason }| Skipped { name: renamed(name), reason }),
            );
        }
        if self.heads.is_empty() {
            (all, skipped) = of_features(&run.features);
            let seeds = run.batch_norm.iter().cloned().collect::<Vec<_>>();
            if !seeds.is_empty() {
                all.push(Scored { name: "f-batch-norm".to_owned(), seeds });
            }
        }
        Ok((all, skipped))
    }

    /// H against the controls of its own head, and against f.
    fn contrasts(&self, methods: &[Scored]) -> Vec<(String, String)> {
        let there = names(methods);
        let of_head = |suffix: &String| {
            let own = |name: &str| full_name(name, suffix);
            let plain: Vec<&str> = (there.iter())
                .map(|name| name.strip_suffix(suffix.as_str()).unwrap_or(name))
                .filter(|name| there.contains(&own(name).as_str()))
                .collect();
            let pairs = against_controls(&plain).into_iter();
            pairs.map(|(method, minus)| (own(&method), own(&minus))).collect::<Vec<_>>()
        };
        self.heads.iter().flat_map(|(_, _, suffix)| of_head(suffix)).collect()
    }

    fn facts(&self) -> Result<BTreeMap<String, Value>> {
        let mut facts = BTreeMap::new();
        for (head, path, suffix) in &self.heads {
            facts.insert(format!("head{suffix}"), json!(path.display().to_string()));
            facts.insert(format!("head{suffix}_about"), serde_json::to_value(&head.about)?);
        }
        Ok(facts)
    }
}

/// A method's name in a study: that of f is the same for every head.
fn full_name(name: &str, suffix: &str) -> String {
    if OF_F.contains(&name) { name.to_owned() } else { format!("{name}{suffix}") }
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

//! The heads of a study, and what they make of the features of a condition.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use introspective_measure::Condition;
use introspective_reflect::{Head, Reads, Scaling};
use introspective_report::Skipped;
use introspective_study::{Scored, against_controls, names, of_features, of_head, tempered};
use serde_json::{Value, json};

use super::conditions::Run;
use crate::args::RecognitionArgs;
use crate::second::head;
use crate::second::sensing::Reading;
use crate::second::source::Network;

/// Transductive methods that are also measured at their temperature; H with training statistics always is.
const TEMPERED: [&str; 4] = ["mlp-h-batch", "reflection-batch", "f-matched", "f-batch-norm"];

/// f is f, whatever the head.
const OF_F: [&str; 4] = ["f", "f+temperature", "f-own-norm", "f-own-norm+temperature"];

/// Behind the names of methods that are cross-validated.
const FOLDS: &str = "@folds";

/// One head, or the heads of a cross-validation, and what stands behind their methods' names.
struct Entry {
    heads: Vec<(Head, PathBuf)>,
    suffix: String,
}

/// The heads of a study.
pub struct Heads {
    entries: Vec<Entry>,
}

impl Heads {
    /// Those that the flags name.
    ///
    /// # Errors
    /// One cannot be read or does not fit the network; those of a cross-validation have not the same seeds.
    pub fn open(args: &RecognitionArgs, network: &Network) -> Result<Self> {
        let named: Vec<Option<&Path>> = match args.head.len() {
            0 => vec![None],
            _ => args.head.iter().map(|path| Some(path.as_path())).collect(),
        };
        let mut entries: Vec<Entry> = Vec::new();
        for flag in named {
            if let Some((head, path)) = head::find(flag, &args.run.network, || network.fits())? {
                let suffix = suffix(&entries, &head);
                entries.push(Entry { heads: vec![(head, path)], suffix });
            }
        }
        let mut folds = Vec::new();
        for path in &args.fold {
            let found = head::find(Some(path), &args.run.network, || network.fits());
            folds.extend(found.context("--fold")?);
        }
        if let [(first, _), others @ ..] = &folds[..] {
            let seeds = first.about.seeds.len();
            if let Some((head, path)) =
                others.iter().find(|(head, _)| head.about.seeds.len() != seeds)
            {
                bail!(
                    "--fold {}: it has {} seeds and the first fold {seeds}; fit all folds with the same --seeds",
                    path.display(),
                    head.about.seeds.len()
                );
            }
            entries.push(Entry { heads: folds, suffix: FOLDS.to_owned() });
        }
        Ok(Self { entries })
    }

    /// What they read of a picture, all together.
    ///
    /// # Errors
    /// Two heads read passes with different shares of own statistics.
    pub fn reading(&self, args: &RecognitionArgs) -> Result<Reading> {
        // kept features serve heads to come
        let mut reading = Reading { stages: args.keep, own: args.own_statistics };
        reading.stages |= reading.own.is_some();
        for (head, path) in self.entries.iter().flat_map(|entry| &entry.heads) {
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
    ///
    /// # Errors
    /// The features do not fit, or every fold was trained on the condition's corruption.
    pub fn methods(&self, condition: &Condition, run: &Run) -> Result<(Vec<Scored>, Vec<Skipped>)> {
        let (mut all, mut skipped): (Vec<Scored>, Vec<Skipped>) = (Vec::new(), Vec::new());
        if self.entries.is_empty() {
            (all, skipped) = of_features(&run.features);
            let seeds = run.batch_norm.iter().cloned().collect::<Vec<_>>();
            if !seeds.is_empty() {
                all.push(Scored { name: "f-batch-norm".to_owned(), seeds });
            }
        }
        for (number, entry) in self.entries.iter().enumerate() {
            let batch_norm = run.batch_norm.as_ref().filter(|_| number == 0);
            let (methods, without) = entry.methods(condition, run, batch_norm)?;
            let suffix = &entry.suffix;
            for Scored { name, seeds } in methods {
                let name = full_name(&name, suffix);
                // f is the first head's
                if all.iter().all(|known| known.name != name) {
                    all.push(Scored { name, seeds });
                }
            }
            skipped.extend(without.into_iter().map(|Skipped { name, reason }| Skipped {
                name: full_name(&name, suffix),
                reason,
            }));
        }
        Ok((all, skipped))
    }

    /// H against the controls of its own head, and against f.
    pub fn contrasts(&self, methods: &[Scored]) -> Vec<(String, String)> {
        let there = names(methods);
        let of_entry = |Entry { suffix, .. }: &Entry| {
            let own = |name: &str| full_name(name, suffix);
            let plain: Vec<&str> = (there.iter())
                .map(|name| name.strip_suffix(suffix.as_str()).unwrap_or(name))
                .filter(|name| there.contains(&own(name).as_str()))
                .collect();
            let pairs = against_controls(&plain).into_iter();
            pairs.map(|(method, minus)| (own(&method), own(&minus))).collect::<Vec<_>>()
        };
        self.entries.iter().flat_map(of_entry).collect()
    }

    /// Facts for a report.
    ///
    /// # Errors
    /// A head's description cannot be written.
    pub fn facts(&self) -> Result<BTreeMap<String, Value>> {
        let mut facts = BTreeMap::new();
        for Entry { heads, suffix } in &self.entries {
            for (number, (head, path)) in heads.iter().enumerate() {
                let name = match heads.len() {
                    1 => format!("head{suffix}"),
                    _ => format!("head{suffix}_{}", number + 1),
                };
                facts.insert(format!("{name}_about"), serde_json::to_value(&head.about)?);
                facts.insert(name, json!(path.display().to_string()));
            }
        }
        Ok(facts)
    }
}

impl Entry {
    fn methods(
        &self,
        condition: &Condition,
        run: &Run,
        batch_norm: Option<&ndarray::Array2<f32>>,
    ) -> Result<(Vec<Scored>, Vec<Skipped>)> {
        let only = match &self.heads[..] {
            [(only, _)] if self.suffix != FOLDS => only,
            _ => return self.cross_validated(condition, run),
        };
        // heads that read activations are made for single images
        let transductive = only.about.reads == Reads::Gradients;
        let scalings = if transductive { &[Scaling::Batch][..] } else { &[] };
        let (mut methods, without) = of_head(only, &run.features, scalings)?;
        if let Some(logits) = batch_norm {
            let name = "f-batch-norm".to_owned();
            methods.push(Scored { name, seeds: vec![logits.clone()] });
        }
        let cooler: Vec<Scored> = (methods.iter())
            .filter(|method| TEMPERED.contains(&method.name.as_str()))
            .filter_map(|method| tempered(only, method))
            .collect();
        methods.extend(cooler);
        Ok((methods, without))
    }

    /// Under a corruption, what a head says that was not trained on it; of images as they are, what the heads say in turns:
    /// of each seed another's.
    fn cross_validated(
        &self,
        condition: &Condition,
        run: &Run,
    ) -> Result<(Vec<Scored>, Vec<Skipped>)> {
        if let Some(corruption) = &condition.corruption {
            let blind = |(head, _): &&(Head, PathBuf)| !head.about.changes.contains(corruption);
            let (head, _) = self.heads.iter().find(blind).with_context(|| {
                format!(
                    "--fold: every fold was trained on {corruption}; one has to be fitted with --leave-out {corruption}, or its \
                     kind"
                )
            })?;
            return Ok(of_head(head, &run.features, &[])?);
        }
        let mut all: Vec<Scored> = Vec::new();
        let mut skipped = Vec::new();
        for (number, (head, _)) in self.heads.iter().enumerate() {
            let (methods, without) = of_head(head, &run.features, &[])?;
            if number == 0 {
                (all, skipped) = (methods, without);
                continue;
            }
            for (into, from) in all.iter_mut().zip(methods) {
                let seeds = into.seeds.iter_mut().zip(from.seeds).enumerate();
                let own = seeds.filter(|(seed, _)| seed % self.heads.len() == number);
                own.for_each(|(_, (into, from))| *into = from);
            }
        }
        Ok((all, skipped))
    }
}

/// What tells a further head's methods from those of the first.
fn suffix(before: &[Entry], head: &Head) -> String {
    let about = |entry: &Entry| entry.heads.first().map(|(head, _)| head.about.clone());
    let Some(first) = before.first().and_then(about) else { return String::new() };
    let kind = |scaler: &str, reads: Reads| match reads {
        Reads::Gradients => format!("@{scaler}"),
        Reads::Activations => "@robust".to_owned(),
    };
    let wanted = kind(head.about.scaler.name(), head.about.reads);
    let taken = kind(first.scaler.name(), first.reads) == wanted
        || before.iter().any(|entry| entry.suffix == wanted);
    if taken { format!("@{}", before.len() + 1) } else { wanted }
}

/// A method's name in a study: that of f is the same for every head.
fn full_name(name: &str, suffix: &str) -> String {
    if OF_F.contains(&name) { name.to_owned() } else { format!("{name}{suffix}") }
}

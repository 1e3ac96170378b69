//! `introspect explain --check`, and the verdicts of an explanation.

use anyhow::Result;
use introspective_explain::faithfulness::{CAVEAT, CheckOptions, MapCheck, check};
use introspective_explain::{Explanation, Verdict};
use introspective_network::{
    ClassNames, Classifier, Extractor, ExtractorOptions, Session, Threads,
};
use introspective_reflect::{About, EnergyQuantile, LogitScores};
use introspective_report::manifest::{BatchManifest, CheckedMap, Manifest};
use ndarray::{ArrayView1, ArrayView3};

use crate::args::ExplainArgs;

/// What checks maps: the same for all pictures.
pub struct Checker<'c> {
    extractor: Extractor<'c>,
    pub options: CheckOptions,
}

impl<'c> Checker<'c> {
    /// As the flags ask; `None` without `--check`.
    ///
    /// # Errors
    /// The runtime refuses the network.
    pub fn new(args: &ExplainArgs, classifier: &'c Classifier) -> Result<Option<Self>> {
        if !args.check {
            return Ok(None);
        }
        let threads = args.threads.map(|count| Threads::new(count.into()));
        // each picture is hundreds of runs, so that fusing operators pays off from the first
        let extractor = ExtractorOptions { threads, ..ExtractorOptions::default() };
        let extractor = Extractor::of_logits(classifier, &extractor)?;
        let mut options = CheckOptions::default();
        if let Some(steps) = args.check_steps {
            options.steps = usize::from(steps);
        }
        Ok(Some(Self { extractor, options }))
    }

    /// Checks the maps of a picture.
    ///
    /// # Errors
    /// The network cannot be run, or not with re-drawn weights.
    pub fn check(
        &self,
        session: &Session<'_>,
        input: ArrayView3<'_, f32>,
        explanation: &Explanation,
    ) -> Result<Vec<MapCheck>> {
        Ok(check(session, &self.extractor, input, explanation, &self.options)?)
    }
}

/// What the maps, a second stage (`second`) and the checks allow to say.
pub fn verdicts(
    explanation: &Explanation,
    classes: &ClassNames,
    second: Option<Second<'_>>,
    checks: Option<&[MapCheck]>,
) -> Vec<Verdict> {
    let short = |class: usize| classes.short(class);
    let mut verdicts = explanation.verdicts(&short);
    if let Some(Second { about, logits, probabilities }) = second {
        let class = explanation.answers.first().map_or(explanation.predicted, |a| a.asked.class);
        verdicts.extend(Verdict::same_class(class, probabilities, &short));
        if let Some(EnergyQuantile { share, value, .. }) = about.energy_quantile {
            let energy = LogitScores::of(logits).negative_energy;
            let (what, value) = ("negative energy of the logits", value.into());
            verdicts.push(Verdict::out_of_distribution(what, energy, value, share.into()));
        }
    }
    verdicts.extend(checks.into_iter().flatten().filter_map(Verdict::unchanged_map));
    verdicts
}

/// What a second stage brings to verdicts.
#[derive(Clone, Copy)]
pub struct Second<'a> {
    /// Its head.
    pub about: &'a About,
    /// The classifier's logits.
    pub logits: ArrayView1<'a, f32>,
    /// Its own probabilities.
    pub probabilities: &'a [f64],
}

/// What to print of a picture below its answers: verdicts that hold (but not that the second stage agrees, which is said
/// already), and a line for each checked map.
pub fn lines(manifest: &Manifest) -> Vec<String> {
    let mut lines: Vec<String> = manifest
        .verdicts
        .iter()
        .filter(|verdict| verdict.holds && verdict.name != Verdict::SAME_CLASS)
        .map(|verdict| format!("note: {}", verdict.says))
        .collect();
    if let Some(checks) = &manifest.checks {
        let texts = || manifest.questions.iter().map(|question| &question.text);
        let width = texts().map(|text| text.chars().count()).max().unwrap_or(0);
        for (text, map) in texts().zip(&checks.maps) {
            lines.push(format!("check: {text:<width$}  {}", map.line()));
        }
    }
    lines
}

/// The checked maps of a picture, each with the name of its question.
pub fn of_questions(manifest: &Manifest) -> Vec<(&'static str, CheckedMap)> {
    let maps = manifest.checks.iter().flat_map(|checks| checks.maps.iter().cloned());
    manifest.questions.iter().map(|question| question.question).zip(maps).collect()
}

/// What to print below many pictures.
pub fn set_lines(index: &BatchManifest) -> Vec<String> {
    let lines = index.checks.iter().map(|set| format!("check: {}", set.line()));
    lines.chain(caveat(!index.checks.is_empty())).collect()
}

/// What numbers of masked pictures do not say, where there are such numbers.
pub fn caveat(checked: bool) -> Option<String> {
    checked.then(|| format!("check: {CAVEAT}"))
}

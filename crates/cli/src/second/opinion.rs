//! What a head says of one picture that a session has observed.

use std::path::PathBuf;

use anyhow::{Context, Result};
use introspective_explain::Questions;
use introspective_network::{
    ClassNames, Classifier, Extractor, ExtractorOptions, Observation, SessionOptions, Statistics,
    Threads,
};
use introspective_reflect::Method::Reflection;
use introspective_reflect::{Disagreement, Head, largest, probabilities};
use introspective_report::manifest::{Scored, SecondStage};
use ndarray::{Array1, ArrayView1, ArrayView3, Axis};

use super::sensing::Reading;

/// A head, with the second pass that it may read.
pub struct Opinion<'c> {
    pub head: Head,
    path: PathBuf,
    /// The pass with the picture's own statistics.
    own: Option<Extractor<'c>>,
}

impl<'c> Opinion<'c> {
    /// Loads the second pass, if the head reads one.
    ///
    /// # Errors
    /// The runtime refuses it.
    pub fn new(
        (head, path): (Head, PathBuf),
        classifier: &'c Classifier,
        threads: Option<Threads>,
        optimise: bool,
    ) -> Result<Self> {
        let pass = |share| {
            let statistics = Statistics::Own(share);
            let options = ExtractorOptions { threads, optimise, statistics, stages: false };
            Extractor::new(classifier, &options)
        };
        let own = Reading::of(&head).own.map(pass).transpose()?;
        Ok(Self { head, path, own })
    }

    /// What a session must keep of a picture for it, in these options.
    pub fn wants(head: Option<&Head>, options: SessionOptions) -> SessionOptions {
        let stages = head.is_some_and(|head| Reading::of(head).stages);
        SessionOptions { penultimate: head.is_some(), stages, ..options }
    }

    /// What the head reads of a picture, preprocessed: h, the stages, h of the second pass.
    ///
    /// # Errors
    /// The session did not keep h, or the second pass fails.
    pub fn row(
        &self,
        observation: &Observation,
        input: ArrayView3<'_, f32>,
    ) -> Result<Array1<f32>> {
        let h = observation.penultimate.as_ref().context("the penultimate features are missing")?;
        let mut row: Vec<f32> = h.iter().chain(&observation.stages).copied().collect();
        if let Some(own) = &self.own {
            row.extend(&own.extract(input.insert_axis(Axis(0)))?.h);
        }
        Ok(Array1::from(row))
    }

    /// What it says, by its first seed and with the training set's statistics, and its probabilities of all classes.
    ///
    /// # Errors
    /// As [`Opinion::row`]; the head has no network H.
    pub fn of(
        &self,
        observation: &Observation,
        input: ArrayView3<'_, f32>,
        classes: &ClassNames,
    ) -> Result<(SecondStage, Vec<f64>)> {
        let row = self.row(observation, input)?;
        self.says(row.view(), observation.logits.view(), classes)
    }

    /// The same, by what the head reads of the picture and its logits z, N.
    ///
    /// # Errors
    /// The head has no network H.
    pub fn says(
        &self,
        row: ArrayView1<'_, f32>,
        z: ArrayView1<'_, f32>,
        classes: &ClassNames,
    ) -> Result<(SecondStage, Vec<f64>)> {
        let (rows, logits) = (row.insert_axis(Axis(0)), z.insert_axis(Axis(0)));
        let second = self.head.logits(Reflection, 0, &self.head.statistics, rows, logits);
        let second = second.context("the head has no network H")?.row(0).to_owned();
        let Disagreement { classes_differ, total_variation } =
            Disagreement::between(z, second.view());
        let p = probabilities(second.view());
        let mut order: Vec<usize> = (0..p.len()).collect();
        order.sort_by(|&a, &b| second[b].total_cmp(&second[a]).then(a.cmp(&b)));
        let scored = |index: usize| Scored {
            index,
            name: classes.name(index).to_owned(),
            logit: second[index],
            probability: p[index],
        };
        let stage = SecondStage {
            head: self.path.display().to_string(),
            prediction: scored(largest(second.view())),
            top5: order.into_iter().take(5).map(scored).collect(),
            agrees: !classes_differ,
            total_variation,
        };
        Ok((stage, p))
    }
}

/// The questions, or, where none was asked and the stages differ, why the first stage's class, rather than the second's.
pub fn in_doubt(questions: &Questions, second: Option<&SecondStage>) -> Questions {
    let mut questions = questions.clone();
    if let Some(second) = second.filter(|second| !second.agrees)
        && questions == Questions::default()
    {
        questions.rather_than = vec![second.prediction.index];
    }
    questions
}

//! Both stages' predictions of one picture, with their scores.

use anyhow::{Context, Result, anyhow};
use introspective_network::ClassNames;
use introspective_reflect::{
    About, Disagreement, GradientScores, Head, LastLayer, LogitScores, Loss, Method, Question,
    Scaling, Statistics, Stream, Target, Verdict, largest, probabilities,
};
use ndarray::{Array1, Array2, ArrayView1, Axis, s};
use serde::Serialize;

use super::extract::Owned;

/// What both stages say of a picture: a line of the output.
#[derive(Serialize)]
pub struct Line {
    pub image: String,
    pub f: Stage,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reflection: Option<Stage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<Disagreement>,
    pub gradients: GradientScores,
    /// What the guard of a stream said; anything but `mixed` means the training set's statistics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<Verdict>,
}

/// What one stage says.
#[derive(Serialize)]
pub struct Stage {
    pub prediction: usize,
    pub class: String,
    #[serde(flatten)]
    pub scores: LogitScores,
    /// Confidence at the fitted temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibrated_confidence: Option<f64>,
    pub probabilities: Vec<f64>,
}

/// The head with what it needs from picture to picture.
pub struct Predictor<'a> {
    head: Option<&'a Head>,
    seed: usize,
    names: ClassNames,
    question: Question,
    scaling: Scaling,
    statistics: Option<Statistics>,
    stream: Option<Stream>,
}

impl<'a> Predictor<'a> {
    /// For a head, or f alone, with this scaling and the seed of this number.
    ///
    /// # Errors
    /// The head has no such seed, or cannot scale so.
    pub fn new(
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
    pub fn see(&mut self, rows: &[Result<Owned>]) -> Result<()> {
        let good: Vec<&Owned> = rows.iter().filter_map(|row| row.as_ref().ok()).collect();
        let rows: Vec<_> = good.iter().map(|(row, _)| row.view()).collect();
        let z: Vec<_> = good.iter().map(|(_, z)| z.view()).collect();
        if good.is_empty() {
            return Ok(());
        }
        self.see_all(&ndarray::stack(Axis(0), &rows)?, &ndarray::stack(Axis(0), &z)?)
    }

    /// Takes the statistics of all images, where that was asked for.
    pub fn see_all(&mut self, activations: &Array2<f32>, z: &Array2<f32>) -> Result<()> {
        if let (Some(head), Scaling::Batch) = (self.head, self.scaling) {
            self.statistics =
                Some(head.statistics_for(Scaling::Batch, activations.view(), z.view())?);
        }
        Ok(())
    }

    /// What both stages say of a picture by what they read of it.
    ///
    /// # Errors
    /// There are no statistics to scale with, or no network H.
    pub fn line(
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

//! What comes out of a study of conditions, in the form in which it is written as JSON.

use serde::{Deserialize, Serialize};

use crate::{Estimate, Metrics, ReliabilityBin};

/// What was done to the images.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Condition {
    /// The corruption's name; `None` for the images as they are.
    pub corruption: Option<String>,
    /// 1 to 5; 0 for the images as they are.
    pub severity: u8,
}

impl Condition {
    /// The images as they are.
    pub fn clean() -> Self {
        Self { corruption: None, severity: 0 }
    }

    /// `clean`, or like `fog 3`.
    pub fn name(&self) -> String {
        match &self.corruption {
            Some(corruption) => format!("{corruption} {}", self.severity),
            None => "clean".to_owned(),
        }
    }
}

/// Conditions whose metrics are averaged: a name and which ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its key in the output.
    pub name: String,
    /// The corruptions that belong to it.
    pub corruptions: Vec<String>,
    /// At which severities; every one if there is none.
    pub severities: Vec<u8>,
}

impl Group {
    /// Whether a condition belongs to it; the images as they are belong to none.
    pub fn has(&self, condition: &Condition) -> bool {
        let severity = self.severities.is_empty() || self.severities.contains(&condition.severity);
        let named = condition.corruption.as_ref();
        severity && named.is_some_and(|name| self.corruptions.contains(name))
    }
}

/// The outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    /// Number of images.
    pub n: usize,
    /// How often they were drawn anew.
    pub resamples: usize,
    /// Confidence level of the intervals.
    pub level: f64,
    /// Seed of the drawing.
    pub seed: u64,
    /// What kind of intervals: over images, the same in every condition.
    pub interval: String,
    /// A row for each method and group; `clean` comes first.
    pub rows: Vec<Row>,
    /// Pairs of methods.
    pub contrasts: Vec<Contrasted>,
    /// Every condition by itself.
    pub cells: Vec<Cell>,
}

/// A method in a group of conditions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The group: `clean`, or one of those asked for.
    pub group: String,
    /// The method.
    pub method: String,
    /// Means over the group's conditions and the seeds.
    pub metrics: Metrics,
    /// The same minus that of the first method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minus_f: Option<Metrics>,
    /// Mean over corruptions of the errors at all severities, divided by those of the first method; none where that one
    /// makes no mistakes, on all images or on a resample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_corruption_error: Option<Estimate>,
    /// ECE divided by that of the first method, minus 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_ece: Option<Estimate>,
    /// Accuracy of each seed.
    pub accuracy_of_seeds: Vec<f64>,
    /// ECE of each seed.
    pub ece_of_seeds: Vec<f64>,
    /// The reliability diagram of all the group's images and seeds together.
    pub reliability: Vec<ReliabilityBin>,
}

/// One method held against another in a group of conditions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Contrasted {
    /// The group.
    pub group: String,
    /// The method.
    pub method: String,
    /// What is taken from it.
    pub minus: String,
    /// The differences.
    pub difference: Metrics,
}

/// One condition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// Which.
    #[serde(flatten)]
    pub condition: Condition,
    /// All methods.
    pub methods: Vec<CellMethod>,
}

/// One method in one condition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CellMethod {
    /// The method.
    pub name: String,
    /// Its metrics.
    pub metrics: Metrics,
}

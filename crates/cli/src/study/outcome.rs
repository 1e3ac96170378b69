//! The outcome of a study: files in a folder, and words.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use introspective_measure::{Estimate, Metric, Row, Table};
use introspective_report::{
    ChangedAnswers, EvaluationFacts, Skipped, conditions_csv, conditions_page,
};
use introspective_study::is_transductive;
use serde_json::{Value, json};

use crate::output;
use crate::run_folder;

/// What was measured.
pub struct Outcome {
    pub table: Table,
    /// Answers that the second stage changed, if there is one.
    pub changed: Option<ChangedAnswers>,
    pub skipped: Vec<Skipped>,
    pub facts: BTreeMap<String, Value>,
}

impl Outcome {
    fn json(&self) -> Result<Value> {
        let mut value = serde_json::to_value(&self.table)?;
        value["transductive"] = json!(self.transductive());
        let skipped = self.skipped.iter();
        value["skipped"] = skipped
            .map(|skipped| json!({"name": skipped.name, "reason": skipped.reason}))
            .collect();
        if let Some(changed) = &self.changed {
            value["changed"] = serde_json::to_value(changed)?;
        }
        value["facts"] = json!(self.facts);
        Ok(value)
    }

    /// Methods whose predictions depend on the other images.
    fn transductive(&self) -> Vec<String> {
        let clean = self.rows("clean").map(|row| row.method.clone());
        clean.filter(|method| is_transductive(method)).collect()
    }

    fn rows<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Row> {
        self.table.rows.iter().filter(move |row| row.group == group)
    }

    /// Writes report.html, study.json, study.csv and manifest.json.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let page = conditions_page(
            &self.table,
            &self.transductive(),
            self.changed.as_ref(),
            &self.page_facts(),
        );
        let files = [
            ("report.html", page),
            ("study.csv", conditions_csv(&self.table)?),
            ("study.json", serde_json::to_string_pretty(&self.json()?)? + "\n"),
        ];
        run_folder::write_files(folder, &files, &self.facts)
    }

    /// All of it as a line of JSON, or a table.
    pub fn print(&self, as_json: bool, place: &Path) -> Result<()> {
        if as_json {
            return output::line(&self.json()?.to_string());
        }
        let width = self.rows("clean").map(|row| row.method.len()).max().unwrap_or(0);
        for (group, title) in [("clean", "clean"), ("corrupted", "corrupted, mean of all")] {
            let titles = ["accuracy", "minus f", "ECE", "relative to f", "mCE"];
            let titles: String = titles.iter().map(|title| format!("{title:>26}")).collect();
            output::line(&format!("{title:<width$}{titles}", width = width.max(title.len())))?;
            for row in self.rows(group) {
                let minus = row.minus_f.as_ref().and_then(|minus| minus.get(Metric::Accuracy));
                let cells = [
                    row.metrics.get(Metric::Accuracy).copied(),
                    minus.copied(),
                    row.metrics.get(Metric::Ece).copied(),
                    row.relative_ece,
                    row.mean_corruption_error,
                ];
                let cells: String =
                    cells.iter().map(|cell| format!("{:>26}", shown(*cell))).collect();
                output::line(&format!(
                    "{:<width$}{cells}",
                    row.method,
                    width = width.max(title.len())
                ))?;
            }
        }
        if let Some(ChangedAnswers { method, groups, .. }) = &self.changed
            && let Some(all) = groups.first()
        {
            output::line(&format!(
                "{method} changed {} of {} corrupted answers: {} mended, {} spoiled",
                all.changed, all.answers, all.mended, all.spoiled
            ))?;
        }
        for skipped in &self.skipped {
            output::line(&format!("{:<width$}  skipped: {}", skipped.name, skipped.reason))?;
        }
        output::line(&format!(
            "{} images under {} conditions; in brackets {:.0} % intervals ({} resamples); -batch, f-matched and f-batch-norm use \
             statistics of the images being scored",
            self.table.n,
            self.table.cells.len(),
            100.0 * self.table.level,
            self.table.resamples
        ))?;
        output::line(&format!("  {}", place.join("report.html").display()))
    }

    fn page_facts(&self) -> EvaluationFacts {
        EvaluationFacts {
            title: "Recognition under corruptions".to_owned(),
            facts: output::facts(&self.facts),
            notes: Vec::new(),
            skipped: self.skipped.clone(),
        }
    }
}

fn shown(estimate: Option<Estimate>) -> String {
    let numbers = |e: Estimate| format!("{:.4} ({:.4}, {:.4})", e.value, e.low, e.high);
    estimate.map_or_else(String::new, numbers)
}

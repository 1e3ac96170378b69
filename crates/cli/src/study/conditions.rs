//! The conditions of a study, and what the network makes of the pictures under each.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use introspective_corrupt::{Corruption, Severity};
use introspective_measure::Condition;
use introspective_reflect::Features;
use ndarray::Array2;
use serde_json::json;

use crate::interrupt::Interrupt;
use crate::second::corrupted::CorruptedFiles;
use crate::second::corruption::corrupting;
use crate::second::extract::{Extracted, Reader};
use crate::second::sensing::{Reading, Sensing};
use crate::second::source::{Labelled, Network, batch_norm_logits};

/// Pictures that share their batch-norm statistics.
pub const STATISTICS_BATCH: usize = 200;

/// Runs a network over labelled pictures under conditions, and keeps the features of each in a folder.
pub struct Runs<'a> {
    pub network: &'a Network,
    pub labelled: &'a Labelled,
    /// With stored statistics.
    pub sensing: &'a Sensing<'a>,
    pub reading: Reading,
    /// With those of the batch, if that is wanted.
    pub batch_norm: Option<&'a Sensing<'a>>,
    /// Where corrupted images come from, if they are not made from the clean ones.
    pub files: Option<&'a CorruptedFiles>,
    pub seed: u64,
    pub work: &'a Path,
    pub interrupt: &'a Interrupt,
    pub progress: &'a ProgressBar,
}

/// Features under a condition, and logits with batch-norm statistics of the batch.
pub struct Run {
    pub features: Features,
    pub batch_norm: Option<Array2<f32>>,
}

impl Runs<'_> {
    /// The features under a condition: kept ones, or new ones.
    ///
    /// # Errors
    /// A picture cannot be read or corrupted: the conditions would not be of the same images.
    pub fn run(&self, condition: &Condition) -> Result<Run> {
        let read = self.reader(condition)?;
        let name = condition.name().replace(' ', "-");
        let extraction = self.network.extraction(self.sensing, self.interrupt, self.progress);
        let set = &self.labelled.set;
        let mut identity = json!({
            "classifier": self.network.opened.classifier.sha256(),
            "data": set.fingerprint(),
            "preprocessing": &self.network.preprocessing,
            "runtime": self.network.opened.classifier.runtime(),
            "condition": condition,
            "seed": self.seed,
            "activations": self.sensing.width(),
            "own_share": self.reading.own,
            "version": env!("CARGO_PKG_VERSION"),
        });
        if let (Some(files), Some((corruption, severity))) = (self.files, what(condition)?) {
            identity["files"] = files.fingerprint(corruption, severity)?.into();
        }
        let identity = identity.to_string();
        let path = self.work.join(format!("{name}.safetensors"));
        let extracted = if path.exists() {
            self.progress.inc(set.len() as u64);
            Extracted::load(&path, &identity)?
        } else {
            let fresh = extraction.collect(0..set.len(), &read, &|number| set.name(number))?;
            if fresh.rows.len() != set.len() {
                bail!(
                    "{} pictures give no prediction (named above); take them out of the folder: a study is of the same \
                     images under every condition",
                    set.len() - fresh.rows.len()
                );
            }
            fresh.store(&path, &identity)?;
            fresh
        };
        let rows = extracted.rows.clone();
        let features = self.network.features(extracted, self.reading, &self.labelled.labels)?;
        let batch_norm = match self.batch_norm {
            Some(sensing) => Some(self.with_batch_norm(sensing, &read, &rows, &name, &identity)?),
            None => None,
        };
        Ok(Run { features, batch_norm })
    }

    fn with_batch_norm(
        &self,
        sensing: &Sensing<'_>,
        read: &Arc<Reader>,
        rows: &[usize],
        name: &str,
        identity: &str,
    ) -> Result<Array2<f32>> {
        let path = self.work.join(format!("{name}.batch-norm.safetensors"));
        if path.exists() {
            self.progress.inc(rows.len() as u64);
            return Ok(Extracted::load(&path, identity)?.z);
        }
        let (network, progress) = (self.network, self.progress);
        let picture = |number: usize| self.labelled.set.name(number);
        let z = batch_norm_logits(
            network,
            sensing,
            (read, &picture),
            rows,
            (self.seed, STATISTICS_BATCH),
            self.interrupt,
            progress,
        )?;
        let kept =
            Extracted { activations: Array2::zeros((rows.len(), 0)), z, rows: rows.to_vec() };
        kept.store(&path, identity)?;
        Ok(kept.z)
    }

    /// Reads the images of a condition.
    ///
    /// # Errors
    /// There are no files of it.
    pub fn reader(&self, condition: &Condition) -> Result<Arc<Reader>> {
        let read = self.labelled.reader();
        let Some((corruption, severity)) = what(condition)? else { return Ok(read) };
        match self.files {
            Some(files) => files.images(corruption, severity),
            None => Ok(corrupting(read, corruption, severity, self.seed)),
        }
    }
}

/// What was done to the images of a condition; nothing to clean ones.
fn what(condition: &Condition) -> Result<Option<(Corruption, Severity)>> {
    let Some(name) = &condition.corruption else { return Ok(None) };
    let corruption = Corruption::from_name(name).context("no such corruption")?;
    Ok(Some((corruption, Severity::new(condition.severity)?)))
}

//! Features of labelled images: from a file, or from a network run over pictures.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use indicatif::ProgressBar;
use introspective_data::{
    LabelledSet, MatchedBy, OpenOptions, SetKind, Split, held_out, match_classes,
};
use introspective_network::{
    ClassNames, Extractor, ExtractorOptions, Opened, Preprocessing, Statistics, Threads,
};
use introspective_reflect::{Features, LastLayer, Owner};
use ndarray::{Array2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::corrupted::Layout;
use super::extract::{Extracted, Extraction, Reader};
use super::head::Fits;
use super::sensing::{Reading, Sensing};
use crate::args::{RunArgs, SplitArg};
use crate::interrupt::Interrupt;
use crate::{network, preprocessing};

/// Pictures run together where their number matters: each batch has statistics of its own.
pub const STATISTICS_BATCH: usize = 128;

/// A network ready to be run over pictures.
pub struct Network {
    pub opened: Opened,
    pub preprocessing: Preprocessing,
    pub names: Option<ClassNames>,
    pub threads: usize,
    /// Pictures run at a time, if the user says so.
    pub batch: Option<usize>,
}

/// Labelled pictures and what each label is for the network.
pub struct Labelled {
    pub set: Arc<LabelledSet>,
    /// The network's class of each example.
    pub labels: Vec<usize>,
}

/// Features, whose they are, and facts for a report.
pub struct Source {
    pub features: Features,
    /// Which image each row is of, n: changed copies of an image share its number, and come after the images as they are.
    pub images: Vec<usize>,
    pub owner: Owner,
    pub facts: BTreeMap<String, Value>,
}

impl Network {
    /// Opens the network that the flags mean, to be run on `pictures` pictures.
    pub fn open(args: &RunArgs, pictures: usize) -> Result<Self> {
        let threads = args.threads.map_or(0, usize::from);
        let mut opened = network::open(&args.network)?;
        network::choose_runtime(&args.runtime, &mut opened.classifier, pictures)?;
        let names = network::known_names(args.classes.as_deref(), &args.network, &opened)?;
        let preprocessing = preprocessing::preprocessing(&args.preprocessing, &opened)?;
        let batch = args.batch.map(usize::from);
        Ok(Self { opened, preprocessing, names, threads, batch })
    }

    /// Names of the classes, numbers if nobody names them.
    pub fn class_names(&self) -> ClassNames {
        let numbered = || ClassNames::numbered(self.opened.classifier.classes());
        self.names.clone().unwrap_or_else(numbered)
    }

    /// The names as a list, if they are known.
    pub fn name_list(&self) -> Option<Vec<String>> {
        let names = self.names.as_ref()?;
        Some(
            (0..self.opened.classifier.classes())
                .map(|class| names.name(class).to_owned())
                .collect(),
        )
    }

    /// The network loaded to give h and z with these statistics, and nothing else.
    pub fn plain(&self, statistics: Statistics) -> Result<Sensing<'_>> {
        Ok(Sensing::new(self.extractor(statistics, false)?, None))
    }

    /// The network loaded to give what is read of a picture.
    pub fn sensing(&self, reading: Reading) -> Result<Sensing<'_>> {
        let own = |share| self.extractor(Statistics::Own(share), false);
        let second = reading.own.map(own).transpose()?;
        Ok(Sensing::new(self.extractor(Statistics::Stored, reading.stages)?, second))
    }

    fn extractor(&self, statistics: Statistics, stages: bool) -> Result<Extractor<'_>> {
        let threads = (self.threads > 0).then(|| Threads::new(self.threads));
        let options =
            ExtractorOptions { threads, statistics, stages, ..ExtractorOptions::default() };
        Ok(Extractor::new(&self.opened.classifier, &options)?)
    }

    /// Its last layer, if it is linear.
    pub fn last_layer(&self) -> Result<Option<LastLayer>> {
        let last = self.opened.classifier.last_layer()?;
        Ok(last.map(|last| LastLayer { weight: last.weight, bias: last.bias }))
    }

    /// What a head must fit.
    ///
    /// # Errors
    /// The penultimate features cannot be told.
    pub fn fits(&self) -> Result<Fits<'_>> {
        let classifier = &self.opened.classifier;
        Ok(Fits::classifier(classifier, &self.preprocessing)?)
    }

    /// Whose features they are.
    pub fn owner(&self) -> Owner {
        let classifier = &self.opened.classifier;
        Owner {
            sha256: Some(classifier.sha256().to_owned()),
            name: Some(classifier.name().to_owned()),
        }
    }

    /// How pictures are run.
    pub fn extraction<'a>(
        &'a self,
        sensing: &'a Sensing<'a>,
        interrupt: &'a Interrupt,
        progress: &'a ProgressBar,
    ) -> Extraction<'a> {
        Extraction {
            sensing,
            preprocessing: &self.preprocessing,
            batch: self.batch.unwrap_or_else(|| {
                let side = self.preprocessing.input_size();
                sensing.preferred_batch(side)
            }),
            threads: self.threads,
            interrupt,
            progress,
        }
    }

    /// The features, as they are for everything that follows.
    pub fn features(
        &self,
        extracted: Extracted,
        reading: Reading,
        labels: &[usize],
    ) -> Result<Features> {
        let labels = extracted.rows.iter().filter_map(|&row| labels.get(row).copied()).collect();
        let width = self.opened.classifier.penultimate_width()?;
        let (h, stages) = extracted.activations.view().split_at(Axis(1), width);
        let features = Features {
            h: h.to_owned(),
            z: extracted.z,
            stages: stages.to_owned(),
            own_share: reading.own,
            labels,
            held_out: Vec::new(),
            images: Vec::new(),
            changes: Vec::new(),
            owner: self.owner(),
            last_layer: self.last_layer()?,
            names: self.name_list(),
        };
        features.check()?;
        Ok(features)
    }
}

impl Labelled {
    /// Opens labelled pictures and finds their classes among the network's. What is odd about them is said on
    /// stderr.
    pub fn open(path: &Path, split: SplitArg, given: bool, network: &Network) -> Result<Self> {
        let wanted = match split {
            SplitArg::Train => Split::Train,
            SplitArg::Test => Split::Test,
        };
        // names beside the network stand in for those that a set without names lacks
        let names = network.name_list();
        let open =
            |class_names| LabelledSet::open(path, OpenOptions { split: Some(wanted), class_names });
        let mut set = open(None).context("--data").map_err(|error| clean_wanted(path, error))?;
        let known = names.clone().unwrap_or_else(|| numbers(network.opened.classifier.classes()));
        let matching = match_classes(set.classes(), &known)
            .context("--data")
            .map_err(|error| clean_wanted(path, error))?;
        if matching.by == MatchedBy::Order && names.is_some() {
            eprintln!(
                "note: no class of the pictures is called as one of the network's; they are taken in the same order"
            );
        }
        // binary files seldom name their classes; with the names that it was trained under, the set is the same one
        let unnamed = set.kind() != SetKind::Folder && matching.by >= MatchedBy::Index;
        if unnamed && names.as_ref().is_some_and(|names| names.len() == set.classes().len()) {
            set = open(names).context("--data")?;
        }
        if given && set.part().is_none() {
            eprintln!("note: {} has no parts; --split does not apply", path.display());
        }
        for class in set.empty_classes() {
            eprintln!("note: class {} has no pictures", set.classes()[class]);
        }
        if set.passed_over() > 0 {
            eprintln!(
                "note: {} files are no pictures by their names and were passed over",
                set.passed_over()
            );
        }
        if set.loose() > 0 {
            eprintln!(
                "note: {} pictures lie in no class's folder and were passed over",
                set.loose()
            );
        }
        if set.is_empty() {
            bail!("{}: no pictures in its class folders", path.display());
        }
        let labels = set.labels().iter().map(|&label| matching.indices[label]).collect();
        Ok(Self { set: Arc::new(set), labels })
    }

    /// Examples that the network's training kept aside, if its file says so of these very pictures.
    ///
    /// # Errors
    /// The record contradicts the pictures.
    pub fn held_out_in_training(&self, network: &Network) -> Result<Option<Vec<usize>>> {
        let Some(record) = &network.opened.training else { return Ok(None) };
        let record: Value = serde_json::from_str(record)
            .context("the network's record of its training (metadata `training`) is no JSON")?;
        if record["data"]["fingerprint"] != self.set.fingerprint() {
            return Ok(None);
        }
        let (share, seed) = (&record["held_out"]["share"], &record["held_out"]["seed"]);
        match (share.as_f64(), seed.as_u64()) {
            (Some(share), Some(seed)) if share > 0.0 => {
                Ok(Some(held_out(self.set.labels(), share, seed)?.held))
            }
            _ => Ok(None),
        }
    }

    /// Reads the example of a number.
    pub fn reader(&self) -> Arc<Reader> {
        let set = Arc::clone(&self.set);
        Arc::new(move |number| Ok(set.picture(number)?))
    }

    /// Facts for a report.
    pub fn facts(&self, path: &Path) -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("data".to_owned(), json!(path.display().to_string())),
            ("data_kind".to_owned(), json!(self.set.kind().as_str())),
            ("data_part".to_owned(), json!(self.set.part())),
            ("data_fingerprint".to_owned(), json!(self.set.fingerprint())),
        ])
    }
}

/// Says so where pictures that are no set of clean ones are corrupted ones.
fn clean_wanted(path: &Path, error: anyhow::Error) -> anyhow::Error {
    let Some(layout) = Layout::of(path) else { return error };
    anyhow!(
        "--data {}: holds corrupted images ({}'s layout) and no clean ones; give the clean images as --data, and this folder as \
         --corrupted (of `study recognition` and `evaluate`)",
        path.display(),
        layout.name()
    )
}

pub fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
}

/// Features from a file, checked; with labels if they are needed.
pub fn from_file(path: &Path, labelled: bool) -> Result<Source> {
    let features = Features::read(path).context("--features")?;
    if labelled && features.labels.is_empty() {
        bail!(
            "--features {}: it has no `labels`, the true class of each row (n) as integers",
            path.display()
        );
    }
    if features.is_empty() {
        bail!("--features {}: it has no rows", path.display());
    }
    let facts = BTreeMap::from([("features".to_owned(), json!(path.display().to_string()))]);
    let images = match features.images.is_empty() {
        true => (0..features.len()).collect(),
        false => features.images.clone(),
    };
    Ok(Source { owner: features.owner.clone(), features, images, facts })
}

/// Logits with the batch's own batch-norm statistics, in an order drawn from the seed so that a batch is no class's
/// alone; in the order of `rows`, the numbers of the pictures. `sensing` takes [`Statistics::Batch`]; `batch` pictures share
/// theirs.
pub fn batch_norm_logits(
    network: &Network,
    sensing: &Sensing<'_>,
    pictures: (&Arc<Reader>, &dyn Fn(usize) -> String),
    rows: &[usize],
    (seed, batch): (u64, usize),
    interrupt: &Interrupt,
    progress: &ProgressBar,
) -> Result<Array2<f32>> {
    let order = shuffled(rows.len(), seed);
    let places: Vec<usize> = order.iter().map(|&place| rows[place]).collect();
    let given = Arc::clone(pictures.0);
    let read: Arc<Reader> = Arc::new(move |number| given(places[number]));
    let extraction = Extraction { batch, ..network.extraction(sensing, interrupt, progress) };
    let name = |number: usize| pictures.1(rows[order[number]]);
    let extracted = extraction.collect(0..rows.len(), &read, &name)?;
    if extracted.rows.len() != rows.len() {
        bail!("some pictures could not be read a second time");
    }
    let mut logits = Array2::zeros(extracted.z.dim());
    for (z, &place) in extracted.z.axis_iter(Axis(0)).zip(&order) {
        logits.row_mut(place).assign(&z);
    }
    Ok(logits)
}

//! Fitting a second stage and its controls, on the same data, schedule and seeds.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::ArrayView2;

use crate::blend::{Blend, EQUAL, weight_on_unseen};
use crate::checkpoint::{Checkpoint, fingerprint};
use crate::error::{ReflectError, Result};
use crate::features::{Features, Owner};
use crate::file::FORMAT;
use crate::head::{About, EnergyQuantile, Head, Method, SeedRecord, with_input};
use crate::jobs::each;
use crate::mlp::{Mlp, Width};
use crate::options::{FitOptions, Reads};
use crate::question::Question;
use crate::run::{Epoch, Run};
use crate::scores::probabilities;
use crate::statistics::Statistics;

/// What happened last.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Which network.
    pub method: Method,
    /// Its seed.
    pub seed: u64,
    /// Epochs done, of [`Progress::epochs`].
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Number of networks to train.
    pub networks: usize,
    /// The epoch's figures; `None` right after a checkpoint was read.
    pub figures: Option<&'a Epoch>,
}

/// Where the work is kept so that it can go on after an interruption.
#[derive(Clone, Debug)]
pub struct KeepState {
    /// A folder that exists.
    pub folder: PathBuf,
    /// Epochs between two checkpoints of a network.
    pub every: usize,
}

struct Job {
    method: Method,
    seed: u64,
}

/// Trains H and the controls on `training`, whose labels must be known, and fits all temperatures on the images of `kept` as they
/// are; the weight of an average ([`Blend`]) is chosen on their changed copies, by heads that were not trained on such.
///
/// - H reads the gradients ([`Question::gradients`]), or h and the pooled activations of the stages ([`Reads`]), scaled
///   with the training set's statistics;
/// - linear-h, mlp-h and mlp-hz read h, or h and z, scaled the same way; mlp-h and mlp-hz have H's further
///   layers, and a first one so wide that the number of parameters is H's.
///
/// The same data, options and seed give the same bytes whatever the number of threads. `watch` hears of each
/// epoch and may stop the work; with `state`, that and a killed process can be gone on with.
///
/// # Errors
/// [`ReflectError::Setting`], [`ReflectError::TooFew`], those of [`Features::check`], [`ReflectError::Shape`] too
/// if `kept` has other widths, [`ReflectError::Diverged`], [`ReflectError::Stopped`], and of reading and writing checkpoints.
pub fn fit(
    training: &Features,
    kept: &Features,
    owner: &Owner,
    options: &FitOptions,
    state: Option<&KeepState>,
    watch: &(dyn Fn(Progress<'_>) -> ControlFlow<()> + Sync),
) -> Result<Head> {
    options.check()?;
    training.check()?;
    kept.check()?;
    let changed = |row: &usize| kept.changes.get(*row).is_some_and(|change| !change.is_empty());
    let (copies, clean): (Vec<usize>, Vec<usize>) = (0..kept.len()).partition(changed);
    let (kept, kept_changed) = (&kept.select(&clean), kept.select(&copies));
    if kept.width() != training.width() || kept.classes() != training.classes() {
        return Err(ReflectError::Shape {
            what: "the features kept aside",
            found: vec![kept.width(), kept.classes()],
            expected: format!("{} x {}, as those trained on", training.width(), training.classes()),
        });
    }
    if options.reads == Reads::Activations && training.stages.ncols() == 0 {
        return Err(ReflectError::NoStages);
    }
    let second_pass = training.last_layer.is_some() && training.own_share.is_some();
    if options.blend && !(second_pass && options.reads == Reads::Activations) {
        return Err(ReflectError::NoSecondPass);
    }
    if kept.stages.ncols() != training.stages.ncols() || kept.own_share != training.own_share {
        return Err(ReflectError::Shape {
            what: "the stages kept aside",
            found: vec![kept.stages.ncols()],
            expected: format!("{}, as those trained on", training.stages.ncols()),
        });
    }
    options.check_size(training.width(), training.stages.ncols(), training.classes())?;
    let labelled = training.labels.len();
    if labelled < 2 {
        return Err(ReflectError::TooFew {
            found: labelled,
            needed: 2,
            what: " with known classes",
        });
    }
    let height = options.height.unwrap_or_else(|| options.loss.default_height(training.z.view()));
    let question = Question::new(options.loss, options.target, height)?;
    let activations = match options.reads {
        Reads::Gradients => Cow::Borrowed(&training.h),
        Reads::Activations => Cow::Owned(training.activations()),
    };
    let statistics = Statistics::of(
        activations.view(),
        training.width(),
        training.z.view(),
        &question,
        options.scaler,
        options.scales_factors(),
    );

    let jobs: Vec<Job> = (0..options.seeds as u64)
        .map(|offset| options.seed.wrapping_add(offset))
        .flat_map(|seed| options.methods().iter().map(move |&method| Job { method, seed }))
        .collect();
    let trainer = Trainer {
        training,
        activations: activations.view(),
        options,
        question: &question,
        statistics: &statistics,
        data: state.map(|_| fingerprint(training)).unwrap_or_default(),
        state,
        watch,
        networks: jobs.len(),
    };
    let trained = each(&jobs, |job, failed| trainer.train(job, failed))?;

    let mut networks = vec![BTreeMap::new(); options.seeds];
    for (index, (job, network)) in jobs.iter().zip(trained).enumerate() {
        networks[index / options.methods().len()].insert(job.method, network);
    }
    let about = About {
        format: FORMAT,
        classifier: owner.sha256.clone(),
        classifier_name: owner.name.clone(),
        names: training.names.clone(),
        classes: training.classes(),
        features: training.width(),
        reads: options.reads,
        stages: activations.ncols() - training.width(),
        own_share: training.own_share.filter(|_| options.reads == Reads::Activations),
        question,
        scaler: options.scaler,
        rank: options.rank,
        hidden: options.hidden.clone(),
        activation: options.activation,
        schedule: options.schedule.clone(),
        trained_on: training.len(),
        changes: training
            .changes
            .iter()
            .filter(|change| !change.is_empty())
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        mean_probabilities: Some(mean_probabilities(training.z.view())),
        energy_quantile: EnergyQuantile::of(kept.z.view()),
        kept: kept.len(),
        kept_unseen: !kept.held_out.is_empty() && kept.held_out.iter().all(|&held| held),
        temperature: 1.0,
        seeds: (0..options.seeds as u64)
            .map(|offset| SeedRecord {
                seed: options.seed.wrapping_add(offset),
                temperatures: BTreeMap::new(),
                before_blend: None,
            })
            .collect(),
        facts: BTreeMap::new(),
    };
    let mut head = Head { about, statistics, networks, blend: None };
    head.fit_temperatures(kept)?;
    if options.blend {
        // at their own temperatures, then the mean at one more
        let own = training.last_layer.clone().zip(kept.own_h());
        let (last, own) = own.ok_or(ReflectError::NoSecondPass)?;
        let temperature = temperature(last.logits(own).view(), &kept.labels)?;
        for record in &mut head.about.seeds {
            record.before_blend = record.temperatures.get(&Method::Reflection).copied();
        }
        let unseen = || weight_on_unseen(training, kept, &kept_changed, owner, options, watch);
        let weight = unseen()?.unwrap_or(EQUAL);
        head.blend = Some(Blend { last, temperature, weight });
        head.fit_temperatures(kept)?;
    }
    Ok(head)
}

/// The temperature of some logits; 1 where there are none.
fn temperature(logits: ArrayView2<'_, f32>, labels: &[usize]) -> Result<f32> {
    if labels.is_empty() {
        return Ok(1.0);
    }
    let fitted = introspective_measure::fit_temperature(logits, labels);
    fitted.map(|fitted| fitted.value as f32).map_err(ReflectError::Temperature)
}

/// Mean over images of softmax z, N.
fn mean_probabilities(z: ArrayView2<'_, f32>) -> Vec<f32> {
    let mut mean = vec![0.0; z.ncols()];
    let images = z.nrows() as f64;
    for z in z.rows() {
        for (mean, p) in mean.iter_mut().zip(probabilities(z)) {
            *mean += p / images;
        }
    }
    mean.into_iter().map(|p: f64| p as f32).collect()
}

impl Head {
    /// Fits the temperature of the classifier and of each network on images kept aside; 1 where there are none.
    fn fit_temperatures(&mut self, kept: &Features) -> Result<()> {
        let temperature = |logits: ArrayView2<'_, f32>| temperature(logits, &kept.labels);
        self.about.temperature = temperature(kept.z.view())?;
        let activations = self.activations(kept);
        for seed in 0..self.networks.len() {
            let methods: Vec<Method> = self.networks[seed].keys().copied().collect();
            for method in methods {
                let statistics = &self.statistics;
                let logits =
                    self.logits(method, seed, statistics, activations.view(), kept.z.view());
                let fitted = logits.map_or(Ok(1.0), |logits| temperature(logits.view()))?;
                self.about.seeds[seed].temperatures.insert(method, fitted);
            }
        }
        Ok(())
    }
}

struct Trainer<'a> {
    training: &'a Features,
    activations: ArrayView2<'a, f32>,
    options: &'a FitOptions,
    question: &'a Question,
    statistics: &'a Statistics,
    /// Hash of what is trained on, where checkpoints are kept.
    data: String,
    state: Option<&'a KeepState>,
    watch: &'a (dyn Fn(Progress<'_>) -> ControlFlow<()> + Sync),
    networks: usize,
}

impl Trainer<'_> {
    fn train(&self, job: &Job, failed: &AtomicBool) -> Result<Mlp> {
        let Features { z, labels, .. } = self.training;
        let schedule = &self.options.schedule;
        let checkpoint = self.state.map(|state| {
            Checkpoint::new(&state.folder, job.method, job.seed, self.options, &self.data)
        });
        let fresh = self.start(job);
        let kept = match &checkpoint {
            Some(checkpoint) => checkpoint.read(&fresh, schedule.epochs)?,
            None => None,
        };
        let mut run = kept.unwrap_or(fresh);
        let tell = |run: &Run, figures: Option<&Epoch>| {
            (self.watch)(Progress {
                method: job.method,
                seed: job.seed,
                epoch: run.epoch,
                epochs: schedule.epochs,
                networks: self.networks,
                figures,
            })
        };
        let every = self.state.map_or(usize::MAX, |state| state.every.max(1));
        let mut stopped = tell(&run, None).is_break();
        let keep = |run: &Run| checkpoint.as_ref().map_or(Ok(()), |c| c.write(run));
        let what = (job.method, self.options.reads);
        with_input(what, self.question, self.statistics, self.activations, z.view(), |input| {
            while run.epoch < schedule.epochs && !stopped {
                let figures = run.epoch(input, labels, schedule, job.method.name())?;
                stopped = tell(&run, Some(&figures)).is_break() || failed.load(Ordering::Relaxed);
                if stopped || run.epoch.is_multiple_of(every) || run.epoch == schedule.epochs {
                    keep(&run)?;
                }
            }
            if run.epoch < schedule.epochs { Err(ReflectError::Stopped) } else { Ok(()) }
        })?;
        Ok(run.network)
    }

    fn start(&self, job: &Job) -> Run {
        let (d, n) = (self.training.width(), self.training.classes());
        let FitOptions { rank, hidden, activation, .. } = self.options;
        let full = match rank {
            // each factor has a one behind it
            Some(rank) => Width::LowRank { classes: n + 1, features: d + 1, rank: *rank },
            None if self.options.reads == Reads::Activations => {
                Width::Full(self.activations.ncols())
            }
            None => Width::Full(n * d),
        };
        let (width, hidden) = match job.method {
            Method::Reflection => (full, hidden.clone()),
            Method::LinearH => (Width::Full(d), Vec::new()),
            Method::MlpH => (Width::Full(d), matched(full, d, hidden, n)),
            Method::MlpHz => (Width::Full(d + n), matched(full, d + n, hidden, n)),
        };
        Run::new(width, &hidden, n, *activation, job.seed)
    }
}

/// The hidden layers of a control on `inputs` values: the first as wide as it takes to have as many
/// parameters as H, the others H's.
fn matched(full: Width, inputs: usize, hidden: &[usize], classes: usize) -> Vec<usize> {
    let Some((&first, rest)) = hidden.split_first() else { return Vec::new() };
    let next = rest.first().copied().unwrap_or(classes);
    let read = match full {
        Width::Full(width) => width * first,
        Width::LowRank { classes, features, rank } => (classes + features) * rank * first,
    };
    // read + first + first next = width (inputs + 1 + next)
    let width = (read + first * (1 + next)).div_ceil(inputs + 1 + next);
    std::iter::once(width.max(1)).chain(rest.iter().copied()).collect()
}

/// All rows of some features but those that were kept aside, and those. Rows that there are not are left out.
pub fn split(features: &Features, kept: &[usize]) -> (Features, Features) {
    let kept: Vec<usize> = kept.iter().copied().filter(|&row| row < features.len()).collect();
    let mut aside = vec![false; features.len()];
    for &row in &kept {
        aside[row] = true;
    }
    let rest: Vec<usize> = (0..features.len()).filter(|&row| !aside[row]).collect();
    (features.select(&rest), features.select(&kept))
}

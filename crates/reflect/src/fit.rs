//! Fitting a second stage and its controls, on the same data, schedule and seeds.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::columns::Scaler;
use crate::error::{ReflectError, Result};
use crate::features::Features;
use crate::file::FORMAT;
use crate::head::{About, Head, Method, SeedRecord, with_input};
use crate::mlp::{Activation, Mlp, Width};
use crate::question::{Loss, Question, Target};
use crate::run::{Epoch, Run};
use crate::sgd::Schedule;
use crate::statistics::Statistics;

/// Settings of [`fit`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// The loss whose gradients are the features.
    pub loss: Loss,
    /// The target that asks the questions.
    pub target: Target,
    /// M; `None` takes [`Loss::default_height`] of the training images.
    pub height: Option<f32>,
    /// Scaling of all columns.
    pub scaler: Scaler,
    /// Rank of H's first layer; `None` for a full one.
    pub rank: Option<usize>,
    /// Sizes of the hidden layers; none makes H linear.
    pub hidden: Vec<usize>,
    /// What follows them.
    pub activation: Activation,
    /// Training.
    pub schedule: Schedule,
    /// The first seed; further ones follow it.
    pub seed: u64,
    /// Number of seeds.
    pub seeds: usize,
    /// Fit the controls too.
    pub controls: bool,
}

impl Default for FitOptions {
    /// The paper's: mean squared error, all ones, min-max, 300 and 100 sigmoid units; one seed, with controls.
    fn default() -> Self {
        Self {
            loss: Loss::default(),
            target: Target::default(),
            height: None,
            scaler: Scaler::default(),
            rank: None,
            hidden: vec![300, 100],
            activation: Activation::default(),
            schedule: Schedule::default(),
            seed: 0,
            seeds: 1,
            controls: true,
        }
    }
}

impl FitOptions {
    /// That all settings are in range.
    ///
    /// # Errors
    /// [`ReflectError::Setting`].
    pub fn check(&self) -> Result<()> {
        let schedule = &self.schedule;
        let wrong =
            |what, found: String, expected| Err(ReflectError::Setting { what, found, expected });
        if schedule.epochs == 0 {
            return wrong("the number of epochs", "0".to_owned(), "at least 1");
        }
        if schedule.batch == 0 {
            return wrong("the batch", "0".to_owned(), "at least 1 example");
        }
        if !(schedule.learning_rate.is_finite() && schedule.learning_rate > 0.0) {
            return wrong("the learning rate", schedule.learning_rate.to_string(), "above 0");
        }
        if !(0.0..1.0).contains(&schedule.momentum) {
            return wrong("the momentum", schedule.momentum.to_string(), "0 or more, below 1");
        }
        if !(schedule.weight_decay.is_finite() && schedule.weight_decay >= 0.0) {
            return wrong("the weight decay", schedule.weight_decay.to_string(), "0 or more");
        }
        if self.hidden.contains(&0) {
            return wrong("a hidden layer", "0 units".to_owned(), "at least 1 unit");
        }
        if self.rank == Some(0) {
            return wrong("the rank", "0".to_owned(), "at least 1");
        }
        if self.seeds == 0 {
            return wrong("the number of seeds", "0".to_owned(), "at least 1");
        }
        Question::new(self.loss, self.target, self.height.unwrap_or(1.0)).map(|_| ())
    }

    fn methods(&self) -> &'static [Method] {
        if self.controls { &Method::ALL } else { &[Method::Reflection] }
    }
}

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

/// Whom a head belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owner {
    /// SHA-256 of the classifier's file.
    pub sha256: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

/// Trains H and the controls on `training`, whose labels must be known, and fits all temperatures on `kept`.
///
/// - H reads the gradients ([`Question::gradients`]) scaled with the training set's statistics;
/// - linear-h, mlp-h and mlp-hz read h, or h and z, scaled the same way; mlp-h and mlp-hz have H's further
///   layers, and a first one so wide that the number of parameters is H's.
///
/// The same data, options and seed give the same bytes whatever the number of threads. `watch` hears of each
/// epoch and may stop the work; with `state`, that and a killed process can be gone on with.
///
/// # Errors
/// [`ReflectError::Setting`], [`ReflectError::TooFew`], those of [`Features::check`],
/// [`ReflectError::Diverged`], [`ReflectError::Stopped`], and of reading and writing checkpoints.
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
    let (h, z) = (training.h.view(), training.z.view());
    let statistics = Statistics::of(h, z, &question, options.scaler, options.rank.is_some());

    let jobs: Vec<Job> = (0..options.seeds as u64)
        .map(|offset| options.seed.wrapping_add(offset))
        .flat_map(|seed| options.methods().iter().map(move |&method| Job { method, seed }))
        .collect();
    let trainer = Trainer {
        training,
        options,
        question: &question,
        statistics: &statistics,
        state,
        watch,
        networks: jobs.len(),
    };
    let trained = each(&jobs, |job| trainer.train(job))?;

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
        question,
        scaler: options.scaler,
        rank: options.rank,
        hidden: options.hidden.clone(),
        activation: options.activation,
        schedule: options.schedule.clone(),
        trained_on: training.len(),
        kept: kept.len(),
        kept_unseen: !kept.held_out.is_empty() && kept.held_out.iter().all(|&held| held),
        temperature: 1.0,
        seeds: (0..options.seeds as u64)
            .map(|offset| SeedRecord {
                seed: options.seed.wrapping_add(offset),
                temperatures: BTreeMap::new(),
            })
            .collect(),
        facts: BTreeMap::new(),
    };
    let mut head = Head { about, statistics, networks };
    head.fit_temperatures(kept)?;
    Ok(head)
}

impl Head {
    /// Fits the temperature of the classifier and of each network on images kept aside; 1 where there are none.
    fn fit_temperatures(&mut self, kept: &Features) -> Result<()> {
        kept.check()?;
        let temperature = |logits: ArrayView2<'_, f32>| {
            if kept.labels.is_empty() {
                return Ok(1.0);
            }
            let fitted = introspective_measure::fit_temperature(logits, &kept.labels);
            fitted.map(|fitted| fitted.value as f32).map_err(ReflectError::Temperature)
        };
        self.about.temperature = temperature(kept.z.view())?;
        for seed in 0..self.networks.len() {
            let methods: Vec<Method> = self.networks[seed].keys().copied().collect();
            for method in methods {
                let logits =
                    self.logits(method, seed, &self.statistics, kept.h.view(), kept.z.view());
                let fitted = logits.map_or(Ok(1.0), |logits| temperature(logits.view()))?;
                self.about.seeds[seed].temperatures.insert(method, fitted);
            }
        }
        Ok(())
    }
}

struct Trainer<'a> {
    training: &'a Features,
    options: &'a FitOptions,
    question: &'a Question,
    statistics: &'a Statistics,
    state: Option<&'a KeepState>,
    watch: &'a (dyn Fn(Progress<'_>) -> ControlFlow<()> + Sync),
    networks: usize,
}

impl Trainer<'_> {
    fn train(&self, job: &Job) -> Result<Mlp> {
        let Features { h, z, labels, .. } = self.training;
        let schedule = &self.options.schedule;
        let checkpoint = self.state.map(|state| {
            Checkpoint::new(&state.folder, job.method, job.seed, self.options, self.training)
        });
        let mut run = match checkpoint
            .as_ref()
            .map(|c| c.read(self.options.activation))
            .transpose()?
            .flatten()
        {
            Some(run) => run,
            None => self.start(job),
        };
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
        with_input(job.method, self.question, self.statistics, h.view(), z.view(), |input| {
            while run.epoch < schedule.epochs && !stopped {
                let figures = run.epoch(input, labels, schedule, job.method.name())?;
                stopped = tell(&run, Some(&figures)).is_break();
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

/// Results of all jobs, in order. As many at a time as there are threads, each in a thread of its own, if
/// there are as many jobs; else one after the other, each with all threads.
fn each<T: Send>(jobs: &[Job], run: impl Fn(&Job) -> Result<T> + Sync) -> Result<Vec<T>> {
    let threads = rayon::current_num_threads();
    if jobs.len() < threads || threads < 2 {
        return jobs.iter().map(run).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<T>>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // matrix products within a job stay in its thread
                let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index) else { break };
                    let result = match &pool {
                        Ok(pool) => pool.install(|| run(job)),
                        Err(_) => run(job),
                    };
                    if result.is_err() {
                        // the others would be in vain
                        next.store(jobs.len(), Ordering::Relaxed);
                    }
                    let mut results =
                        results.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    results[index] = Some(result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut done = Vec::with_capacity(jobs.len());
    let mut missing = false;
    for result in results {
        match result {
            Some(result) => done.push(result?),
            None => missing = true,
        }
    }
    if missing { Err(ReflectError::Stopped) } else { Ok(done) }
}

/// All rows of some features but those that were kept aside, and those.
pub fn split(features: &Features, kept: &[usize]) -> (Features, Features) {
    let mut aside = vec![false; features.len()];
    for &row in kept {
        if let Some(aside) = aside.get_mut(row) {
            *aside = true;
        }
    }
    let rest: Vec<usize> = (0..features.len()).filter(|&row| !aside[row]).collect();
    (features.select(&rest), features.select(kept))
}

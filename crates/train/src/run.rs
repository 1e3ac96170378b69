//! A whole training: from a labelled set to a file that explains.

use std::path::{Path, PathBuf};

use burn_tensor::Device;
use introspective_data::{Held, LabelledSet, held_out};
use introspective_network::{Method, Preprocessing};
use serde_json::{Value, json};

use crate::checkpoint::Checkpoint;
use crate::curve;
use crate::error::{Result, TrainError};
use crate::file;
use crate::gather::{Gathered, gather};
use crate::network::{Network, is_running};
use crate::pictures::Normal;
use crate::start::Start;
use crate::training::{End, Epoch, Examples, Keep, News, Settings, train};

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Processor {
    /// The processor.
    #[default]
    Cpu,
    /// A graphics processor.
    #[cfg(feature = "wgpu")]
    Wgpu,
}

impl Processor {
    fn device(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => graphics(),
        }
    }
}

/// The graphics processor, asked for a sum: burn panics where there is none.
#[cfg(feature = "wgpu")]
fn graphics() -> Result<Device> {
    std::panic::catch_unwind(|| {
        let device = Device::wgpu(burn_tensor::DeviceKind::DefaultDevice);
        let _ = burn_tensor::Tensor::<1>::ones([2], &device).sum().into_data();
        device
    })
    .map_err(|_| TrainError::Device {
        reason: "there is no graphics processor that wgpu can use".to_owned(),
    })
}

/// What is to be trained, and into which file.
#[derive(Debug)]
pub struct Plan {
    /// What training starts from.
    pub start: Start,
    /// How a picture comes to the network's size.
    pub method: Method,
    /// Mean and deviation of each channel, or those of the pictures that are trained on.
    pub normal: Option<Normal>,
    /// Share of the examples that is held out, 0 for none.
    pub held_out: f64,
    /// Seed of what is held out.
    pub split_seed: u64,
    /// How.
    pub settings: Settings,
    /// What computes.
    pub processor: Processor,
    /// The file.
    pub out: PathBuf,
    /// Whether a file of that name may be replaced.
    pub force: bool,
    /// Whether to go on from the checkpoint beside it.
    pub resume: bool,
    /// A checkpoint after every so many epochs.
    pub checkpoint_every: usize,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// All epochs.
    pub history: Vec<Epoch>,
    /// Files that are there now.
    pub written: Vec<PathBuf>,
}

/// What is told while it goes.
#[derive(Debug)]
pub enum Report<'a> {
    /// So many pictures of so many were read.
    Reading(usize, usize),
    /// A picture that could not be read: its name, and what is wrong.
    Unreadable(&'a str, &'a str),
    /// Training begins.
    Begin(Begin),
    /// Steps and epochs.
    News(News<'a>),
}

/// What training begins with.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Examples that are trained on.
    pub trained_on: usize,
    /// Examples that are held out.
    pub held_out: usize,
    /// Mean and deviation of each channel.
    pub normal: Normal,
    /// Whether the last layer of a trained network was made anew.
    pub new_head: bool,
    /// Epochs that a checkpoint holds already.
    pub done: usize,
}

/// Trains a network on a labelled set and writes it. `watch` says whether to go on.
///
/// While it goes, a checkpoint and the numbers of the epochs lie beside the file; the checkpoint is taken away when
/// the file is there.
///
/// # Errors
/// [`TrainError`].
pub fn run(
    plan: &Plan,
    set: &LabelledSet,
    watch: &mut dyn FnMut(Report<'_>) -> bool,
) -> Result<Outcome> {
    check(plan)?;
    let keep_path = file::beside(&plan.out, "checkpoint.safetensors");
    free(plan, &keep_path)?;
    let started = plan.start.begin(set.classes().len(), plan.settings.seed)?;
    let mut outcome = Outcome { end: End::Interrupted, history: Vec::new(), written: Vec::new() };

    let unit =
        preprocessing(plan, vec![0.0; plan.start.channels()], vec![1.0; plan.start.channels()])?;
    let total = set.len();
    let gathered = gather(set, &unit, |read| watch(Report::Reading(read, total)))?;
    let Some(Gathered { pictures, unreadable }) = gathered else { return Ok(outcome) };
    for (_, name, error) in &unreadable {
        watch(Report::Unreadable(name, error));
    }
    let Held { mut kept, mut held } = if plan.held_out > 0.0 {
        held_out(set.labels(), plan.held_out, plan.split_seed)?
    } else {
        Held { kept: (0..set.len()).collect(), held: Vec::new() }
    };
    let readable = |index: &usize| unreadable.binary_search_by_key(index, |entry| entry.0).is_err();
    kept.retain(readable);
    held.retain(readable);
    let normal = plan.normal.clone().unwrap_or_else(|| pictures.normal(&kept));

    let settings = &plan.settings;
    let mut network = Network::new(
        &started.blueprint,
        started.values,
        pictures.side,
        (settings.optimizer.clone(), settings.weight_decay),
        settings.seed,
        plan.processor.device()?,
    )?;
    let fingerprint = set.fingerprint();
    let identity = identity(plan, &normal, &fingerprint, unreadable.len())?;
    if plan.resume && keep_path.exists() {
        let memory: Vec<usize> = network
            .names()
            .iter()
            .map(|name| if is_running(name) { 0 } else { settings.optimizer.memory() })
            .collect();
        let read = Checkpoint::read(&keep_path, &identity, network.names(), &memory)?;
        network.restore(read.state);
        outcome.history = read.history;
    }
    watch(Report::Begin(Begin {
        trained_on: kept.len(),
        held_out: held.len(),
        normal: normal.clone(),
        new_head: started.new_head,
        done: outcome.history.len(),
    }));
    let curve = file::beside(&plan.out, "curve.csv");
    let keep = Keep {
        path: keep_path,
        curve: curve.clone(),
        every: plan.checkpoint_every.max(1),
        identity,
    };
    let examples = Examples { pictures: &pictures, kept, held, normal: &normal };
    let mut tell = |news: News<'_>| watch(Report::News(news));
    outcome.end = train(&mut network, &examples, settings, &keep, &mut outcome.history, &mut tell)?;
    if outcome.end == End::Interrupted {
        outcome.written.extend([keep.path, curve].into_iter().filter(|path| path.exists()));
        return Ok(outcome);
    }
    let record = json!({
        "settings": settings,
        "started_from": plan.start.sha256(),
        "data": {
            "kind": set.kind().as_str(),
            "part": set.part(),
            "examples": set.len(),
            "fingerprint": fingerprint,
        },
        "held_out": {
            "share": plan.held_out,
            "seed": plan.split_seed,
            "examples": examples.held.len(),
        },
        "unreadable": unreadable.iter().map(|(_, name, _)| name).collect::<Vec<_>>(),
        "epochs": outcome.history,
        "version": env!("CARGO_PKG_VERSION"),
    });
    write(plan, set, &network, &normal, &record)?;
    curve::write(&curve, &outcome.history)?;
    // what it was for is done
    let _ = std::fs::remove_file(&keep.path);
    outcome.written.extend([plan.out.clone(), curve]);
    Ok(outcome)
}

/// Makes sure that nothing is replaced unasked.
fn free(plan: &Plan, checkpoint: &Path) -> Result<()> {
    let exists = |path: &Path, checkpoint| {
        let path = path.to_owned();
        if path.exists() { Err(TrainError::Exists { path, checkpoint }) } else { Ok(()) }
    };
    match (plan.force, plan.resume) {
        (true, _) => Ok(()),
        // a finished training has no checkpoint any more
        (false, true) if checkpoint.exists() => Ok(()),
        (false, true) => exists(&plan.out, false),
        (false, false) => exists(&plan.out, false).and_then(|()| exists(checkpoint, true)),
    }
}

fn preprocessing(plan: &Plan, mean: Vec<f32>, std: Vec<f32>) -> Result<Preprocessing> {
    Ok(Preprocessing::new(plan.method, mean, std)?)
}

/// What two runs must have in common to be one: all that the result depends on.
fn identity(plan: &Plan, normal: &Normal, fingerprint: &str, unreadable: usize) -> Result<String> {
    let mut identity = json!({
        "architecture": plan.start.architecture()?.name(),
        "channels": plan.start.channels(),
        "started_from": plan.start.sha256(),
        "pictures": plan.method,
        "normal": normal,
        "data": fingerprint,
        "held_out": plan.held_out,
        "split_seed": plan.split_seed,
        "unreadable": unreadable,
    });
    if let (Some(map), Value::Object(settings)) =
        (identity.as_object_mut(), serde_json::to_value(&plan.settings).unwrap_or_default())
    {
        map.extend(settings);
    }
    Ok(identity.to_string())
}

/// Writes the network as a file that says what it is.
fn write(
    plan: &Plan,
    set: &LabelledSet,
    network: &Network,
    normal: &Normal,
    record: &Value,
) -> Result<()> {
    let preprocessing = preprocessing(plan, normal.mean.clone(), normal.std.clone())?;
    let metadata = [
        ("architecture", plan.start.architecture()?.name().to_owned()),
        ("classes", json!(set.classes()).to_string()),
        ("preprocessing", json!(preprocessing).to_string()),
        ("training", record.to_string()),
    ];
    let state = network.state()?;
    let entries: Vec<file::Entry<'_>> = network
        .names()
        .iter()
        .zip(network.shapes())
        .zip(&state.tensors)
        .map(|((name, shape), values)| (name.as_str(), shape.as_slice(), values.as_slice()))
        .collect();
    file::write(&plan.out, &entries, &metadata)
        .map_err(|source| TrainError::Write { path: plan.out.clone(), source })
}

fn check(plan: &Plan) -> Result<()> {
    let settings = &plan.settings;
    let wrong = |name, found: String, expected| Err(TrainError::Setting { name, found, expected });
    if !(0.0..1.0).contains(&plan.held_out) {
        return wrong("the share held out", plan.held_out.to_string(), "0 or more and less than 1");
    }
    if settings.epochs == 0 {
        return wrong("the number of epochs", "0".to_owned(), "1 or more");
    }
    if settings.batch < 2 {
        return wrong("the batch", settings.batch.to_string(), "2 or more");
    }
    let rate = settings.learning_rate;
    if !(rate.is_finite() && rate > 0.0) {
        return wrong("the learning rate", rate.to_string(), "a number greater than 0");
    }
    if !(settings.weight_decay.is_finite() && settings.weight_decay >= 0.0) {
        return wrong("the weight decay", settings.weight_decay.to_string(), "a number, 0 or more");
    }
    settings.robust.check()
}

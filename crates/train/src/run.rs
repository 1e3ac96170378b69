//! A whole training: from a labelled set to a file that explains.

use std::path::PathBuf;

use burn_tensor::Device;
use introspective_data::{Held, LabelledSet, held_out};
use introspective_network::{Architecture, Interpolation, Method, Preprocessing};
use serde_json::json;

use crate::checkpoint::Checkpoint;
use crate::error::{Result, TrainError};
use crate::file;
use crate::gather::{Gathered, gather};
use crate::initial::initial;
use crate::network::{Network, is_running};
use crate::pictures::Normal;
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
    fn device(self) -> Device {
        match self {
            Self::Cpu => Device::flex(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::wgpu(burn_tensor::DeviceKind::DefaultDevice),
        }
    }
}

/// What is to be trained, and into which file.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The architecture.
    pub architecture: Architecture,
    /// Input channels, 1 or 3.
    pub channels: usize,
    /// Side of the input in pixels.
    pub side: usize,
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
    /// Examples that were trained on, held out, and could not be read.
    pub counts: [usize; 3],
}

/// What is told while it goes.
#[derive(Debug)]
pub enum Report<'a> {
    /// So many pictures of so many were read.
    Reading(usize, usize),
    /// A picture that could not be read: its name, and what is wrong.
    Unreadable(&'a str, &'a str),
    /// Steps and epochs.
    News(News<'a>),
}

/// Trains a network on a labelled set and writes it. `watch` says whether to go on.
///
/// # Errors
/// [`TrainError`].
pub fn run(plan: &Plan, set: &LabelledSet, watch: &mut dyn FnMut(Report<'_>) -> bool) -> Result<Outcome> {
    check(plan)?;
    let checkpoint_path = file::beside(&plan.out, "checkpoint.safetensors");
    if !plan.force && !plan.resume {
        for (path, or) in [(&plan.out, ""), (&checkpoint_path, ", and --resume goes on from it")] {
            if path.exists() {
                return Err(TrainError::Exists { path: path.clone(), or });
            }
        }
    }
    let plain = |mean: Vec<f32>, std: Vec<f32>| {
        let (size, interpolation) = (plan.side, Interpolation::Bilinear);
        Preprocessing::new(Method::Torchvision { size, crop: size, interpolation }, mean, std)
            .map_err(|error| TrainError::Untrainable {
                architecture: plan.architecture.to_string(),
                reason: error.to_string(),
            })
    };
    let unit = plain(vec![0.0; plan.channels], vec![1.0; plan.channels])?;
    let total = set.len();
    let gathered = gather(set, &unit, |read| watch(Report::Reading(read, total)))?;
    let mut outcome =
        Outcome { end: End::Interrupted, history: Vec::new(), written: Vec::new(), counts: [0; 3] };
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
    outcome.counts = [kept.len(), held.len(), unreadable.len()];
    let normal = plan.normal.clone().unwrap_or_else(|| pictures.normal(&kept));

    let settings = &plan.settings;
    let blueprint = plan.architecture.blueprint(set.classes().len(), plan.channels);
    let optimizer = (settings.optimizer.clone(), settings.weight_decay);
    let values = initial(&blueprint, settings.seed);
    let device = plan.processor.device();
    let mut network =
        Network::new(&blueprint, values, plan.side, optimizer, settings.seed, device)?;

    let mut identity = serde_json::to_value(settings).unwrap_or_default();
    if let Some(map) = identity.as_object_mut() {
        map.insert("architecture".to_owned(), json!(plan.architecture.name()));
        map.insert("side".to_owned(), json!(plan.side));
        map.insert("channels".to_owned(), json!(plan.channels));
        map.insert("normal".to_owned(), json!(normal));
        map.insert("data".to_owned(), json!(set.fingerprint()));
        map.insert("held_out".to_owned(), json!([plan.held_out, plan.split_seed]));
        map.insert("unreadable".to_owned(), json!(unreadable.len()));
    }
    let identity = identity.to_string();
    if plan.resume && checkpoint_path.exists() {
        let memory: Vec<usize> = network
            .names()
            .iter()
            .map(|name| if is_running(name) { 0 } else { settings.optimizer.memory() })
            .collect();
        let read = Checkpoint::read(&checkpoint_path, &identity, network.names(), &memory)?;
        network.restore(read.state);
        outcome.history = read.history;
    }
    let keep = Keep { path: checkpoint_path.clone(), every: plan.checkpoint_every.max(1), identity };
    let examples = Examples { pictures: &pictures, kept, held, normal: &normal };
    outcome.end = train(&mut network, &examples, settings, &keep, &mut outcome.history, &mut |news| {
        watch(Report::News(news))
    })?;
    if outcome.end == End::Interrupted {
        if checkpoint_path.exists() {
            outcome.written.push(checkpoint_path);
        }
        return Ok(outcome);
    }

    let record = json!({
        "settings": settings,
        "data": {
            "kind": set.kind().as_str(),
            "part": set.part(),
            "examples": set.len(),
            "fingerprint": set.fingerprint(),
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
    let preprocessing = plain(normal.mean.clone(), normal.std.clone())?;
    let metadata = [
        ("architecture", plan.architecture.name().to_owned()),
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
        .map_err(|source| TrainError::Write { path: plan.out.clone(), source })?;
    // what it was for is done
    let _ = std::fs::remove_file(&checkpoint_path);
    outcome.written.push(plan.out.clone());
    Ok(outcome)
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
    Ok(())
}

//! `introspect train`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use introspective_data::{LabelledSet, OpenOptions, Split};
use introspective_network::{Architecture, ClassNames, Interpolation, Method, Opened};
use introspective_train::{
    Augmentation, Begin, End, Epoch, News, Normal, Optimizer, Plan, Processor, Report, Robust,
    Schedule, Settings, Start,
};

use crate::interrupt::Interrupt;
use crate::output;

#[derive(clap::Args, Debug)]
pub struct TrainArgs {
    /// A folder with one folder of pictures a class, or with CIFAR binaries or IDX files; of one with several parts, the
    /// training part is taken.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Architecture, as `introspect models` lists them.
    #[arg(long, value_name = "NAME", required_unless_present = "model")]
    pub arch: Option<String>,
    /// Train this network of the zoo further: weights or a folder, as `explain --model` takes them. Its last layer is made
    /// anew if the number of classes is another.
    #[arg(long, value_name = "FILE", conflicts_with = "channels")]
    pub model: Option<PathBuf>,
    /// File for the trained network.
    #[arg(long, value_name = "FILE.safetensors")]
    pub out: PathBuf,
    /// Passes over the pictures.
    #[arg(long, value_name = "N", default_value = "30")]
    pub epochs: NonZeroUsize,
    /// Pictures in a step.
    #[arg(long, value_name = "N", default_value = "128")]
    pub batch: NonZeroUsize,
    /// How weights follow their gradients.
    #[arg(long, value_enum, default_value = "sgd")]
    pub optimizer: OptimizerArg,
    /// Highest learning rate [default: 0.1 for sgd, 0.001 for adamw].
    #[arg(long, value_name = "RATE")]
    pub lr: Option<f64>,
    /// Weight decay [default: 0.0005 for sgd, 0.01 for adamw].
    #[arg(long, value_name = "DECAY")]
    pub weight_decay: Option<f64>,
    /// Momentum of sgd.
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    pub momentum: f64,
    /// Look ahead along the momentum.
    #[arg(long)]
    pub nesterov: bool,
    /// How the learning rate goes: by a fifth at milestones, up and down in one cycle, or not at all.
    #[arg(long, value_enum, default_value = "one-cycle")]
    pub schedule: ScheduleArg,
    /// Epochs after which the learning rate falls to a fifth [default: 30 %, 60 % and 80 % of them].
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    pub milestones: Option<Vec<usize>>,
    /// What is done to a picture each time it is trained on.
    #[arg(long, value_enum, default_value = "crop-flip")]
    pub augment: AugmentArg,
    /// What is done to it after that, so that the network withstands pictures that are worse than those it learns from:
    /// Gaussian noise of up to 0.1, or AugMix, whose consistency loss makes a step take about three times as long.
    #[arg(long, value_enum, default_value = "none")]
    pub robust: RobustArg,
    /// AugMix without its consistency loss: mixtures take the place of pictures, at little cost.
    #[arg(long)]
    pub no_jsd: bool,
    /// Side of the network's input in pixels: the short side of a picture becomes as long, and the middle is kept [default: what
    /// --model says, else 32 for the networks for small pictures, 224 for others].
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<NonZeroUsize>,
    /// Channels of the network's input: 3 for colour, 1 for grey [default: 1 where all pictures are known to be grey].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    pub channels: Option<u8>,
    /// Mean of each channel, for values in 0..1 [default: what --model says, else that of the pictures trained on].
    #[arg(long, value_name = "M,...", value_delimiter = ',', requires = "std")]
    pub mean: Option<Vec<f32>>,
    /// Standard deviation of each channel [default: as for --mean].
    #[arg(long, value_name = "S,...", value_delimiter = ',', requires = "mean")]
    pub std: Option<Vec<f32>>,
    /// Share of the pictures that is held out, in each class, to see how well the network does on others.
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub val_split: f64,
    /// Seed of weights, order, augmentation and of what is held out.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Worker threads [default: one per core]. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// What computes.
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceArg,
    /// Go on from the checkpoint beside --out, if there is one.
    #[arg(long)]
    pub resume: bool,
    /// Write a checkpoint after every so many epochs.
    #[arg(long, value_name = "N", default_value = "1")]
    pub checkpoint_every: NonZeroUsize,
    /// Replace --out and begin anew.
    #[arg(long, conflicts_with = "resume")]
    pub force: bool,
    /// Print each epoch on stdout as one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// Names of the classes, for CIFAR binaries and IDX files: a JSON list, a JSON map from index to name, or one
    /// name a line.
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum OptimizerArg {
    Sgd,
    #[value(name = "adamw")]
    AdamW,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum ScheduleArg {
    Steps,
    OneCycle,
    Constant,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum AugmentArg {
    None,
    Flip,
    CropFlip,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RobustArg {
    None,
    GaussianNoise,
    #[value(name = "augmix")]
    AugMix,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum DeviceArg {
    Cpu,
    #[cfg(feature = "wgpu")]
    Wgpu,
}

/// Trains and prints the paths of what was written.
pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    output::limit_threads(args.threads)?;
    if !args.out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"))
    {
        // --model would not know it again
        bail!("--out {} does not end in .safetensors", args.out.display());
    }
    let class_names = args.classes.as_deref().map(names).transpose()?;
    let set =
        LabelledSet::open(&args.data, OpenOptions { split: Some(Split::Train), class_names })?;
    for class in set.empty_classes() {
        eprintln!(
            "warning: the class {:?} has no pictures; nothing is learned about it",
            set.classes()[class]
        );
    }
    let plan = plan(args, &set)?;
    let interrupt = Interrupt::watch()?;
    let bar = Bar::new(args);
    let outcome = introspective_train::run(&plan, &set, &mut |report| {
        match report {
            Report::Reading(read, of) => bar.reading(read, of),
            Report::Unreadable(name, error) => {
                bar.0.suspend(|| eprintln!("warning: left out {name}: {error}"));
            }
            Report::Begin(begin) => bar.begin(&begin, args.model.as_deref(), &plan.settings.robust),
            Report::News(News::Step { epoch, step, of, score }) => {
                bar.step(
                    epoch,
                    plan.settings.epochs,
                    step,
                    of,
                    score.mean_loss(),
                    score.accuracy(),
                );
            }
            Report::News(News::Epoch(epoch)) => bar.epoch(epoch, args.json),
        }
        !interrupt.came()
    });
    bar.0.finish_and_clear();
    let mut outcome = outcome?;
    if !outcome.history.is_empty() {
        outcome.written.push(draw(&args.out, &outcome.history)?);
    }
    if outcome.end == End::Interrupted {
        match outcome.written.first() {
            Some(path) => eprintln!(
                "stopped; {} holds what the finished epochs gave, and --resume goes on from there",
                path.display()
            ),
            None => eprintln!("stopped before the first epoch was finished; nothing was written"),
        }
        return Ok(ExitCode::from(Interrupt::EXIT_CODE));
    }
    if !args.json {
        for path in &outcome.written {
            output::line(&path.display().to_string())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Draws the curve beside the network.
fn draw(out: &Path, history: &[Epoch]) -> Result<PathBuf> {
    let points: Vec<introspective_report::TrainingEpoch> = history
        .iter()
        .map(|epoch| introspective_report::TrainingEpoch {
            epoch: epoch.epoch,
            loss: epoch.loss,
            accuracy: epoch.accuracy,
            held_out_loss: epoch.held_out_loss,
            held_out_accuracy: epoch.held_out_accuracy,
            learning_rate: epoch.learning_rate,
        })
        .collect();
    let path = out.with_extension("curve.svg");
    std::fs::write(&path, introspective_report::training_curve(&points))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn names(path: &Path) -> Result<Vec<String>> {
    let names = ClassNames::read(path).context("--classes")?;
    Ok((0..names.len()).map(|class| names.name(class).to_owned()).collect())
}

/// What the flags mean for this set.
fn plan(args: &TrainArgs, set: &LabelledSet) -> Result<Plan> {
    let named: Option<Architecture> = args.arch.as_deref().map(str::parse).transpose()?;
    let mut normal = args.mean.clone().zip(args.std.clone());
    let mut method = None;
    let start = match (&args.model, named) {
        (Some(path), named) => {
            let opened = Opened::from_path(path, named)?;
            if let Some(said) = &opened.preprocessing {
                method = Some(said.method());
                normal = normal.or_else(|| Some((said.mean().to_vec(), said.std().to_vec())));
            }
            Start::Trained(Box::new(opened.classifier))
        }
        (None, Some(architecture)) => {
            let channels = args.channels.map_or(if set.grey() { 1 } else { 3 }, usize::from);
            Start::New { architecture, channels }
        }
        (None, None) => bail!("give --arch or --model"),
    };
    let small = start.architecture()?.name().starts_with("cifar_");
    let side = args.size.map(NonZeroUsize::get);
    let method = match (method, side) {
        (Some(method), None) => method,
        (_, side) => {
            let size = side.unwrap_or(if small { 32 } else { 224 });
            Method::Torchvision { size, crop: size, interpolation: Interpolation::Bilinear }
        }
    };
    let epochs = args.epochs.get();
    let (optimizer, rate, decay) = match args.optimizer {
        OptimizerArg::Sgd => {
            (Optimizer::Sgd { momentum: args.momentum, nesterov: args.nesterov }, 0.1, 5e-4)
        }
        OptimizerArg::AdamW => (Optimizer::AdamW, 0.001, 0.01),
    };
    let schedule = match (args.schedule, &args.milestones) {
        (ScheduleArg::Constant, _) => Schedule::Constant,
        (ScheduleArg::OneCycle, _) => Schedule::OneCycle,
        (ScheduleArg::Steps, Some(milestones)) => {
            Schedule::Steps { milestones: milestones.clone(), factor: 0.2 }
        }
        (ScheduleArg::Steps, None) => Schedule::steps(epochs),
    };
    Ok(Plan {
        start,
        method,
        normal: normal.map(|(mean, std)| Normal { mean, std }),
        held_out: args.val_split,
        split_seed: args.seed,
        settings: Settings {
            epochs,
            batch: args.batch.get(),
            optimizer,
            learning_rate: args.lr.unwrap_or(rate),
            weight_decay: args.weight_decay.unwrap_or(decay),
            schedule,
            augmentation: match args.augment {
                AugmentArg::None => Augmentation::None,
                AugmentArg::Flip => Augmentation::Flip,
                AugmentArg::CropFlip => Augmentation::CropFlip,
            },
            robust: robust(args)?,
            seed: args.seed,
        },
        processor: match args.device {
            DeviceArg::Cpu => Processor::Cpu,
            #[cfg(feature = "wgpu")]
            DeviceArg::Wgpu => Processor::Wgpu,
        },
        out: args.out.clone(),
        force: args.force,
        resume: args.resume,
        checkpoint_every: args.checkpoint_every.get(),
    })
}

fn robust(args: &TrainArgs) -> Result<Robust> {
    let mut robust = match args.robust {
        RobustArg::None => Robust::None,
        RobustArg::GaussianNoise => Robust::gaussian_noise(),
        RobustArg::AugMix => Robust::augmix(),
    };
    if args.no_jsd {
        let Robust::AugMix { consistency, .. } = &mut robust else {
            bail!("--no-jsd is for --robust augmix: nothing else has a consistency loss");
        };
        *consistency = 0.0;
    }
    Ok(robust)
}

/// Progress on stderr, absent without a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new(args: &TrainArgs) -> Self {
        let bar = if args.json { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let template = "{msg} [{bar:24}] {pos}/{len} {elapsed} gone, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    fn reading(&self, read: usize, of: usize) {
        self.0.set_length(of as u64);
        self.0.set_position(read as u64);
        self.0.set_message("reading pictures");
    }

    fn begin(&self, begin: &Begin, model: Option<&Path>, robust: &Robust) {
        let Begin { trained_on, held_out, normal, new_head, done } = begin;
        self.0.suspend(|| {
            eprintln!("{trained_on} pictures to train on, {held_out} held out");
            eprintln!("mean {:?}, standard deviation {:?}", normal.mean, normal.std);
            if let Some(model) = model.filter(|_| *new_head) {
                eprintln!("{} has other classes; its last layer is made anew", model.display());
            }
            if robust.views() > 1 {
                eprintln!(
                    "each step computes {} views of its pictures for the consistency loss, and takes about as many times as long; --no-jsd leaves it out",
                    robust.views()
                );
            }
            if *done > 0 {
                eprintln!("going on after epoch {done}");
            }
        });
        self.0.reset();
    }

    fn step(&self, epoch: usize, epochs: usize, step: usize, of: usize, loss: f64, accuracy: f64) {
        let done = ((epoch - 1) * of + step) as u64;
        self.0.set_length((epochs * of) as u64);
        self.0.set_position(done);
        self.0.set_message(format!(
            "epoch {epoch}/{epochs} loss {loss:.3} accuracy {:.1} %",
            accuracy * 100.0
        ));
    }

    fn epoch(&self, epoch: &Epoch, json: bool) {
        if json {
            // nobody to tell is no reason to stop training
            let _ = output::line(&serde_json::to_string(epoch).unwrap_or_default());
            return;
        }
        let held = match (epoch.held_out_loss, epoch.held_out_accuracy) {
            (Some(loss), Some(accuracy)) => {
                format!(", held out: loss {loss:.4}, accuracy {:.2} %", accuracy * 100.0)
            }
            _ => String::new(),
        };
        let consistency =
            epoch.consistency.map(|nats| format!(", divergence {nats:.4}")).unwrap_or_default();
        self.0.suspend(|| {
            eprintln!(
                "epoch {}: loss {:.4}{consistency}, accuracy {:.2} %{held}",
                epoch.epoch,
                epoch.loss,
                epoch.accuracy * 100.0
            );
        });
    }
}

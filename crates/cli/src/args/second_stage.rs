//! Flags of the commands about the second stage.

use std::path::PathBuf;

use clap::ValueEnum;
use introspective_network::RuntimeChoice;
use introspective_reflect::{Activation, Loss, Reads, Scaler, Scaling, Target};

use super::{NetworkArgs, PreprocessingArgs};
use crate::second::recipe::Recipe;

/// A network and how to run it over many pictures.
#[derive(clap::Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Names of the classes: as for explain.
    #[arg(long, value_name = "FILE")]
    pub classes: Option<String>,
    #[command(flatten)]
    pub preprocessing: PreprocessingArgs,
    /// Pictures run at a time [default: 64 up to 64 x 64 pixels, else 8].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub batch: Option<u16>,
    /// What computes: as for explain; auto takes ONNX Runtime from 16 pictures on, where it is found.
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = clap::builder::PossibleValuesParser::new(RuntimeChoice::ALL.map(RuntimeChoice::name)))]
    pub runtime: String,
    /// Worker threads [default: one per physical core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// Which labelled pictures, or features of them.
#[derive(clap::Args, Debug)]
pub struct DataArgs {
    /// Labelled pictures: a folder with one folder a class (or train/ and test/ with such), CIFAR's binary
    /// files, or MNIST's IDX files.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "features",
        conflicts_with = "features"
    )]
    pub data: Option<PathBuf>,
    /// Part of --data to take, where it has parts [default: train for fit, test for evaluate].
    #[arg(long, value_enum, conflicts_with = "features")]
    pub split: Option<SplitArg>,
    /// Features in place of a network and pictures: a .npz or safetensors file with h (n, d), z (n, N) and
    /// labels (n), as --save-features writes it; docs/second-stage.md has the format.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "weights"])]
    pub features: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SplitArg {
    Train,
    Test,
}

#[derive(clap::Args, Debug)]
pub struct FitArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub run: RunArgs,
    /// The file to write, a safetensors file.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Also write the features that the network gave, for other software and for --features.
    #[arg(long, value_name = "FILE", conflicts_with = "features")]
    pub save_features: Option<PathBuf>,
    /// Defaults of the flags below. paper: gradients, min-max, 300 and 100 sigmoid units, 200 epochs. robust: activations of
    /// all stages and a second pass, z-scores, 128 ReLU units, 15 epochs on the pictures and four mildly corrupted copies of
    /// each, averaged with the second pass [default: robust; paper with --reads gradients, and where there are no stages].
    #[arg(long, value_enum)]
    pub recipe: Option<Recipe>,
    /// What H reads: gradients, as in the paper; or activations, h and those of all stages pooled (mean and deviation of
    /// each channel).
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(Reads::ALL.map(Reads::name)))]
    pub reads: Option<String>,
    /// Run the network twice, the second time with this share of each picture's own statistics in its batch normalisations,
    /// and let H read h of both; with --reads activations. 0 for none.
    #[arg(long, value_name = "SHARE", conflicts_with = "features")]
    pub own_statistics: Option<f32>,
    /// Average H with what the network itself says in the second pass (log-probabilities, each at its temperature)
    /// [default: true; paper: false].
    #[arg(long, value_name = "BOOL")]
    pub average: Option<bool>,
    /// Loss whose gradients are the features.
    #[arg(long, value_name = "NAME", default_value = Loss::default().name(), value_parser = clap::builder::PossibleValuesParser::new(Loss::ALL.map(Loss::name)))]
    pub loss: String,
    /// stacked: one question a class; all-ones: all classes at once. The same but for cross-entropy.
    #[arg(long, value_name = "NAME", default_value = Target::default().name(), value_parser = clap::builder::PossibleValuesParser::new(Target::ALL.map(Target::name)))]
    pub target: String,
    /// Height M of the target [default: the mean of the largest logit over the training images; 1 for bce
    /// and cross-entropy].
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    pub height: Option<f32>,
    /// How each column of what a network reads is scaled [default: the recipe's].
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(Scaler::ALL.map(Scaler::name)))]
    pub scaler: Option<String>,
    /// Restrict the first layer of H to this rank: for problems with many classes.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub rank: Option<u32>,
    /// Sizes of the hidden layers, separated by commas; `none` for a linear H [default: the recipe's].
    #[arg(long, value_name = "SIZES")]
    pub hidden: Option<String>,
    /// What follows each hidden layer [default: the recipe's].
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(Activation::ALL.map(Activation::name)))]
    pub activation: Option<String>,
    /// Passes over the training images [default: 15; paper: 200].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub epochs: Option<u32>,
    /// Images of a training step.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub fit_batch: u32,
    /// Learning rate at the start [default: 0.02; paper: 0.1].
    #[arg(long, value_name = "RATE")]
    pub lr: Option<f64>,
    /// Shares of the epochs after which the rate is multiplied by --decay, separated by commas.
    #[arg(long, value_name = "SHARES", default_value = "0.3,0.6,0.8", value_delimiter = ',')]
    pub milestones: Vec<f64>,
    /// Factor of the rate at a milestone.
    #[arg(long, value_name = "FACTOR", default_value_t = 0.2)]
    pub decay: f64,
    /// Momentum.
    #[arg(long, value_name = "MU", default_value_t = 0.9)]
    pub momentum: f64,
    /// Weight decay.
    #[arg(long, value_name = "RATE", default_value_t = 5e-4)]
    pub weight_decay: f64,
    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Number of seeds, each with networks of its own in the file.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub seeds: u32,
    /// Share of the images kept aside for the temperatures, unless the network's file or the features say
    /// which ones the network was not trained on.
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub fit_split: f64,
    /// Fit H alone, without the controls that it is compared with (a smaller file).
    #[arg(long)]
    pub without_controls: bool,
    /// Train on the pictures and on --copies changed ones of each: mirrored, shifted and mirrored, or mildly
    /// corrupted (noise, blur, brightness, contrast).
    #[arg(long, value_enum, default_value = "none", conflicts_with = "features")]
    pub augment: AugmentArg,
    /// Corrupt the changed copies: each gets one of these corruptions, drawn for it (names as for `introspect corrupt`;
    /// `none` for none where the recipe has some).
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "features")]
    pub corruption: Vec<String>,
    /// Train on no copy with these corruptions (names, or noise, blur, weather, digital), so that the head can be tested on
    /// kinds that it has not seen: cross-validation.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub leave_out: Vec<String>,
    /// Severities that --corruption draws from, 1 to 5 [default: 1,2; paper: 1].
    #[arg(long, value_name = "N", value_delimiter = ',', conflicts_with = "features", value_parser = clap::value_parser!(u8).range(1..=5))]
    pub severity: Vec<u8>,
    /// Changed copies of each picture, with --augment or --corruption [default: 4; paper: 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub copies: Option<u16>,
    /// Go on with an interrupted fit, which left OUT.work behind.
    #[arg(long)]
    pub resume: bool,
    /// Replace files that are there, and what an interrupted fit left.
    #[arg(long)]
    pub force: bool,
    /// Print what was fitted on stdout as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AugmentArg {
    None,
    Flip,
    CropFlip,
    Mild,
}

#[derive(clap::Args, Debug)]
pub struct PredictArgs {
    /// Pictures or folders of pictures.
    #[arg(value_name = "IMAGE", required_unless_present = "features", conflicts_with = "features")]
    pub images: Vec<PathBuf>,
    /// Features in place of a network and pictures, as for evaluate.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "weights"])]
    pub features: Option<PathBuf>,
    #[command(flatten)]
    pub run: RunArgs,
    /// The second stage, as `introspect fit` writes it [default: head.safetensors beside the network's file, if
    /// there is one].
    #[arg(long, value_name = "FILE")]
    pub head: Option<PathBuf>,
    /// Where the statistics of the second stage's scaling come from: the training set; all pictures of this
    /// command; the last ones that have come in, with the training set's wherever these are too few or their classes are
    /// not mixed; all that have come in, whatever they are; or no scaling.
    #[arg(long, value_name = "NAME", default_value = Scaling::default().name(), value_parser = clap::builder::PossibleValuesParser::new(Scaling::ALL.map(Scaling::name)))]
    pub scaling: String,
    /// Which of the head's seeds predicts [default: the first].
    #[arg(long, value_name = "SEED")]
    pub head_seed: Option<u64>,
    /// Write a table (CSV) without all probabilities in place of JSON lines.
    #[arg(long)]
    pub csv: bool,
    /// Also write all predictions as a page with a table that can be sorted.
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Replace --report.
    #[arg(long, requires = "report")]
    pub force: bool,
}

#[derive(clap::Args, Debug)]
pub struct EvaluateArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub run: RunArgs,
    /// The second stage, as `introspect fit` writes it [default: head.safetensors beside the network's file, if
    /// there is one].
    #[arg(long, value_name = "FILE")]
    pub head: Option<PathBuf>,
    /// Also evaluate with statistics of the set itself, of a stream (guarded: the training set's wherever the last images
    /// are too few or their classes are not mixed; or not), or without scaling, with the controls that this needs; may be
    /// repeated. `train` is always there.
    #[arg(long, value_name = "NAME", default_value = Scaling::default().name(), value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(Scaling::ALL.map(Scaling::name)))]
    pub scaling: Vec<String>,
    /// Corrupt the pictures on the fly (a name as for `introspect corrupt`), with --severity and --seed; several names, or
    /// `none` among them, with --changing.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        conflicts_with = "features",
        requires = "severity"
    )]
    pub corruption: Vec<String>,
    /// Severity of --corruption, 1 to 5.
    #[arg(long, value_name = "N", requires = "corruption", value_parser = clap::value_parser!(u8).range(1..=5))]
    pub severity: Option<u8>,
    /// Take the corrupted pictures from files in place of making them: as for `study recognition`.
    #[arg(long, value_name = "DIR", requires = "corruption")]
    pub corrupted: Option<PathBuf>,
    /// One stream in which the corruption changes every N images: each name of --corruption in turn, in the order in which
    /// the images are taken (--shuffle mixes it), then from the first again.
    #[arg(long, value_name = "N", requires = "corruption", conflicts_with = "corrupted", value_parser = clap::value_parser!(u32).range(1..))]
    pub changing: Option<u32>,
    /// Take the images in an order drawn from --seed, so that a stream is mixed; in a folder the classes stand one after
    /// the other. Only streams, and the draws behind the intervals, depend on the order.
    #[arg(long)]
    pub shuffle: bool,
    /// Bins of the calibration errors.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub bins: u16,
    /// Bootstrap resamples behind each interval.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    pub resamples: u32,
    /// Seed of the bootstrap, and of the order of the pictures for batch-norm statistics.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Also write the features that the network gave.
    #[arg(long, value_name = "FILE", conflicts_with = "features")]
    pub save_features: Option<PathBuf>,
    /// Folder for report.html, evaluation.json and evaluation.csv [default: introspect-evaluation, where an
    /// earlier run is replaced].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace an earlier run in --out, and --save-features; other files are left alone.
    #[arg(long)]
    pub force: bool,
    /// Print the evaluation on stdout as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

//! Flags of the studies.

use std::path::PathBuf;

use clap::Subcommand;

use super::{RunArgs, SplitArg};

#[derive(Subcommand, Debug)]
pub enum StudyCommand {
    /// Accuracy and calibration of both stages and their controls on clean and corrupted pictures: the paper's main
    /// table.
    Recognition(Box<RecognitionArgs>),
}

#[derive(clap::Args, Debug)]
pub struct RecognitionArgs {
    #[command(flatten)]
    pub run: RunArgs,
    /// Labelled pictures: as for evaluate.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Part of --data to take, where it has parts [default: test].
    #[arg(long, value_enum)]
    pub split: Option<SplitArg>,
    /// A second stage, as `introspect fit` writes it; may be repeated, for other scalers. Methods of further heads get
    /// @zscore, @minmax, @robust or a number behind their names [default: head.safetensors beside the network's file].
    #[arg(long, value_name = "FILE")]
    pub head: Vec<PathBuf>,
    /// Take corrupted images from files in place of making them: a folder in CIFAR-10-C's layout (CORRUPTION.npy,
    /// labels.npy) or in ImageNet-C's (CORRUPTION/SEVERITY/path), of the very images of --data.
    #[arg(long, value_name = "DIR")]
    pub corrupted: Option<PathBuf>,
    /// A head of a cross-validation, fitted with --leave-out; repeat it for each. Every corruption is scored by one that was not
    /// trained on it, and clean pictures by one after the other, seed by seed. Methods get @folds behind their names.
    #[arg(long, value_name = "FILE")]
    pub fold: Vec<PathBuf>,
    /// Corruptions by name; all, common (the 15 of ImageNet-C), extra (the other 4), noise, blur, weather, digital; may be
    /// repeated [default: all, or those in --corrupted].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub corruption: Vec<String>,
    /// Severities, 1 to 5 [default: all, or those in --corrupted].
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=5))]
    pub severity: Vec<u8>,
    /// Leave out f with batch normalisation by the batch, which runs every picture a second time.
    #[arg(long)]
    pub without_batch_norm: bool,
    /// Run every picture once more with this share of its own statistics in the batch normalisations, for heads that read
    /// that pass (which ask for it themselves) and for f by itself (f-own-norm).
    #[arg(long, value_name = "SHARE")]
    pub own_statistics: Option<f32>,
    /// Bootstrap resamples behind each interval.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    pub resamples: u32,
    /// Seed of the corruptions, the bootstrap, and the order of the pictures for batch-norm statistics.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Folder for report.html, study.json and the tables as CSV [default: introspect-study, where an earlier run is
    /// replaced]; OUT.work beside it keeps the features until the study is done.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with what an interrupted run left in OUT.work.
    #[arg(long)]
    pub resume: bool,
    /// Keep OUT.work, so that a study with other heads needs no pictures.
    #[arg(long)]
    pub keep: bool,
    /// Replace an earlier run in --out, and what an interrupted one left.
    #[arg(long)]
    pub force: bool,
    /// Print the study on stdout as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

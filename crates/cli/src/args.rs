//! Flags.

mod atlas;
mod corrupt;
mod second_stage;
mod serve;
mod study;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use introspective_network::{Interpolation, RuntimeChoice};
use introspective_report::{Colormap, Style};

pub use self::atlas::AtlasArgs;
pub use self::corrupt::CorruptArgs;
pub use self::second_stage::{AugmentArg, EvaluateArgs, FitArgs, PredictArgs, RunArgs, SplitArg};
pub use self::serve::ServeArgs;
pub use self::study::{RecognitionArgs, StudyCommand};

/// Ask a trained image classifier: Why P? What if not P? Why P, rather than Q?
#[derive(Parser, Debug)]
#[command(name = "introspect", version, propagate_version = true)]
pub struct Args {
    /// Say on stderr what is being done.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Explain pictures: the three questions as heat maps, and the numbers behind them.
    Explain(Box<ExplainArgs>),
    /// The maps of all classes at once: which contrasts differ, and how uncertain the explanation is.
    Atlas(Box<AtlasArgs>),
    /// Fit the second stage: the classifier is run once over the training pictures, then a small network learns
    /// to read the gradients of its questions.
    Fit(Box<FitArgs>),
    /// Predict with both stages: one line of JSON a picture, with confidences and trust scores.
    Predict(Box<PredictArgs>),
    /// Measure both stages and their controls on labelled pictures: accuracy, calibration, selective risk.
    Evaluate(Box<EvaluateArgs>),
    /// Corrupt pictures as ImageNet-C and CIFAR-10-C do: noise, blur, weather and digital artefacts, at five severities.
    Corrupt(Box<CorruptArgs>),
    /// Studies of both stages under many conditions.
    #[command(subcommand)]
    Study(StudyCommand),
    /// Serve a local web page on which photographs are dropped and every class can be asked about, and a JSON API.
    Serve(Box<ServeArgs>),
    /// List a network's layers, their output shapes, and which one is the default.
    Layers(LayersArgs),
    /// List the architectures that weights can be read into.
    Models,
    /// Write a network as an ONNX file that other software can run, and --model reads.
    Export(ExportArgs),
    /// Train a network on a labelled set of pictures, or train one further.
    Train(Box<crate::train::TrainArgs>),
}

#[derive(clap::Args, Debug)]
pub struct ExplainArgs {
    /// Pictures or folders of pictures; without any, an embedded photograph of a cup of espresso.
    #[arg(value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Names of the classes: a JSON list, a JSON map from index to name, one name a line, or the
    /// word `imagenet` for the 1000 built-in names [default: what the network's files say].
    #[arg(long, value_name = "FILE")]
    pub classes: Option<String>,
    /// Class to ask about, by index or name [default: the predicted one].
    #[arg(long, value_name = "CLASS", allow_negative_numbers = true)]
    pub class: Option<String>,
    /// Class to contrast it with, by index or name; may be repeated [default: the class with the
    /// largest other logit; for the embedded photograph, cup].
    #[arg(long, value_name = "CLASS", allow_negative_numbers = true)]
    pub rather_than: Vec<String>,
    /// Layer to look at, as `introspect layers` lists them [default: the last convolutional block].
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,
    #[command(flatten)]
    pub preprocessing: PreprocessingArgs,
    /// A second stage, as `introspect fit` writes it: shows its prediction too, and where the stages differ
    /// [default: head.safetensors beside the network's file, if there is one].
    #[arg(long, value_name = "FILE")]
    pub head: Option<PathBuf>,
    /// How maps are drawn.
    #[arg(long, value_enum, default_value = "authors")]
    pub style: StyleArg,
    /// Colours of the maps [default: jet for authors, turbo for blend, red-blue for signed].
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(Colormap::ALL.map(Colormap::name)))]
    pub colormap: Option<String>,
    /// Longest side of a drawn picture in pixels; smaller photographs keep their own size.
    #[arg(long, value_name = "PIXELS", default_value_t = 768, value_parser = clap::value_parser!(u32).range(16..=16384))]
    pub picture_size: u32,
    /// Check how good the maps are: what the network says when their pixels are taken away or put in, held against random
    /// maps, and whether they change when its weights are re-drawn. Costs a few hundred forward passes a picture.
    #[arg(long)]
    pub check: bool,
    /// Steps of each curve of --check [default: 20].
    #[arg(long, value_name = "N", requires = "check", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub check_steps: Option<u16>,
    /// Folder for the results: one picture's go into it, several pictures' into sub-folders
    /// [default: introspect-out, where an earlier run is replaced].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace an earlier run in --out; other files there are left alone.
    #[arg(long)]
    pub force: bool,
    /// Print each picture's manifest on stdout as one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// What computes: rten is built in; onnxruntime is ONNX Runtime, a library found at run time, faster
    /// with large networks and many pictures; auto takes it for 16 pictures or more, where it is found.
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = clap::builder::PossibleValuesParser::new(RuntimeChoice::ALL.map(RuntimeChoice::name)))]
    pub runtime: String,
    /// Worker threads [default: one per physical core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

#[derive(clap::Args, Debug)]
pub struct LayersArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Side of the network's input in pixels [default: what the network's files say, else 224].
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub crop: Option<u32>,
    /// Print the layers on stdout as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(clap::Args, Debug)]
pub struct ExportArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Names of the classes, which go into the file: as for explain.
    #[arg(long, value_name = "FILE")]
    pub classes: Option<String>,
    #[command(flatten)]
    pub preprocessing: PreprocessingArgs,
    /// The file to write.
    #[arg(long, value_name = "FILE.onnx")]
    pub out: PathBuf,
    /// Put the weights beside it, into FILE.onnx.data (always so above 2 GB).
    #[arg(long)]
    pub external_data: bool,
    /// Replace files that are there already.
    #[arg(long)]
    pub force: bool,
}

/// Which network.
#[derive(clap::Args, Debug)]
pub struct NetworkArgs {
    /// An ONNX file; a file of weights that names its architecture or fits only one; a folder with
    /// config.json and weights, as timm and transformers write it; or an architecture's name, as
    /// `introspect models` lists them [default: what the weights fit, or the embedded squeezenet1_1 if
    /// no weights are given].
    #[arg(long, value_name = "FILE|FOLDER|NAME")]
    pub model: Option<String>,
    /// Trained weights in torchvision's names: a safetensors file, or a PyTorch checkpoint (.pth,
    /// .pt) with a state dict or a whole module, which is read but never executed.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
}

/// What is done to a picture before the network sees it. Each flag changes its part only: the rest is
/// what the network's files say, and torchvision's ImageNet evaluation where they say nothing.
#[derive(clap::Args, Debug)]
pub struct PreprocessingArgs {
    /// torchvision: short side to --size, centre crop of --crop. squash: the whole picture to
    /// --size x --size, whatever its shape [default: what the network's files say, else torchvision].
    #[arg(long, value_enum)]
    pub preprocess: Option<PreprocessArg>,
    /// Side in pixels that the picture is resized to [default: for torchvision --crop divided by the
    /// crop's share that the network's files give, else by 7/8, so that 224 gives 256; for squash the
    /// input's side].
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=8192))]
    pub size: Option<u32>,
    /// Side of the centre crop in pixels [default: what the network's files say, else 224].
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=8192))]
    pub crop: Option<u32>,
    /// Filter with which torchvision's way resizes [default: what the network's files say, else
    /// bilinear].
    #[arg(long, value_enum)]
    pub interpolation: Option<InterpolationArg>,
    /// Mean of each channel in [0, 1], separated by commas [default: what the network's files say,
    /// else ImageNet's 0.485,0.456,0.406].
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', allow_hyphen_values = true)]
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, separated by commas [default: what the network's files
    /// say, else ImageNet's 0.229,0.224,0.225].
    #[arg(long, value_name = "R,G,B", value_delimiter = ',', allow_hyphen_values = true)]
    pub std: Vec<f32>,
    /// Filter the picture brought to size by non-local means before the network sees it; the strength is in units of
    /// the noise's deviation, estimated from each picture [default without a number: 0.8]. A head must be fitted with
    /// the same.
    #[arg(long, value_name = "STRENGTH", num_args = 0..=1, default_missing_value = "0.8", require_equals = true)]
    pub denoise: Option<f32>,
}

impl PreprocessingArgs {
    /// True if no flag was given.
    pub fn is_default(&self) -> bool {
        self.preprocess.is_none()
            && self.size.is_none()
            && self.crop.is_none()
            && self.interpolation.is_none()
            && self.mean.is_empty()
            && self.std.is_empty()
            && self.denoise.is_none()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PreprocessArg {
    Torchvision,
    Squash,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum InterpolationArg {
    Bilinear,
    Bicubic,
}

impl From<InterpolationArg> for Interpolation {
    fn from(interpolation: InterpolationArg) -> Self {
        match interpolation {
            InterpolationArg::Bilinear => Self::Bilinear,
            InterpolationArg::Bicubic => Self::Bicubic,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StyleArg {
    /// Jet colours added to the photograph, as in the authors' figures.
    Authors,
    /// Colours over the photograph where there is evidence, the plain photograph elsewhere.
    Blend,
    /// Evidence for and against in two colours, before ReLU.
    Signed,
}

impl From<StyleArg> for Style {
    fn from(style: StyleArg) -> Self {
        match style {
            StyleArg::Authors => Self::Authors,
            StyleArg::Blend => Self::Blend,
            StyleArg::Signed => Self::Signed,
        }
    }
}

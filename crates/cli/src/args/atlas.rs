//! Flags of `introspect atlas`.

use std::path::PathBuf;

use introspective_network::RuntimeChoice;
use introspective_report::Colormap;

use super::{NetworkArgs, PreprocessingArgs, StyleArg};

#[derive(clap::Args, Debug)]
pub struct AtlasArgs {
    /// Pictures or folders of pictures; without any, an embedded photograph of a cup of espresso.
    #[arg(value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Names of the classes: as for explain.
    #[arg(long, value_name = "FILE")]
    pub classes: Option<String>,
    /// How many contrasts to rank, and to draw at most: those whose maps differ most from each other and from
    /// the map of the predicted class. Maps that look like one drawn already are not drawn.
    #[arg(long, value_name = "K", default_value_t = 13, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub top: u16,
    /// Layer to look at, as `introspect layers` lists them [default: the last convolutional block]. An earlier one takes
    /// a way back for each class.
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,
    #[command(flatten)]
    pub preprocessing: PreprocessingArgs,
    /// How maps are drawn.
    #[arg(long, value_enum, default_value = "authors")]
    pub style: StyleArg,
    /// Colours of the maps [default: jet for authors, turbo for blend, red-blue for signed].
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(Colormap::ALL.map(Colormap::name)))]
    pub colormap: Option<String>,
    /// Longest side of a drawn picture in pixels; smaller photographs keep their own size.
    #[arg(long, value_name = "PIXELS", default_value_t = 480, value_parser = clap::value_parser!(u32).range(16..=480))]
    pub picture_size: u32,
    /// Folder for the results: one picture's go into it, several pictures' into sub-folders
    /// [default: introspect-atlas, where an earlier run is replaced].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace an earlier run in --out; other files there are left alone.
    #[arg(long)]
    pub force: bool,
    /// Print each picture's manifest on stdout as one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// What computes: as for explain.
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = clap::builder::PossibleValuesParser::new(RuntimeChoice::ALL.map(RuntimeChoice::name)))]
    pub runtime: String,
    /// Worker threads [default: one per physical core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

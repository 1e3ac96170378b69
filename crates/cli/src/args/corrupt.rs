//! Flags of `introspect corrupt`.

use std::path::PathBuf;

use super::SplitArg;

#[derive(clap::Args, Debug)]
pub struct CorruptArgs {
    /// Pictures, folders of pictures (at any depth), or a set: CIFAR's binary files, MNIST's IDX files.
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Folder for the results: DIR/CORRUPTION/SEVERITY/NAME-BELOW-INPUT as PNG; of a set
    /// DIR/CORRUPTION.npy, the severities one after the other, and DIR/labels.npy.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Corruptions by name; all, common (the 15 of ImageNet-C), extra (the other 4), noise, blur, weather, digital; may be
    /// repeated.
    #[arg(long, value_name = "NAME", default_value = "all", value_delimiter = ',')]
    pub corruption: Vec<String>,
    /// Severities, 1 to 5.
    #[arg(long, value_name = "N", default_value = "1,2,3,4,5", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=5))]
    pub severity: Vec<u8>,
    /// Seed of what is random; a picture's bytes depend on it, on the picture's number, the corruption and the severity.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Part of a set to take, where it has parts [default: test].
    #[arg(long, value_enum)]
    pub split: Option<SplitArg>,
    /// Draw DIR/sheet.png instead: all corruptions of one picture, a row each, a column for each severity.
    #[arg(long)]
    pub sheet: bool,
    /// Write JPEG files of this quality, 1 to 100, in place of lossless PNG.
    #[arg(long, value_name = "QUALITY", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub jpeg: Option<u8>,
    /// Begin anew in a folder that holds results of other inputs or another seed.
    #[arg(long)]
    pub force: bool,
    /// Worker threads [default: one per logical core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

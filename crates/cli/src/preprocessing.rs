//! What the flags say is done to a picture.

use anyhow::{Result, bail};
use introspective_network::{
    Classifier, IMAGENET_MEAN, IMAGENET_STD, MAX_SIDE, Method, Opened, Preprocessing,
};

use crate::args::{PreprocessArg, PreprocessingArgs};

/// torchvision's ImageNet evaluation unless the flags say otherwise.
///
/// # Errors
/// A flag that the method does not know, values for another number of channels, or a network that
/// sees no colours and whose mean and deviation nobody gave.
pub fn preprocessing(args: &PreprocessingArgs, opened: &Opened) -> Result<Preprocessing> {
    let channels = opened.classifier.channels();
    if let Some(usual) = opened.preprocessing.as_ref().filter(|_| args.is_default()) {
        return Ok(usual.clone());
    }
    let side = input_side(&opened.classifier)?;
    let pixels = |flag: Option<u32>, usual: usize| flag.map_or(usual, |side| side as usize);
    let method = match args.preprocess {
        PreprocessArg::Torchvision => {
            let crop = pixels(args.crop, side);
            // with --crop alone the margin around it stays what torchvision's is: 256 / 224
            let size = pixels(args.size, (crop * 256 / 224).min(MAX_SIDE.max(crop)));
            Method::Torchvision { size, crop }
        }
        PreprocessArg::Squash => {
            if args.crop.is_some() {
                bail!("--crop cuts nothing with --preprocess squash; the input's side is --size");
            }
            Method::Squash { size: pixels(args.size, side) }
        }
    };
    if !matches!(channels, 1 | 3) {
        bail!("the network has {channels} input channels; pictures have 3 (colour) or 1 (grey)");
    }
    let values = |flag: &str, given: &[f32], usual: [f32; 3]| -> Result<Vec<f32>> {
        match given.len() {
            0 if channels == 3 => Ok(usual.to_vec()),
            0 => bail!("the network sees grey pictures; give their {flag} in [0, 1]"),
            count if count == channels => Ok(given.to_vec()),
            count => bail!("{flag} has {count} values for a network of {channels} input channels"),
        }
    };
    let mean = values("--mean", &args.mean, IMAGENET_MEAN)?;
    let std = values("--std", &args.std, IMAGENET_STD)?;
    Ok(Preprocessing::new(method, mean, std)?)
}

/// Side of the input: what the network demands, else 224.
fn input_side(classifier: &Classifier) -> Result<usize> {
    match classifier.input_size() {
        None => Ok(224),
        Some([height, width]) if height == width => Ok(height),
        Some([height, width]) => bail!(
            "{} takes inputs of {height} x {width} pixels; pictures are prepared to squares only",
            classifier.name()
        ),
    }
}

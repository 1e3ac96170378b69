//! What the flags say is done to a picture.

use anyhow::{Context, Result, bail};
use introspective_network::{
    Classifier, IMAGENET_MEAN, IMAGENET_STD, Interpolation, MAX_SIDE, Method, NonLocalMeans,
    Opened, Preprocessing,
};

use crate::args::{PreprocessArg, PreprocessingArgs};

/// The crop's share of the short side, unless files say otherwise: torchvision's 224 / 256.
const CROP_RATIO: f64 = 0.875;

/// What the network's files say, else torchvision's ImageNet evaluation, with the parts that flags change.
///
/// A part that follows from another one follows the flag: with `--crop` alone the margin around the crop
/// stays in proportion.
///
/// # Errors
/// A flag that the method does not know, values for another number of channels, or a network that
/// sees no colours and whose mean and deviation nobody gave.
pub fn preprocessing(args: &PreprocessingArgs, opened: &Opened) -> Result<Preprocessing> {
    let base = opened.preprocessing.as_ref();
    if let Some(usual) = base.filter(|_| args.is_default()) {
        return Ok(usual.clone());
    }
    let channels = opened.classifier.channels();
    if !matches!(channels, 1 | 3) {
        bail!("the network has {channels} input channels; pictures have 3 (colour) or 1 (grey)");
    }
    let values = |flag: &str, given: &[f32], usual: Option<&[f32]>| -> Result<Vec<f32>> {
        match (given.len(), usual) {
            (0, Some(usual)) if usual.len() == channels => Ok(usual.to_vec()),
            (0, _) => bail!("the network sees grey pictures; give their {flag} in [0, 1]"),
            (count, _) if count == channels => Ok(given.to_vec()),
            (count, _) => {
                bail!("{flag} has {count} values for a network of {channels} input channels")
            }
        }
    };
    let mean = base.map_or(&IMAGENET_MEAN[..], Preprocessing::mean);
    let std = base.map_or(&IMAGENET_STD[..], Preprocessing::std);
    let denoise = args.denoise.map(NonLocalMeans::new).transpose().context("--denoise")?;
    let preprocessing = Preprocessing::new(
        method(args, opened)?,
        values("--mean", &args.mean, Some(mean))?,
        values("--std", &args.std, Some(std))?,
    )?;
    Ok(preprocessing.with_denoising(denoise))
}

fn method(args: &PreprocessingArgs, opened: &Opened) -> Result<Method> {
    let base = opened.preprocessing.as_ref().map(Preprocessing::method);
    let usual = match base {
        Some(Method::Squash { .. }) => PreprocessArg::Squash,
        _ => PreprocessArg::Torchvision,
    };
    let side = match &opened.preprocessing {
        Some(preprocessing) => preprocessing.input_size(),
        None => input_side(&opened.classifier)?,
    };
    let pixels = |flag: Option<u32>| flag.map(|side| side as usize);
    let interpolation = args.interpolation.map(Interpolation::from);
    Ok(match args.preprocess.unwrap_or(usual) {
        PreprocessArg::Torchvision => {
            let crop = pixels(args.crop).unwrap_or(side);
            let (ratio, filter, size) = match base {
                Some(Method::Torchvision { size, crop, interpolation }) => {
                    let ratio = opened.crop_ratio.unwrap_or(crop as f64 / size as f64);
                    (ratio, interpolation, args.crop.is_none().then_some(size))
                }
                _ => (CROP_RATIO, Interpolation::Bilinear, None),
            };
            let in_proportion = || ((crop as f64 / ratio) as usize).min(MAX_SIDE.max(crop));
            Method::Torchvision {
                size: pixels(args.size).or(size).unwrap_or_else(in_proportion),
                crop,
                interpolation: interpolation.unwrap_or(filter),
            }
        }
        PreprocessArg::Squash if args.crop.is_some() => {
            bail!("--crop cuts nothing with --preprocess squash; the input's side is --size")
        }
        PreprocessArg::Squash if interpolation.is_some() => {
            bail!("--interpolation goes with --preprocess torchvision; squash is always bilinear")
        }
        PreprocessArg::Squash => Method::Squash { size: pixels(args.size).unwrap_or(side) },
    })
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

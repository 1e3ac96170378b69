//! The layout of Hugging Face transformers, for its ResNets: what `save_pretrained` of a
//! `ResNetForImageClassification` and of its image processor write.
//!
//! `config.json` describes the network (`architectures`, `layer_type`, `depths`, ...) and names the classes
//! (`id2label`); `preprocessor_config.json` says how pictures are prepared. Where the margin around the crop is
//! odd, transformers rounds its half down and torchvision to the even number, so that every second such crop lies
//! one pixel apart: this is not imitated, nor are the roundings of PyTorch's resizer, a level of 256.

use serde_json::{Value, json};

use super::keys::{Object, count, inside, side};
use crate::classes::ClassNames;
use crate::classifier::Classifier;
use crate::error::{NetworkError, Result};
use crate::open::Opened;
use crate::preprocess::{Interpolation, MAX_SIDE, Method, Preprocessing};
use crate::weights::Weights;
use crate::zoo::Architecture;

/// Name of the file that says how pictures are prepared.
pub(super) const PREPROCESSOR: &str = "preprocessor_config.json";

const CLASS: &str = "ResNetForImageClassification";

/// From this side on, ConvNeXT's processor squeezes the whole picture into a square.
const CONVNEXT_LIMIT: usize = 384;

/// The zoo's architecture that the configuration describes.
///
/// # Errors
/// It is no ResNet, or one with other blocks, widths or strides than torchvision's.
pub(super) fn architecture(config: &Object<'_>) -> Result<Architecture> {
    let class = match config.list("architectures")? {
        Some([Value::String(class), ..]) => class.as_str(),
        _ => return Err(config.wrong("architectures", format!("[{CLASS:?}]"))),
    };
    if class != CLASS {
        let reason = format!("of which only {CLASS} is known here");
        return Err(config.foreign(format!("{class:?} of transformers"), &reason));
    }
    let basic = match config.text("layer_type")? {
        Some("basic") => true,
        None | Some("bottleneck") => false,
        Some(_) => return Err(config.wrong("layer_type", "\"basic\" or \"bottleneck\"")),
    };
    let widths = if basic { json!([64, 128, 256, 512]) } else { json!([256, 512, 1024, 2048]) };
    let fixed = [
        ("hidden_sizes", widths),
        ("embedding_size", json!(64)),
        ("hidden_act", json!("relu")),
        ("downsample_in_first_stage", json!(false)),
        ("downsample_in_bottleneck", json!(false)),
    ];
    for (key, expected) in fixed {
        // what is absent has these values, except a basic network's widths
        let absent = !(basic && key == "hidden_sizes");
        if config.get(key).map_or(!absent, |found| *found != expected) {
            return Err(config.wrong(key, format!("{expected}, as in torchvision's networks")));
        }
    }
    let depths = config.list("depths")?.map(|depths| depths.iter().map(count).collect::<Vec<_>>());
    let depths: Option<Vec<usize>> = match depths {
        None => Some(vec![3, 4, 6, 3]),
        Some(depths) => depths.into_iter().collect(),
    };
    match (basic, depths.as_deref()) {
        (true, Some([2, 2, 2, 2])) => Ok(Architecture::ResNet18),
        (true, Some([3, 4, 6, 3])) => Ok(Architecture::ResNet34),
        (false, Some([3, 4, 6, 3])) => Ok(Architecture::ResNet50),
        (false, Some([3, 4, 23, 3])) => Ok(Architecture::ResNet101),
        (false, Some([3, 8, 36, 3])) => Ok(Architecture::ResNet152),
        _ => Err(config.wrong("depths", "those of ResNet-18, 34, 50, 101 or 152")),
    }
}

/// Opens weights with transformers' names over an architecture that [`architecture`] found; `steps` is what
/// [`PREPROCESSOR`] holds.
///
/// # Errors
/// The weights do not fit it, or what is said about pictures or classes cannot be followed.
pub(super) fn open(
    config: &Object<'_>,
    steps: Option<&Object<'_>>,
    architecture: Architecture,
    mut weights: Weights,
) -> Result<Opened> {
    weights.rename(|name, _| (torchvision(name).unwrap_or_else(|| name.to_owned()), None));
    let classifier = Classifier::from_zoo(architecture, weights)?;
    let classes = match config.get("id2label") {
        None => None,
        Some(_) => Some(ClassNames::new(config.names("id2label", classifier.classes())?)),
    };
    let prepared = steps.map(|steps| preprocessing(steps, classifier.channels())).transpose()?;
    let (preprocessing, crop_ratio) = prepared.unzip();
    Ok(Opened { classifier, preprocessing, crop_ratio, classes, training: None })
}

/// Torchvision's name of a tensor: blocks are `stages.I.layers.J`, their convolutions `layer.K`.
fn torchvision(name: &str) -> Option<String> {
    if let Some(last) = name.strip_prefix("classifier.1.") {
        return Some(format!("fc.{last}"));
    }
    let (conv, norm, rest) = match name.split_once("resnet.")? {
        ("", rest) => match rest.strip_prefix("embedder.embedder.") {
            Some(rest) => ("conv1".to_owned(), "bn1".to_owned(), rest),
            None => in_block(rest.strip_prefix("encoder.stages.")?)?,
        },
        _ => return None,
    };
    match rest.split_once('.')? {
        ("convolution", last) => Some(format!("{conv}.{last}")),
        ("normalization", last) => Some(format!("{norm}.{last}")),
        _ => None,
    }
}

/// Module names of the convolution and the normalisation that `I.layers.J.layer.K.` or `I.layers.J.shortcut.`
/// means, and what follows.
fn in_block(name: &str) -> Option<(String, String, &str)> {
    let (stage, rest) = name.split_once(".layers.")?;
    let (block, rest) = rest.split_once('.')?;
    let stage = stage.parse::<u8>().ok()?.checked_add(1)?;
    let block = format!("layer{stage}.{}", block.parse::<u8>().ok()?);
    if let Some(rest) = rest.strip_prefix("shortcut.") {
        return Some((format!("{block}.downsample.0"), format!("{block}.downsample.1"), rest));
    }
    let (index, rest) = rest.strip_prefix("layer.")?.split_once('.')?;
    let index = index.parse::<u8>().ok()?.checked_add(1)?;
    Some((format!("{block}.conv{index}"), format!("{block}.bn{index}"), rest))
}

/// What the image processor does, and the crop's share of the short side.
fn preprocessing(steps: &Object<'_>, channels: usize) -> Result<(Preprocessing, f64)> {
    let key = if steps.get("image_processor_type").is_some() {
        "image_processor_type"
    } else {
        "feature_extractor_type"
    };
    let kind = steps.text(key)?.unwrap_or_default();
    let known = |prefix: &str| kind.starts_with(prefix);
    for key in ["do_resize", "do_rescale"] {
        if steps.flag(key)? == Some(false) {
            return Err(steps.wrong(key, "true"));
        }
    }
    let (size, crop, ratio) = if known("ConvNext") {
        by_ratio(steps)?
    } else if known("Bit") || known("CLIP") {
        by_size(steps)?
    } else {
        let expected = "the processor of ConvNext, Bit or CLIP: others resize otherwise";
        return Err(steps.wrong(key, expected));
    };
    let interpolation = match steps.get("resample").map(Value::as_u64) {
        Some(Some(2)) => Interpolation::Bilinear,
        Some(Some(3)) => Interpolation::Bicubic,
        _ => return Err(steps.wrong("resample", "2 (bilinear) or 3 (bicubic)")),
    };
    let factor = steps.get("rescale_factor").map(Value::as_f64);
    if factor.is_some_and(|f| f.is_none_or(|f| (f * 255.0 - 1.0).abs() > 1e-6)) {
        return Err(steps.wrong("rescale_factor", "1/255"));
    }
    let (mean, std) = match steps.flag("do_normalize")? {
        Some(false) => (vec![0.0; channels], vec![1.0; channels]),
        _ => {
            let mean = each(steps, "image_mean", steps.means("image_mean")?, channels)?;
            let std = each(steps, "image_std", steps.deviations("image_std")?, channels)?;
            (mean, std)
        }
    };
    let method = Method::Torchvision { size, crop, interpolation };
    Ok((steps.preprocessing(method, mean, std)?, ratio))
}

/// ConvNeXT's: the short side to `shortest_edge / crop_pct`, then a crop of `shortest_edge`.
fn by_ratio(steps: &Object<'_>) -> Result<(usize, usize, f64)> {
    let limit = CONVNEXT_LIMIT - 1;
    let crop = short_side(steps, "size").filter(|&side| side < CONVNEXT_LIMIT);
    let crop = crop.ok_or_else(|| {
        let why = "above, the processor squeezes the whole picture into a square";
        steps.wrong("size", format!("{{\"shortest_edge\": 1 to {limit}}}; {why}"))
    })?;
    let ratio = steps.share("crop_pct")?.unwrap_or(224.0 / 256.0);
    let size = (crop as f64 / ratio) as usize;
    if size > MAX_SIDE {
        return Err(steps.wrong("crop_pct", format!("at least {crop} / {MAX_SIDE}")));
    }
    Ok((size, crop, ratio))
}

/// Bit's and CLIP's: the short side to `size`, then a crop of `crop_size`.
fn by_size(steps: &Object<'_>) -> Result<(usize, usize, f64)> {
    if steps.flag("do_center_crop")? != Some(true) {
        return Err(steps.wrong("do_center_crop", "true"));
    }
    let size = short_side(steps, "size")
        .ok_or_else(|| steps.wrong("size", format!("{{\"shortest_edge\": 1 to {MAX_SIDE}}}")))?;
    let crop = square(steps, "crop_size").filter(|&crop| crop <= size).ok_or_else(|| {
        steps.wrong("crop_size", format!("a square that fits into a short side of {size}"))
    })?;
    Ok((size, crop, crop as f64 / size as f64))
}

/// `{"shortest_edge": n}`, or n alone as it was written earlier.
fn short_side(steps: &Object<'_>, key: &str) -> Option<usize> {
    let value = steps.get(key)?;
    match inside("", "", value) {
        Some(size) => size.get("shortest_edge").and_then(side),
        None => side(value),
    }
}

/// `{"height": n, "width": n}`, or n alone.
fn square(steps: &Object<'_>, key: &str) -> Option<usize> {
    let value = steps.get(key)?;
    let Some(size) = inside("", "", value) else { return side(value) };
    let (height, width) = (size.get("height").and_then(side)?, size.get("width").and_then(side)?);
    (height == width).then_some(height)
}

/// One value for each channel, given so or once for all.
fn each(
    steps: &Object<'_>,
    key: &str,
    values: Option<Vec<f32>>,
    channels: usize,
) -> Result<Vec<f32>, NetworkError> {
    match values {
        Some(values) if values.len() == channels => Ok(values),
        Some(values) if values.len() == 1 => Ok(vec![values[0]; channels]),
        _ => Err(steps.wrong(key, format!("{channels} numbers, one for each input channel"))),
    }
}

//! The layout of timm (PyTorch Image Models 1.0): what `timm.models.save_for_hf` and `push_to_hf_hub` write.
//!
//! `config.json` has `architecture`, `num_classes`, `model_args` (what the network was made with) and
//! `pretrained_cfg` (how pictures are prepared); in files older than timm 0.9 all of it is in one flat
//! object. Read as `timm.data.resolve_data_config` and `create_transform` read it, with these keys and
//! defaults:
//!
//! - the short side is resized to `floor(side / crop_pct)` (0.875), where `input_size` (3, 224, 224) is
//!   channels, side, side; `interpolation` (bicubic) is the filter;
//! - the middle `side` x `side` pixels are kept (`crop_mode`: center);
//! - `mean` and `std` (ImageNet's) are averaged where they have another number of values than the network
//!   has channels.
//!
//! Like timm's own default, this is the preprocessing of training; the larger `test_input_size` and
//! `test_crop_pct` that some networks do better with are passed over.

use serde_json::Value;

use super::keys::{Object, count, side};
use crate::classes::ClassNames;
use crate::classifier::Classifier;
use crate::embedded::imagenet_classes;
use crate::error::Result;
use crate::open::Opened;
use crate::preprocess::{IMAGENET_MEAN, IMAGENET_STD, Interpolation, MAX_SIDE, Method};
use crate::weights::Weights;
use crate::zoo::Architecture;

const CROP_PCT: f64 = 0.875;

/// Inputs from this side on reach the head of a VGG with more than 7 x 7 positions.
const VGG_LIMIT: usize = 256;

/// The zoo's architecture that the configuration describes, if it computes the same.
///
/// # Errors
/// It is none of the zoo, or was made with an argument that changes what it computes.
pub(super) fn architecture(config: &Object<'_>) -> Result<Architecture> {
    let text = config.text("architecture")?.unwrap_or_default();
    // a tag names a training: resnet50.a1_in1k
    let name = text.split('.').next().unwrap_or_default();
    let foreign = |reason: &str| {
        let architecture = format!("{name:?} of timm");
        config.foreign(architecture, reason)
    };
    let architecture: Architecture =
        name.parse().map_err(|_| foreign("which is not among the architectures known here"))?;
    if let Some(args) = config.object("model_args")? {
        for (key, value) in args.entries() {
            let same = match key {
                "num_classes" | "in_chans" | "drop_rate" | "drop_path_rate" | "drop_block_rate"
                | "zero_init_last" | "memory_efficient" => true,
                "global_pool" => value == "avg",
                "output_stride" => value == 32,
                _ => false,
            };
            if !same {
                let expected = "no argument that changes what the network computes";
                return Err(args.wrong(key, expected));
            }
        }
    }
    match config.text("global_pool")? {
        None | Some("avg") => Ok(architecture),
        Some(_) => Err(config.wrong("global_pool", "\"avg\"")),
    }
}

/// Opens weights with timm's names over an architecture that [`architecture`] found.
///
/// # Errors
/// The weights do not fit it, or what is said about pictures or classes cannot be followed.
pub(super) fn open(
    config: &Object<'_>,
    architecture: Architecture,
    mut weights: Weights,
) -> Result<Opened> {
    rename(&mut weights);
    let classifier = Classifier::from_zoo(architecture, weights)?;
    let steps = config.object("pretrained_cfg")?.unwrap_or_else(|| config.clone());
    let classes = classifier.classes();
    // an export may still have the number of the network that it was trained from under pretrained_cfg
    let object = if config.get("num_classes").is_some() { config } else { &steps };
    if object.count("num_classes")?.is_some_and(|said| said != classes) {
        return Err(object.wrong("num_classes", format!("{classes}, as the weights have")));
    }
    let side = input_side(&steps)?;
    let crop_ratio = steps.share("crop_pct")?.unwrap_or(CROP_PCT);
    let size = (side as f64 / crop_ratio).floor() as usize;
    if size > MAX_SIDE {
        return Err(steps.wrong("crop_pct", format!("at least {side} / {MAX_SIDE}")));
    }
    match steps.text("crop_mode")? {
        None | Some("center") => {}
        Some(_) => return Err(steps.wrong("crop_mode", "\"center\"")),
    }
    let interpolation = match steps.text("interpolation")? {
        None => Interpolation::Bicubic,
        Some(name) => Interpolation::named(name)
            .ok_or_else(|| steps.wrong("interpolation", "\"bilinear\" or \"bicubic\""))?,
    };
    let channels = classifier.channels();
    let mean = steps.means("mean")?.unwrap_or_else(|| IMAGENET_MEAN.to_vec());
    let std = steps.deviations("std")?.unwrap_or_else(|| IMAGENET_STD.to_vec());
    let method = Method::Torchvision { size, crop: side, interpolation };
    let preprocessing =
        config.preprocessing(method, for_channels(mean, channels), for_channels(std, channels))?;

    let classes = names(config, &steps, classes)?;
    let classifier = if is_vgg(architecture) {
        // With more positions timm's head slides over them and averages logits, torchvision's averages
        // the positions to 7 x 7 first.
        if side >= VGG_LIMIT {
            let expected =
                format!("a side below {VGG_LIMIT}: above, timm's VGG computes something else");
            return Err(steps.wrong("input_size", expected));
        }
        classifier.restricted_to([side, side])
    } else {
        classifier
    };
    Ok(Opened {
        classifier,
        preprocessing: Some(preprocessing),
        crop_ratio: Some(crop_ratio),
        classes,
        training: None,
    })
}

fn is_vgg(architecture: Architecture) -> bool {
    architecture.name().starts_with("vgg")
}

/// timm's names to torchvision's: only VGG's head differs, whose linear layers timm keeps as convolutions
/// over 7 x 7 and 1 x 1 positions. `timm_model.` is what transformers' wrapper puts before every name.
fn rename(weights: &mut Weights) {
    weights.rename(|name, shape| {
        let name = name.strip_prefix("timm_model.").unwrap_or(name);
        let flat = || {
            let (rows, columns) = shape.split_first()?;
            let columns = columns.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))?;
            (shape.len() == 4).then(|| vec![*rows, columns])
        };
        let (name, shape) = match name {
            "pre_logits.fc1.weight" => ("classifier.0.weight", flat()),
            "pre_logits.fc1.bias" => ("classifier.0.bias", None),
            "pre_logits.fc2.weight" => ("classifier.3.weight", flat()),
            "pre_logits.fc2.bias" => ("classifier.3.bias", None),
            "head.fc.weight" => ("classifier.6.weight", None),
            "head.fc.bias" => ("classifier.6.bias", None),
            other => (other, None),
        };
        (name.to_owned(), shape)
    });
}

/// Side of the (square) input.
fn input_side(steps: &Object<'_>) -> Result<usize> {
    let expected =
        format!("[channels, side, side] with sides of 1 to {MAX_SIDE} pixels, both the same");
    match steps.list("input_size")? {
        None => Ok(224),
        Some([channels, height, width]) if count(channels).is_some() => {
            let sides = (side(height), side(width));
            let square = sides.0.filter(|height| Some(*height) == sides.1);
            square.ok_or_else(|| steps.wrong("input_size", &expected))
        }
        Some(_) => Err(steps.wrong("input_size", &expected)),
    }
}

/// Values as they are, or their mean for every channel if their number is another.
fn for_channels(values: Vec<f32>, channels: usize) -> Vec<f32> {
    if values.len() == channels {
        return values;
    }
    let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
    vec![(sum / values.len() as f64) as f32; channels]
}

/// What the network was trained on, as timm's tags say it: `a1_in1k`.
fn tag<'a>(config: &Object<'a>, steps: &Object<'a>) -> Result<Option<&'a str>> {
    let written = config.text("architecture")?.and_then(|name| name.split_once('.'));
    Ok(steps.text("tag")?.or(written.map(|(_, tag)| tag)))
}

/// Names of the classes: descriptions of `label_names` where there are any, else the names themselves; without
/// both, ImageNet's for a network of 1000 classes that was trained on it.
fn names(config: &Object<'_>, steps: &Object<'_>, classes: usize) -> Result<Option<ClassNames>> {
    let places = [(config, "label_names"), (steps, "label_names"), (steps, "labels")];
    let Some((object, key)) = places.into_iter().find(|(object, key)| object.get(key).is_some())
    else {
        let tag = tag(config, steps)?;
        let imagenet = classes == 1000 && tag.is_some_and(|tag| tag.ends_with("in1k"));
        return Ok(imagenet.then(imagenet_classes));
    };
    let descriptions = match config.object("label_descriptions")? {
        None => steps.object("label_descriptions")?,
        found => found,
    };
    let mut names = object.names(key, classes)?;
    for name in &mut names {
        if let Some(descriptions) = &descriptions
            && let Some(Value::String(description)) = descriptions.get(name)
        {
            name.clone_from(description);
        }
    }
    Ok(Some(ClassNames::new(names)))
}

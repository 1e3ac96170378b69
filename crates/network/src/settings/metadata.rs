//! The strings in the header of a safetensors file, or in an exported ONNX file, that make the file enough.
//!
//! # Specification
//!
//! safetensors files carry a map from string to string under `__metadata__`. These keys are understood,
//! each may be absent, and all others are passed over:
//!
//! | key | value |
//! |---|---|
//! | `architecture` | name of an architecture of the zoo, such as `resnet18` |
//! | `classes` | JSON list of the classes' names, as many as there are logits and in their order |
//! | `training` | JSON object that `introspect train` writes: data, what was held out, settings |
//! | `preprocessing` | JSON object, exactly the `preprocessing` of a manifest ([`Preprocessing`] serialised): |
//!
//! | key of `preprocessing` | value |
//! |---|---|
//! | `method` | `"torchvision"` or `"squash"` ([`Method`]) |
//! | `size` | side in pixels: what the short side is resized to (`torchvision`), or both sides (`squash`) |
//! | `crop` | `torchvision`: side of the centre crop in pixels, at most `size` |
//! | `interpolation` | `torchvision`: `"bilinear"` (also if absent) or `"bicubic"` |
//! | `mean`, `std` | one number for each input channel, for values in 0..1 |
//!
//! For example, in Python:
//!
//! ```python
//! safetensors.torch.save_file(model.state_dict(), "pets.safetensors", metadata={
//!     "architecture": "resnet18",
//!     "classes": json.dumps(["cat", "dog"]),
//!     "preprocessing": json.dumps({
//!         "method": "torchvision", "size": 256, "crop": 224, "interpolation": "bicubic",
//!         "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
//!     }),
//! })
//! ```

use std::collections::BTreeMap;

use serde_json::Value;

use super::keys::{Object, inside};
use crate::classes::ClassNames;
use crate::classifier::Classifier;
use crate::error::{NetworkError, Result};
use crate::open::Opened;
use crate::preprocess::{Interpolation, Method, Preprocessing};
use crate::weights::Weights;
use crate::zoo::Architecture;

/// The error that a key's value is not as it should be.
fn wrong(origin: &str, key: &str, found: String, expected: &str) -> NetworkError {
    NetworkError::Setting {
        origin: format!("the metadata of {origin}"),
        key: key.to_owned(),
        found,
        expected: expected.to_owned(),
    }
}

/// The architecture that the file names.
pub(crate) fn architecture(weights: &Weights) -> Result<Option<Architecture>> {
    let Some(name) = weights.metadata().get("architecture") else { return Ok(None) };
    let expected = "an architecture's name, such as resnet50";
    let unknown = |_| wrong(weights.origin(), "architecture", format!("{name:?}"), expected);
    name.parse().map(Some).map_err(unknown)
}

/// What else the file says, as it stands there.
pub(crate) struct Said {
    classes: Option<String>,
    preprocessing: Option<String>,
    training: Option<String>,
}

impl Said {
    /// Takes the strings out.
    pub fn new(metadata: &BTreeMap<String, String>) -> Self {
        let get = |key: &str| metadata.get(key).cloned();
        Self {
            classes: get("classes"),
            preprocessing: get("preprocessing"),
            training: get("training"),
        }
    }

    /// The classifier with what the file says about it.
    pub fn opened(self, classifier: Classifier) -> Result<Opened> {
        let classes = self.classes.map(|text| classes(&text, &classifier)).transpose()?;
        let preprocessing =
            self.preprocessing.map(|text| preprocessing(&text, &classifier)).transpose()?;
        Ok(Opened { classes, preprocessing, training: self.training, ..classifier.into() })
    }
}

fn classes(text: &str, classifier: &Classifier) -> Result<ClassNames> {
    let wrong = |found, expected: &str| wrong(classifier.origin(), "classes", found, expected);
    let names: Vec<String> = serde_json::from_str(text)
        .map_err(|error| wrong(format!("unreadable ({error})"), "a JSON list of names"))?;
    let expected = classifier.classes();
    if names.len() != expected {
        let expected = format!("{expected}, as many as the network has classes");
        return Err(wrong(format!("a list of {} names", names.len()), &expected));
    }
    Ok(ClassNames::new(names))
}

fn preprocessing(text: &str, classifier: &Classifier) -> Result<Preprocessing> {
    let origin = format!("the metadata of {}", classifier.origin());
    let expected = "a JSON object";
    let wrong = |found| wrong(classifier.origin(), "preprocessing", found, expected);
    let value: Value =
        serde_json::from_str(text).map_err(|error| wrong(format!("unreadable ({error})")))?;
    let object = inside(&origin, "preprocessing", &value)
        .ok_or_else(|| wrong("JSON of another kind".to_owned()))?;
    let needed = |key| object.side(key)?.ok_or_else(|| object.wrong(key, "a side in pixels"));
    let method = match object.text("method")? {
        Some("torchvision") => {
            let (size, crop) = (needed("size")?, needed("crop")?);
            if crop > size {
                return Err(object.wrong("crop", format!("at most size, which is {size}")));
            }
            let interpolation = match object.text("interpolation")? {
                None => Interpolation::Bilinear,
                Some(name) => Interpolation::named(name)
                    .ok_or_else(|| object.wrong("interpolation", "\"bilinear\" or \"bicubic\""))?,
            };
            Method::Torchvision { size, crop, interpolation }
        }
        Some("squash") => Method::Squash { size: needed("size")? },
        _ => return Err(object.wrong("method", "\"torchvision\" or \"squash\"")),
    };
    let channels = classifier.channels();
    let mean = each(&object, "mean", object.means("mean")?, channels)?;
    let std = each(&object, "std", object.deviations("std")?, channels)?;
    object.preprocessing(method, mean, std)
}

fn each(
    object: &Object<'_>,
    key: &str,
    values: Option<Vec<f32>>,
    channels: usize,
) -> Result<Vec<f32>> {
    values.filter(|values| values.len() == channels).ok_or_else(|| {
        object.wrong(key, format!("{channels}, one for each input channel of the network"))
    })
}

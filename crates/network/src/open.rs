//! One door for whatever holds a trained classifier.

use std::path::Path;

use crate::classes::ClassNames;
use crate::classifier::Classifier;
use crate::error::{Mismatch, NetworkError, Result};
use crate::preprocess::Preprocessing;
use crate::settings::folder;
use crate::settings::metadata::{self, Said};
use crate::weights::Weights;
use crate::zoo::Architecture;

/// A classifier, and what came with it.
#[derive(Debug)]
pub struct Opened {
    /// The classifier.
    pub classifier: Classifier,
    /// What is done to a picture first, if the files say so.
    pub preprocessing: Option<Preprocessing>,
    /// The crop's share of the short side as the files give it, before it was rounded to pixels: what another crop
    /// should have too.
    pub crop_ratio: Option<f64>,
    /// Names of its classes, if the files give them.
    pub classes: Option<ClassNames>,
    /// How it was trained, as JSON: what `introspect train` writes into the metadata under `training`.
    pub training: Option<String>,
}

impl From<Classifier> for Opened {
    fn from(classifier: Classifier) -> Self {
        Self { classifier, preprocessing: None, crop_ratio: None, classes: None, training: None }
    }
}

impl Opened {
    /// Opens a file or a folder:
    ///
    /// - a folder with `config.json` and weights, as timm's `save_for_hf` and transformers' `save_pretrained` write
    ///   it, if its network is one of the zoo; preprocessing and class names are those that it gives;
    /// - an ONNX file (by its extension `.onnx`): [`Classifier::from_onnx`]; one that [`Classifier::export`] wrote
    ///   also brings its preprocessing and class names;
    /// - anything else: [`Weights::read`], then the architecture of the zoo named by `architecture`, else by
    ///   the file's metadata, else the only one that fits. In a safetensors file the metadata may also hold
    ///   `classes`, a JSON list of names, and `preprocessing`, a JSON object as [`Preprocessing`] serialises.
    ///
    /// # Errors
    /// As those; or no architecture fits, or several do; or what is said beside the weights cannot be followed.
    pub fn from_path(path: &Path, architecture: Option<Architecture>) -> Result<Self> {
        if path.is_dir() {
            return folder::open(path, architecture);
        }
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
            if let Some(architecture) = architecture {
                let (path, name) = (path.display(), architecture.name());
                return Err(NetworkError::UnfitOnnx {
                    origin: path.to_string(),
                    reason: format!("an ONNX file is its own architecture; {name} does not apply"),
                });
            }
            let (parts, said) = crate::onnx::read(path)?;
            return said.opened(Classifier::assemble(parts)?);
        }
        let weights = Weights::read(path)?;
        let named = |weights| match architecture {
            Some(architecture) => Ok(Some(architecture)),
            None => metadata::architecture(weights),
        };
        let architecture = match named(&weights)? {
            Some(architecture) => architecture,
            None => the_one_that_fits(&weights)?,
        };
        let said = Said::new(weights.metadata());
        said.opened(Classifier::from_zoo(architecture, weights)?)
    }
}

fn the_one_that_fits(weights: &Weights) -> Result<Architecture> {
    match Architecture::fitting(weights)[..] {
        [only] => Ok(only),
        [] => Err(NetworkError::Mismatch(Box::new(Mismatch {
            searched: true,
            ..Architecture::closest(weights)
        }))),
        ref several => Err(NetworkError::Ambiguous {
            origin: weights.origin().to_owned(),
            fits: several.iter().map(|a| a.name().to_owned()).collect(),
        }),
    }
}

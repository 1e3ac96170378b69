//! One door for whatever holds a trained classifier.

use std::path::Path;

use crate::classes::ClassNames;
use crate::classifier::Classifier;
use crate::error::{Mismatch, NetworkError, Result};
use crate::preprocess::Preprocessing;
use crate::weights::Weights;
use crate::zoo::Architecture;

/// A classifier, and what came with it.
#[derive(Debug)]
pub struct Opened {
    /// The classifier.
    pub classifier: Classifier,
    /// What is done to a picture first, if the files say so.
    pub preprocessing: Option<Preprocessing>,
    /// Names of its classes, if the files give them.
    pub classes: Option<ClassNames>,
}

impl From<Classifier> for Opened {
    fn from(classifier: Classifier) -> Self {
        Self { classifier, preprocessing: None, classes: None }
    }
}

impl Opened {
    /// Opens a file:
    ///
    /// - an ONNX file (by its extension `.onnx`): [`Classifier::from_onnx`];
    /// - anything else: [`Weights::read`], then the architecture of the zoo named by `architecture`, else by
    ///   the file's metadata, else the only one that fits.
    ///
    /// # Errors
    /// As those; or no architecture fits, or several do.
    pub fn from_path(path: &Path, architecture: Option<Architecture>) -> Result<Self> {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
            if let Some(architecture) = architecture {
                let (path, name) = (path.display(), architecture.name());
                return Err(NetworkError::UnfitOnnx {
                    origin: path.to_string(),
                    reason: format!("an ONNX file is its own architecture; {name} does not apply"),
                });
            }
            return Ok(Classifier::from_onnx(path)?.into());
        }
        let weights = Weights::read(path)?;
        let named = weights.metadata().get("architecture").map(|name| name.parse()).transpose()?;
        let architecture = match architecture.or(named) {
            Some(architecture) => architecture,
            None => the_one_that_fits(&weights)?,
        };
        Ok(Classifier::from_zoo(architecture, weights)?.into())
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

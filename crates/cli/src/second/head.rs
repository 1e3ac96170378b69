//! Which head the flags mean.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use introspective_network::{Classifier, NetworkError, Preprocessing};
use introspective_reflect::{Features, Head};

use crate::args::NetworkArgs;

/// A head's name beside the network it is for.
const BESIDE: &str = "head.safetensors";

/// What a head is to be used on.
#[derive(Clone, Copy, Debug)]
pub struct Fits<'a> {
    /// Hash of the classifier's file, if there is one.
    pub sha256: Option<&'a str>,
    /// Width of the penultimate features.
    pub features: usize,
    /// What there is beside them.
    pub beside: Beside,
    /// Number of classes.
    pub classes: usize,
    /// What is done to pictures, if there are any.
    pub preprocessing: Option<&'a Preprocessing>,
}

/// Pooled activations of the stages that can be had.
#[derive(Clone, Copy, Debug)]
pub enum Beside {
    /// Of each pass of a network so many.
    Network {
        /// Their number S.
        stages: usize,
    },
    /// Those that features have.
    Given {
        /// Their number.
        stages: usize,
        /// Share of own statistics in the second pass, if there was one.
        own: Option<f32>,
    },
}

impl<'a> Fits<'a> {
    /// Number of activations beside h for a head that reads a second pass with this share of own statistics, or none.
    fn stages(&self, wanted: Option<f32>) -> Result<usize> {
        match (self.beside, wanted) {
            (Beside::Network { stages }, None) => Ok(stages),
            (Beside::Network { stages }, Some(_)) => Ok(stages + self.features),
            (Beside::Given { own: Some(own), .. }, Some(wanted)) if own != wanted => bail!(
                "the head reads a second pass with {wanted} of a picture's own statistics, the features are of one with {own}"
            ),
            (Beside::Given { stages, own: Some(_) }, None) => {
                Ok(stages.saturating_sub(self.features))
            }
            (Beside::Given { stages, .. }, _) => Ok(stages),
        }
    }

    /// Those of a classifier and the way in which pictures are prepared for it.
    ///
    /// # Errors
    /// Its penultimate features cannot be told.
    pub fn classifier(
        classifier: &'a Classifier,
        preprocessing: &'a Preprocessing,
    ) -> Result<Self, NetworkError> {
        Ok(Self {
            preprocessing: Some(preprocessing),
            sha256: Some(classifier.sha256()),
            features: classifier.penultimate_width()?,
            beside: Beside::Network { stages: classifier.stages_width() },
            classes: classifier.classes(),
        })
    }
}

impl From<&Features> for Fits<'_> {
    fn from(features: &Features) -> Self {
        Self {
            sha256: None,
            features: features.width(),
            beside: Beside::Given { stages: features.stages.ncols(), own: features.own_share },
            classes: features.classes(),
            preprocessing: None,
        }
    }
}

/// The head that `--head` names; without it, one that lies beside the network's file and fits, or `None`.
///
/// # Errors
/// The named one cannot be read or does not fit, or the penultimate features that a head needs cannot be told.
pub fn find<'a>(
    flag: Option<&Path>,
    network: &NetworkArgs,
    fits: impl FnOnce() -> Result<Fits<'a>>,
) -> Result<Option<(Head, PathBuf)>> {
    let Some(path) = flag.map(Path::to_owned).or_else(|| beside(network)) else { return Ok(None) };
    let opened = || {
        let head = Head::read(&path)?;
        let fits = fits()?;
        let stages = fits.stages(head.about.own_share)?;
        head.check_fits(fits.sha256, [fits.features, stages], fits.classes)?;
        if let Some(found) = fits.preprocessing
            && otherwise(&head, found)
        {
            eprintln!(
                "note: {} was fitted on pictures that were prepared otherwise; its facts say how: give the same --preprocess, \
                 --size, --crop, --mean, --std and --denoise",
                path.display()
            );
        }
        anyhow::Ok(head)
    };
    match opened() {
        Ok(head) => Ok(Some((head, path))),
        Err(error) if flag.is_some() => Err(error).context("--head"),
        Err(error) => {
            // nobody asked for it
            eprintln!("note: {} lies beside the network and is not used: {error}", path.display());
            Ok(None)
        }
    }
}

/// True if a head says that it was fitted on pictures prepared in another way.
fn otherwise(head: &Head, found: &Preprocessing) -> bool {
    let Some(fitted) = head.about.facts.get("preprocessing") else { return false };
    serde_json::to_value(found).is_ok_and(|found| found != *fitted)
}

fn beside(network: &NetworkArgs) -> Option<PathBuf> {
    let file = match (&network.weights, &network.model) {
        (Some(weights), _) => weights.clone(),
        (None, Some(model)) => PathBuf::from(model),
        (None, None) => return None,
    };
    let folder = if file.is_dir() { file } else { file.parent()?.to_owned() };
    let path = folder.join(BESIDE);
    path.is_file().then_some(path)
}

//! The manifest of an atlas: that of an explanation, and what is said of all classes.

use std::path::Path;

use serde::Serialize;

use super::{Manifest, Scored, write};
use crate::error::WriteError;

/// One picture with the maps of all classes.
#[derive(Clone, Debug, Serialize)]
pub struct AtlasManifest {
    /// As for an explanation. Its questions are *Why P?* and the contrasts that the picture shows; a question's
    /// `map` is the array in `atlas.npz`, whose row is the index of `contrast`, or else of `class`.
    #[serde(flatten)]
    pub explanation: Manifest,
    /// How many classes there are, N.
    pub classes: usize,
    /// How many of the N - 1 contrast maps are empty.
    pub empty_contrasts: usize,
    /// The contrasts whose maps differ most, in that order.
    pub ranking: Vec<RankedClass>,
    /// VOICE, the uncertainty of the explanation; none for fewer than three classes.
    pub voice: Option<Uncertainty>,
}

impl AtlasManifest {
    /// Writes `manifest.json` into a folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), WriteError> {
        write(self, folder)
    }
}

/// A contrast's place among all.
#[derive(Clone, Debug, Serialize)]
pub struct RankedClass {
    /// The other class Q.
    #[serde(flatten)]
    pub class: Scored,
    /// `1 - r`, in [0, 2], to the nearest of the maps before it and of *Why P?*, with Pearson's r over the positions of the
    /// rectified maps; none for an empty map, or if there is nothing to compare with.
    pub distance: Option<f64>,
    /// True if that distance is less than 0.05: the map looks like one before it.
    pub alike: bool,
    /// True if the rectified map is constant: there is nothing to see.
    pub empty: bool,
    /// True if `atlas.png` shows it: the most probable Q, and those that are not alike; none that is empty.
    pub shown: bool,
}

/// Where, and how much, the contrasts differ.
#[derive(Clone, Debug, Serialize)]
pub struct Uncertainty {
    /// How many contrast maps the variance was taken over: N - 1.
    pub contrasts: usize,
    /// Mean over standard deviation of the scaled variance; none if it is constant.
    pub snr: Option<f64>,
    /// Intersection over union of {scaled variance > 0.1} and {displayed map of *Why P?* > 0.1}; none if both are empty.
    pub iou: Option<f64>,
    /// Mean of the variance over the pixels, before scaling.
    pub mean_variance: f64,
    /// Largest variance of a pixel, before scaling.
    pub max_variance: f64,
    /// True if the variance is constant: the map is zero.
    pub empty: bool,
}

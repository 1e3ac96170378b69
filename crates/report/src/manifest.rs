//! `manifest.json`: everything a program needs to know about an explanation without looking at it.

mod atlas;

use std::path::Path;

use introspective_explain::Verdict;
use introspective_network::{Preprocessing, RuntimeInfo};
use serde::Serialize;

pub use self::atlas::{AtlasManifest, RankedClass, Uncertainty};
pub use crate::checks::{
    AreaNumbers, CheckedMap, CheckedScore, CheckedSet, Checks, FadedNumbers, RedrawnNumbers,
    SetArea,
};
use crate::error::WriteError;

/// Version of the manifest's form; raised when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// The name by which a folder is known to be ours.
pub const TOOL: &str = "introspect";

/// One explained picture.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// [`TOOL`].
    pub tool: &'static str,
    /// Version of this software.
    pub version: &'static str,
    /// The command line, or empty if a program called the library.
    pub command: String,
    /// The picture's path as it was given.
    pub image: String,
    /// The picture as it was stored.
    pub stored: Stored,
    /// Name of the architecture.
    pub model: String,
    /// Path of the weights, or `embedded`.
    pub weights: String,
    /// SHA-256 of the weight file.
    pub weights_sha256: String,
    /// What computed it.
    pub runtime: RuntimeInfo,
    /// Dotted name of the target layer.
    pub layer: String,
    /// Channels, height and width of the layer's output.
    pub layer_shape: [usize; 3],
    /// How the gradient was computed: `closed-form` or `adjoint`.
    pub gradient: &'static str,
    /// What was done to the picture before the network saw it.
    pub preprocessing: Preprocessing,
    /// Part of the upright picture, in its pixels, that the network saw.
    pub seen: Seen,
    /// The predicted class.
    pub prediction: Scored,
    /// The five classes with the largest logits (fewer if there are fewer), largest first.
    pub top5: Vec<Scored>,
    /// What the second stage says, if a head was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_stage: Option<SecondStage>,
    /// The questions and what answers them.
    pub questions: Vec<Answered>,
    /// What a program should know of the explanation, as statements that hold or do not.
    pub verdicts: Vec<Verdict>,
    /// How good the maps are, if that was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Checks>,
    /// How the pictures are drawn: `authors`, `blend`, `signed`.
    pub style: &'static str,
    /// The colours they are drawn with.
    pub colormap: &'static str,
    /// All files of the folder, this one included.
    pub files: Vec<String>,
    /// All logits.
    pub logits: Vec<f32>,
}

impl Manifest {
    /// Writes `manifest.json` into a folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), WriteError> {
        write(self, folder)
    }
}

/// A run over several pictures: the `manifest.json` above their folders.
#[derive(Clone, Debug, Serialize)]
pub struct BatchManifest {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// [`TOOL`].
    pub tool: &'static str,
    /// Version of this software.
    pub version: &'static str,
    /// The command line, or empty if a program called the library.
    pub command: String,
    /// The pictures in input order.
    pub images: Vec<BatchEntry>,
    /// How good the maps are, over all pictures, if that was checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckedSet>,
    /// The pictures' folders, and this file.
    pub files: Vec<String>,
}

/// What became of one picture of a run.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum BatchEntry {
    /// It was explained.
    Explained {
        /// Its path, as given.
        image: String,
        /// Name of its folder.
        folder: String,
        /// The predicted class.
        prediction: Scored,
    },
    /// It was not.
    Failed {
        /// Its path, as given.
        image: String,
        /// Why.
        error: String,
    },
}

impl BatchManifest {
    /// The manifest of a finished run.
    pub fn new(command: &str, images: Vec<BatchEntry>) -> Self {
        let mut files: Vec<String> = images
            .iter()
            .filter_map(|entry| match entry {
                BatchEntry::Explained { folder, .. } => Some(folder.clone()),
                BatchEntry::Failed { .. } => None,
            })
            .collect();
        files.push("manifest.json".to_owned());
        Self {
            schema_version: SCHEMA_VERSION,
            tool: TOOL,
            version: env!("CARGO_PKG_VERSION"),
            command: command.to_owned(),
            images,
            checks: Vec::new(),
            files,
        }
    }

    /// Writes `manifest.json` into a folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), WriteError> {
        write(self, folder)
    }
}

fn write(manifest: &impl Serialize, folder: &Path) -> Result<(), WriteError> {
    let path = folder.join("manifest.json");
    let text = serde_json::to_string_pretty(manifest)
        .map_err(|source| WriteError::Manifest { path: path.clone(), source })?;
    std::fs::write(&path, text + "\n").map_err(|source| WriteError::Io { path, source })
}

/// A picture file.
#[derive(Clone, Debug, Serialize)]
pub struct Stored {
    /// Width in pixels, upright.
    pub width: usize,
    /// Height in pixels, upright.
    pub height: usize,
    /// Format: `png`, `jpeg`, ...
    pub format: String,
    /// Stored colour type: `rgb8`, `l16`, `cmyk`, ...
    pub colour: String,
    /// EXIF orientation, 1 to 8; already undone.
    pub orientation: u8,
}

/// A rectangle in a picture, in pixels from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Seen {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Class {
    /// Index into the logits.
    pub index: usize,
    /// Full name.
    pub name: String,
}

/// A class with what the network gave it.
#[derive(Clone, Debug, Serialize)]
pub struct Scored {
    /// Index into the logits.
    pub index: usize,
    /// Full name.
    pub name: String,
    /// Logit.
    pub logit: f32,
    /// Softmax probability.
    pub probability: f64,
}

/// What the second stage makes of a picture, after the classifier.
#[derive(Clone, Debug, Serialize)]
pub struct SecondStage {
    /// Path of the head's file.
    pub head: String,
    /// The class it predicts.
    pub prediction: Scored,
    /// The five classes with the largest logits of its own (fewer if there are fewer), largest first.
    pub top5: Vec<Scored>,
    /// True if both stages predict the same class.
    pub agrees: bool,
    /// Total variation `1/2 sum |p - q|` of the stages' probabilities, 0 to 1.
    pub total_variation: f64,
}

/// A question and what answers it.
#[derive(Clone, Debug, Serialize)]
pub struct Answered {
    /// `why`, `what-if-not`, `rather-than`.
    pub question: &'static str,
    /// The question in words, with short class names.
    pub text: String,
    /// What the picture cannot say for itself: how much of the map it shows.
    pub note: String,
    /// The class asked about.
    pub class: Class,
    /// The other class of a contrast.
    pub contrast: Option<Class>,
    /// The formula: `grad-cam`, `counterfactual`, `cross-entropy-contrast`, `pairwise-contrast`.
    pub form: &'static str,
    /// Name of the raw map in `maps.npz`; `<map>_display` is the one to look at.
    pub map: String,
    /// Name of the picture.
    pub picture: String,
    /// Smallest value of the raw map.
    pub min: f32,
    /// Largest value of the raw map.
    pub max: f32,
    /// True if the rectified map is constant: there is nothing to see, and the picture shows nothing.
    pub empty: bool,
    /// True if the positive part is less than 2 % of the map's mass: what the picture shows is faint,
    /// though min-max scaling makes it bright.
    pub nearly_empty: bool,
    /// `sum ReLU(m) / sum |m|` of the raw map, in [0, 1].
    pub positive_share: f64,
    /// Fraction of the raw map's positions that are positive, in [0, 1].
    pub positive_area: f64,
}

//! The room that knows networks: it opens a trained image classifier, runs it on a picture, and takes
//! gradients of its logits at a layer, for any number of questions at once.
//!
//! Every classifier is one thing inside, an ONNX graph whose values carry torchvision's dotted names.
//! [`Architecture`] builds that graph for a bare state dict ([`Weights`]); [`Classifier`] holds it
//! together with its weights; [`Session`] watches one layer:
//!
//! 1. [`Session::observe`] runs the graph on a preprocessed picture and gives an [`Observation`]:
//!    logits and the layer's activations;
//! 2. [`Session::alpha`] gives the spatially averaged gradient of any combinations of the logits at
//!    that layer, by a closed form where the head allows one, else by the adjoint of the nodes above
//!    the layer, emitted as a second ONNX graph. Nothing below the layer is differentiated.
//!
//! [`Extractor`] runs it over batches for what a second stage reads: the penultimate features h and the logits z, which
//! [`Classifier::last_layer`] ties together (`z = W h + b`).
//!
//! [`Preprocessing`] turns a photograph into the input, [`ClassNames`] names the logits, and
//! [`embedded`] is a network that needs no files.

mod adjoint;
mod batch_statistics;
mod bilinear;
mod blueprint;
mod checkpoint;
mod classes;
mod classifier;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
#[path = "../tests/common/mod.rs"]
mod common;
pub mod embedded;
mod error;
mod export;
mod extractor;
#[cfg(test)]
mod finite_differences;
mod graph;
mod head;
mod layers;
#[cfg(test)]
mod modules;
mod nearest;
mod onnx;
mod open;
mod penultimate;
mod preprocess;
mod redraw;
mod runtime;
mod session;
mod settings;
mod stages;
mod weights;
mod zoo;

pub use bilinear::{Tap, resize_bilinear, taps as bilinear_taps};
pub use blueprint::{Blueprint, NamedTensor, Operation};
pub use checkpoint::CheckpointError;
pub use classes::{ClassError, ClassNames};
pub use classifier::{Classifier, Layer};
pub use error::{Mismatch, NetworkError, Result};
pub use export::ExportOptions;
pub use extractor::{Extractor, ExtractorOptions, Features, Statistics};
pub use nearest::nearest;
pub use open::Opened;
pub use penultimate::LastLayer;
pub use preprocess::{
    IMAGENET_MEAN, IMAGENET_STD, Interpolation, MAX_SIDE, Method, NonLocalMeans, Prepared,
    PreprocessError, Preprocessing, Region, resize_rgb,
};
pub use redraw::Redraw;
pub use runtime::{RuntimeChoice, RuntimeInfo, Threads};
pub use session::{Observation, Session, SessionOptions};
pub use stages::Stage;
pub use weights::Weights;
pub use zoo::Architecture;

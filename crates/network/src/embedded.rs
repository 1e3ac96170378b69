//! The network that needs no files: SqueezeNet 1.1 with ImageNet weights, its class names, and a
//! photograph to try it on. Origins and licences: `assets/NOTICE`.

use crate::classes::ClassNames;
use crate::classifier::Classifier;
use crate::error::Result;
use crate::weights::Weights;
use crate::zoo::Architecture;

/// File name of [`sample_photograph`].
pub const SAMPLE_NAME: &str = "coffee.png";

/// Opens SqueezeNet 1.1, 1000 ImageNet classes, torchvision's preprocessing; weights in half precision.
///
/// # Errors
/// None with an intact executable: the type is that of every other way to open a classifier.
pub fn squeezenet() -> Result<Classifier> {
    let bytes: &'static [u8] =
        rten::include_external_data!("../../../assets/squeezenet1_1.f16.safetensors");
    let weights = Weights::from_bytes(bytes, "embedded")?;
    Classifier::from_zoo(Architecture::SqueezeNet1_1, weights)
}

/// The 1000 ImageNet class names, in the order of the logits.
pub fn imagenet_classes() -> ClassNames {
    let text = include_str!("../../../assets/imagenet_classes.txt");
    ClassNames::new(text.lines().map(str::to_owned).collect())
}

/// A photograph of a cup of espresso (scikit-image's `coffee`, CC0), as PNG bytes.
pub fn sample_photograph() -> &'static [u8] {
    include_bytes!("../../../assets/coffee.png")
}

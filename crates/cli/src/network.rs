//! Which network the flags mean, and what its classes are called.

use std::path::Path;

use anyhow::{Result, bail};
use introspective_network::{
    Architecture, ClassNames, Classifier, Opened, RuntimeChoice, embedded,
};

use crate::args::NetworkArgs;

/// ONNX Runtime takes time to start and to load a network: as much as it gains on 4 pictures with VGG16, on 12
/// with the embedded network, on 11 to 14 with ResNet-50 (two busy cores).
const WORTH_ONNXRUNTIME: usize = 16;

/// The network to explain with, and what its files say about classes and preprocessing.
///
/// # Errors
/// `--model` without weights (only the embedded one has them), or files that do not fit.
pub fn open(args: &NetworkArgs) -> Result<Opened> {
    match (&args.model, &args.weights) {
        (None, None) => Ok(embedded::squeezenet()?.into()),
        (Some(model), None) if is_path(model) => Ok(Opened::from_path(Path::new(model), None)?),
        (Some(name), None) => {
            let architecture: Architecture = name.parse()?;
            if architecture == Architecture::SqueezeNet1_1 {
                return Ok(embedded::squeezenet()?.into());
            }
            let path = Path::new(name);
            if path.exists() {
                let here = Path::new(".").join(path);
                bail!(
                    "--model {name} is an architecture's name and needs --weights FILE; for what lies \
                     here under that name, write --model {}",
                    here.display()
                )
            }
            bail!("--model {name} needs --weights FILE; only squeezenet1_1 has embedded weights")
        }
        (Some(model), Some(_)) if is_path(model) => {
            bail!("--model {model} has its own weights; --weights goes with an architecture's name")
        }
        (model, Some(path)) => {
            // a mistyped name should not wait for a large file
            let architecture = model.as_deref().map(str::parse).transpose()?;
            Ok(Opened::from_path(path, architecture)?)
        }
    }
}

/// The network to list layers of: without weights, an untrained one of 1000 classes.
pub fn for_layers(args: &NetworkArgs) -> Result<Opened> {
    match (&args.model, &args.weights) {
        (Some(name), None) if !is_path(name) => {
            Ok(Classifier::untrained(name.parse()?, 1000, 3)?.into())
        }
        _ => open(args),
    }
}

/// A file or folder rather than an architecture's name: one that exists, or looks like one.
fn is_path(model: &str) -> bool {
    let known = model.parse::<Architecture>().is_ok();
    let path = Path::new(model);
    let extensions = ["onnx", "safetensors", "pth", "pt", "bin", "ckpt"];
    let like_a_file = path
        .extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| extensions.contains(&extension.to_ascii_lowercase().as_str()));
    !known && (like_a_file || model.contains(std::path::MAIN_SEPARATOR) || path.exists())
}

/// The names that `--classes` gives, else those that came with the network; the embedded one brings its
/// own. `None` if nobody names them.
///
/// # Errors
/// The file cannot be read, or names another number of classes.
pub fn known_names(
    flag: Option<&str>,
    args: &NetworkArgs,
    opened: &Opened,
) -> Result<Option<ClassNames>> {
    let embedded = args.weights.is_none() && !args.model.as_deref().is_some_and(is_path);
    let names = match (flag, &opened.classes) {
        (Some("imagenet"), _) => embedded::imagenet_classes(),
        (Some(path), _) => ClassNames::read(Path::new(path))?,
        (None, Some(names)) => names.clone(),
        (None, None) if embedded => embedded::imagenet_classes(),
        (None, None) => return Ok(None),
    };
    names.check(opened.classifier.classes())?;
    Ok(Some(names))
}

/// As [`known_names`], and numbers for classes that nobody names.
///
/// # Errors
/// As there.
pub fn class_names(flag: Option<&str>, args: &NetworkArgs, opened: &Opened) -> Result<ClassNames> {
    let names = known_names(flag, args, opened)?;
    Ok(names.unwrap_or_else(|| ClassNames::numbered(opened.classifier.classes())))
}

/// `auto` starts ONNX Runtime only for as many pictures as make up for the time that takes.
pub fn choose_runtime(name: &str, classifier: &mut Classifier, pictures: usize) -> Result<()> {
    let choice = match name.parse()? {
        RuntimeChoice::Auto if pictures < WORTH_ONNXRUNTIME => RuntimeChoice::Rten,
        choice => choice,
    };
    if let Some(reason) = classifier.choose_runtime(choice)? {
        eprintln!("note: {reason}; rten computes instead");
    }
    Ok(())
}

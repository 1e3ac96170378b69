//! Which network the flags mean, and what its classes are called.

use std::path::Path;

use anyhow::{Context, Result, bail};
use introspective_network::{
    Architecture, ClassNames, Classifier, NetworkError, Weights, embedded,
};

use crate::args::NetworkArgs;

/// The network to explain with.
///
/// # Errors
/// `--model` without weights (only the embedded one has them), or weights that do not fit.
pub fn open(args: &NetworkArgs) -> Result<Classifier> {
    match (&args.model, &args.weights) {
        (None, None) => Ok(embedded::squeezenet()?),
        (Some(name), None) => {
            let architecture: Architecture = name.parse()?;
            if architecture == Architecture::SqueezeNet1_1 {
                return Ok(embedded::squeezenet()?);
            }
            bail!(
                "--model {name} needs --weights FILE.safetensors; only squeezenet1_1 has embedded weights"
            )
        }
        (model, Some(path)) => from_file(model.as_deref(), path),
    }
}

/// The network to list layers of: without weights, an untrained one of 1000 classes.
pub fn for_layers(args: &NetworkArgs) -> Result<Classifier> {
    match (&args.model, &args.weights) {
        (Some(name), None) => Ok(Classifier::untrained(name.parse()?, 1000, 3)?),
        _ => open(args),
    }
}

fn from_file(model: Option<&str>, path: &Path) -> Result<Classifier> {
    // a mistyped name should not wait for a large file
    let named: Option<Architecture> = model.map(str::parse).transpose()?;
    let weights = Weights::read(path)?;
    let architecture = match named {
        Some(architecture) => architecture,
        None => the_one_that_fits(&weights, path)?,
    };
    Ok(Classifier::from_zoo(architecture, weights)?)
}

fn the_one_that_fits(weights: &Weights, path: &Path) -> Result<Architecture> {
    match Architecture::fitting(weights)[..] {
        [only] => Ok(only),
        [] => Err(NetworkError::Mismatch(Box::new(Architecture::closest(weights))))
            .context("the weights fit no architecture of the zoo; the nearest"),
        ref several => {
            let names: Vec<&str> = several.iter().map(|a| a.name()).collect();
            bail!("{} fits {}; choose one with --model", path.display(), names.join(" and "))
        }
    }
}

/// The names that `--classes` gives; the embedded network brings its own.
///
/// # Errors
/// The file cannot be read, or names another number of classes.
pub fn class_names(flag: Option<&str>, args: &NetworkArgs, classes: usize) -> Result<ClassNames> {
    let names = match flag {
        Some("imagenet") => embedded::imagenet_classes(),
        Some(path) => ClassNames::read(Path::new(path))?,
        None if args.weights.is_none() => embedded::imagenet_classes(),
        None => return Ok(ClassNames::numbered(classes)),
    };
    names.check(classes)?;
    Ok(names)
}

//! What a training can go on from after it was stopped: the network, its momentum, the epoch.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{ReflectError, Result};
use crate::features::Features;
use crate::head::Method;
use crate::options::FitOptions;
use crate::run::Run;
use crate::tensors::Tensors;

const KEY: &str = "introspective_checkpoint";

/// The checkpoint of one network. It is gone on with only for the same data and the same settings, number of
/// seeds aside.
pub(crate) struct Checkpoint {
    path: PathBuf,
    seed: u64,
    /// Of what the network will come to.
    identity: String,
}

impl Checkpoint {
    pub fn new(folder: &Path, method: Method, seed: u64, options: &FitOptions, data: &str) -> Self {
        let path = folder.join(format!("{seed}.{}.safetensors", method.name()));
        let one = FitOptions {
            seed,
            seeds: 1,
            controls: true,
            blend: false,
            kinds: Vec::new(),
            ..options.clone()
        };
        let identity = hex(Sha256::digest(format!("{one:?} {} {data}", method.name())));
        Self { path, seed, identity }
    }

    /// The training that began as `fresh`, as it was, if there is a checkpoint.
    ///
    /// # Errors
    /// It cannot be read, or is of other data or settings.
    pub fn read(&self, fresh: &Run, epochs: usize) -> Result<Option<Run>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let mut tensors = Tensors::read(&self.path)?;
        let wrong = |reason: String| ReflectError::File { path: self.path.clone(), reason };
        let identity = tensors.metadata.remove(KEY).unwrap_or_default();
        let Some((epoch, hash)) = identity.split_once(' ') else {
            return Err(wrong("no checkpoint of a second stage".to_owned()));
        };
        if hash != self.identity {
            return Err(wrong(
                "a checkpoint of other data or settings; fit with the ones it began with, or delete it to \
                 begin anew"
                    .to_owned(),
            ));
        }
        let epoch =
            epoch.parse().ok().filter(|&epoch| epoch <= epochs).ok_or_else(|| {
                wrong(format!("its epoch is `{epoch}`; expected at most {epochs}"))
            })?;
        let mut take = |what: &str| {
            let network = tensors.take_network(what, fresh.network.activation).map_err(wrong)?;
            if network.same_sizes(&fresh.network) {
                Ok(network)
            } else {
                Err(wrong(format!("its {what} has layers of other sizes")))
            }
        };
        let (network, velocity) = (take("network")?, take("velocity")?);
        Ok(Some(Run::restored(network, velocity, epoch, self.seed)))
    }

    pub fn write(&self, run: &Run) -> Result<()> {
        let mut tensors = Tensors::default();
        tensors.metadata.insert(KEY.to_owned(), format!("{} {}", run.epoch, self.identity));
        tensors.network("network", &run.network);
        tensors.network("velocity", &run.velocity);
        tensors.write(&self.path)
    }
}

/// SHA-256 of what is trained on: h, z, the stages and labels. All checkpoints of a fit share it.
pub(crate) fn fingerprint(training: &Features) -> String {
    let mut hash = Sha256::new();
    for values in [&training.h, &training.z, &training.stages] {
        hash.update(format!("{:?}", values.dim()));
        for row in values.rows() {
            let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
            hash.update(bytes);
        }
    }
    for label in &training.labels {
        hash.update((*label as u64).to_le_bytes());
    }
    hex(hash.finalize())
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

//! What training starts from: a new network, or one that was trained before.

use introspective_network::{Architecture, Blueprint, Classifier};

use crate::error::{Result, TrainError};
use crate::initial::initial;

/// What training starts from.
#[derive(Debug)]
pub enum Start {
    /// A new network.
    New {
        /// Its architecture.
        architecture: Architecture,
        /// Input channels, 1 or 3.
        channels: usize,
    },
    /// A network of the zoo that was trained before; its last layer is made anew if the number of classes is another.
    Trained(Box<Classifier>),
}

/// A network at the start.
pub struct Started {
    /// Its graph.
    pub blueprint: Blueprint,
    /// Values of its tensors.
    pub values: Vec<Vec<f32>>,
    /// Whether the last layer of a trained network was made anew.
    pub new_head: bool,
}

impl Start {
    /// The architecture.
    ///
    /// # Errors
    /// The network is none of the zoo.
    pub fn architecture(&self) -> Result<Architecture> {
        match self {
            Self::New { architecture, .. } => Ok(*architecture),
            Self::Trained(classifier) => {
                classifier.name().parse().map_err(|_| TrainError::Untrainable {
                    architecture: classifier.origin().to_owned(),
                    reason: "it is no network of the zoo, whose graphs are trained".to_owned(),
                })
            }
        }
    }

    /// Input channels.
    pub fn channels(&self) -> usize {
        match self {
            Self::New { channels, .. } => *channels,
            Self::Trained(classifier) => classifier.channels(),
        }
    }

    /// SHA-256 of the weights of a network that was trained before.
    pub fn sha256(&self) -> Option<&str> {
        match self {
            Self::New { .. } => None,
            Self::Trained(classifier) => Some(classifier.sha256()),
        }
    }

    /// The network for so many classes.
    ///
    /// # Errors
    /// The network is none of the zoo, or its weights are not to be had.
    pub fn begin(&self, classes: usize, seed: u64) -> Result<Started> {
        let architecture = self.architecture()?;
        let blueprint = architecture.blueprint(classes, self.channels());
        let mut values = initial(&blueprint, seed);
        let mut new_head = false;
        if let Self::Trained(classifier) = self {
            let old = classifier.tensors()?;
            for ((name, shape), values) in blueprint.tensors().iter().zip(&mut values) {
                let found = old.binary_search_by(|(other, ..)| other.cmp(name)).ok();
                match found.map(|index| &old[index]) {
                    Some((_, found, old)) if found == shape => values.clone_from(old),
                    // of one architecture, only what the number of classes decides differs
                    _ => new_head = true,
                }
            }
        }
        Ok(Started { blueprint, values, new_head })
    }
}

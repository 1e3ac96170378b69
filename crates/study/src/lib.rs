//! The experiments on the second stage, as functions of features: no pictures are read here, and no flags.
//!
//! [`of_head`] gives the logits of every method that a head and its features allow, by the names of the output;
//! [`against_controls`] pairs H with the controls that say whether its gradients add anything.

mod methods;

pub use methods::{
    Scored, against_controls, is_transductive, names, of_features, of_head, reason, tempered,
    verdicts,
};

//! A binary without training says how to get one with it.
#![cfg(not(feature = "train"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{introspect, stderr};

#[test]
fn training_that_was_not_built_says_how_to_get_it() {
    let place = tempfile::tempdir().unwrap();
    for flags in [&["train"][..], &["train", "--data", "x", "--arch", "resnet18", "--help"]] {
        let run = introspect(place.path(), flags);
        assert_eq!(run.status.code(), Some(2));
        let said = stderr(&run);
        assert!(said.contains("cargo install --path crates/cli --features train"), "{said}");
    }
}

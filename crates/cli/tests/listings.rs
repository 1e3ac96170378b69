//! `introspect layers`, `introspect models`, and manners at the terminal.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::Read;
use std::process::{Command, Stdio};

use common::{introspect, stderr, stdout};

#[test]
fn models_lists_the_zoo() {
    let place = tempfile::tempdir().unwrap();
    let run = introspect(place.path(), &["models"]);
    assert_eq!(run.status.code(), Some(0));
    let text = stdout(&run);
    let resnet = text.lines().find(|line| line.starts_with("resnet50 ")).unwrap();
    assert!(resnet.contains("layer4") && resnet.contains("25.6 M"), "{resnet}");
    let vgg = text.lines().find(|line| line.starts_with("vgg16_bn ")).unwrap();
    assert!(vgg.contains("features.42") && vgg.contains("138.4 M"), "{vgg}");
    assert_eq!(text.lines().count(), 29);
    // three columns, the longest name among them
    let starts: Vec<usize> = text
        .lines()
        .map(|line| line.split_whitespace().nth(1).and_then(|word| line.find(word)).unwrap())
        .collect();
    assert!(starts.iter().all(|&start| start == 18 + 1), "{text}");
}

#[test]
fn layers_lists_names_shapes_and_the_default() {
    let place = tempfile::tempdir().unwrap();
    let run = introspect(place.path(), &["layers"]);
    let text = stdout(&run);
    let default = text.lines().find(|line| line.ends_with("(default)")).unwrap();
    assert!(default.starts_with("features.12 ") && default.contains("1 x 512 x 13 x 13"));

    let run =
        introspect(place.path(), &["layers", "--model", "resnet18", "--crop", "64", "--json"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let list: serde_json::Value = serde_json::from_str(&stdout(&run)).unwrap();
    let find = |name: &str| list.as_array().unwrap().iter().find(|l| l["name"] == name).unwrap();
    assert_eq!(find("layer4")["shape"], serde_json::json!([1, 512, 2, 2]));
    assert_eq!(find("layer4")["default"], true);
    assert_eq!(find("fc")["shape"], serde_json::json!([1, 1000]));
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let place = tempfile::tempdir().unwrap();
    for args in [&["models"][..], &["layers"], &["explain", "--json"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_introspect"))
            .args(args)
            .current_dir(place.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}: {errors}");
        assert!(errors.is_empty(), "{args:?}: {errors}");
    }
}

#[test]
fn unknown_flags_are_errors_of_code_2() {
    let place = tempfile::tempdir().unwrap();
    let run = introspect(place.path(), &["explain", "--stile", "blend"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("--style"), "{}", stderr(&run));
}

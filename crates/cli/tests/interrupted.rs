//! A user who presses Ctrl-C, and a reader of the output who goes away.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use common::{manifest, names, photograph};

const PICTURES: usize = 40;

/// `introspect` on many pictures, its first line read.
fn started(place: &Path) -> (Child, BufReader<ChildStdout>) {
    let pictures = place.join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for k in 0..PICTURES {
        photograph(&pictures.join(format!("{k:02}.png")), 60, 40, k);
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_introspect"))
        .args(["explain", "pictures", "--json", "--out", "out"])
        .current_dir(place)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with('{'), "{line}");
    (child, reader)
}

/// The folders of pictures in `out`; all of them whole, and nothing hidden beside them.
fn whole(out: &Path) -> usize {
    let mut found = names(out);
    assert_eq!(found.pop().unwrap(), "manifest.json");
    for name in &found {
        assert_eq!(names(&out.join(name)).len(), 7, "{name}");
    }
    assert_eq!(manifest(out)["images"].as_array().unwrap().len(), found.len());
    found.len()
}

#[test]
fn ctrl_c_keeps_what_is_done_and_leaves_nothing_half_written() {
    let place = tempfile::tempdir().unwrap();
    let (mut child, reader) = started(place.path());
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let lines = 1 + reader.lines().count();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(lines < PICTURES, "the signal came too late to show anything");
    assert_eq!(whole(&place.path().join("out")), lines);
    assert_eq!(names(place.path()), ["out", "pictures"]);
}

#[test]
fn a_reader_who_goes_away_does_not_stop_the_pictures() {
    let place = tempfile::tempdir().unwrap();
    let (mut child, reader) = started(place.path());
    drop(reader);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(whole(&place.path().join("out")), PICTURES);
}

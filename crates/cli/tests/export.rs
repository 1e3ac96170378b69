//! `introspect export` and `--runtime` as a stranger would run them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::{introspect, manifest, names, photograph, small_network, stderr, stdout};
use ndarray::ArrayD;
use ndarray_npy::NpzReader;

fn maps(folder: &Path) -> Vec<(String, ArrayD<f32>)> {
    let mut npz = NpzReader::new(fs::File::open(folder.join("maps.npz")).unwrap()).unwrap();
    let mut names = npz.names().unwrap();
    names.sort();
    names.into_iter().map(|name| (name.clone(), npz.by_name(&name).unwrap())).collect()
}

#[test]
fn an_exported_network_explains_as_the_original_does() {
    let place = tempfile::tempdir().unwrap();
    let run = introspect(place.path(), &["export", "--out", "network.onnx"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert_eq!(stdout(&run), "network.onnx\n");
    photograph(&place.path().join("x.png"), 300, 260, 3);
    for (network, out) in [(&[][..], "a"), (&["--model", "network.onnx"], "b")] {
        let args = [&["explain", "x.png", "--rather-than", "cup", "--out", out], network].concat();
        let run = introspect(place.path(), &args);
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    }
    let [a, b] = ["a", "b"].map(|out| manifest(&place.path().join(out)));
    for key in ["model", "layer", "logits", "top5", "preprocessing", "gradient"] {
        assert_eq!(a[key], b[key], "{key}");
    }
    assert_eq!(b["questions"][2]["contrast"]["name"], "cup");
    assert_eq!(maps(&place.path().join("a")), maps(&place.path().join("b")));
}

#[test]
fn weights_beside_the_file_and_names_given() {
    let place = tempfile::tempdir().unwrap();
    small_network(&place.path().join("w.safetensors"), "resnet18", 3, 1);
    fs::write(place.path().join("names.txt"), "ant\nbee\ncat\n").unwrap();
    let flags = ["export", "--weights", "w.safetensors", "--classes", "names.txt"];
    let more = ["--mean", "0.5", "--std", "0.25", "--crop", "64", "--external-data"];
    let args = [&flags[..], &more, &["--out", "n.onnx"]].concat();
    let run = introspect(place.path(), &args);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert_eq!(stdout(&run), "n.onnx\nn.onnx.data\n");
    let expected = ["n.onnx", "n.onnx.data", "names.txt", "w.safetensors"];
    assert_eq!(names(place.path()), expected);

    photograph(&place.path().join("x.png"), 90, 80, 1);
    // a network for grey pictures says itself how they are prepared
    let run =
        introspect(place.path(), &["explain", "x.png", "--model", "n.onnx", "--class", "bee"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let manifest = manifest(&place.path().join("introspect-out"));
    assert_eq!(manifest["preprocessing"]["mean"], serde_json::json!([0.5]));
    assert_eq!(manifest["preprocessing"]["crop"], 64);
    assert_eq!(manifest["questions"][0]["class"]["name"], "bee");

    let run = introspect(place.path(), &args);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("n.onnx exists") && stderr(&run).contains("--force"));
    let run = introspect(place.path(), &[&args[..], &["--force"]].concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert!(names(place.path()).iter().all(|name| !name.contains(".part")));
}

#[test]
fn places_where_no_file_can_be() {
    let place = tempfile::tempdir().unwrap();
    for (out, expected) in [("no/such.onnx", "cannot write no/such.onnx"), ("network", ".onnx")] {
        let run = introspect(place.path(), &["export", "--out", out]);
        assert_eq!(run.status.code(), Some(2));
        assert!(stderr(&run).contains(expected), "{}", stderr(&run));
    }
    assert_eq!(names(place.path()), [""; 0]);
}

/// With another place for the library of ONNX Runtime.
fn with_library(folder: &Path, library: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_introspect"))
        .args(args)
        .current_dir(folder)
        .env("ORT_DYLIB_PATH", library)
        .output()
        .unwrap()
}

#[test]
fn a_runtime_that_cannot_be_had_is_an_error_that_says_how_to_get_it() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("library.so"), "no library").unwrap();
    for library in ["library.so", "nowhere.so"] {
        let run = with_library(place.path(), library, &["explain", "--runtime", "onnxruntime"]);
        assert_eq!(run.status.code(), Some(2));
        let text = stderr(&run);
        if cfg!(feature = "onnxruntime") {
            assert!(text.contains(library) && text.contains("pip install"), "{text}");
        } else {
            assert!(text.contains("--features onnxruntime"), "{text}");
        }
    }
}

/// One picture is not worth starting a library for; sixteen are, and a broken library stops nobody.
#[test]
fn auto_falls_back_to_what_is_built_in() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("library.so"), "no library").unwrap();
    let run = with_library(place.path(), "library.so", &["explain", "--out", "one"]);
    assert_eq!(run.status.code(), Some(0));
    assert_eq!(stderr(&run), "");
    assert_eq!(manifest(&place.path().join("one"))["runtime"]["name"], "rten");

    fs::create_dir(place.path().join("pictures")).unwrap();
    for index in 0..16 {
        let path = place.path().join(format!("pictures/{index:02}.png"));
        photograph(&path, 40, 40, index);
    }
    let args = ["explain", "pictures", "--out", "many", "--crop", "64"];
    let run = with_library(place.path(), "library.so", &args);
    assert_eq!(run.status.code(), Some(0));
    assert_eq!(stderr(&run).contains("note: "), cfg!(feature = "onnxruntime"), "{}", stderr(&run));
    assert_eq!(manifest(&place.path().join("many/03"))["runtime"]["name"], "rten");
}

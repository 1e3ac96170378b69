//! `introspect atlas` as a stranger would run it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;

use common::{
    introspect, json, manifest, names, photograph, sample, small_network, stderr, stdout,
};
use ndarray::{Array2, Array3, Axis, Dimension, OwnedRepr};
use ndarray_npy::NpzReader;
use serde_json::Value;

fn array<D: Dimension>(file: &Path, name: &str) -> ndarray::Array<f32, D> {
    NpzReader::new(fs::File::open(file).unwrap())
        .unwrap()
        .by_name::<OwnedRepr<f32>, D>(name)
        .unwrap()
}

fn indices(list: &Value, of: &str) -> Vec<u64> {
    list.as_array().unwrap().iter().filter_map(|entry| entry.pointer(of)?.as_u64()).collect()
}

#[test]
fn without_arguments_the_embedded_photograph_is_mapped() {
    let place = tempfile::tempdir().unwrap();
    let run = introspect(place.path(), &["atlas"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert_eq!(names(place.path()), ["introspect-atlas"]);
    let out = place.path().join("introspect-atlas");
    assert_eq!(names(&out), ["atlas.npz", "atlas.png", "manifest.json", "report.html"]);
    for part in ["espresso, rather than", "consomme", "VOICE of 999 contrasts", "atlas.png"] {
        assert!(stdout(&run).contains(part), "{part} is missing in:\n{}", stdout(&run));
    }

    let maps = out.join("atlas.npz");
    let (cam, rather_than): (Array3<f32>, Array3<f32>) =
        (array(&maps, "cam"), array(&maps, "rather_than"));
    let voice: Array2<f32> = array(&maps, "voice");
    assert_eq!((cam.dim(), rather_than.dim()), ((1000, 13, 13), (1000, 13, 13)));
    assert_eq!(voice.dim(), (224, 224));
    let highest = voice.fold(0f32, |m, &v| m.max(v));
    assert!(highest == 1.0 && voice.iter().all(|v| (0.0..=1.0).contains(v)));

    let manifest = manifest(&out);
    assert_eq!(manifest["tool"], "introspect");
    assert_eq!(manifest["image"], "embedded:coffee.png");
    assert_eq!(manifest["prediction"]["name"], "espresso");
    assert_eq!(manifest["classes"], 1000);
    assert_eq!(
        manifest["files"],
        serde_json::json!(["atlas.png", "atlas.npz", "report.html", "manifest.json"])
    );
    assert_eq!(manifest["logits"].as_array().unwrap().len(), 1000);
    let ranking = indices(&manifest["ranking"], "/index");
    assert_eq!(ranking.len(), 13);
    assert_eq!(ranking[0], 925, "consomme is the most probable other class");
    assert_eq!(indices(&manifest["questions"], "/contrast/index"), ranking);
    assert_eq!(manifest["questions"][0]["map"], "cam");
    assert_eq!(manifest["questions"][3]["map"], "rather_than");
    assert_eq!(manifest["voice"]["contrasts"], 999);
    assert!(manifest["voice"]["snr"].as_f64().unwrap() > 0.0);
    assert!((0.0..=1.0).contains(&manifest["voice"]["iou"].as_f64().unwrap()));

    // what `explain` gives for one of them
    let run = introspect(place.path(), &["explain", "--rather-than", "potter's wheel"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let explained = place.path().join("introspect-out/maps.npz");
    for (all, class, name) in [(&cam, 967, "why"), (&rather_than, 739, "rather_than_739")] {
        let expected: Array2<f32> = array(&explained, name);
        let scale = expected.fold(0f32, |m, v| m.max(v.abs()));
        for (found, expected) in all.index_axis(Axis(0), class).iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4 * scale, "{name}: {found} for {expected}");
        }
    }
}

#[test]
fn a_folder_of_pictures_with_a_network_of_ones_own() {
    let place = tempfile::tempdir().unwrap();
    small_network(&place.path().join("net.safetensors"), "cifar_resnet18", 5, 3);
    fs::write(place.path().join("names.txt"), "ant\nbee\ncat\ndog\nelk\n").unwrap();
    let pictures = place.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    for (seed, name) in ["a.png", "c.png"].iter().enumerate() {
        photograph(&pictures.join(name), 40, 32, seed);
    }
    fs::write(pictures.join("b.jpg"), "this is no picture").unwrap();
    let flags = ["--model", "net.safetensors", "--classes", "names.txt", "--crop", "32"];
    let args = [&["atlas", "pictures", "--json", "--top", "2"], &flags[..]].concat();
    let run = introspect(place.path(), &args);
    assert_eq!(run.status.code(), Some(2), "one picture failed");
    let lines: Vec<Value> =
        stdout(&run).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{}", stderr(&run));
    assert!(lines[1]["error"].is_string());
    for line in [&lines[0], &lines[2]] {
        assert_eq!(line["classes"], 5);
        assert_eq!(line["ranking"].as_array().unwrap().len(), 2);
    }
    let out = place.path().join("introspect-atlas");
    assert_eq!(names(&out), ["a", "c", "manifest.json"]);
    assert_eq!(manifest(&out.join("a")), lines[0]);
    let shape = array::<ndarray::Ix3>(&out.join("a/atlas.npz"), "cam").dim();
    assert_eq!(shape, (5, 8, 8));
}

/// Every other class is ranked once, the map of an earlier layer is taken by the adjoint, and JSON has no NaN.
#[test]
fn few_classes_and_an_earlier_layer() {
    let place = tempfile::tempdir().unwrap();
    photograph(&place.path().join("p.png"), 32, 32, 3);
    for (classes, voice) in [(1, false), (2, false), (3, true)] {
        small_network(&place.path().join("net.safetensors"), "cifar_resnet18", classes, 3);
        for layer in ["layer3", "layer2"] {
            let args = ["atlas", "p.png", "--model", "net.safetensors", "--crop", "32", "--json"];
            let flags = ["--layer", layer, "--style", "signed", "--out", "out", "--force"];
            let manifest = json(&introspect(place.path(), &[&args[..], &flags].concat()));
            let gradient = if layer == "layer3" { "closed-form" } else { "adjoint" };
            assert_eq!(manifest["gradient"], gradient);
            assert_eq!(manifest["ranking"].as_array().unwrap().len(), classes - 1);
            assert_eq!(manifest["voice"].is_object(), voice);
            let file = fs::File::open(place.path().join("out/atlas.npz")).unwrap();
            let arrays = NpzReader::new(file).unwrap().names().unwrap();
            assert_eq!(arrays.iter().any(|name| name == "voice"), voice);
        }
    }
}

/// All weights zero: every map is empty, and nothing is drawn but that.
#[test]
fn empty_maps_are_not_drawn() {
    let place = tempfile::tempdir().unwrap();
    let tensors: std::collections::BTreeMap<_, _> = "cifar_resnet18"
        .parse::<introspective_network::Architecture>()
        .unwrap()
        .tensors(4, 3)
        .into_iter()
        .map(|(name, shape)| {
            let values = vec![0.0; shape.iter().product()];
            (name, (shape, values))
        })
        .collect();
    fs::write(place.path().join("zero.safetensors"), common::generated::safetensors(&tensors))
        .unwrap();
    photograph(&place.path().join("p.png"), 32, 32, 6);
    let args = ["atlas", "p.png", "--model", "zero.safetensors", "--crop", "32", "--json"];
    let manifest = json(&introspect(place.path(), &args));
    assert_eq!(manifest["empty_contrasts"], 3);
    assert_eq!(manifest["questions"].as_array().unwrap().len(), 1, "only Why P?");
    for ranked in manifest["ranking"].as_array().unwrap() {
        assert_eq!((&ranked["empty"], &ranked["shown"]), (&true.into(), &false.into()));
        assert!(ranked["distance"].is_null());
    }
    assert_eq!(manifest["voice"]["empty"], true);
    assert!(manifest["voice"]["snr"].is_null() && manifest["voice"]["iou"].is_null());
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let place = tempfile::tempdir().unwrap();
    let picture = sample();
    let runs: Vec<Vec<Vec<u8>>> = ["1", "2", "3"]
        .iter()
        .map(|threads| {
            let args = ["atlas", picture.to_str().unwrap(), "--threads", threads, "--force"];
            let run = introspect(place.path(), &[&args[..], &["--out", "out"]].concat());
            assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
            let read = |name: &&str| fs::read(place.path().join("out").join(name)).unwrap();
            ["atlas.npz", "atlas.png"].iter().map(read).collect()
        })
        .collect();
    assert!(runs[0] == runs[1] && runs[1] == runs[2]);
}

#[test]
fn a_bad_word_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    for (flags, part) in [
        (&["--top", "0"][..], "--top"),
        (&["--layer", "features.13"], "features.12"),
        (&["--style", "signed", "--colormap", "jet"], "diverging"),
        (&["none.png"], "none.png"),
    ] {
        let run = introspect(place.path(), &[&["atlas"], flags].concat());
        assert_eq!(run.status.code(), Some(2), "{flags:?}");
        assert!(stderr(&run).contains(part), "{flags:?}: {}", stderr(&run));
        assert!(names(place.path()).is_empty(), "{flags:?}");
    }
}

//! Corrupted images from files, in both layouts: `study recognition --corrupted` and `evaluate --corrupted`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;

use common::{NETWORK, introspect, json, photograph, small_network, stderr, three_classes};
use ndarray::{Array1, Array4};
use ndarray_npy::{read_npy, write_npy};
use serde_json::Value;

/// Runs a command that must fail, and gives what it says.
fn refused(place: &Path, args: &[&str]) -> String {
    let run = introspect(place, args);
    assert_eq!(run.status.code(), Some(2), "{}", stderr(&run));
    stderr(&run)
}

fn corrupt(place: &Path, args: &[&str]) {
    let run = introspect(place, &[&["corrupt"], args].concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
}

/// Everything that was measured.
fn measured(study: &Value) -> [&Value; 4] {
    ["n", "rows", "cells", "contrasts"].map(|key| &study[key])
}

/// A head for a network that was never trained.
fn fit(place: &Path, network: &[&str]) {
    let fit = [
        "fit", "--recipe", "paper", "--data", "data", "--epochs", "2", "--hidden", "5", "--seeds",
        "2", "--json",
    ];
    json(&introspect(place, &[&fit[..], network, &["--out", "head.safetensors"]].concat()));
}

const STUDY: [&str; 10] = [
    "study",
    "recognition",
    "--data",
    "data",
    "--head",
    "head.safetensors",
    "--resamples",
    "20",
    "--json",
    "--force",
];

#[test]
fn folders_of_pictures_are_the_images_that_are_made_on_the_fly() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 5);
    // of one name but for the extension: both are kept in the corrupted one's name
    photograph(&place.join("data/test/bee/deep.png"), 32, 32, 77);
    fs::copy(place.join("data/test/bee/1.png"), place.join("data/test/bee/deep.jpg")).unwrap();
    fit(place, &NETWORK);
    let conditions = ["--corruption", "fog,speckle_noise", "--severity", "1,5", "--seed", "3"];
    corrupt(place, &[&["data/test", "--out", "c"], &conditions[..]].concat());
    assert!(place.join("c/fog/5/bee/deep.jpg.png").exists());

    let study = |more: &[&str], out: &str| {
        json(&introspect(place, &[&STUDY[..], &NETWORK, &["--out", out], more].concat()))
    };
    let on_the_fly = study(&conditions, "fly");
    // what there is, is found by looking
    let from_files = study(&["--corrupted", "c", "--seed", "3"], "files");
    assert_eq!(from_files["n"], 17);
    assert_eq!(measured(&from_files), measured(&on_the_fly));
    let facts = &from_files["facts"];
    assert_eq!(
        (&facts["corrupted"], &facts["corrupted_layout"]),
        (&"c".into(), &"ImageNet-C".into())
    );
    assert_eq!(facts.get("corruption_seed"), None);
    assert_eq!(on_the_fly["facts"]["corruption_seed"], 3);

    // a part of what there is, and a folder that was corrupted with its parts
    corrupt(place, &["data", "--out", "whole", "--corruption", "contrast", "--severity", "4"]);
    let one = ["--corruption", "contrast", "--severity", "4", "--out"];
    let evaluate = ["evaluate", "--data", "data", "--resamples", "20", "--json", "--force"];
    let evaluated =
        |more: &[&str]| json(&introspect(place, &[&evaluate[..], &NETWORK, more].concat()));
    let files = evaluated(&[&one[..], &["e1", "--corrupted", "whole"]].concat());
    let fly = evaluated(&[&one[..], &["e2"]].concat());
    assert_eq!(files["methods"], fly["methods"]);
    assert_eq!(files["facts"]["corruption"], "contrast 4, from whole");

    // what is missing is named
    let missing =
        |more: &[&str]| refused(place, &[&STUDY[..], &NETWORK, &["--out", "x"], more].concat());
    let told = missing(&["--corrupted", "c", "--severity", "2"]);
    assert!(told.contains("c/fog/2: there is no such file or folder"), "{told}");
    let told = missing(&["--corrupted", "c", "--corruption", "snow"]);
    assert!(told.contains("c/snow: there are no folders of severities"), "{told}");
    let told = missing(&["--corrupted", "c", "--corruption", "fog,snow"]);
    assert!(told.contains("c/snow/1: there is no such file or folder"), "{told}");
    fs::remove_file(place.join("c/fog/5/bee/1.png")).unwrap();
    let told = missing(&["--corrupted", "c"]);
    assert!(told.contains("c/fog/5: no picture of bee/1.png (1 of the 17"), "{told}");
    // a picture cannot stand for two
    fs::remove_file(place.join("c/fog/5/bee/deep.jpg.png")).unwrap();
    fs::rename(place.join("c/fog/5/bee/deep.png.png"), place.join("c/fog/5/bee/deep.webp"))
        .unwrap();
    let told = missing(&["--corrupted", "c", "--corruption", "fog", "--severity", "5"]);
    assert!(told.contains("bee/deep.webp could be of bee/deep.jpg and of bee/deep.png"), "{told}");
    // corrupted pictures alone are no study
    let told = refused(place, &[&["evaluate", "--data", "c"][..], &NETWORK].concat());
    assert!(told.contains("no clean ones") && told.contains("--corrupted"), "{told}");
    let told = missing(&["--corrupted", "data"]);
    assert!(told.contains("holds no corrupted images"), "{told}");
    let told = missing(&["--corrupted", "absent"]);
    assert!(told.contains("absent: there is no such folder"), "{told}");
}

/// CIFAR's records: a label, then planes of red, green and blue.
fn records(path: &Path, labels: &[u8], first: usize) {
    let mut bytes = Vec::new();
    for (number, &label) in labels.iter().enumerate() {
        bytes.push(label);
        bytes.extend((0..3072).map(|at| ((at * (number + first) / 7 + at / 32) % 251) as u8));
    }
    fs::write(path, bytes).unwrap();
}

const TEN: [&str; 6] = ["--model", "ten.safetensors", "--crop", "32", "--size", "32"];

/// CIFAR-10's binary files, and `c` with their test part as CIFAR-10-C has it.
fn cifar(place: &Path) {
    fs::create_dir(place.join("data")).unwrap();
    let labels: Vec<u8> = (0..40).map(|number| number % 10).collect();
    records(&place.join("data/data_batch_1.bin"), &labels, 2);
    records(&place.join("data/test_batch.bin"), &[3, 8, 8, 0, 6, 6, 1], 60);
    small_network(&place.join("ten.safetensors"), "cifar_resnet18", 10, 3);
    fit(place, &TEN);
    corrupt(place, &["data", "--out", "c", "--corruption", "shot_noise,pixelate", "--seed", "3"]);
    // as published, it has no such file
    fs::remove_file(place.join("c/corrupt.json")).unwrap();
}

#[test]
fn arrays_of_cifar_10_c_are_the_images_that_are_made_on_the_fly() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    cifar(place);
    let study = |more: &[&str]| introspect(place, &[&STUDY[..], &TEN, more].concat());
    let conditions = ["--corruption", "shot_noise,pixelate", "--seed", "3"];
    let on_the_fly = json(&study(&[&conditions[..], &["--out", "fly"]].concat()));
    let files = ["--corrupted", "c", "--seed", "3"];
    let keep = ["--out", "files", "--keep"];
    let from_files = json(&study(&[&files[..], &keep].concat()));
    assert_eq!(from_files["cells"].as_array().unwrap().len(), 1 + 2 * 5);
    assert_eq!(measured(&from_files), measured(&on_the_fly));
    assert_eq!(from_files["facts"]["corrupted_layout"], "CIFAR-10-C");

    // kept features are of these very files: another byte, or images made on the fly, are others
    let again = ["--out", "files", "--keep", "--resume"];
    assert_eq!(measured(&json(&study(&[&files[..], &again].concat()))), measured(&on_the_fly));
    let told = stderr(&study(&[&conditions[..], &again].concat()));
    assert!(told.contains("other pictures"), "{told}");
    let path = place.join("c/pixelate.npy");
    let mut pixels: Array4<u8> = read_npy(&path).unwrap();
    pixels[[34, 31, 31, 2]] ^= 1;
    write_npy(&path, &pixels).unwrap();
    let told = stderr(&study(&[&files[..], &again].concat()));
    assert!(told.contains("pixelate-5") && told.contains("other pictures"), "{told}");

    // arrays with some severities say which
    let some = ["--corruption", "pixelate", "--severity", "2,4"];
    corrupt(place, &[&["data", "--out", "some"], &some[..]].concat());
    let evaluate = ["evaluate", "--data", "data", "--resamples", "20", "--json", "--force"];
    let one = ["--corruption", "pixelate", "--severity", "4", "--out", "e"];
    let run = |more: &[&str]| introspect(place, &[&evaluate[..], &TEN, &one, more].concat());
    let fly = json(&run(&[]));
    assert_eq!(json(&run(&["--corrupted", "some"]))["methods"], fly["methods"]);
    let told = stderr(&study(&["--corrupted", "some", "--severity", "3", "--out", "x"]));
    assert!(told.contains("some/pixelate.npy: holds severities 2, 4, not 3"), "{told}");
    // and others belong into another folder
    let more = ["corrupt", "data", "--out", "some", "--corruption", "pixelate", "--severity", "1"];
    assert!(refused(place, &more).contains("other severities"));
}

#[test]
fn arrays_of_other_images_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    cifar(place);
    let refused =
        |more: &[&str]| refused(place, &[&STUDY[..], &TEN, &["--out", "x"], more].concat());
    let files = ["--corrupted", "c"];
    let told = refused(&["--corrupted", "c", "--corruption", "noise"]);
    assert!(told.contains("c/gaussian_noise.npy: cannot be read"), "{told}");

    // two labels changed their places, as where pictures lie by class
    let path = place.join("c/labels.npy");
    let good: Array1<i64> = read_npy(&path).unwrap();
    let mut labels = good.clone();
    labels.swap(7 + 3, 7 + 4);
    write_npy(&path, &labels).unwrap();
    let told = refused(&files);
    let expected = "c/labels.npy: label 10 is 6 (6), but image 3 of --data (test_batch.bin#3) is of class 0 (0)";
    assert!(told.contains(expected) && told.contains("same order"), "{told}");
    labels[0] = -1;
    write_npy(&path, &labels).unwrap();
    assert!(refused(&files).contains("label 0 is -1 (no class)"));
    write_npy(&path, &good.slice(ndarray::s![..7]).to_owned()).unwrap();
    let told = refused(&files);
    assert!(told.contains("holds 7 labels; expected 35"), "{told}");
    fs::remove_file(&path).unwrap();
    assert!(refused(&files).contains("c/labels.npy: cannot be read"));
    write_npy(&path, &good).unwrap();

    // arrays of another length, type or size
    let path = place.join("c/pixelate.npy");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let told = refused(&files);
    assert!(told.contains("c/pixelate.npy: is damaged"), "{told}");
    write_npy(&path, &Array4::<u8>::zeros((7, 32, 32, 3))).unwrap();
    let told = refused(&files);
    assert!(told.contains("pixelate.npy: holds 7 images; expected 35"), "{told}");
    write_npy(&path, &Array4::<f32>::zeros((35, 32, 32, 3))).unwrap();
    let told = refused(&files);
    assert!(told.contains("is float32") && told.contains("expected pictures"), "{told}");
    fs::write(&path, bytes).unwrap();

    // pictures by path for records without paths; arrays in place of clean images
    fs::create_dir_all(place.join("folders/fog/1/3")).unwrap();
    let told = refused(&["--corrupted", "folders"]);
    assert!(told.contains("paths of the clean ones"), "{told}");
    let told = refused(&["--data", "c"]);
    assert!(told.contains("cannot be used multiple times"), "{told}");
    let told = self::refused(place, &[&["evaluate", "--data", "c"][..], &TEN].concat());
    assert!(told.contains("CIFAR-10-C's layout") && told.contains("no clean ones"), "{told}");
    let record = place.join("c/corrupt.json");
    fs::write(&record, "{\"severities\": [0, 9]}").unwrap();
    assert!(refused(&files).contains("c/corrupt.json: is no record"));
}

//! `--model FOLDER`: what a folder says, and flags that change parts of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;

use common::{introspect, manifest, photograph, small_network, stderr, stdout};
use serde_json::{Value, json};

/// `net` in timm's layout, a small network of two classes, and a photograph beside it.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let net = place.path().join("net");
    fs::create_dir(&net).unwrap();
    small_network(&net.join("model.safetensors"), "cifar_resnet18", 2, 3);
    let config = json!({
        "architecture": "cifar_resnet18", "num_classes": 2,
        "label_names": ["n1", "n2"], "label_descriptions": {"n1": "great auk", "n2": "dodo"},
        "pretrained_cfg": {
            "input_size": [3, 32, 32], "crop_pct": 0.9, "interpolation": "bicubic",
            "mean": [0.5, 0.25, 0.125], "std": [0.25, 0.5, 0.75],
        },
    });
    fs::write(net.join("config.json"), config.to_string()).unwrap();
    photograph(&place.path().join("photo.png"), 90, 70, 5);
    place
}

/// What the manifest says was done to the picture.
fn preprocessing(place: &Path, flags: &[&str]) -> Value {
    let run = introspect(place, &[&["explain", "--model", "net", "photo.png"], flags].concat());
    assert_eq!(run.status.code(), Some(0), "{flags:?}: {}", stderr(&run));
    manifest(&place.join("introspect-out"))["preprocessing"].clone()
}

#[test]
fn a_folder_is_enough() {
    let place = place();
    let found = preprocessing(place.path(), &[]);
    let expected = json!({
        "method": "torchvision", "size": 35, "crop": 32, "interpolation": "bicubic",
        "mean": [0.5, 0.25, 0.125], "std": [0.25, 0.5, 0.75],
    });
    assert_eq!(found, expected);
    let manifest = manifest(&place.path().join("introspect-out"));
    assert_eq!(manifest["model"], "cifar_resnet18");
    let weights = Path::new("net").join("model.safetensors");
    assert_eq!(manifest["weights"], weights.to_str().unwrap());
    let mut names: Vec<&str> =
        manifest["top5"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["dodo", "great auk"]);

    let asked = ["explain", "--model", "net", "photo.png", "--class", "dodo"];
    assert_eq!(introspect(place.path(), &asked).status.code(), Some(0));

    // its input's side is that of the layers' shapes
    let run = introspect(place.path(), &["layers", "--model", "net"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert!(stdout(&run).contains("1 x 64 x 8 x 8  (default)"), "{}", stdout(&run));
}

#[test]
fn each_flag_changes_its_part_only() {
    let place = place();
    let usual = preprocessing(place.path(), &[]);
    let changed = |changes: Value| {
        let mut expected = usual.clone();
        for (key, value) in changes.as_object().unwrap() {
            expected[key] = value.clone();
        }
        expected
    };
    for (flags, changes) in [
        // floor(48 / 0.9), as timm would resize for 48
        (&["--crop", "48"][..], json!({"crop": 48, "size": 53})),
        (&["--size", "64"], json!({"size": 64})),
        (&["--size", "64", "--crop", "48"], json!({"size": 64, "crop": 48})),
        (&["--interpolation", "bilinear"], json!({"interpolation": "bilinear"})),
        (&["--mean", "0.5,0.5,0.5"], json!({"mean": [0.5, 0.5, 0.5]})),
        (&["--std", "1,1,1"], json!({"std": [1.0, 1.0, 1.0]})),
        (&["--preprocess", "torchvision"], json!({})),
    ] {
        assert_eq!(preprocessing(place.path(), flags), changed(changes), "{flags:?}");
    }
    let squash = json!({
        "method": "squash", "size": 32, "mean": [0.5, 0.25, 0.125], "std": [0.25, 0.5, 0.75],
    });
    assert_eq!(preprocessing(place.path(), &["--preprocess", "squash"]), squash);
    // other names than the folder's
    fs::write(place.path().join("names.txt"), "left\nright\n").unwrap();
    preprocessing(place.path(), &["--classes", "names.txt", "--class", "right"]);
}

#[test]
fn without_files_that_say_otherwise_the_defaults_are_torchvisions() {
    let place = place();
    let explain = |flags: &[&str]| {
        let run = introspect(place.path(), &[&["explain", "photo.png"], flags].concat());
        assert_eq!(run.status.code(), Some(0), "{flags:?}: {}", stderr(&run));
        manifest(&place.path().join("introspect-out"))["preprocessing"].clone()
    };
    let steps = |found: &Value| json!([found["size"], found["crop"], found["interpolation"]]);
    assert_eq!(steps(&explain(&[])), json!([256, 224, "bilinear"]));
    assert_eq!(steps(&explain(&["--interpolation", "bicubic"])), json!([256, 224, "bicubic"]));
    assert_eq!(steps(&explain(&["--crop", "112"])), json!([128, 112, "bilinear"]));
}

#[test]
fn what_does_not_go_together_is_refused_with_the_way_out() {
    let place = place();
    fs::create_dir(place.path().join("resnet18")).unwrap();
    fs::create_dir(place.path().join("other")).unwrap();
    let config = json!({"architecture": "resnet50d.ra2_in1k"});
    fs::write(place.path().join("other/config.json"), config.to_string()).unwrap();
    fs::create_dir(place.path().join("squash")).unwrap();
    let config = json!({"architecture": "cifar_resnet18", "crop_mode": "squash"});
    fs::write(place.path().join("squash/config.json"), config.to_string()).unwrap();
    small_network(&place.path().join("squash/model.safetensors"), "cifar_resnet18", 2, 3);
    fs::create_dir(place.path().join("silu")).unwrap();
    let config = json!({"architecture": "resnet18", "model_args": {"act_layer": "silu"}});
    fs::write(place.path().join("silu/config.json"), config.to_string()).unwrap();
    let cases: [(&[&str], &[&str]); 8] = [
        (&["--model", "silu"], &["model_args.act_layer is \"silu\"", "ONNX"]),
        (&["--model", "net", "--weights", "x.safetensors"], &["net has its own weights"]),
        (&["--model", "resnet18"], &["needs --weights", "write --model ./resnet18"]),
        (&["--model", "./resnet18"], &["no config.json", "save_for_hf"]),
        (&["--model", "other"], &["\"resnet50d\" of timm", "ONNX"]),
        (&["--model", "squash"], &["crop_mode is \"squash\"", "--weights"]),
        (&["--model", "net", "--preprocess", "squash", "--crop", "32"], &["--crop", "--size"]),
        (
            &["--model", "net", "--preprocess", "squash", "--interpolation", "bicubic"],
            &["--interpolation", "squash"],
        ),
    ];
    for (flags, words) in cases {
        let run = introspect(place.path(), &[&["explain", "photo.png"], flags].concat());
        assert_eq!(run.status.code(), Some(2), "{flags:?}");
        let text = stderr(&run);
        assert!(words.iter().all(|word| text.contains(word)), "{flags:?}: {text}");
    }
}

//! Training as a user sees it: killed and gone on with, stopped, refused.
#![cfg(feature = "train")]
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{generated, introspect, manifest, names, stderr, stdout};

/// Stripes down and stripes across, 60 pictures each, as CIFAR's binary records of 32 x 32.
fn stripes(path: &Path) {
    let mut bytes = Vec::new();
    for index in 0..120_usize {
        let label = index % 2;
        let mut noise = generated::uniform(&format!("stripes {index}"));
        bytes.push(label as u8);
        for _channel in 0..3 {
            for pixel in 0..32 * 32 {
                let along = if label == 0 { pixel % 32 } else { pixel / 32 };
                let base = if along % 8 < 4 { 180.0 } else { 60.0 };
                bytes.push((base + 60.0 * noise.next().unwrap()) as u8);
            }
        }
    }
    fs::write(path, bytes).unwrap();
}

const FLAGS: [&str; 14] = [
    "train",
    "--data",
    "stripes.bin",
    "--classes",
    "names.txt",
    "--arch",
    "cifar_resnet18",
    "--batch",
    "30",
    "--lr",
    "0.05",
    "--json",
    "--epochs",
    "3",
];

fn prepared() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    stripes(&place.path().join("stripes.bin"));
    let words = ["down", "across", "2", "3", "4", "5", "6", "7", "8", "9"];
    fs::write(place.path().join("names.txt"), words.join("\n")).unwrap();
    place
}

/// The command, when its first epoch is over.
fn started(place: &Path, out: &str) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_introspect"))
        .args(FLAGS)
        .args(["--out", out])
        .current_dir(place)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"epoch\":1,"), "{line}");
    child.stdout = Some(reader.into_inner());
    child
}

#[test]
fn a_killed_training_goes_on_to_the_same_bytes() {
    let place = prepared();
    let whole = introspect(place.path(), &[&FLAGS[..], &["--out", "whole.safetensors"]].concat());
    assert!(whole.status.success(), "{}", stderr(&whole));
    assert_eq!(stdout(&whole).lines().count(), 3);
    assert!(stderr(&whole).contains("the class \"9\" has no pictures"), "{}", stderr(&whole));
    assert!(stderr(&whole).contains("108 pictures to train on, 12 held out"), "{}", stderr(&whole));

    let mut child = started(place.path(), "killed.safetensors");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(place.path().join("killed.checkpoint.safetensors").exists());
    let again = [&FLAGS[..], &["--out", "killed.safetensors"]].concat();
    let refused = introspect(place.path(), &again);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--resume goes on from it"), "{}", stderr(&refused));
    let resumed = introspect(place.path(), &[&again[..], &["--resume", "--threads", "1"]].concat());
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert!(stdout(&resumed).lines().count() < 3, "{}", stdout(&resumed));
    for end in ["safetensors", "curve.csv", "curve.svg"] {
        let read = |name: &str| fs::read(place.path().join(format!("{name}.{end}"))).unwrap();
        assert!(read("whole") == read("killed"), "{end} differs");
    }
    assert!(!place.path().join("killed.checkpoint.safetensors").exists());

    // what was written explains
    common::photograph(&place.path().join("x.png"), 40, 36, 1);
    let explained = introspect(
        place.path(),
        &["explain", "x.png", "--model", "whole.safetensors", "--out", "answers"],
    );
    assert!(explained.status.success(), "{}", stderr(&explained));
    let manifest = manifest(&place.path().join("answers"));
    assert_eq!(manifest["preprocessing"]["crop"], 32, "{manifest}");
}

#[test]
fn robust_trainings_say_what_they_cost_and_how_they_were_made() {
    let place = prepared();
    let short = [&FLAGS[..12], &["--epochs", "1", "--robust", "augmix"]].concat();
    let of = |more: &[&'static str]| {
        let run = introspect(place.path(), &[&short[..], more].concat());
        assert!(run.status.success(), "{}", stderr(&run));
        let epoch: serde_json::Value = serde_json::from_str(stdout(&run).trim()).unwrap();
        (stderr(&run), epoch)
    };
    let (told, epoch) = of(&["--out", "three.safetensors"]);
    assert!(told.contains("3 views of its pictures"), "{told}");
    assert!(epoch["consistency"].as_f64().unwrap() > 0.0, "{epoch}");
    let (told, epoch) = of(&["--out", "one.safetensors", "--no-jsd"]);
    assert!(!told.contains("views of its pictures"), "{told}");
    assert!(epoch.get("consistency").is_none(), "{epoch}");
    for (name, factor) in [("three", "12.0"), ("one", "0.0")] {
        let bytes = fs::read(place.path().join(format!("{name}.safetensors"))).unwrap();
        let header = String::from_utf8_lossy(&bytes[..20_000]);
        assert!(header.contains(&format!("\\\"consistency\\\":{factor}")), "{name}");
    }
}

#[test]
fn ctrl_c_keeps_the_checkpoint() {
    let place = prepared();
    let mut child = started(place.path(), "model.safetensors");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let left = names(place.path());
    assert!(left.contains(&"model.checkpoint.safetensors".to_owned()), "{left:?}");
    assert!(!left.contains(&"model.safetensors".to_owned()), "{left:?}");
}

#[test]
fn what_cannot_be_trained_is_said() {
    let place = prepared();
    let refused = |flags: &[&str], what: &str| {
        let run = introspect(place.path(), flags);
        assert_eq!(run.status.code(), Some(2), "{}", stderr(&run));
        assert!(stderr(&run).contains(what), "{}", stderr(&run));
    };
    let base =
        ["train", "--data", "stripes.bin", "--classes", "names.txt", "--out", "x.safetensors"];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    refused(&with(&["--arch", "resnet19"]), "introspect models");
    refused(&with(&[]), "--arch");
    refused(&with(&["--arch", "alexnet", "--size", "20"]), "too small");
    refused(&with(&["--arch", "cifar_resnet18", "--lr", "0"]), "the learning rate is 0");
    refused(&with(&["--arch", "cifar_resnet18", "--val-split", "1"]), "the share held out is 1");
    refused(&with(&["--arch", "cifar_resnet18", "--no-jsd"]), "--no-jsd is for --robust augmix");
    refused(&with(&["--arch", "cifar_resnet18", "--robust", "mixup"]), "augmix");
    let diverging = ["--arch", "cifar_resnet18", "--lr", "1e30", "--schedule", "constant"];
    refused(&with(&diverging), "try a tenth of that rate (--lr)");
    refused(&["train", "--data", "none", "--arch", "resnet18", "--out", "x.safetensors"], "none");
    refused(&["train", "--data", ".", "--arch", "resnet18", "--out", "x.pth"], ".safetensors");
}

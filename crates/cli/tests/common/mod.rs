//! Running the command, and the small files it is run on.
#![allow(dead_code)] // each test binary uses its part

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use introspective_network::Architecture;
use serde_json::Value;

#[path = "../../../network/tests/common/mod.rs"]
pub mod generated;

/// Runs `introspect` in a folder.
pub fn introspect(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_introspect")).args(args).current_dir(folder).output().unwrap()
}

pub fn stdout(run: &Output) -> String {
    String::from_utf8(run.stdout.clone()).unwrap()
}

pub fn stderr(run: &Output) -> String {
    String::from_utf8(run.stderr.clone()).unwrap()
}

/// The line of JSON that a run which went well printed.
pub fn json(run: &Output) -> Value {
    assert_eq!(run.status.code(), Some(0), "{}", stderr(run));
    serde_json::from_str(&stdout(run)).unwrap()
}

/// Names in a folder, hidden ones too, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn manifest(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

/// The embedded photograph as a file.
pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/coffee.png")
}

/// A picture of waves and noise.
pub fn photograph(path: &Path, width: usize, height: usize, seed: usize) {
    let mut noise = generated::uniform(&format!("photograph {seed}"));
    let pixels = ndarray::Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
        let wave = (x * (c + 2) + y * (seed + 1)) % 200;
        (wave as f64 + 55.0 * noise.next().unwrap()) as u8
    });
    introspective_report::write_png(path, pixels.view()).unwrap();
}

/// Generated weights of an architecture.
pub fn small_network(path: &Path, architecture: &str, classes: usize, channels: usize) {
    let architecture: Architecture = architecture.parse().unwrap();
    fs::write(path, generated::weights(&architecture.tensors(classes, channels))).unwrap();
}

/// A SqueezeNet of two classes whose weights are all zero.
pub fn zero_network(path: &Path) {
    let tensors: BTreeMap<_, _> = Architecture::SqueezeNet1_1
        .tensors(2, 3)
        .into_iter()
        .map(|(name, shape)| {
            let count = shape.iter().product();
            (name, (shape, vec![0.0; count]))
        })
        .collect();
    fs::write(path, generated::safetensors(&tensors)).unwrap();
}

/// `data/train` and `data/test` with three classes and so many pictures each, `names.txt`, and a network that was never
/// trained.
pub fn three_classes(place: &Path, train: usize, test: usize) {
    for (part, count) in [("train", train), ("test", test)] {
        for (class, name) in ["ant", "bee", "cat"].iter().enumerate() {
            let folder = place.join("data").join(part).join(name);
            fs::create_dir_all(&folder).unwrap();
            for index in 0..count {
                let seed = 100 * class + index + 50 * usize::from(part == "test");
                photograph(&folder.join(format!("{index}.png")), 32, 32, seed);
            }
        }
    }
    small_network(&place.join("network.safetensors"), "cifar_resnet18", 3, 3);
    fs::write(place.join("names.txt"), "ant\nbee\ncat\n").unwrap();
}

/// Flags for the network of [`three_classes`].
pub const NETWORK: [&str; 8] =
    ["--model", "network.safetensors", "--classes", "names.txt", "--crop", "32", "--size", "32"];

//! What an explanation costs: the forward pass alone, and all three maps (forward pass included).
//!
//! Run by `benches/maps.py`, which makes the weights and measures PyTorch in the same go. By hand:
//! `INTROSPECT_BENCH=FOLDER cargo bench -p introspective --bench maps`, FOLDER holding `NAME.safetensors`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use divan::{Bencher, black_box};
use introspective::{
    Classifier, Opened, Questions, RuntimeChoice, Session, SessionOptions, Threads, explain,
};
use ndarray::Array3;

const THREADS: usize = 2;
const NETWORKS: [&str; 3] = ["resnet50", "vgg16", "densenet121"];
const RUNTIMES: [&str; 2] = ["rten", "onnxruntime"];

fn main() {
    divan::main();
}

fn open(network: &str, runtime: &str) -> Option<Classifier> {
    let folder = PathBuf::from(std::env::var_os("INTROSPECT_BENCH")?);
    let path = folder.join(format!("{network}.safetensors"));
    let mut classifier =
        Opened::from_path(&path, Some(network.parse().unwrap())).expect("weights").classifier;
    let choice = if runtime == "rten" { RuntimeChoice::Rten } else { RuntimeChoice::OnnxRuntime };
    if let Err(error) = classifier.choose_runtime(choice) {
        eprintln!("{network} with {runtime}: left out: {error}");
        return None;
    }
    Some(classifier)
}

fn cases() -> Vec<String> {
    NETWORKS.iter().flat_map(|n| RUNTIMES.map(|r| format!("{n}/{r}"))).collect()
}

fn measure(bencher: Bencher<'_, '_>, case: &str, with_maps: bool) {
    let (network, runtime) = case.split_once('/').unwrap();
    let Some(classifier) = open(network, runtime) else { return };
    // as the command does for a folder of pictures
    let threads = Some(Threads::new(THREADS));
    let options = SessionOptions { threads, optimise: true, ..SessionOptions::default() };
    let session = Session::new(&classifier, &options).unwrap();
    let picture = Array3::from_shape_fn((3, 224, 224), |(c, y, x)| {
        ((c * 31 + y * 7 + x * 3) % 97) as f32 / 48.0 - 1.0
    });
    let questions = Questions::default();
    bencher.bench_local(|| {
        let observation = session.observe(black_box(picture.view())).unwrap();
        if with_maps {
            black_box(explain(&session, &observation, &questions).unwrap());
        }
        black_box(observation.logits)
    });
}

#[divan::bench(args = cases(), sample_count = 40, sample_size = 1)]
fn forward(bencher: Bencher<'_, '_>, case: &str) {
    measure(bencher, case, false);
}

#[divan::bench(args = cases(), sample_count = 40, sample_size = 1)]
fn forward_and_three_maps(bencher: Bencher<'_, '_>, case: &str) {
    measure(bencher, case, true);
}

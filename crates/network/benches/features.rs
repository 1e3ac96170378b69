//! What features cost: a plain forward pass of the engine over the exported graph, with the logits as its only
//! output, beside `Extractor::extract` on the same batch, both with the same threads.
//!
//! `cargo bench -p introspective-network --bench features`
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;

use divan::{Bencher, black_box, counter::ItemsCount};
use introspective_network::{
    Architecture, Classifier, ExportOptions, Extractor, ExtractorOptions, Threads, Weights,
    embedded,
};
use ndarray::Array4;
use rten::{ModelOptions, RunOptions, ThreadPool, ValueView};

const THREADS: usize = 2;
const CASES: [Case; 4] = [
    Case("squeezenet1_1", 1, 224),
    Case("squeezenet1_1", 8, 224),
    Case("squeezenet1_1", 32, 224),
    Case("cifar_resnet18", 128, 32),
];

/// Network, batch, side of the pictures.
struct Case(&'static str, usize, usize);

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x{}", self.0, self.1)
    }
}

fn main() {
    divan::main();
}

fn open(network: &str) -> Classifier {
    if network == "squeezenet1_1" {
        return embedded::squeezenet().unwrap();
    }
    let architecture: Architecture = network.parse().unwrap();
    let bytes = common::weights(&architecture.tensors(10, 3));
    Classifier::from_zoo(architecture, Weights::from_bytes(bytes, "generated").unwrap()).unwrap()
}

fn pictures(batch: usize, side: usize) -> Array4<f32> {
    Array4::from_shape_fn((batch, 3, side, side), |(n, c, y, x)| {
        ((n * 13 + c * 31 + y * 7 + x * 3) % 97) as f32 / 48.0 - 1.0
    })
}

#[divan::bench(args = CASES, sample_count = 30, sample_size = 1)]
fn plain_forward_pass(bencher: Bencher<'_, '_>, &Case(network, batch, side): &Case) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.onnx");
    open(network).export(&path, &ExportOptions::default()).unwrap();
    let mut options = ModelOptions::with_all_ops();
    options.enable_optimization(true);
    let model = options.load_file(&path).unwrap();
    let (input, output) = (model.input_ids()[0], model.output_ids()[0]);
    let threads = Arc::new(ThreadPool::with_num_threads(THREADS));
    let pictures = pictures(batch, side);
    let run = || {
        let data = pictures.as_slice().unwrap();
        let value = ValueView::from_shape(pictures.shape(), black_box(data)).unwrap();
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&threads)));
        model.run(vec![(input, value.into())], &[output], Some(options)).unwrap()
    };
    bencher.counter(ItemsCount::new(batch)).bench_local(run);
}

#[divan::bench(args = CASES, sample_count = 30, sample_size = 1)]
fn extract(bencher: Bencher<'_, '_>, &Case(network, batch, side): &Case) {
    let classifier = open(network);
    let threads = Some(Threads::new(THREADS));
    let options = ExtractorOptions { threads, ..ExtractorOptions::default() };
    let extractor = Extractor::new(&classifier, &options).unwrap();
    let pictures = pictures(batch, side);
    let run = || extractor.extract(black_box(pictures.view())).unwrap();
    bencher.counter(ItemsCount::new(batch)).bench_local(run);
}

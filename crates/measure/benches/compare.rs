//! What a comparison costs: `cargo bench -p introspective-measure`.
//!
//! The first case is one condition of a study, fifteen methods with five seeds each on the ten thousand test images of
//! CIFAR-10; the second has the thousand classes of ImageNet. With `RAYON_NUM_THREADS=1` the times are processor time.
#![allow(missing_docs, clippy::unwrap_used)]

use divan::{Bencher, black_box};
use introspective_measure::{CompareOptions, Method, compare, fit_temperature};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() {
    divan::main();
}

struct Case {
    methods: usize,
    seeds: usize,
    images: usize,
    classes: usize,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { methods, seeds, images, classes } = self;
        write!(f, "{methods} methods x {seeds} seeds, {images} images, {classes} classes")
    }
}

const CASES: [Case; 2] = [
    Case { methods: 15, seeds: 5, images: 10_000, classes: 10 },
    Case { methods: 5, seeds: 1, images: 10_000, classes: 1000 },
];

/// Logits that favour the right class, as a classifier's do.
fn logits(case: &Case, seed: u64, labels: &[usize]) -> Array2<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_fn((case.images, case.classes), |(row, class)| {
        let noise: f32 = (0..4).map(|_| random.random_range(-1.5..1.5f32)).sum();
        noise + if labels[row] == class { 5.0 } else { 0.0 }
    })
}

fn labels(case: &Case) -> Vec<usize> {
    (0..case.images).map(|image| image % case.classes).collect()
}

#[divan::bench(args = CASES, sample_count = 3, sample_size = 1)]
fn thousand_resamples(bencher: Bencher<'_, '_>, case: &Case) {
    let labels = labels(case);
    let seeds = case.methods * case.seeds;
    let outputs: Vec<_> = (0..seeds).map(|seed| logits(case, seed as u64, &labels)).collect();
    let method = |place: usize| Method {
        name: format!("method {place}"),
        seeds: outputs[place * case.seeds..][..case.seeds].iter().map(|z| z.view()).collect(),
    };
    let methods: Vec<_> = (0..case.methods).map(method).collect();
    bencher
        .bench_local(|| compare(black_box(&methods), &labels, &CompareOptions::default()).unwrap());
}

#[divan::bench(args = CASES, sample_count = 5, sample_size = 1)]
fn temperature(bencher: Bencher<'_, '_>, case: &Case) {
    let labels = labels(case);
    let logits = logits(case, 0, &labels);
    bencher.bench_local(|| fit_temperature(black_box(logits.view()), &labels).unwrap());
}

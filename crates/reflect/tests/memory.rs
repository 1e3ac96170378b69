//! How much memory scoring, training and reading take at most. One test, for there is one allocator.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::alloc::System;
use std::path::Path;

use introspective_reflect::{
    Activation, Columns, Head, Input, Loss, Mlp, Question, Run, Scaler, Schedule, Target, Width,
};
use ndarray::Array2;
use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait};

#[global_allocator]
static ALLOCATOR: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes beyond what was there before.
fn peak<T>(work: impl FnOnce() -> T) -> usize {
    ALLOCATOR.reset_peak_memory();
    work();
    ALLOCATOR.get_peak_memory()
}

struct Problem {
    g: Array2<f32>,
    h: Array2<f32>,
    labels: Vec<usize>,
}

const BATCH: usize = 256;
const FEATURES: usize = 128;
const HIDDEN: [usize; 2] = [30, 10];

impl Problem {
    fn new(classes: usize) -> Self {
        let labels: Vec<usize> = (0..BATCH).map(|image| image * 7 % classes).collect();
        let h = Array2::from_shape_fn((BATCH, FEATURES), |(n, k)| ((n * 5 + k * 3) % 11) as f32);
        let z = Array2::from_shape_fn((BATCH, classes), |(n, i)| ((n * 3 + i * 7) % 13) as f32);
        let g = Question::new(Loss::Mse, Target::AllOnes, 8.0).unwrap().gradients(z.view());
        Self { g, h, labels }
    }

    /// Peaks of scoring and of a training step on all images, with a full first layer.
    fn peaks(&self) -> [usize; 2] {
        let Self { g, h, labels } = self;
        let scaling = Columns::of_products(g.view(), h.view(), Scaler::MinMax).affine();
        let input = Input::Products { g: g.view(), h: h.view(), scaling: &scaling };
        let width = Width::Full(g.ncols() * FEATURES);
        let schedule = Schedule { batch: BATCH, ..Schedule::default() };
        let mut run = Run::new(width, &HIDDEN, g.ncols(), Activation::Sigmoid, 0);
        // kernels keep buffers of their own from the first time on
        run.epoch(input, labels, &schedule, "reflection").unwrap();
        let network: Mlp = run.network.clone();
        [
            peak(|| network.logits(input)),
            peak(|| run.epoch(input, labels, &schedule, "reflection").unwrap()),
        ]
    }
}

#[test]
fn memory_is_bounded() {
    // of the products of a batch, a few classes' are there at a time, however many classes there are
    let (few, many) = (Problem::new(100), Problem::new(400));
    let (few, many) = (few.peaks(), many.peaks());
    for (what, few, many) in [("scoring", few[0], many[0]), ("training", few[1], many[1])] {
        let products = BATCH * FEATURES * 4;
        assert!(few > products, "{what}: {few} bytes: not what is to be measured");
        // of 300 more classes: a few vectors over classes for each image, and no vector over products
        let growth = many.saturating_sub(few);
        assert!(growth < 300 * BATCH * 4 * 8, "{what}: {few} and {many} bytes");
        assert!(growth * 10 < 300 * products, "{what}: {few} and {many} bytes");
    }

    // reading takes a small multiple of the file's size, whatever it claims
    let options = introspective_reflect::FitOptions { hidden: vec![200, 8], ..common::options(1) };
    let file = common::bytes(&common::fitted(&options, None).unwrap());
    let read = |bytes: &[u8]| Head::from_bytes(bytes, Path::new("head"));
    assert!(file.len() > 100_000);
    let whole = peak(|| read(&file).unwrap());
    assert!(whole > file.len() / 2 && whole < 3 * file.len(), "{whole} for {} bytes", file.len());
    let header = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let claims = [
        header(r#"{"a":{"dtype":"F32","shape":[268435456],"data_offsets":[0,1073741824]}}"#),
        header(r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}}"#),
        header(
            r#"{"__metadata__":{"introspective_head":"{\"format\":1,\"classes\":1000000000}"}}"#,
        ),
        u64::MAX.to_le_bytes().to_vec(),
        1_u64.wrapping_shl(40).to_le_bytes().to_vec(),
        file[..file.len() / 2].to_vec(),
    ];
    for claim in claims {
        let taken = peak(|| assert!(read(&claim).is_err()));
        assert!(taken < 3 * claim.len() + 64 * 1024, "{taken} for {} bytes", claim.len());
    }
}

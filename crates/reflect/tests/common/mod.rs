//! Features of a made-up classifier.
#![allow(dead_code, clippy::unwrap_used)]

use std::ops::ControlFlow;

use introspective_reflect::{
    Features, FitOptions, Head, KeepState, LastLayer, Owner, Progress, Result, Scaler, Schedule,
    fit,
};
use ndarray::{Array1, Array2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// h of `images` of `classes` classes around a centre each, z of a last layer that tells them apart.
pub fn features(seed: u64, images: usize, classes: usize, width: usize) -> Features {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut centres = ChaCha8Rng::seed_from_u64(7);
    let weight =
        Array2::from_shape_simple_fn((classes, width), || centres.random_range(-1.0..1.0_f32));
    let bias = Array1::from_shape_simple_fn(classes, || centres.random_range(-0.5..0.5_f32));
    let labels: Vec<usize> = (0..images).map(|_| rng.random_range(0..classes)).collect();
    let h = Array2::from_shape_fn((images, width), |(image, k)| {
        (weight[[labels[image], k]] + rng.random_range(-0.8..1.2_f32)).max(0.0)
    });
    let last_layer = LastLayer { weight, bias };
    let mut features = Features::new(h.clone(), last_layer.logits(h.view())).unwrap();
    features.labels = labels;
    features.last_layer = Some(last_layer);
    features
}

/// A small and quick fit.
pub fn options(epochs: usize) -> FitOptions {
    FitOptions {
        hidden: vec![16, 8],
        schedule: Schedule { epochs, batch: 32, ..Schedule::default() },
        ..FitOptions::default()
    }
}

pub fn quiet(_: Progress<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Fits on 160 images with 40 kept aside, 5 classes, 12 features.
pub fn fitted(options: &FitOptions, state: Option<&KeepState>) -> Result<Head> {
    let (training, kept) = (features(1, 160, 5, 12), features(2, 40, 5, 12));
    fit(&training, &kept, &Owner::default(), options, state, &quiet)
}

pub fn zscore(options: FitOptions) -> FitOptions {
    FitOptions { scaler: Scaler::ZScore, ..options }
}

pub fn bytes(head: &Head) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("head.safetensors");
    head.write(&path).unwrap();
    std::fs::read(path).unwrap()
}

pub fn farthest(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
    assert_eq!(a.dim(), b.dim());
    (a - b).iter().fold(0.0, |far, v| far.max(v.abs()))
}

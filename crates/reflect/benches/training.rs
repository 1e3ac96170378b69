//! Training H for one epoch on 50,000 examples of a network with d = 64 features and N = 10 classes, on factors.
//! `training.py` beside it does the same in PyTorch on dense features, and runs both.

use divan::Bencher;
use introspective_reflect::{
    Activation, Columns, Input, Loss, Question, Run, Scaler, Schedule, Target, Width,
};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const IMAGES: usize = 50_000;
const CLASSES: usize = 10;
const FEATURES: usize = 64;

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn epoch_on_factors(bencher: Bencher<'_, '_>) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut random = |shape| Array2::from_shape_simple_fn(shape, || rng.random::<f32>());
    let (h, z) = (random((IMAGES, FEATURES)), 10.0 * random((IMAGES, CLASSES)));
    let labels: Vec<usize> = (0..IMAGES).map(|image| image % CLASSES).collect();
    let Ok(question) = Question::new(Loss::Mse, Target::AllOnes, 8.0) else { return };
    let g = question.gradients(z.view());
    let scaling = Columns::of_products(g.view(), h.view(), Scaler::MinMax).affine();
    let input = Input::Products { g: g.view(), h: h.view(), scaling: &scaling };
    let width = Width::Full(CLASSES * FEATURES);
    let mut run = Run::new(width, &[300, 100], CLASSES, Activation::Sigmoid, 0);
    let schedule = Schedule::default();
    bencher.bench_local(move || run.epoch(input, &labels, &schedule, "reflection"));
}

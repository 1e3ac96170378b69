//! H for a network with N = 1000 classes and d = 2048 features: parameters, time of a training step and of scoring a
//! batch, and memory beyond weights and momentum.
//!
//! `cargo bench -p introspective-reflect --bench large -- [--rank R] [--batch B]`. A full first layer of 300 units has
//! 614 million weights: 5 GB with momentum. Linux: the peak is `VmHWM` of /proc/self/status.

use std::time::Instant;

use introspective_reflect::{
    Activation, Columns, Input, Loss, Question, Run, Scaler, Schedule, Target, Width,
};
use ndarray::Array2;

const CLASSES: usize = 1000;
const FEATURES: usize = 2048;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |flag: &str| -> Result<Option<usize>, std::num::ParseIntError> {
        let mut rest = arguments.iter().skip_while(|argument| *argument != flag).skip(1);
        rest.next().map(|value| value.parse()).transpose()
    };
    let (rank, batch) = (value("--rank")?, value("--batch")?.unwrap_or(256));

    let h =
        Array2::from_shape_fn((batch, FEATURES), |(n, k)| ((n * 5 + k * 3) % 101) as f32 / 50.0);
    let z = Array2::from_shape_fn((batch, CLASSES), |(n, i)| ((n * 3 + i * 7) % 103) as f32 / 10.0);
    let labels: Vec<usize> = (0..batch).map(|image| image * 7 % CLASSES).collect();
    let g = Question::new(Loss::Mse, Target::AllOnes, 8.0)?.gradients(z.view());
    let scaling = Columns::of_products(g.view(), h.view(), Scaler::MinMax).affine();
    let (width, input) = match rank {
        None => (
            Width::Full(CLASSES * FEATURES),
            Input::Products { g: g.view(), h: h.view(), scaling: &scaling },
        ),
        Some(rank) => (
            Width::LowRank { classes: CLASSES, features: FEATURES, rank },
            Input::Pair { g: g.view(), h: h.view() },
        ),
    };
    let mut run = Run::new(width, &[300, 100], CLASSES, Activation::Sigmoid, 0);
    let parameters = run.network.parameters();
    let before = memory("VmRSS:")?;
    let schedule = Schedule { batch, ..Schedule::default() };
    let timed = |work: &mut dyn FnMut() -> Result<(), introspective_reflect::ReflectError>| {
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = Instant::now();
            work()?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok::<f64, introspective_reflect::ReflectError>(best)
    };
    let scored = timed(&mut || {
        std::hint::black_box(run.network.logits(input));
        Ok(())
    })?;
    let after_scoring = memory("VmHWM:")?;
    let step = timed(&mut || run.epoch(input, &labels, &schedule, "reflection").map(|_| ()))?;
    let after_training = memory("VmHWM:")?;
    println!(
        "rank {}, batch {batch}: {parameters} parameters; scoring {scored:.3} s, a step {step:.3} s; resident before \
         {before} MB, at most {after_scoring} MB in scoring, {after_training} MB in training (momentum: {} MB)",
        rank.map_or("full".to_owned(), |rank| rank.to_string()),
        4 * parameters / 1_000_000,
    );
    Ok(())
}

/// A field of this process's status, in MB.
fn memory(field: &str) -> std::io::Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    let kilobytes = line.split_whitespace().nth(1).and_then(|value| value.parse::<usize>().ok());
    Ok(kilobytes.unwrap_or(0) * 1024 / 1_000_000)
}

//! Training H for an epoch on 50,000 examples of a network with d = 64 features and N = 10 classes, on factors.
//! `training.py` beside it does the same in PyTorch on dense features, and runs both.
//!
//! With `--json EPOCHS` it prints one line an epoch, after one to warm up: seconds of the clock and of processor time.

use std::time::{Duration, Instant};

use introspective_reflect::{
    Activation, Columns, Input, Loss, Question, Run, Scaler, Schedule, Target, Width,
};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const IMAGES: usize = 50_000;
const CLASSES: usize = 10;
const FEATURES: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--json").skip(1);
    let epochs = arguments.next().map_or(Ok(5), |count| count.parse())?;

    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut random = |shape| Array2::from_shape_simple_fn(shape, || rng.random::<f32>());
    let (h, z) = (random((IMAGES, FEATURES)), 10.0 * random((IMAGES, CLASSES)));
    let labels: Vec<usize> = (0..IMAGES).map(|image| image % CLASSES).collect();
    let g = Question::new(Loss::Mse, Target::AllOnes, 8.0)?.gradients(z.view());
    let scaling = Columns::of_products(g.view(), h.view(), Scaler::MinMax).affine();
    let input = Input::Products { g: g.view(), h: h.view(), scaling: &scaling };
    let width = Width::Full(CLASSES * FEATURES);
    let mut run = Run::new(width, &[300, 100], CLASSES, Activation::Sigmoid, 0);
    let schedule = Schedule::default();
    for epoch in 0..=epochs {
        let (start, busy) = (Instant::now(), processor_time()?);
        run.epoch(input, &labels, &schedule, "reflection")?;
        if epoch > 0 {
            let (wall, cpu) = (start.elapsed(), processor_time()? - busy);
            println!("{{\"wall_s\": {}, \"cpu_s\": {}}}", wall.as_secs_f64(), cpu.as_secs_f64());
        }
    }
    Ok(())
}

/// Of all threads of this process; Linux counts it in hundredths of a second.
fn processor_time() -> std::io::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // user and system time are fields 14 and 15; the name, field 2, may have spaces
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(10 * ticks))
}

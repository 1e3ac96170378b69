//! What a low-rank first layer costs in accuracy: H of full rank and of ranks 1, 2, 4 and 8 on one set of features.
//!
//! `cargo run --release -p introspective-reflect --example low_rank -- TRAIN.npz TEST.npz [EPOCHS] [SEEDS]`
//!
//! Each file holds `h` (n x d, f32), `z` (n x N, f32) and `labels` (n, i64), uncompressed.

use std::error::Error;
use std::fs::File;
use std::ops::ControlFlow;
use std::time::Instant;

use introspective_measure::{Outputs, accuracy, nll};
use introspective_reflect::{Features, FitOptions, Head, Method, Owner, Schedule, SeedRecord, fit};
use ndarray::{Array1, Array2};
use ndarray_npy::NpzReader;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [training, test, numbers @ ..] = &arguments[..] else {
        return Err("usage: low_rank TRAIN.npz TEST.npz [EPOCHS] [SEEDS]".into());
    };
    let number = |index: usize, default| numbers.get(index).map_or(Ok(default), |n| n.parse());
    let (epochs, seeds) = (number(0, 60)?, number(1, 3)?);
    let (training, test) = (read(training)?, read(test)?);
    let first = Outputs::Logits(test.z.view());
    println!(
        "{} images to train on, {} to test, d = {}, N = {}; f: accuracy {:.2} %, NLL {:.4}",
        training.len(),
        test.len(),
        test.width(),
        test.classes(),
        100.0 * accuracy(first, &test.labels)?,
        nll(first, &test.labels)?
    );
    println!("rank  parameters  accuracy %, mean and range of {seeds} seeds   NLL     seconds");
    for rank in [None, Some(1), Some(2), Some(4), Some(8)] {
        let options = FitOptions {
            rank,
            seeds,
            controls: false,
            schedule: Schedule { epochs, ..Schedule::default() },
            ..FitOptions::default()
        };
        let start = Instant::now();
        let nothing = test.select(&[]);
        let head = fit(&training, &nothing, &Owner::default(), &options, None, &|_| {
            ControlFlow::Continue(())
        })?;
        let seconds = start.elapsed().as_secs_f64();
        let found = measured(&head, &test)?;
        let mean =
            |pick: fn(&(f64, f64)) -> f64| found.iter().map(pick).sum::<f64>() / found.len() as f64;
        let (low, high) =
            found.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), (accuracy, _)| {
                (low.min(*accuracy), high.max(*accuracy))
            });
        println!(
            "{:4}  {:10}  {:.2} ({:.2} to {:.2})                      {:.4}  {seconds:.0}",
            rank.map_or("full".to_owned(), |rank| rank.to_string()),
            head.parameters(Method::Reflection).unwrap_or(0),
            mean(|found| found.0),
            low,
            high,
            mean(|found| found.1),
        );
    }
    Ok(())
}

/// Accuracy in per cent and NLL of H on the test images, by seed.
fn measured(head: &Head, test: &Features) -> Result<Vec<(f64, f64)>, Box<dyn Error>> {
    let score = |(seed, _): (usize, &SeedRecord)| {
        let (h, z) = (test.h.view(), test.z.view());
        let logits = head.logits(Method::Reflection, seed, &head.statistics, h, z);
        let logits = logits.ok_or("no H")?;
        let outputs = Outputs::Logits(logits.view());
        Ok((100.0 * accuracy(outputs, &test.labels)?, nll(outputs, &test.labels)?))
    };
    head.about.seeds.iter().enumerate().map(score).collect()
}

fn read(path: &str) -> Result<Features, Box<dyn Error>> {
    let mut npz = NpzReader::new(File::open(path)?)?;
    let (h, z): (Array2<f32>, Array2<f32>) = (npz.by_name("h")?, npz.by_name("z")?);
    let labels: Array1<i64> = npz.by_name("labels")?;
    let mut features = Features::new(h, z)?;
    features.labels =
        labels.iter().map(|&label| usize::try_from(label)).collect::<Result<_, _>>()?;
    features.check()?;
    Ok(features)
}

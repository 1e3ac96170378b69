//! What the maps of all classes cost: the forward pass, then all class and contrast maps, then their ranking, then VOICE.
//!
//! The parts are timed one after the other within each repetition, so that other work on the machine meets all of them
//! alike. Run by `benches/atlas.py`, which makes the weights and measures PyTorch in the same go. By hand:
//! `INTROSPECT_BENCH=FOLDER cargo bench -p introspective --bench atlas`, FOLDER holding `NAME.safetensors`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use introspective::{Opened, Session, SessionOptions, Threads, atlas};
use ndarray::Array3;

const THREADS: usize = 2;
const REPEATS: usize = 20;
const NETWORKS: [&str; 4] = ["resnet50", "vgg16", "densenet121", "squeezenet1_1"];
const PARTS: [&str; 4] = ["forward", "maps", "ranking", "voice"];

/// Prints `network part milliseconds` (medians), and `network ratio` of forward pass with all maps to forward pass.
fn main() {
    let Some(folder) = std::env::var_os("INTROSPECT_BENCH").map(PathBuf::from) else { return };
    for network in NETWORKS {
        let path = folder.join(format!("{network}.safetensors"));
        if !path.exists() {
            continue;
        }
        let opened = Opened::from_path(&path, Some(network.parse().unwrap())).expect("weights");
        // as the command does for a folder of pictures
        let threads = Some(Threads::new(THREADS));
        let options = SessionOptions { threads, optimise: true, ..SessionOptions::default() };
        let session = Session::new(&opened.classifier, &options).unwrap();
        let picture = Array3::from_shape_fn((3, 224, 224), |(c, y, x)| {
            ((c * 31 + y * 7 + x * 3) % 97) as f32 / 48.0 - 1.0
        });
        let mut times: [Vec<f64>; 4] = Default::default();
        let mut ratios = Vec::new();
        for repeat in 0..REPEATS + 2 {
            let mut last = Instant::now();
            let mut passed = || {
                let now = Instant::now();
                let passed = 1e3 * now.duration_since(last).as_secs_f64();
                last = now;
                passed
            };
            let observation = session.observe(black_box(picture.view())).unwrap();
            let forward = passed();
            let atlas = atlas(&session, &observation).unwrap();
            let maps = passed();
            black_box(atlas.ranking(13));
            let ranking = passed();
            black_box(atlas.voice(224, 224));
            let voice = passed();
            // the first two load and sum weights
            if repeat >= 2 {
                for (times, time) in times.iter_mut().zip([forward, maps, ranking, voice]) {
                    times.push(time);
                }
                ratios.push((forward + maps) / forward);
            }
        }
        for (part, times) in PARTS.iter().zip(&mut times) {
            println!("{network} {part} {:.3}", median(times));
        }
        println!("{network} ratio {:.4}", median(&mut ratios));
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

//! Every corruption, averaged over the severities; `corrupt.py` beside it runs the reference in the same go.
//!
//! `cargo bench -p introspective-corrupt` measures with divan, on one thread. With `--json PICTURES` it corrupts so many
//! different pictures of 224 x 224 on two threads, severities in turn, and prints one line a corruption: seconds of the clock
//! and of processor time.

use std::time::Instant;

use introspective_corrupt::{Corruption, Severity, corrupt};
use ndarray::Array3;
use rayon::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--json") {
        return timed(arguments.get(at + 1).map_or(Ok(200), |count| count.parse())?);
    }
    divan::main();
    Ok(())
}

fn timed(count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(2).build()?;
    let pictures: Vec<Array3<u8>> = (0..count).map(|n| picture(224, n)).collect();
    // tables and windows are made once a process, the package's frost is read for every picture
    for corruption in Corruption::ALL {
        let (start, busy) = (Instant::now(), processor_seconds()?);
        let sums: Result<Vec<u64>, _> = threads.install(|| {
            (0..count)
                .into_par_iter()
                .map(|n| {
                    let severity = Severity::ALL[n % 5];
                    let result = corrupt(pictures[n].view(), corruption, severity, 0, n as u64)?;
                    Ok::<_, introspective_corrupt::CorruptError>(u64::from(result[[0, 0, 0]]))
                })
                .collect()
        });
        let wall = start.elapsed().as_secs_f64();
        let cpu = processor_seconds()? - busy;
        divan::black_box(sums?);
        let name = corruption.name();
        println!("{{\"corruption\": \"{name}\", \"wall_s\": {wall}, \"cpu_s\": {cpu}}}");
    }
    Ok(())
}

/// Processor time of all threads of this process, from Linux's scheduler, which counts nanoseconds.
fn processor_seconds() -> std::io::Result<f64> {
    let mut nanoseconds = 0u64;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let line = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds +=
            line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(nanoseconds as f64 * 1e-9)
}

/// Waves of several lengths and colours, with edges; the same as in `corrupt.py`.
fn picture(size: usize, number: usize) -> Array3<u8> {
    Array3::from_shape_fn((size, size, 3), |(y, x, c)| {
        let wave = (3 * x + 5 * y + 40 * c + 11 * number) % 256;
        let square = if (x / 16 + y / 24 + number).is_multiple_of(2) { 60 } else { 0 };
        let grain = (x * 7919 + y * 104_729 + c * 31) % 23;
        ((wave + square) / 2 + grain) as u8
    })
}

#[divan::bench(args = Corruption::ALL.map(Corruption::name), consts = [32, 224])]
fn corruption<const SIZE: usize>(bencher: divan::Bencher<'_, '_>, name: &str) {
    let picture = picture(SIZE, 0);
    let corruption = Corruption::from_name(name).unwrap_or(Corruption::Fog);
    let mut index = 0;
    bencher.bench_local(|| {
        index += 1;
        let severity = Severity::ALL[index as usize % 5];
        corrupt(picture.view(), corruption, severity, 0, index)
    });
}

//! Against `imagecorruptions`: see `fixtures/reference_results.py` for what the fixture holds.
//!
//! Corruptions without chance differ by less than 0.2 grey levels on average at every severity, means of pixels and JPEG by
//! none. Those with chance have the same mean to half a level, the same variance to 0.2 dB, the same squared difference from
//! the picture to 0.3 dB and the same powers of the difference in bands of frequency to 0.5 dB, all beyond four standard errors;
//! and the peak signal-to-noise ratio is within 1 dB without them. Frost is drawn here and photographed there: means to 4 levels, variance
//! and ratio to 0.5 dB, bands to 4 dB, beyond chance.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::File;

use introspective_corrupt::{Corruption, Severity, corrupt};
use ndarray::{Array2, Array3, Array5, Array6, ArrayD, ArrayView3, Axis, s};
use ndarray_npy::NpzReader;
use rayon::prelude::*;

use Corruption::*;

const FIXED: [Corruption; 8] = [
    Contrast,
    Brightness,
    Saturate,
    Pixelate,
    JpegCompression,
    DefocusBlur,
    GaussianBlur,
    ZoomBlur,
];
const SIZES: [usize; 2] = [32, 224];

fn fixture() -> NpzReader<File> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/reference.npz");
    NpzReader::new(File::open(path).unwrap()).unwrap()
}

/// The two pictures of the fixture: parts of a photograph, or the means of their 7 x 7 blocks.
fn pictures(size: usize) -> [Array3<u8>; 2] {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/coffee.png");
    let photograph = image::open(path).unwrap().to_rgb8();
    [(88, 188), (170, 330)].map(|(top, left)| {
        let sample =
            |y: usize, x: usize, c: usize| photograph[((left + x) as u32, (top + y) as u32)][c];
        if size == 224 {
            return Array3::from_shape_fn((224, 224, 3), |(y, x, c)| sample(y, x, c));
        }
        Array3::from_shape_fn((32, 32, 3), |(y, x, c)| {
            let block = (0..49).map(|i| u32::from(sample(7 * y + i / 7, 7 * x + i % 7, c)));
            (block.sum::<u32>() / 49) as u8
        })
    })
}

/// The pixels that the fixture keeps.
fn places(size: usize) -> Vec<usize> {
    let step = size / 16;
    (0..16).map(|i| step * i + 5 * i % step).collect()
}

fn kept(result: &Array3<u8>) -> Array3<u8> {
    let at = places(result.dim().0);
    result.select(Axis(0), &at).select(Axis(1), &at)
}

fn mean_difference(a: ArrayView3<'_, u8>, b: ArrayView3<'_, u8>) -> f64 {
    let sum: u64 = a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum();
    sum as f64 / a.len() as f64
}

/// The mean difference in grey levels that a corruption without chance may have.
///
/// Both round down, and where a result is a whole number but for rounding, either may be one lower. Means of
/// pixels and JPEG are computed in whole numbers on both sides.
fn limit(corruption: Corruption) -> f64 {
    match corruption {
        Pixelate | JpegCompression => 1e-9,
        _ => 0.2,
    }
}

#[test]
fn without_chance_the_pixels_are_those_of_the_reference() {
    let samples: ArrayD<u8> = fixture().by_name("samples.npy").unwrap();
    let samples: Array6<u8> = samples.to_shape((2, 2, 8, 5, 256, 3)).unwrap().to_owned();
    let mut worst: BTreeMap<Corruption, f64> = BTreeMap::new();
    for (i, size) in SIZES.into_iter().enumerate() {
        for (j, picture) in pictures(size).into_iter().enumerate() {
            for (k, corruption) in FIXED.into_iter().enumerate() {
                for (l, severity) in Severity::ALL.into_iter().enumerate() {
                    let found = kept(&corrupt(picture.view(), corruption, severity, 0, 0).unwrap());
                    let expected = samples.slice(s![i, j, k, l, .., ..]);
                    let expected = expected.to_shape((16, 16, 3)).unwrap();
                    let difference = mean_difference(found.view(), expected.view());
                    let worst = worst.entry(corruption).or_default();
                    *worst = worst.max(difference);
                    assert!(
                        difference < limit(corruption),
                        "{} {} at {size}: {difference} levels",
                        corruption.name(),
                        severity.get()
                    );
                }
            }
        }
    }
    println!("{worst:?}");
}

#[test]
fn a_grey_picture_is_corrupted_as_a_colour_picture_of_greys() {
    let greys: Array5<u8> = fixture().by_name("greys.npy").unwrap();
    for (i, size) in SIZES.into_iter().enumerate() {
        let grey = pictures(size)[0].slice(s![.., .., 1..2]).to_owned();
        for (k, corruption) in FIXED.into_iter().enumerate() {
            for (l, severity) in Severity::ALL.into_iter().enumerate() {
                if corruption == Saturate && severity.get() > 3 {
                    continue; // the reference makes greys reddish, and a grey picture cannot be
                }
                let found = kept(&corrupt(grey.view(), corruption, severity, 0, 0).unwrap());
                let expected = greys.slice(s![i, k, l, .., ..]).insert_axis(Axis(2));
                let difference = mean_difference(found.view(), expected);
                // colours of JPEG are rounded twice on their way
                let limit = if corruption == JpegCompression { 0.6 } else { limit(corruption) };
                let name = corruption.name();
                assert!(difference < limit, "{name} {} at {size}: {difference}", severity.get());
            }
        }
    }
}

/// What `statistics` of the script computes of one result.
fn statistics(picture: &Array3<u8>, result: &Array3<u8>) -> [f64; 10] {
    let count = picture.len() as f64;
    let mut out = [0.0; 10];
    for (c, mean) in out[..3].iter_mut().enumerate() {
        *mean =
            3.0 * result.slice(s![.., .., c]).iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    }
    let mean = out[..3].iter().sum::<f64>() / 3.0;
    out[3] = result.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
    let square = |(&a, &b): (&u8, &u8)| (f64::from(a) - f64::from(b)).powi(2);
    out[4] = result.iter().zip(picture).map(square).sum::<f64>() / count;
    out[5..].copy_from_slice(&bands(picture, result));
    out
}

fn bands(picture: &Array3<u8>, result: &Array3<u8>) -> [f64; 5] {
    let start = (picture.dim().0 - 32) / 2;
    let turn = std::f64::consts::TAU / 32.0;
    let hann = |i: usize| 0.5 - 0.5 * (turn * i as f64).cos();
    let window = Array2::from_shape_fn((32, 32), |(y, x)| {
        let at = |array: &Array3<u8>| -> f64 {
            (0..3).map(|c| f64::from(array[[start + y, start + x, c]])).sum::<f64>() / 3.0
        };
        (at(result) - at(picture)) * hann(y) * hann(x)
    });
    let cosine = Array2::from_shape_fn((32, 32), |(k, i)| (turn * (k * i) as f64).cos());
    let sine = Array2::from_shape_fn((32, 32), |(k, i)| (turn * (k * i) as f64).sin());
    let (a, b) = (cosine.dot(&window), sine.dot(&window));
    let real = a.dot(&cosine) - b.dot(&sine);
    let imaginary = a.dot(&sine) + b.dot(&cosine);
    let mut bands = [0.0; 5];
    let edges = [1.0, 2.0, 4.0, 8.0, 16.0, 23.0];
    for ((y, x), re) in real.indexed_iter() {
        let along = |k: usize| if k < 16 { k as f64 } else { 32.0 - k as f64 };
        let length = along(y).hypot(along(x));
        if let Some(band) = (0..5).find(|&n| (edges[n]..edges[n + 1]).contains(&length)) {
            bands[band] += (re * re + imaginary[[y, x]].powi(2)) / 32f64.powi(4);
        }
    }
    bands
}

/// Decibels between two powers.
fn decibels(found: f64, expected: f64) -> f64 {
    10.0 * (found / expected).log10()
}

/// How many results the fixture's means are of, as in its script.
fn repeats(corruption: Corruption, size: usize) -> f64 {
    match (corruption, size) {
        (_, 32) => 400.0,
        (GlassBlur, _) => 4.0,
        _ => 120.0,
    }
}

/// Means of the statistics over results with as many indices, and their variances.
fn measured(
    picture: &Array3<u8>,
    corruption: Corruption,
    severity: Severity,
    count: u64,
) -> ([f64; 10], [f64; 10]) {
    let rows: Vec<[f64; 10]> = (0..count)
        .into_par_iter()
        .map(|n| statistics(picture, &corrupt(picture.view(), corruption, severity, 1, n).unwrap()))
        .collect();
    let mean = |of: &dyn Fn(&[f64; 10]) -> f64| rows.iter().map(of).sum::<f64>() / count as f64;
    let means: [f64; 10] = std::array::from_fn(|k| mean(&|row| row[k]));
    let variances = std::array::from_fn(|k| mean(&|row| (row[k] - means[k]).powi(2)));
    (means, variances)
}

/// What may differ beyond chance: grey levels of the means, decibels of the variance, of the noise and of its bands.
fn allowed(corruption: Corruption) -> [f64; 10] {
    let (means, variance, ratio, bands) = match corruption {
        Frost => (4.0, 0.5, 0.5, 4.0),
        _ => (0.5, 0.2, 0.3, 0.5),
    };
    std::array::from_fn(|k| match k {
        0..3 => means,
        3 => variance,
        4 => ratio,
        _ => bands,
    })
}

#[test]
fn with_chance_the_statistics_are_those_of_the_reference() {
    let expected: Array5<f32> = fixture().by_name("statistics.npy").unwrap();
    let random: Vec<Corruption> =
        Corruption::ALL.into_iter().filter(|c| !FIXED.contains(c)).collect();
    let mut wrong = Vec::new();
    for (i, size) in SIZES.into_iter().enumerate() {
        let count = if size == 32 { 200 } else { 40 };
        for (j, picture) in pictures(size).into_iter().enumerate() {
            for (k, &corruption) in random.iter().enumerate() {
                for (l, severity) in Severity::ALL.into_iter().enumerate() {
                    let (found, variances) = measured(&picture, corruption, severity, count);
                    let expected = expected.slice(s![i, j, k, l, ..]).mapv(f64::from);
                    let both = 1.0 / count as f64 + 1.0 / repeats(corruption, size);
                    let allowed = allowed(corruption);
                    for n in 0..10 {
                        // four standard errors of the difference of both means
                        let chance = 4.0 * (variances[n] * both).sqrt();
                        let (difference, limit) = if n < 3 {
                            (found[n] - expected[n], allowed[n] + chance)
                        } else {
                            let chance = 10.0 * (1.0 + chance / found[n]).log10();
                            (decibels(found[n], expected[n]), allowed[n] + chance)
                        };
                        let line = format!(
                            "{} {} at {size}, picture {j}, {}: {difference:.2}, limit {limit:.2}",
                            corruption.name(),
                            severity.get(),
                            STATISTICS[n],
                        );
                        println!("{line}");
                        // what the issue asks for, whatever chance allows
                        let far = n == 4 && difference.abs() > 1.0;
                        if far || difference.abs() > limit {
                            wrong.push(line);
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const STATISTICS: [&str; 10] = [
    "mean of red, levels",
    "mean of green, levels",
    "mean of blue, levels",
    "variance, dB",
    "PSNR, dB",
    "power at 1 to 2 waves, dB",
    "power at 2 to 4 waves, dB",
    "power at 4 to 8 waves, dB",
    "power at 8 to 16 waves, dB",
    "power at 16 to 23 waves, dB",
];

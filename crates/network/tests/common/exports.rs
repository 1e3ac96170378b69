//! Networks that PyTorch's exporters wrote: graphs in `fixtures/onnx_*.onnx.gz`, weights by recipe
//! (fixtures/onnx_exports.py).
#![allow(dead_code)] // each test binary uses its part

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use ndarray::ArrayD;

use crate::common;

/// `script` is the older exporter, `dynamo` and `free` the newer one; the batch is free but in `dynamo`.
pub const EXPORTERS: [&str; 3] = ["script", "dynamo", "free"];

pub fn fixture(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
}

fn shape(text: &str) -> Vec<usize> {
    text.split('x').map(|size| size.parse().unwrap()).collect()
}

/// `weight / sqrt(running_var + eps)` of a batch normalisation.
fn slopes(norm: &str, epsilon: &str, channels: usize) -> Vec<f32> {
    let epsilon: f32 = epsilon.parse().unwrap();
    let scale = common::tensor(&format!("{norm}.weight"), &[channels]);
    let variance = common::tensor(&format!("{norm}.running_var"), &[channels]);
    scale
        .iter()
        .zip(variance)
        .map(|(scale, variance)| scale / (variance + epsilon).sqrt())
        .collect()
}

/// One tensor of a recipe.
fn cook(line: &str) -> Vec<f32> {
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["plain", name, dims] => common::tensor(name, &shape(dims)),
        ["transposed", name, dims] => {
            let values = ArrayD::from_shape_vec(shape(dims), common::tensor(name, &shape(dims)));
            values.unwrap().t().iter().copied().collect()
        }
        ["weight", conv, norm, epsilon, dims] => {
            let dims = shape(dims);
            let mut values = common::tensor(&format!("{conv}.weight"), &dims);
            let each = values.len() / dims[0];
            for (part, slope) in values.chunks_mut(each).zip(slopes(norm, epsilon, dims[0])) {
                part.iter_mut().for_each(|value| *value *= slope);
            }
            values
        }
        ["bias", conv, norm, epsilon, channels] => {
            let channels = channels.parse().unwrap();
            let of = |name: &str| common::tensor(name, &[channels]);
            let own =
                if conv == "none" { vec![0.0; channels] } else { of(&format!("{conv}.bias")) };
            let (mean, shift) = (of(&format!("{norm}.running_mean")), of(&format!("{norm}.bias")));
            let slopes = slopes(norm, epsilon, channels);
            (0..channels).map(|i| (own[i] - mean[i]) * slopes[i] + shift[i]).collect()
        }
        _ => panic!("{line}"),
    }
}

/// The exported file with its weights beside it.
pub fn write_model(folder: &Path, stem: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let packed = File::open(fixture(&format!("{stem}.onnx.gz"))).unwrap();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    let path = folder.join("model.onnx");
    std::fs::write(&path, bytes).unwrap();
    let mut data = BufWriter::new(File::create(folder.join("weights.data")).unwrap());
    for line in std::fs::read_to_string(fixture(&format!("{stem}.recipe"))).unwrap().lines() {
        for value in cook(line) {
            data.write_all(&value.to_le_bytes()).unwrap();
        }
    }
    data.into_inner().unwrap();
    path
}

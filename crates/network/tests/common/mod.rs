//! Weights and pictures made from names alone, as `fixtures/parity.py` makes them in Python.

#![allow(dead_code)] // each test binary uses its part

use std::borrow::Cow;
use std::collections::BTreeMap;

use ndarray::Array3;
use safetensors::tensor::{Dtype, TensorView, View, serialize};

/// Numbers in [0, 1) with 24 random bits: splitmix64 seeded with FNV-1a of the name.
pub fn uniform(name: &str) -> impl Iterator<Item = f64> + use<> {
    let mut state = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f64 / f64::from(1 << 24)
    })
}

/// Tensors from this size on (the hidden layers of AlexNet and VGG) repeat a block of prime length.
const LONG: usize = 1 << 24;
const BLOCK: usize = 999_983;

/// A tensor's values, in ranges that keep a network's activations within a few units.
pub fn tensor(name: &str, shape: &[usize]) -> Vec<f32> {
    let count: usize = shape.iter().product();
    let (low, high) = if name.ends_with("running_var") {
        (0.5, 1.5)
    } else if name.ends_with("weight") && shape.len() == 1 {
        (0.4, 0.8)
    } else if name.ends_with("weight") {
        let fan_in: usize = shape[1..].iter().product();
        let mut high = (6.0 / fan_in as f64).sqrt();
        if count < LONG && (name.starts_with("fc.") || name.starts_with("classifier.")) {
            high *= 4.0;
        }
        (-high, high)
    } else {
        (-0.1, 0.1)
    };
    let drawn = if count < LONG { count } else { BLOCK };
    let mut values: Vec<f32> =
        uniform(name).take(drawn).map(|u| (low + (high - low) * u) as f32).collect();
    values.reserve_exact(count - drawn);
    while values.len() < count {
        values.extend_from_within(..drawn.min(count - values.len()));
    }
    values
}

/// A safetensors file with these tensors.
pub fn safetensors(tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Vec<u8> {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name.clone(), shape.clone(), raw)
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, raw)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), raw).unwrap())
    });
    serialize(views, None).unwrap()
}

/// A safetensors file of generated weights for tensors of these names and shapes.
///
/// One tensor at a time is in memory beside the file: VGG16 has half a gigabyte of them.
pub fn weights(shapes: &[(String, Vec<usize>)]) -> Vec<u8> {
    serialize(shapes.iter().map(|(name, shape)| (name, Generated { name, shape })), None).unwrap()
}

/// A safetensors file of tensors of these names and shapes, all zero.
pub fn zeros(shapes: &[(String, Vec<usize>)]) -> Vec<u8> {
    let length = |shape: &[usize]| shape.iter().product::<usize>() * size_of::<f32>();
    let longest = shapes.iter().map(|(_, shape)| length(shape)).max().unwrap();
    let zeros = vec![0; longest];
    let views = shapes.iter().map(|(name, shape)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), &zeros[..length(shape)]).unwrap())
    });
    serialize(views, None).unwrap()
}

struct Generated<'a> {
    name: &'a str,
    shape: &'a [usize],
}

impl View for Generated<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = tensor(self.name, self.shape);
        Cow::Owned(values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }
}

/// Triangle waves of different slopes under noise, C x H x W.
pub fn picture(channels: usize, height: usize, width: usize) -> Array3<f32> {
    let mut noise = uniform("picture");
    Array3::from_shape_fn((channels, height, width), |(c, y, x)| {
        let phase = (3 * x + 5 * y * (c + 1)) % 128;
        let wave = (phase as f64 - 64.0).abs() / 32.0 - 1.0;
        let blob = if x * 3 < width * 2 && y * 2 > height { 1.5 } else { 0.25 };
        // from_shape_fn goes through the array in the order of its memory
        (wave * blob + noise.next().unwrap() - 0.5) as f32
    })
}

pub fn splitmix64(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// `photograph` of fixtures/pictures.py, H x W x 3: patches of noise, of a texture that gets ever finer, and
/// of hard edges.
pub fn photograph(width: usize, height: usize) -> Array3<u8> {
    Array3::from_shape_fn((height, width, 3), |(y, x, c)| match (x / 11 + y / 7) % 3 {
        0 => splitmix64(((y * 65536 + x) * 4 + c) as u64) as u8,
        1 => ((3 * x * x + 5 * y * y + x * y * (c + 1)) / 8 % 256) as u8,
        _ if (x / 3 + y / 2 + c) % 2 == 1 => 255,
        _ => 16,
    })
}

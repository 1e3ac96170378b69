//! Preprocessing against torchvision and PyTorch: `fixtures/preprocess.py` says what is stored.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::fs::File;
use std::path::Path;

use common::{photograph as picture, splitmix64};
use introspective_network::{
    IMAGENET_MEAN, IMAGENET_STD, Interpolation, Method, PreprocessError, Preprocessing, Region,
    resize_bilinear, resize_rgb,
};
use ndarray::{Array, Array1, Array2, Array3, Dimension, s};
use ndarray_npy::{NpzReader, ReadableElement};
use proptest::prelude::*;

/// `a_map` of the generator.
fn a_map(height: usize, width: usize) -> Array2<f32> {
    Array2::from_shape_fn((height, width), |(y, x)| {
        (splitmix64((y * width + x) as u64) >> 40) as f32 / 16_777_216.0
    })
}

/// The arrays called `kind_...`, with the numbers in their names.
fn stored<A: ReadableElement, D: Dimension>(kind: &str) -> Vec<(Vec<usize>, Array<A, D>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/preprocess.npz");
    let mut file = NpzReader::new(File::open(path).unwrap()).unwrap();
    let names = file.names().unwrap();
    let numbers = |name: &str| -> Option<Vec<usize>> {
        let rest = name.trim_end_matches(".npy").strip_prefix(kind)?.strip_prefix('_')?;
        Some(rest.split(['x', '_']).map(|n| n.parse().unwrap()).collect())
    };
    let found: Vec<_> = names
        .iter()
        .filter_map(|name| Some((numbers(name)?, file.by_name(name).unwrap())))
        .collect();
    assert!(!found.is_empty(), "no {kind} in the fixture");
    found
}

/// Mean 0 and standard deviation 1/255: the input is the bytes themselves, up to rounding.
fn bare(size: usize, crop: usize, channels: usize) -> Preprocessing {
    bare_with(Interpolation::Bilinear, size, crop, channels)
}

fn bare_with(
    interpolation: Interpolation,
    size: usize,
    crop: usize,
    channels: usize,
) -> Preprocessing {
    let method = Method::Torchvision { size, crop, interpolation };
    Preprocessing::new(method, vec![0.0; channels], vec![1.0 / 255.0; channels]).unwrap()
}

/// Promised is 99 % and one level; reached is every byte.
#[test]
fn every_byte_is_torchvisions() {
    for (kind, filter, least) in
        [("bytes", Interpolation::Bilinear, 50_000), ("cubic", Interpolation::Bicubic, 20_000)]
    {
        let mut bytes = 0;
        for (numbers, expected) in stored::<u8, ndarray::Ix3>(kind) {
            let [width, height, size, crop] = numbers[..] else { panic!("{numbers:?}") };
            let steps = bare_with(filter, size, crop, 3);
            let prepared = steps.apply(picture(width, height).view()).unwrap();
            let found = prepared.input.permuted_axes([1, 2, 0]).mapv(|v| v.round() as u8);
            assert!(found == expected, "{kind} {width}x{height} to {size}, crop {crop}");
            bytes += expected.len();
        }
        assert!(bytes > least, "only {bytes} bytes of {kind} compared");
    }

    for (numbers, expected) in stored::<u8, ndarray::Ix2>("grey") {
        let [width, height, size, crop] = numbers[..] else { panic!("{numbers:?}") };
        let prepared = bare(size, crop, 1).apply(picture(width, height).view()).unwrap();
        let found = prepared.input.mapv(|v| v.round() as u8).remove_axis(ndarray::Axis(0));
        assert!(found == expected, "grey {width}x{height} to {size}, crop {crop}");
    }
}

#[test]
fn every_byte_of_both_filters_is_pillows() {
    for (kind, filter) in
        [("bilinear", Interpolation::Bilinear), ("bicubic", Interpolation::Bicubic)]
    {
        for (numbers, expected) in stored::<u8, ndarray::Ix3>(kind) {
            let [width, height, to_width, to_height] = numbers[..] else { panic!("{numbers:?}") };
            let (size, to) = ((width, height), (to_width, to_height));
            let found = resize_rgb(picture(width, height).view(), (0, 0), size, to, filter);
            assert!(found.unwrap() == expected, "{kind} {numbers:?}");
        }
    }
}

#[test]
fn a_part_that_is_not_inside_or_a_side_of_nothing_is_refused() {
    let picture = picture(20, 10);
    let resize = |corner, size, to| {
        resize_rgb(picture.view(), corner, size, to, Interpolation::Bicubic).unwrap_err()
    };
    for (corner, size) in [
        ((0, 0), (21, 10)),
        ((1, 0), (20, 10)),
        ((0, 3), (5, 8)),
        ((3, 3), (0, 2)),
        ((usize::MAX, 0), (2, 2)),
    ] {
        let error = resize(corner, size, (5, 5));
        assert!(matches!(error, PreprocessError::Part { .. }), "{error}");
    }
    for to in [(0, 5), (5, 0), (8193, 5)] {
        let error = resize((0, 0), (20, 10), to);
        assert!(matches!(error, PreprocessError::Side { .. }), "{error}");
    }
}

#[test]
fn the_size_and_the_place_of_the_crop_are_torchvisions() {
    for (numbers, expected) in stored::<i32, ndarray::Ix1>("where") {
        let [width, height, size, crop] = numbers[..] else { panic!("{numbers:?}") };
        let prepared = bare(size, crop, 3).apply(picture(width, height).view()).unwrap();
        let expected: Array1<f64> = expected.mapv(f64::from);
        let (w, h) = (expected[0], expected[1]);
        assert_eq!((prepared.resized.0 as f64, prepared.resized.1 as f64), (w, h));

        let (scale_x, scale_y) = (width as f64 / w, height as f64 / h);
        let seen = prepared.seen;
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + b);
        assert!(near(seen.x, expected[2] * scale_x), "{numbers:?}: {seen:?}");
        assert!(near(seen.y, expected[3] * scale_y), "{numbers:?}: {seen:?}");
        assert!(near(seen.width, crop as f64 * scale_x), "{numbers:?}: {seen:?}");
        assert!(near(seen.height, crop as f64 * scale_y), "{numbers:?}: {seen:?}");
        assert!(seen.x + seen.width <= width as f64 + 1e-9);
        assert!(seen.y + seen.height <= height as f64 + 1e-9);
    }
}

fn assert_close(found: &Array3<f32>, expected: &Array3<f32>, tolerance: f32, what: &str) {
    assert_eq!(found.dim(), expected.dim(), "{what}");
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let largest = differences.max_by(f32::total_cmp).unwrap();
    assert!(largest <= tolerance, "{what}: off by {largest}");
}

#[test]
fn normalised_values_are_torchvisions_to_1e_6() {
    for (numbers, expected) in stored::<f32, ndarray::Ix3>("input") {
        let [width, height, size, crop] = numbers[..] else { panic!("{numbers:?}") };
        let interpolation = Interpolation::Bilinear;
        let method = Method::Torchvision { size, crop, interpolation };
        let steps = Preprocessing::new(method, IMAGENET_MEAN.to_vec(), IMAGENET_STD.to_vec());
        let found = steps.unwrap().apply(picture(width, height).view()).unwrap().input;
        assert_close(&found, &expected, 1e-6, "input");
    }
}

/// 1e-6 of the values in 0..1 is 5e-6 after division by the standard deviation.
#[test]
fn squash_is_interpolate_on_the_whole_picture() {
    let kinds: [(&str, &[f32], &[f32]); 2] =
        [("squash", &IMAGENET_MEAN, &IMAGENET_STD), ("squashgrey", &[0.45], &[0.225])];
    for (kind, mean, std) in kinds {
        for (numbers, expected) in stored::<f32, ndarray::Ix3>(kind) {
            let [width, height, size, step] = numbers[..] else { panic!("{numbers:?}") };
            let method = Method::Squash { size };
            let steps = Preprocessing::new(method, mean.to_vec(), std.to_vec()).unwrap();
            let prepared = steps.apply(picture(width, height).view()).unwrap();
            let found = prepared.input.slice(s![.., ..;step, ..;step]).to_owned();
            assert_close(&found, &expected, 5e-6, &format!("{kind} {numbers:?}"));
            assert_eq!(prepared.resized, (size, size));
            let (width, height) = (width as f64, height as f64);
            assert_eq!(prepared.seen, Region { x: 0.0, y: 0.0, width, height });
        }
    }
}

#[test]
fn squash_agrees_with_resize_bilinear() {
    let picture = picture(57, 91);
    let method = Method::Squash { size: 23 };
    let steps = Preprocessing::new(method, vec![0.0; 3], vec![1.0; 3]).unwrap();
    let found = steps.apply(picture.view()).unwrap().input;
    for (c, found) in found.outer_iter().enumerate() {
        let channel = picture.slice(s![.., .., c]).mapv(|v| f32::from(v) / 255.0);
        assert_eq!(found, resize_bilinear(channel.view(), 23, 23));
    }
}

#[test]
fn maps_are_interpolated_as_pytorch_does() {
    for (numbers, expected) in stored::<f32, ndarray::Ix2>("map") {
        let [in_height, in_width, height, width, step] = numbers[..] else { panic!("{numbers:?}") };
        let found = resize_bilinear(a_map(in_height, in_width).view(), height, width);
        assert_eq!(found.dim(), (height, width));
        let found = found.slice(s![..;step, ..;step]);
        assert_eq!(found.dim(), expected.dim());
        let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let largest = differences.max_by(f32::total_cmp).unwrap();
        assert!(largest <= 1e-6, "{numbers:?}: off by {largest}");
    }
}

/// A view that is not in standard layout is the same picture.
#[test]
fn the_layout_of_the_array_does_not_matter() {
    let upright = picture(50, 40);
    let planes = upright.clone().permuted_axes([2, 0, 1]).as_standard_layout().into_owned();
    let steps = bare(30, 24, 3);
    let expected = steps.apply(upright.view()).unwrap();
    assert_eq!(steps.apply(planes.view().permuted_axes([1, 2, 0])).unwrap(), expected);
}

/// Resized whole, this would be 256 x 15,360,000 pixels.
#[test]
fn a_line_of_pixels_takes_little_time_and_memory() {
    let steps = Preprocessing::imagenet();
    for (height, width) in [(60_000, 1), (1, 60_000)] {
        let line = Array3::from_elem((height, width, 3), 255);
        let prepared = steps.apply(line.view()).unwrap();
        assert_eq!(prepared.input.dim(), (3, 224, 224));
        let white = (1.0 - IMAGENET_MEAN[1]) / IMAGENET_STD[1];
        assert!(prepared.input.index_axis(ndarray::Axis(0), 1).iter().all(|&v| v == white));
        let long = prepared.resized.0.max(prepared.resized.1);
        assert_eq!(long, 256 * 60_000);
    }
}

#[test]
fn impossible_preprocessings_are_refused_with_the_reason() {
    let rgb = || (vec![0.5; 3], vec![0.2; 3]);
    let new = |method, (mean, std): (Vec<f32>, Vec<f32>)| Preprocessing::new(method, mean, std);
    let interpolation = Interpolation::Bicubic;
    let torchvision = |size, crop| Method::Torchvision { size, crop, interpolation };
    let cases = [
        (new(torchvision(224, 256), rgb()), "256 pixels does not fit"),
        (new(torchvision(0, 0), rgb()), "size of 0 pixels"),
        (new(torchvision(256, 0), rgb()), "crop of 0 pixels"),
        (new(Method::Squash { size: 8193 }, rgb()), "1 to 8192"),
        (new(torchvision(256, 224), (vec![0.5; 3], vec![0.2])), "3 means and 1 standard"),
        (new(torchvision(256, 224), (vec![0.5; 2], vec![0.2; 2])), "2 means and 2 standard"),
        (new(torchvision(256, 224), (vec![], vec![])), "0 means"),
        (
            new(torchvision(256, 224), (vec![0.5], vec![0.0])),
            "standard deviation of channel 0 is 0",
        ),
        (new(torchvision(256, 224), (vec![0.5], vec![-1.0])), "-1"),
        (
            new(torchvision(256, 224), (vec![0.5, f32::NAN, 0.5], vec![0.2; 3])),
            "mean of channel 1 is NaN",
        ),
        (
            new(torchvision(256, 224), (vec![0.5; 3], vec![0.2, 0.2, f32::INFINITY])),
            "channel 2 is inf",
        ),
    ];
    for (result, words) in cases {
        let error = result.expect_err(words);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn an_array_that_is_no_picture_is_refused_with_its_shape() {
    for shape in [(0, 5, 3), (5, 0, 3), (5, 5, 4), (5, 5, 1), (3, 5, 5)] {
        let error = Preprocessing::imagenet().apply(Array3::zeros(shape).view()).unwrap_err();
        let found = [shape.0, shape.1, shape.2];
        assert_eq!(error, PreprocessError::Shape { found });
    }
}

proptest! {
    /// Whatever the shape, nothing panics, and a picture of one colour stays that colour.
    #[test]
    fn a_flat_picture_stays_flat(
        (width, height) in (1..90_usize, 1..90_usize),
        (size, less) in (1..70_usize, 0..70_usize),
        value in any::<u8>(),
        channels in prop_oneof![Just(1), Just(3)],
    ) {
        let picture = Array3::from_elem((height, width, 3), value);
        let crop = size.saturating_sub(less).max(1);
        let torchvision = bare(size, crop, channels);
        let squash = Method::Squash { size };
        let squash = Preprocessing::new(squash, vec![0.0; channels], vec![1.0 / 255.0; channels]);
        for steps in [torchvision, squash.unwrap()] {
            let prepared = steps.apply(picture.view()).unwrap();
            let side = steps.input_size();
            prop_assert_eq!(prepared.input.dim(), (channels, side, side));
            prop_assert!(prepared.input.iter().all(|v| (v - f32::from(value)).abs() < 1e-3));
            let seen = prepared.seen;
            prop_assert!(seen.x >= 0.0 && seen.x + seen.width <= width as f64 + 1e-9);
            prop_assert!(seen.y >= 0.0 && seen.y + seen.height <= height as f64 + 1e-9);
        }
    }
}

/// What the manifest writes.
#[test]
fn a_preprocessing_serialises_as_one_flat_map() {
    let found = serde_json::to_string(&Preprocessing::imagenet()).unwrap();
    let expected = r#"{"method":"torchvision","size":256,"crop":224,"interpolation":"bilinear","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}"#;
    assert_eq!(found, expected);
    let squash = Preprocessing::new(Method::Squash { size: 32 }, vec![0.5], vec![0.25]).unwrap();
    let found = serde_json::to_string(&squash).unwrap();
    assert_eq!(found, r#"{"method":"squash","size":32,"mean":[0.5],"std":[0.25]}"#);
    assert_eq!((squash.channels(), squash.input_size()), (1, 32));
}

//! Overlays: the authors' style against numpy and OpenCV (`fixtures/overlay.py`), the others against their formulas.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs::File;

use introspective_report::{Colormap, DrawError, Style, overlay};
use ndarray::{Array2, Array3};
use ndarray_npy::NpzReader;

fn grey_photo() -> Array3<u8> {
    Array3::from_elem((4, 5, 3), 100)
}

#[test]
fn the_authors_style_is_numpys_byte_for_byte() {
    let file =
        File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/overlay.npz")).unwrap();
    let mut archive = NpzReader::new(file).unwrap();
    let photo: Array3<u8> = archive.by_name("photo").unwrap();
    let map: Array2<f32> = archive.by_name("map").unwrap();
    let expected: Array3<u8> = archive.by_name("picture").unwrap();
    let picture = overlay(photo.view(), map.view(), Style::Authors, Colormap::Jet).unwrap();
    assert_eq!(picture, expected);
}

#[test]
fn a_blend_leaves_cold_places_alone_and_never_hides_the_photograph() {
    let photo = Array3::from_shape_fn((4, 5, 3), |(y, x, c)| (40 * y + 20 * x + 7 * c) as u8);
    let mut map = Array2::zeros((4, 5));
    map[[2, 3]] = 1.0;
    // Entry 102 of the table.
    map[[1, 1]] = 0.4;
    let picture = overlay(photo.view(), map.view(), Style::Blend, Colormap::Viridis).unwrap();
    for ((y, x, c), &level) in picture.indexed_iter() {
        let under = f32::from(photo[[y, x, c]]);
        let over = f32::from(Colormap::Viridis.colour(map[[y, x]])[c]);
        let edge: f32 = (map[[y, x]] / 0.6f32).min(1.0);
        let expected = under + 0.7 * (3.0 * edge.powi(2) - 2.0 * edge.powi(3)) * (over - under);
        assert!(
            (f32::from(level) - expected).abs() <= 1.0,
            "{y} {x} {c}: {level}, expected {expected}"
        );
    }
    assert_eq!(picture[[0, 0, 1]], photo[[0, 0, 1]]);
}

#[test]
fn signs_become_hues_and_zero_stays_grey() {
    let photo = Array3::from_shape_fn((1, 3, 3), |(_, _, c)| [200, 100, 50][c]);
    let map = Array2::from_shape_vec((1, 3), vec![-4.0, 0.0, 2.0]).unwrap();
    let picture = overlay(photo.view(), map.view(), Style::Signed, Colormap::RedBlue).unwrap();
    let pixel = |x: usize| [picture[[0, x, 0]], picture[[0, x, 1]], picture[[0, x, 2]]];
    // 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
    assert_eq!(pixel(1), [124; 3]);
    assert!(pixel(0)[2] > pixel(0)[0] + 50, "negative is blue: {:?}", pixel(0));
    assert!(pixel(2)[0] > pixel(2)[2] + 30, "positive is red: {:?}", pixel(2));
    // The largest magnitude, here the negative one, is drawn at full strength.
    let full = |c: usize| 124.0 + 0.8 * (f32::from(Colormap::RedBlue.colour(0.0)[c]) - 124.0);
    for c in 0..3 {
        assert!((f32::from(pixel(0)[c]) - full(c)).abs() <= 1.0, "{:?}", pixel(0));
    }
}

#[test]
fn an_empty_signed_map_gives_the_grey_photograph() {
    let photo = Array3::from_shape_fn((4, 5, 3), |(y, x, c)| (40 * y + 20 * x + 30 * c) as u8);
    let picture =
        overlay(photo.view(), Array2::zeros((4, 5)).view(), Style::Signed, Colormap::PurpleGreen)
            .unwrap();
    for y in 0..4 {
        for x in 0..5 {
            let value = |c: usize| f32::from(photo[[y, x, c]]);
            let luma = 0.299 * value(0) + 0.587 * value(1) + 0.114 * value(2);
            for c in 0..3 {
                assert!((f32::from(picture[[y, x, c]]) - luma).abs() <= 0.51);
            }
        }
    }
}

#[test]
fn nan_counts_as_nothing() {
    let maps = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    for style in Style::ALL {
        let map = style.default_colormap();
        let nan =
            overlay(grey_photo().view(), Array2::from_elem((4, 5), f32::NAN).view(), style, map)
                .unwrap();
        let zero = overlay(grey_photo().view(), Array2::zeros((4, 5)).view(), style, map).unwrap();
        assert_eq!(nan, zero, "{style}");
        for value in maps {
            let mut values = Array2::from_elem((4, 5), 0.25);
            values[[0, 0]] = value;
            let picture = overlay(grey_photo().view(), values.view(), style, map).unwrap();
            let plain =
                overlay(grey_photo().view(), Array2::from_elem((4, 5), 0.25).view(), style, map)
                    .unwrap();
            if style != Style::Authors {
                assert_eq!(
                    picture[[3, 4, 0]],
                    plain[[3, 4, 0]],
                    "{style} {value}: one bad value spoils the others"
                );
            }
        }
    }
}

#[test]
fn a_black_photograph_does_not_divide_by_zero() {
    let photo = Array3::zeros((2, 2, 3));
    let picture =
        overlay(photo.view(), Array2::zeros((2, 2)).view(), Style::Authors, Colormap::Jet).unwrap();
    assert_eq!([picture[[0, 0, 0]], picture[[0, 0, 1]], picture[[0, 0, 2]]], [0, 0, 255]);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let photo = grey_photo();
    let error = overlay(photo.view(), Array2::zeros((5, 4)).view(), Style::Blend, Colormap::Turbo)
        .unwrap_err();
    assert!(matches!(error, DrawError::SizeMismatch { photo: (4, 5), map: (5, 4) }), "{error}");
    let map = Array2::zeros((4, 5));
    let error = overlay(photo.view(), map.view(), Style::Signed, Colormap::Jet).unwrap_err();
    assert!(error.to_string().contains("jet") && error.to_string().contains("red-blue"), "{error}");
    for style in [Style::Authors, Style::Blend] {
        let error = overlay(photo.view(), map.view(), style, Colormap::PurpleGreen).unwrap_err();
        assert!(
            error.to_string().contains("purple-green") && error.to_string().contains(style.name()),
            "{error}"
        );
    }
    let error = overlay(Array3::zeros((4, 5, 1)).view(), map.view(), Style::Blend, Colormap::Turbo)
        .unwrap_err();
    assert!(matches!(error, DrawError::NotRgb { channels: 1, .. }), "{error}");
}

#[test]
fn styles_read_back_and_suit_their_own_colours() {
    for style in Style::ALL {
        assert_eq!(style.name().parse::<Style>().unwrap(), style);
        style.check(style.default_colormap()).unwrap();
    }
    let error = "glow".parse::<Style>().unwrap_err().to_string();
    assert!(error.contains("authors, blend, signed"), "{error}");
}

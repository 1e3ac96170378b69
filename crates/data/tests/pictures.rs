//! Every small picture of `fixtures/`, compared with what Pillow sees in it.
//!
//! `fixtures/make_pictures.py` makes the pictures and `expected.txt`, and explains both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::PathBuf;

use introspective_data::{Picture, decode, read};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

struct Expected {
    file: String,
    format: String,
    colour: String,
    orientation: u8,
    width: usize,
    height: usize,
    tolerance: u8,
    rgb: Vec<u8>,
}

fn expectations() -> Vec<Expected> {
    let text = std::fs::read_to_string(fixture("expected.txt")).unwrap();
    let parse = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let hex = words[7].as_bytes().chunks(2);
        Expected {
            file: words[0].to_owned(),
            format: words[1].to_owned(),
            colour: words[2].to_owned(),
            orientation: words[3].parse().unwrap(),
            width: words[4].parse().unwrap(),
            height: words[5].parse().unwrap(),
            tolerance: words[6].parse().unwrap(),
            rgb: hex
                .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 16).unwrap())
                .collect(),
        }
    };
    text.lines().map(parse).collect()
}

fn largest_difference(picture: &Picture, expected: &Expected) -> u8 {
    let found = picture.pixels.as_slice().expect("standard layout");
    assert_eq!(found.len(), expected.rgb.len(), "{}", expected.file);
    let differences = found.iter().zip(&expected.rgb).map(|(a, b)| a.abs_diff(*b));
    differences.max().unwrap()
}

#[test]
fn every_picture_is_what_pillow_sees() {
    let expectations = expectations();
    assert!(expectations.len() > 50, "the table was read");
    let mut wrong = Vec::new();
    for expected in &expectations {
        let name = &expected.file;
        let picture = read(&fixture(name)).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let info = &picture.info;
        assert_eq!(picture.pixels.dim(), (expected.height, expected.width, 3), "{name}");
        assert_eq!((info.width, info.height), (expected.width, expected.height), "{name}");
        assert_eq!(info.format, expected.format, "{name}");
        assert_eq!(info.colour, expected.colour, "{name}");
        assert_eq!(info.orientation, expected.orientation, "{name}");
        let difference = largest_difference(&picture, expected);
        if difference > expected.tolerance {
            wrong.push(format!("{name}: off by {difference}, allowed {}", expected.tolerance));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_name_says_nothing_about_the_format() {
    let bytes = std::fs::read(fixture("rgb8.png")).unwrap();
    assert_eq!(decode(&bytes, "wrong.jpg").unwrap().info.format, "png");
    assert_eq!(decode(&bytes, "").unwrap().info.format, "png");
}

/// The colours of the three CMYK files by hand: bright ink values are what is *missing* from
/// white, so a reader that took the stored values the other way round would show the negative.
#[test]
fn cmyk_is_not_shown_as_its_negative() {
    for name in ["cmyk.jpg", "cmyk-plain.jpg", "ycck.jpg"] {
        let picture = read(&fixture(name)).unwrap();
        let at = |y: usize, x: usize| [0, 1, 2].map(|c| i32::from(picture.pixels[[y, x, c]]));
        let near = |a: [i32; 3], b: [i32; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 12);
        assert!(near(at(1, 1), [245, 34, 24]), "{name}: red ink is {:?}", at(1, 1));
        assert!(near(at(1, 10), [46, 114, 215]), "{name}: blue ink is {:?}", at(1, 10));
        assert!(near(at(6, 10), [15, 15, 15]), "{name}: black ink is {:?}", at(6, 10));
    }
}

#[test]
fn fifty_megapixels_are_read() {
    let picture = read(&fixture("50-megapixels.png")).unwrap();
    assert_eq!(picture.pixels.dim(), (7072, 7072, 3));
    assert!(picture.pixels.as_slice().unwrap() == vec![0; 3 * 7072 * 7072]);
}

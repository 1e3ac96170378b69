//! Colour maps against OpenCV and matplotlib; the fixture is written by `fixtures/colormaps.py`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use introspective_report::Colormap;
use ndarray::Array3;

/// In the fixture's order, with the levels (of 255) by which we may differ.
const MAPS: [(Colormap, i32); 7] = [
    (Colormap::Jet, 0),
    (Colormap::Turbo, 1),
    (Colormap::Viridis, 1),
    (Colormap::Inferno, 1),
    (Colormap::Magma, 1),
    (Colormap::Plasma, 1),
    (Colormap::Cividis, 1),
];

fn fixture() -> Array3<u8> {
    ndarray_npy::read_npy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/colormaps.npy"))
        .unwrap()
}

#[test]
fn tables_match_opencv_and_matplotlib() {
    let reference = fixture();
    for (k, (map, tolerance)) in MAPS.into_iter().enumerate() {
        for (i, colour) in map.table().into_iter().enumerate() {
            for (c, level) in colour.into_iter().enumerate() {
                let expected = reference[[k, i, c]];
                assert!(
                    (i32::from(level) - i32::from(expected)).abs() <= tolerance,
                    "{map} at {i}, channel {c}: {level}, reference {expected}"
                );
            }
        }
    }
}

/// Ours have a white centre and paler ends, so only hues are compared: at a quarter the strongest channel (blue,
/// green) and at three quarters the weakest (blue, green) are the reference's.
#[test]
fn diverging_maps_have_the_hues_of_their_references() {
    let reference = fixture();
    for (k, map, hue) in [(7, Colormap::RedBlue, 2), (8, Colormap::PurpleGreen, 1)] {
        let expected = |i: usize| [0, 1, 2].map(|c| reference[[k, i, c]]);
        for (low, high) in [(expected(64), expected(191)), (map.table()[64], map.table()[191])] {
            assert!(low.iter().all(|&level| level <= low[hue]), "{map}: {low:?}");
            assert!(high.iter().all(|&level| level >= high[hue]), "{map}: {high:?}");
        }
    }
}

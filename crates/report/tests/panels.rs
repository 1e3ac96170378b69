//! Panels: every tile is there, captions stay inside, sizes are as promised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use introspective_report::{Colormap, DrawError, Legend, Tile, panel};
use ndarray::{Array3, ArrayView3, Axis, Slice};

const SHARK: &str = "Why great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias, \
                     rather than tiger shark, Galeocerdo cuvieri?";

fn plain(height: usize, width: usize, colour: [u8; 3]) -> Array3<u8> {
    Array3::from_shape_fn((height, width, 3), |(_, _, c)| colour[c])
}

fn tile<'a>(picture: &'a Array3<u8>, title: &'a str, detail: &'a str) -> Tile<'a> {
    Tile { picture: picture.view(), title, detail }
}

fn count(picture: ArrayView3<'_, u8>, wanted: [u8; 3]) -> usize {
    let samples: Vec<u8> = picture.iter().copied().collect();
    samples.as_chunks::<3>().0.iter().filter(|pixel| **pixel == wanted).count()
}

/// Where ink lies: the first and last row and column that are not white.
fn inked(picture: &Array3<u8>) -> (usize, usize, usize, usize) {
    let width = picture.dim().1;
    let pixels = picture.as_slice().unwrap().as_chunks::<3>().0;
    let ink = || pixels.iter().enumerate().filter(|(_, pixel)| **pixel != [255; 3]).map(|(k, _)| k);
    let columns = || ink().map(|k| k % width);
    (
        ink().next().unwrap() / width,
        ink().next_back().unwrap() / width,
        columns().min().unwrap(),
        columns().max().unwrap(),
    )
}

#[test]
fn every_picture_is_there_once_at_its_own_size() {
    for n in 1..=9u8 {
        let pictures: Vec<_> = (0..n).map(|k| plain(300, 260, [10 * k, 200, 40])).collect();
        let tiles: Vec<_> = pictures.iter().map(|picture| tile(picture, "Why?", "some")).collect();
        let drawn = panel(&tiles, None).unwrap();
        for k in 0..n {
            assert_eq!(count(drawn.view(), [10 * k, 200, 40]), 300 * 260, "picture {k} of {n}");
        }
        let per_row = [1, 2, 3, 4, 3, 3, 4, 4, 3][usize::from(n) - 1];
        let rows = usize::from(n).div_ceil(per_row);
        let (height, width, _) = drawn.dim();
        assert_eq!((width / 260, height / 300), (per_row, rows), "{n} tiles: {height} x {width}");
    }
}

#[test]
fn large_pictures_shrink_small_ones_grow_and_keep_their_proportions() {
    let red = [200, 0, 0];
    for ((height, width), (drawn_height, drawn_width)) in [
        ((1000, 500), (480, 240)),
        ((480, 480), (480, 480)),
        ((350, 300), (350, 300)),
        ((120, 60), (240, 120)),
        ((32, 32), (256, 256)),
        ((64, 32), (256, 128)),
        ((1, 1), (240, 240)),
        ((1, 5000), (1, 480)),
    ] {
        let picture = plain(height, width, red);
        let drawn = panel(&[tile(&picture, "", "")], None).unwrap();
        assert_eq!(count(drawn.view(), red), drawn_height * drawn_width, "{height} x {width}");
        let (top, bottom, left, right) = inked(&drawn);
        assert_eq!(
            (bottom - top + 1, right - left + 1),
            (drawn_height, drawn_width),
            "{height} x {width}"
        );
    }
}

#[test]
fn tiny_pictures_keep_their_pixels() {
    let board =
        Array3::from_shape_fn((32, 32, 3), |(y, x, _)| if (x + y) % 2 == 0 { 0 } else { 250 });
    let drawn = panel(&[tile(&board, "", "")], None).unwrap();
    assert_eq!(count(drawn.view(), [0; 3]), 256 * 256 / 2);
    assert_eq!(count(drawn.view(), [250; 3]), 256 * 256 / 2, "no grey between the squares");
}

#[test]
fn nothing_touches_the_border() {
    let shapes = [(32, 32), (480, 100), (100, 480), (1, 1)];
    let legend = Legend { colormap: Colormap::Turbo, low: "no evidence", high: SHARK };
    for (height, width) in shapes {
        let picture = plain(height, width, [0, 0, 200]);
        for n in [1, 2, 5] {
            let tiles = vec![tile(&picture, SHARK, &SHARK[..60]); n];
            let drawn = panel(&tiles, Some(legend)).unwrap();
            let (rows, columns, _) = drawn.dim();
            let (top, bottom, left, right) = inked(&drawn);
            let margin = 12;
            assert!(
                top >= margin
                    && left >= margin
                    && bottom + margin < rows
                    && right + margin < columns,
                "{n} of {height} x {width}: ink in rows {top} to {bottom} of {rows}, columns {left} to {right} of {columns}"
            );
        }
    }
}

#[test]
fn captions_stay_in_their_column() {
    let picture = plain(240, 240, [0, 0, 200]);
    let alone = panel(&[tile(&picture, SHARK, SHARK), tile(&picture, "", "")], None).unwrap();
    let (_, _, _, right) = inked(&alone);
    // Margin 17, two columns of 240, gap 14: below the second picture, and left of it, there is nothing.
    assert_eq!(right, 17 + 240 + 14 + 240 - 1);
    let below = alone.slice_axis(Axis(0), Slice::from(17 + 240..)).to_owned();
    let (_, _, left, right) = inked(&below);
    assert!(left >= 17 && right < 17 + 240 + 2, "ink from {left} to {right}");
}

#[test]
fn a_longer_caption_makes_the_panel_taller_and_no_caption_makes_it_plain() {
    let picture = plain(240, 240, [0, 0, 200]);
    let height =
        |title: &str, detail: &str| panel(&[tile(&picture, title, detail)], None).unwrap().dim().0;
    assert_eq!(height("", ""), 240 + 2 * 17);
    assert!(height("Why?", "") > height("", "") + 10);
    assert!(height("Why?", "some") > height("Why?", "") + 10);
    assert!(height(SHARK, "some") > height("Why?", "some") + 40);
    assert!(
        height(&SHARK.repeat(20), &SHARK.repeat(20)) < 240 + 2 * 17 + 250,
        "long captions end somewhere"
    );
}

#[test]
fn the_legend_shows_the_colours_from_left_to_right() {
    let picture = plain(240, 240, [9, 9, 9]);
    let tiles = [tile(&picture, "", "")];
    let without = panel(&tiles, None).unwrap();
    let legend = Legend { colormap: Colormap::RedBlue, low: "against", high: "for" };
    let with = panel(&tiles, Some(legend)).unwrap();
    let strip = with.slice_axis(Axis(0), Slice::from(without.dim().0..)).to_owned();
    let column = |wanted: [u8; 3]| {
        (0..strip.dim().1)
            .find(|&x| count(strip.slice_axis(Axis(1), Slice::from(x..x + 1)), wanted) > 3)
    };
    let (low, high) = (
        column(Colormap::RedBlue.colour(0.0)).unwrap(),
        column(Colormap::RedBlue.colour(1.0)).unwrap(),
    );
    assert!(low + 60 < high, "{low} to {high}");
}

#[test]
fn what_cannot_be_drawn_is_named() {
    assert!(matches!(panel(&[], None), Err(DrawError::NoTiles)));
    let empty = Array3::zeros((0, 10, 3));
    let error = panel(&[tile(&empty, "Why cup?", "")], None).unwrap_err();
    assert!(
        matches!(error, DrawError::Empty { height: 0, width: 10, .. })
            && error.to_string().contains("Why cup?")
    );
    let grey = Array3::zeros((10, 10, 1));
    assert!(matches!(
        panel(&[tile(&grey, "", "")], None),
        Err(DrawError::NotRgb { channels: 1, .. })
    ));
}

//! Pictures side by side, each under its own question, as one picture.

use std::ops::Range;

use ndarray::{Array3, ArrayView3, ArrayViewMut3, Axis, Slice};

use crate::picture::{check_rgb, scale, within};
use crate::{Colormap, DrawError, Typeface, Weight};

/// One picture of a panel with its caption.
#[derive(Debug, Clone, Copy)]
pub struct Tile<'a> {
    /// The picture, H x W x 3, of any size.
    pub picture: ArrayView3<'a, u8>,
    /// The question, in bold: "Why espresso, rather than cup?".
    pub title: &'a str,
    /// What there is to say about the answer, smaller, below; line ends are kept. May be empty.
    pub detail: &'a str,
}

/// The meaning of the colours, drawn as a thin bar below the pictures.
#[derive(Debug, Clone, Copy)]
pub struct Legend<'a> {
    /// The colour map of the answers.
    pub colormap: Colormap,
    /// What stands at its left end: "little", "against".
    pub low: &'a str,
    /// What stands at its right end: "much", "for".
    pub high: &'a str,
}

/// Most pictures in a row.
const PER_ROW: usize = 4;
/// The longer side of a picture in the panel, at most and (unless it is enlarged by whole factors) at least.
const LARGEST: usize = 480;
const SMALLEST: usize = 240;
/// Below this, pixels are shown as squares: smoothing would invent detail.
const PIXEL_ART: usize = 120;
/// Columns are at least this wide, so that a caption has room beside a narrow picture.
const NARROWEST: usize = 240;
/// A caption never takes more lines than this; what is longer ends with an ellipsis.
const TITLE_LINES: usize = 5;
const DETAIL_LINES: usize = 6;

const PAPER: u8 = 255;
const INK: [u8; 3] = [24, 24, 27];
const PALE_INK: [u8; 3] = [82, 82, 91];

/// Puts pictures side by side on white, each with its caption below: up to four in a row, rows as even as possible.
///
/// Pictures keep their proportions. Their longer side is brought to at most 480 pixels; those under 240 are enlarged,
/// smoothly up to twice, and below 120 pixels by a whole factor with their pixels as squares. Letters grow with the
/// columns, so that a panel reads alike at its own size and scaled to a page. The result is H x W x 3.
///
/// # Errors
/// There is no tile, or a picture is not RGB or empty.
pub fn panel(tiles: &[Tile<'_>], legend: Option<Legend<'_>>) -> Result<Array3<u8>, DrawError> {
    if tiles.is_empty() {
        return Err(DrawError::NoTiles);
    }
    let pictures = tiles.iter().map(fit).collect::<Result<Vec<_>, _>>()?;
    let column = pictures.iter().map(|picture| picture.dim().1).fold(NARROWEST, usize::max);
    let rows = tiles.len().div_ceil(PER_ROW);
    let per_row = tiles.len().div_ceil(rows);
    let pen = Pen::new(column)?;
    let captions: Vec<Caption> = tiles.iter().map(|tile| pen.caption(tile, column)).collect();

    let heights: Vec<(usize, usize)> = pictures
        .chunks(per_row)
        .zip(captions.chunks(per_row))
        .map(|(pictures, captions)| {
            let tallest = pictures.iter().map(|picture| picture.dim().0).max().unwrap_or(0);
            let longest = captions.iter().map(|caption| pen.height(caption)).fold(0.0, f32::max);
            (tallest, longest.ceil() as usize)
        })
        .collect();
    let (margin, gap) = (pen.margin, pen.gap);
    let legend_height = if legend.is_some() { margin + pen.legend_height() } else { 0 };
    let width = 2 * margin + per_row * column + (per_row - 1) * gap;
    let height = margin
        + heights.iter().map(|(tall, caption)| tall + caption + margin).sum::<usize>()
        + legend_height;
    let mut canvas = Array3::from_elem((height, width, 3), PAPER);

    let mut top = margin;
    let rows = pictures.chunks(per_row).zip(captions.chunks(per_row));
    for ((pictures, captions), (tallest, below)) in rows.zip(heights) {
        for (k, (picture, caption)) in pictures.iter().zip(captions).enumerate() {
            let left = margin + k * (column + gap);
            let (tall, wide, _) = picture.dim();
            // Pictures of one row stand on one line, so that their captions start beside them.
            let upper = top + tallest - tall;
            let mut place = part(&mut canvas, upper..upper + tall, left..left + wide);
            // Row by row both sides are contiguous, which makes this a plain copy.
            place
                .outer_iter_mut()
                .zip(picture.outer_iter())
                .for_each(|(mut to, from)| to.assign(&from));
            pen.write(&mut canvas, caption, left, top + tallest);
        }
        top += tallest + below + margin;
    }
    if let Some(legend) = legend {
        pen.legend(&mut canvas, &legend, (margin, top), width - 2 * margin);
    }
    Ok(canvas)
}

/// The picture in the size in which the panel shows it.
fn fit(tile: &Tile<'_>) -> Result<Array3<u8>, DrawError> {
    let (height, width) = check_rgb(&format!("the picture of {:?}", tile.title), tile.picture)?;
    let longer = height.max(width);
    if longer < PIXEL_ART {
        return Ok(enlarge(tile.picture, (SMALLEST + longer / 2) / longer));
    }
    let (height, width) = if longer < SMALLEST {
        let share = SMALLEST as f64 / longer as f64;
        let grown = |side: usize| ((side as f64 * share).round() as usize).max(1);
        (grown(height), grown(width))
    } else {
        within(height, width, LARGEST)
    };
    scale(tile.picture, height, width)
}

/// Every pixel as a square of `factor` x `factor` pixels.
fn enlarge(picture: ArrayView3<'_, u8>, factor: usize) -> Array3<u8> {
    let (height, width, channels) = picture.dim();
    Array3::from_shape_fn((factor * height, factor * width, channels), |(y, x, c)| {
        picture[[y / factor, x / factor, c]]
    })
}

/// A rectangle of the canvas, to draw into.
fn part(
    canvas: &mut Array3<u8>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayViewMut3<'_, u8> {
    let mut part = canvas.view_mut();
    part.slice_axis_inplace(Axis(0), Slice::from(rows));
    part.slice_axis_inplace(Axis(1), Slice::from(columns));
    part
}

struct Caption {
    title: Vec<String>,
    detail: Vec<String>,
}

/// Fonts and distances, all in proportion to the width of a column.
struct Pen {
    bold: Typeface,
    regular: Typeface,
    title: f32,
    detail: f32,
    margin: usize,
    gap: usize,
}

/// Baseline to baseline, in ems.
const LEADING: f32 = 1.25;

impl Pen {
    fn new(column: usize) -> Result<Self, DrawError> {
        let column = column as f32;
        Ok(Pen {
            bold: Typeface::embedded(Weight::Bold)?,
            regular: Typeface::embedded(Weight::Regular)?,
            title: 0.066 * column,
            detail: 0.056 * column,
            margin: (0.07 * column).round() as usize,
            gap: (0.06 * column).round() as usize,
        })
    }

    fn caption(&self, tile: &Tile<'_>, column: usize) -> Caption {
        let column = column as f32;
        Caption {
            title: self.bold.wrap_evenly(tile.title, self.title, column, TITLE_LINES),
            detail: self.regular.wrap(tile.detail, self.detail, column, DETAIL_LINES),
        }
    }

    /// From the bottom of the picture to the bottom of the caption.
    fn height(&self, caption: &Caption) -> f32 {
        match self.baselines(caption).last() {
            Some(&last) => last + self.regular.descent(self.detail),
            None => 0.0,
        }
    }

    /// Of every line, the title's first, how far its baseline lies below the picture.
    fn baselines(&self, caption: &Caption) -> Vec<f32> {
        let mut baseline = 0.25 * self.title + self.bold.ascent(self.title) - LEADING * self.title;
        let mut baselines = Vec::new();
        for _ in &caption.title {
            baseline += LEADING * self.title;
            baselines.push(baseline);
        }
        for k in 0..caption.detail.len() {
            baseline += LEADING * self.detail + if k == 0 { 0.2 * self.detail } else { 0.0 };
            baselines.push(baseline);
        }
        baselines
    }

    fn write(&self, canvas: &mut Array3<u8>, caption: &Caption, left: usize, top: usize) {
        let bold = caption.title.iter().map(|line| (line, &self.bold, self.title, INK));
        let plain = caption.detail.iter().map(|line| (line, &self.regular, self.detail, PALE_INK));
        for ((line, font, size, ink), baseline) in bold.chain(plain).zip(self.baselines(caption)) {
            font.draw(canvas.view_mut(), line, (left as f32, top as f32 + baseline), size, ink);
        }
    }

    fn legend_height(&self) -> usize {
        (self.regular.ascent(self.detail) + self.regular.descent(self.detail)).ceil() as usize
    }

    /// The bar with a word at either end, from the left margin on.
    fn legend(
        &self,
        canvas: &mut Array3<u8>,
        legend: &Legend<'_>,
        (left, top): (usize, usize),
        room: usize,
    ) {
        let space = 0.6 * self.detail;
        let bar = (9.0 * self.detail).min(0.4 * room as f32);
        let word = (room as f32 - bar - 2.0 * space) / 2.0;
        let fit = |text: &str| self.regular.wrap(text, self.detail, word, 1).concat();
        let (low, high) = (fit(legend.low), fit(legend.high));

        let baseline = top as f32 + self.regular.ascent(self.detail);
        let start = left as f32
            + self.regular.width(&low, self.detail)
            + if low.is_empty() { 0.0 } else { space };
        // As tall as a small letter and level with the text.
        let (upper, lower) = (baseline - 0.62 * self.detail, baseline - 0.02 * self.detail);
        let rows = upper.round() as usize..lower.round() as usize;
        let mut band = part(canvas, rows, start.round() as usize..(start + bar).round() as usize);
        let last = band.len_of(Axis(1)).saturating_sub(1).max(1) as f32;
        for (x, mut line) in band.axis_iter_mut(Axis(1)).enumerate() {
            let colour = legend.colormap.colour(x as f32 / last);
            for mut pixel in line.outer_iter_mut() {
                pixel.iter_mut().zip(colour).for_each(|(level, ink)| *level = ink);
            }
        }
        self.regular.draw(canvas.view_mut(), &low, (left as f32, baseline), self.detail, PALE_INK);
        self.regular.draw(
            canvas.view_mut(),
            &high,
            (start + bar + space, baseline),
            self.detail,
            PALE_INK,
        );
    }
}

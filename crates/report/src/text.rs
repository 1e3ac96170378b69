//! Text in pictures: measured, and drawn with smooth edges from an embedded font.

use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont};
use ndarray::ArrayViewMut3;

use crate::DrawError;
use crate::kerning::Kerning;

const REGULAR: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/fonts/Roboto-Regular.ttf"));
const BOLD: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/fonts/Roboto-Bold.ttf"));

/// The two weights of Roboto that are embedded (Latin, Greek and Cyrillic; Apache-2.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Weight {
    /// For plain text.
    Regular,
    /// For questions and headings.
    Bold,
}

/// A font that measures, wraps and draws. Sizes are pixels per em; a line of text is about 1.2 times that tall.
pub struct Typeface {
    font: FontRef<'static>,
    kerning: Kerning<'static>,
    units_per_em: f32,
}

impl Typeface {
    /// The embedded font of this weight.
    ///
    /// # Errors
    /// [`DrawError::Font`] when the build embedded a damaged file.
    pub fn embedded(weight: Weight) -> Result<Self, DrawError> {
        let (name, bytes) = match weight {
            Weight::Regular => ("Roboto Regular", REGULAR),
            Weight::Bold => ("Roboto Bold", BOLD),
        };
        let font = FontRef::try_from_slice(bytes)
            .map_err(|source| DrawError::Font { name, source: Box::new(source) })?;
        let face = ttf_parser::Face::parse(bytes, 0)
            .map_err(|source| DrawError::Font { name, source: Box::new(source) })?;
        Ok(Typeface {
            font,
            kerning: Kerning::of(&face),
            units_per_em: f32::from(face.units_per_em()),
        })
    }

    /// How far `text` advances, in pixels, on one line, kerning included.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        self.place(text, size).1
    }

    /// From the top of the tallest letters to the baseline, in pixels.
    pub fn ascent(&self, size: f32) -> f32 {
        self.font.as_scaled(self.scale(size)).ascent()
    }

    /// From the baseline to the bottom of the lowest letters, in pixels.
    pub fn descent(&self, size: f32) -> f32 {
        -self.font.as_scaled(self.scale(size)).descent()
    }

    /// Draws one line onto an RGB picture, from `x` rightwards on `baseline` (both in pixels, from the left upper
    /// corner). What lies outside the picture is not drawn. A letter that the font lacks is drawn as the font's own
    /// box for missing ones, a control character as a space.
    pub fn draw(
        &self,
        mut picture: ArrayViewMut3<'_, u8>,
        text: &str,
        (x, baseline): (f32, f32),
        size: f32,
        colour: [u8; 3],
    ) {
        let (height, width, _) = picture.dim();
        for (glyph, offset) in self.place(text, size).0 {
            let glyph = glyph
                .with_scale_and_position(self.scale(size), ab_glyph::point(x + offset, baseline));
            let Some(outline) = self.font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, coverage| {
                let (x, y) = (corner.x + dx as f32, corner.y + dy as f32);
                if coverage <= 0.0 || x < 0.0 || y < 0.0 || x >= width as f32 || y >= height as f32
                {
                    return;
                }
                for (c, &ink) in colour.iter().enumerate() {
                    if let Some(level) = picture.get_mut([y as usize, x as usize, c]) {
                        let under = f32::from(*level);
                        *level = (under + coverage.min(1.0) * (f32::from(ink) - under) + 0.5) as u8;
                    }
                }
            });
        }
    }

    /// The glyphs of one line, each with its distance from the start, and the distance of its end.
    fn place(&self, text: &str, size: f32) -> (Vec<(GlyphId, f32)>, f32) {
        let scaled = self.font.as_scaled(self.scale(size));
        let unit = size / self.units_per_em;
        let mut pen = 0.0;
        let mut before: Option<GlyphId> = None;
        let mut placed = Vec::with_capacity(text.len());
        for letter in text.chars() {
            let glyph = self.glyph(letter);
            if let Some(before) = before {
                pen += unit * self.kerning.between(before.0, glyph.0) as f32;
            }
            placed.push((glyph, pen));
            pen += scaled.h_advance(glyph);
            before = Some(glyph);
        }
        (placed, pen)
    }

    fn glyph(&self, letter: char) -> GlyphId {
        let glyph = self.font.glyph_id(letter);
        if glyph.0 == 0 && (letter.is_whitespace() || letter.is_control()) {
            self.font.glyph_id(' ')
        } else {
            glyph
        }
    }

    /// `ab_glyph` counts from the ascender to the descender, typographers the em.
    fn scale(&self, size: f32) -> PxScale {
        PxScale::from(size * self.font.height_unscaled() / self.units_per_em)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use ndarray::Array3;

    use super::*;

    fn regular() -> Typeface {
        Typeface::embedded(Weight::Regular).unwrap()
    }

    fn ink(text: &str) -> (Array3<u8>, usize) {
        let mut picture = Array3::from_elem((60, 200, 3), 255);
        regular().draw(picture.view_mut(), text, (10.0, 40.0), 30.0, [0; 3]);
        let dark = picture.iter().filter(|&&level| level < 128).count();
        (picture, dark)
    }

    #[test]
    fn widths_are_the_fonts() {
        // The advances that fontTools reads from Roboto Regular's hmtx table, at 2048 units per em.
        for (letter, advance) in [("H", 1461.0), ("o", 1168.0), (" ", 508.0)] {
            let width = regular().width(letter, 2048.0);
            assert!((width - advance).abs() < 0.1, "{letter:?}: {width}");
        }
        assert!((regular().width("HHH", 20.0) * 2.0 - regular().width("HHH", 40.0)).abs() < 1e-3);
        assert_eq!(regular().width("", 20.0), 0.0);
    }

    #[test]
    fn pairs_are_kerned() {
        let font = regular();
        let apart = font.width("A", 100.0) + font.width("V", 100.0);
        let together = font.width("AV", 100.0);
        assert!(apart - together > 2.0, "AV takes {together} of {apart} pixels");
        assert!((font.width("HH", 100.0) - 2.0 * font.width("H", 100.0)).abs() < 0.5);
    }

    #[test]
    fn letters_leave_smooth_ink_above_the_baseline() {
        let (picture, dark) = ink("H");
        assert!(dark > 100);
        assert!(picture.iter().any(|&level| level > 20 && level < 235), "edges are smooth");
        for ((y, _, _), &level) in picture.indexed_iter() {
            assert!(level == 255 || (15..=40).contains(&y), "ink at row {y}");
        }
    }

    #[test]
    fn missing_letters_are_boxes_and_control_characters_spaces() {
        let (box_drawn, dark) = ink("漢");
        assert!(dark > 50, "{dark}");
        assert_eq!(box_drawn, ink("字").0);
        assert_eq!(ink("\u{7}").1, 0);
        assert_eq!(ink("a\tb").0, ink("a b").0);
        assert_eq!(ink("a\u{202f}b").1, ink("a b").1);
    }

    #[test]
    fn text_outside_the_picture_is_cut_off() {
        let mut picture = Array3::from_elem((20, 20, 3), 255);
        for at in [(-50.0, 10.0), (15.0, 10.0), (5.0, -3.0), (5.0, 25.0), (f32::NAN, 10.0)] {
            regular().draw(picture.view_mut(), "Wide", at, 30.0, [0; 3]);
        }
    }
}

//! Pictures as arrays: cutting, scaling, writing.

use std::borrow::Cow;
use std::path::Path;

use image::codecs::png::{CompressionType, FilterType as RowFilter, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageError};
use introspective_network::{Interpolation, resize_rgb};
use ndarray::{Array3, ArrayView, ArrayView3, Axis, Dimension, Slice};

use crate::{DrawError, WriteError};

/// Writes an RGB picture, H x W x 3, as an 8-bit PNG; an existing file is replaced.
///
/// Compression is the fast one: at 350 x 350 pixels it takes about a millisecond, twenty times less than the default
/// one, for files of the same size.
///
/// # Errors
/// The array is not RGB or empty, or the file cannot be written.
pub fn write_png(path: impl AsRef<Path>, picture: ArrayView3<'_, u8>) -> Result<(), WriteError> {
    let path = path.as_ref();
    check_rgb("the picture", picture)
        .map_err(|source| WriteError::Picture { path: path.to_owned(), source })?;
    let file = encode_png(picture)
        .map_err(|source| WriteError::Encode { path: path.to_owned(), source })?;
    std::fs::write(path, file).map_err(|source| WriteError::Io { path: path.to_owned(), source })
}

/// The bytes of an RGB picture as a PNG file.
pub(crate) fn encode_png(picture: ArrayView3<'_, u8>) -> Result<Vec<u8>, ImageError> {
    let (height, width, _) = picture.dim();
    let bytes = contiguous(&picture);
    let mut file = Vec::with_capacity(bytes.len() / 2);
    PngEncoder::new_with_quality(&mut file, CompressionType::Fast, RowFilter::Adaptive)
        .write_image(&bytes, width as u32, height as u32, ExtendedColorType::Rgb8)?;
    Ok(file)
}

/// Cuts the rectangle with its left upper corner at (`x`, `y`) out of a photograph and, only if the longer side of the
/// cutting exceeds `longest`, shrinks it to that, keeping its proportions (bicubic with antialiasing).
///
/// Coordinates are pixels of the photograph; edges are rounded to whole pixels and moved inside, and at least one
/// pixel stays. The result is H x W x 3, both at least 1; an array that is no RGB photograph, or an empty one, comes
/// back as it is, and whatever draws it says so.
pub fn crop_and_fit(
    photo: ArrayView3<'_, u8>,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    longest: usize,
) -> Array3<u8> {
    let Ok((rows, columns)) = check_rgb("the photograph", photo) else { return photo.to_owned() };
    let (left, right) = whole_pixels(x, width, columns);
    let (top, bottom) = whole_pixels(y, height, rows);
    let region = Region { top, left, height: bottom - top, width: right - left };
    let size = within(region.height, region.width, longest);
    // Both sizes are at least 1 and the region is inside, which is all that the resizer asks for.
    resample(photo, region, size).unwrap_or_else(|_| region.of(photo))
}

/// Height and width of an RGB picture, or why it is none.
pub(crate) fn check_rgb(
    what: &str,
    picture: ArrayView3<'_, u8>,
) -> Result<(usize, usize), DrawError> {
    let (height, width, channels) = picture.dim();
    if channels != 3 {
        return Err(DrawError::NotRgb { what: what.to_owned(), channels });
    }
    if height == 0 || width == 0 {
        return Err(DrawError::Empty { what: what.to_owned(), height, width });
    }
    Ok((height, width))
}

/// The largest size with these proportions whose longer side is at most `longest`, but never a larger one.
pub(crate) fn within(height: usize, width: usize, longest: usize) -> (usize, usize) {
    let longest = longest.max(1);
    let longer = height.max(width);
    if longer <= longest {
        return (height, width);
    }
    let share = longest as f64 / longer as f64;
    let shrunk = |side: usize| ((side as f64 * share).round() as usize).clamp(1, longest);
    (shrunk(height), shrunk(width))
}

/// Scales an RGB picture; a picture of that size already comes back as it is.
pub(crate) fn scale(
    picture: ArrayView3<'_, u8>,
    height: usize,
    width: usize,
) -> Result<Array3<u8>, DrawError> {
    let (from_height, from_width, _) = picture.dim();
    let whole = Region { top: 0, left: 0, height: from_height, width: from_width };
    resample(picture, whole, (height, width))
}

/// A rectangle of whole pixels inside a picture.
#[derive(Clone, Copy)]
struct Region {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl Region {
    fn of(self, picture: ArrayView3<'_, u8>) -> Array3<u8> {
        let mut part = picture;
        part.slice_axis_inplace(Axis(0), Slice::from(self.top..self.top + self.height));
        part.slice_axis_inplace(Axis(1), Slice::from(self.left..self.left + self.width));
        part.to_owned()
    }
}

/// Scales a region without copying it first: of a large photograph that would be most of the memory.
fn resample(
    picture: ArrayView3<'_, u8>,
    region: Region,
    (height, width): (usize, usize),
) -> Result<Array3<u8>, DrawError> {
    let Region { top, left, height: from_height, width: from_width } = region;
    if (from_height, from_width) == (height, width) {
        return Ok(region.of(picture));
    }
    let (corner, size) = ((left, top), (from_width, from_height));
    resize_rgb(picture, corner, size, (width, height), Interpolation::Bicubic).map_err(|source| {
        DrawError::Scale { from: (from_height, from_width), to: (height, width), source }
    })
}

/// The values row by row, copied only where the array is not stored so.
pub(crate) fn contiguous<'a, T: Copy, D: Dimension>(
    array: &'a ArrayView<'_, T, D>,
) -> Cow<'a, [T]> {
    match array.as_slice() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(array.iter().copied().collect()),
    }
}

/// The pixels from `start` over `length`, rounded and moved inside 0 .. `end`; never empty.
fn whole_pixels(start: f64, length: f64, end: usize) -> (usize, usize) {
    // A cast saturates and takes NaN to 0.
    let first = (start.round() as usize).min(end - 1);
    let last = ((start + length).round() as usize).clamp(first + 1, end);
    (first, last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    fn gradient(height: usize, width: usize) -> Array3<u8> {
        Array3::from_shape_fn((height, width, 3), |(y, x, c)| (3 * x + 5 * y + 50 * c) as u8)
    }

    #[test]
    fn a_png_reads_back_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let picture = gradient(21, 34);
        write_png(&path, picture.view()).unwrap();
        let read = image::open(&path).unwrap().to_rgb8();
        assert_eq!(read.dimensions(), (34, 21));
        assert_eq!(read.into_raw(), picture.into_raw_vec_and_offset().0);
    }

    #[test]
    fn a_view_that_is_not_contiguous_is_written_in_its_own_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let picture = gradient(20, 30);
        let mut part = picture.view();
        part.slice_axis_inplace(Axis(0), Slice::new(3, Some(9), 2));
        part.slice_axis_inplace(Axis(1), Slice::from(4..20));
        part.invert_axis(Axis(2));
        write_png(&path, part).unwrap();
        let read = image::open(&path).unwrap().to_rgb8();
        assert_eq!(read.into_raw(), part.iter().copied().collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent/a.png");
        let error = write_png(&path, gradient(2, 2).view()).unwrap_err();
        assert!(
            matches!(error, WriteError::Io { .. }) && error.to_string().contains("absent"),
            "{error}"
        );
        let error = write_png(&path, Array3::zeros((2, 2, 4)).view()).unwrap_err();
        assert!(matches!(
            error,
            WriteError::Picture { source: DrawError::NotRgb { channels: 4, .. }, .. }
        ));
        let error = write_png(&path, Array3::zeros((0, 2, 3)).view()).unwrap_err();
        assert!(matches!(
            error,
            WriteError::Picture { source: DrawError::Empty { height: 0, .. }, .. }
        ));
    }

    #[test]
    fn a_small_cutting_keeps_its_pixels() {
        let photo = gradient(40, 60);
        let cutting = crop_and_fit(photo.view(), 9.6, 4.4, 20.2, 30.0, 768);
        // 9.6 -> 10, 9.6 + 20.2 -> 30; 4.4 -> 4, 34.4 -> 34.
        let expected = photo.slice_axis(Axis(0), Slice::from(4..34));
        assert_eq!(cutting, expected.slice_axis(Axis(1), Slice::from(10..30)));
    }

    #[test]
    fn a_large_cutting_is_shrunk_with_its_proportions() {
        let photo = Array3::from_elem((400, 600, 3), 77);
        let cutting = crop_and_fit(photo.view(), 0.0, 0.0, 600.0, 300.0, 200);
        assert_eq!(cutting.dim(), (100, 200, 3));
        assert!(cutting.iter().all(|&level| level == 77));
        let sliver = crop_and_fit(photo.view(), 0.0, 0.0, 600.0, 1.0, 20);
        assert_eq!(sliver.dim(), (1, 20, 3));
    }

    #[test]
    fn pixels_outside_the_cutting_do_not_show_in_it() {
        let inside = |y: usize, x: usize| (40..240).contains(&y) && (30..330).contains(&x);
        let photo =
            Array3::from_shape_fn((300, 400, 3), |(y, x, _)| if inside(y, x) { 90 } else { 255 });
        let cutting = crop_and_fit(photo.view(), 30.0, 40.0, 300.0, 200.0, 30);
        assert_eq!(cutting.dim(), (20, 30, 3));
        assert!(cutting.iter().all(|&level| level == 90), "{cutting:?}");
    }

    #[test]
    fn a_rectangle_outside_is_moved_inside() {
        let photo = gradient(10, 10);
        for (x, y, w, h) in [
            (-5.0, -5.0, 100.0, 100.0),
            (20.0, 20.0, 5.0, 5.0),
            (3.0, 3.0, 0.0, -4.0),
            (f64::NAN, 0.0, f64::NAN, f64::INFINITY),
        ] {
            let (height, width, _) = crop_and_fit(photo.view(), x, y, w, h, 768).dim();
            assert!((1..=10).contains(&height) && (1..=10).contains(&width), "{x} {y} {w} {h}");
        }
        assert_eq!(crop_and_fit(photo.view(), -5.0, 0.0, 100.0, 10.0, 768), photo);
        assert_eq!(crop_and_fit(photo.view(), 0.0, 0.0, 10.0, 10.0, 0).dim(), (1, 1, 3));
        assert_eq!(
            crop_and_fit(Array3::zeros((0, 4, 3)).view(), 0.0, 0.0, 1.0, 1.0, 9).dim(),
            (0, 4, 3)
        );
    }
}

//! A picture, and how it is had from a path or from bytes.

use std::any::Any;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ndarray::Array3;

use crate::error::PictureError;
use crate::formats::{self, Stored};
use crate::{jpeg, orientation};

/// The most pixels a picture may have: 200 megapixels, which is 600 MB as RGB.
///
/// Checked on the size the header states, before memory for the pixels is asked for.
pub const MAX_PIXELS: u64 = 200_000_000;

/// The most bytes a file may have: 2 GiB, enough for [`MAX_PIXELS`] of uncompressed 16-bit RGBA.
pub const MAX_FILE_BYTES: u64 = 1 << 31;

/// What a person sees of a picture file: upright 8-bit RGB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Height x width x 3 (red, green, blue), each 0..=255, in standard (C) layout, upright.
    pub pixels: Array3<u8>,
    /// How the picture was stored.
    pub info: PictureInfo,
}

/// How a picture was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureInfo {
    /// Width of [`Picture::pixels`] in pixels, that is, after `orientation` was applied.
    pub width: usize,
    /// Height of [`Picture::pixels`] in pixels, that is, after `orientation` was applied.
    pub height: usize,
    /// Format, told from the content: `png`, `jpeg`, `webp`, `bmp`, `gif`, `tiff` or `pnm`; `cifar` or `idx` of
    /// a picture in such a [`LabelledSet`](crate::LabelledSet).
    pub format: String,
    /// Stored colour type: `l8`, `la8`, `rgb8`, `rgba8`, `l16`, `la16`, `rgb16`, `rgba16`,
    /// `rgb32f`, `rgba32f`, `l1`, `palette` (PNG, GIF), `ycbcr`, `cmyk`, `cmyk16`, `ycck`.
    pub colour: String,
    /// EXIF orientation as found, 1..=8, already applied to the pixels; 1 where there is none.
    pub orientation: u8,
}

/// Reads the picture in the file `path`. See [`decode`] for what is done to it.
///
/// # Errors
/// [`PictureError::Missing`], [`Folder`](PictureError::Folder),
/// [`Unreadable`](PictureError::Unreadable), [`LongFile`](PictureError::LongFile), and all that
/// [`decode`] reports. The error's name is `path` as given.
pub fn read(path: &Path) -> Result<Picture, PictureError> {
    let name = path.display().to_string();
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(source) => {
            return Err(match source.kind() {
                ErrorKind::NotFound => PictureError::Missing { name, source },
                ErrorKind::IsADirectory => PictureError::Folder { name },
                ErrorKind::FileTooLarge => PictureError::LongFile { name },
                _ => PictureError::Unreadable { name, source },
            });
        }
    };
    decode(&bytes, &name)
}

/// Decodes a picture held in memory; `name` is what errors call it.
///
/// The result is upright 8-bit RGB, height x width x 3:
///
/// - **Format**: told from the first bytes (PNG, JPEG, WebP, BMP, GIF, TIFF, PNM), never from
///   `name`. Of an animation the first frame is taken, of a multi-page TIFF the first page.
/// - **Orientation**: the EXIF orientation (JPEG, PNG, WebP) or the TIFF tag is applied.
/// - **Grey** becomes three equal channels; a **palette** is expanded.
/// - **Alpha is dropped, not composited**: a transparent pixel shows the colour stored beneath, as
///   Pillow's `convert("RGB")` does and therefore as torchvision's data sets show it to a network.
/// - **16 bits** become 8 by value: `round(v / 257)`, so that 0 stays 0 and 65535 becomes 255.
///   (Pillow clips 16-bit grey at 255 instead, which turns nearly all of it white.)
/// - **Floats** (TIFF) are taken as 0..1, clamped, and scaled to 0..=255.
/// - **CMYK** and **YCCK** JPEGs are taken as inverted, as Adobe writes them and every common
///   reader assumes: `R = C' K' / 255` with the stored values `C'`, `K'`; likewise G and B.
/// - Embedded colour profiles are not applied.
///
/// **Cut files are errors** ([`PictureError::Truncated`]), never half a picture. For JPEG, whose
/// decoders fill what is missing with grey, two things are asked for: the file's marker segments
/// must lead to an end-of-image marker (what follows it is ignored: phones append things there),
/// and the entropy-coded data must decode without error. What cannot be noticed is a cut file
/// whose end marker somebody put back.
///
/// # Errors
/// All variants of [`PictureError`] but those about the file itself.
pub fn decode(bytes: &[u8], name: &str) -> Result<Picture, PictureError> {
    decode_within(bytes, name, MAX_PIXELS)
}

/// As [`decode`], for pictures from strangers: one of more than `most` pixels is refused by what its header says, before anything is decoded.
///
/// # Errors
/// As [`decode`]; [`PictureError::TooLarge`] already beyond `most` pixels.
pub fn decode_within(bytes: &[u8], name: &str, most: u64) -> Result<Picture, PictureError> {
    let most = most.min(MAX_PIXELS);
    let name = name.to_owned();
    if bytes.is_empty() {
        return Err(PictureError::Empty { name });
    }
    let Some(format) = formats::guess(bytes) else {
        let found = formats::describe(bytes);
        return Err(PictureError::NotAPicture { name, found });
    };

    let stored = quiet_panic(|| match format.name {
        "jpeg" => jpeg::decode(bytes, &name, most),
        _ => formats::decode(bytes, format, &name, most),
    })
    .unwrap_or_else(|message| {
        Err(PictureError::Decoder { name: name.clone(), format: format.name, message })
    })?;

    upright(stored, format.name).ok_or_else(|| PictureError::Decoder {
        name,
        format: format.name,
        message: "it returned another number of pixels than it announced".to_owned(),
    })
}

/// Refuses a size of more than `most` pixels, or of none.
pub(crate) fn check_size(
    width: usize,
    height: usize,
    most: u64,
    format: &'static str,
    name: &str,
) -> Result<(), PictureError> {
    let name = name.to_owned();
    match (width as u64).saturating_mul(height as u64) {
        0 => Err(PictureError::Broken {
            name,
            format,
            source: format!("its size is {width} x {height} pixels").into(),
        }),
        pixels if pixels > most => Err(PictureError::TooLarge { name, width, height, most }),
        _ => Ok(()),
    }
}

/// Reads a whole file, refusing one of more than [`MAX_FILE_BYTES`] with `FileTooLarge`.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(metadata.len()).unwrap_or(0))?;
    // A pipe or a device has no length beforehand, so the limit must also hold while reading.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Runs `decode`; a panic in it becomes `Err` with the panic's text.
///
/// The decoders are other people's code over hostile bytes, and one bad picture must not end a
/// batch. Nothing but the result outlives the closure, so no half-changed state can be seen.
fn quiet_panic<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode)).map_err(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no reason given".to_owned())
    })
}

/// Turns the stored pixels upright; `None` if their number does not fit the stated size.
fn upright(stored: Stored, format: &str) -> Option<Picture> {
    let (width, height) = (stored.width, stored.height);
    if stored.rgb.len() != width.checked_mul(height)?.checked_mul(3)? {
        return None;
    }
    let (rgb, width, height) = orientation::apply(stored.rgb, width, height, stored.orientation);
    let pixels = Array3::from_shape_vec((height, width, 3), rgb).ok()?;
    Some(Picture {
        pixels,
        info: PictureInfo {
            width,
            height,
            format: format.to_owned(),
            colour: stored.colour,
            orientation: stored.orientation,
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use super::*;

    #[test]
    fn a_panic_becomes_its_text() {
        assert_eq!(quiet_panic(|| 3), Ok(3));
        let fixed = quiet_panic(|| -> u8 { panic!("fixed text") });
        assert_eq!(fixed, Err("fixed text".to_owned()));
        let number = 7;
        let made = quiet_panic(|| -> u8 { panic!("made with {number}") });
        assert_eq!(made, Err("made with 7".to_owned()));
    }

    #[test]
    fn the_size_limit_is_exact() {
        assert!(check_size(20_000, 10_000, MAX_PIXELS, "png", "a").is_ok());
        assert!(matches!(
            check_size(20_001, 10_000, MAX_PIXELS, "png", "a"),
            Err(PictureError::TooLarge { width: 20_001, .. })
        ));
        assert!(matches!(
            check_size(0, 5, MAX_PIXELS, "pnm", "a"),
            Err(PictureError::Broken { format: "pnm", .. })
        ));
    }
}

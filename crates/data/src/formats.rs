//! Telling formats apart, and reading all of them but JPEG.

use std::error::Error;
use std::io::{Cursor, ErrorKind};

use image::Limits;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::colour;
use crate::error::PictureError;
use crate::picture::check_size;

/// The most bytes a decoder may allocate: 200 megapixels of 16-bit RGBA fit, and little more.
const MAX_ALLOC: u64 = 1 << 31;

/// A format that is read.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    /// What it is called in [`PictureInfo`](crate::PictureInfo) and in errors.
    pub(crate) name: &'static str,
    kind: ImageFormat,
}

const FORMATS: [Format; 7] = [
    Format { name: "png", kind: ImageFormat::Png },
    Format { name: "jpeg", kind: ImageFormat::Jpeg },
    Format { name: "webp", kind: ImageFormat::WebP },
    Format { name: "bmp", kind: ImageFormat::Bmp },
    Format { name: "gif", kind: ImageFormat::Gif },
    Format { name: "tiff", kind: ImageFormat::Tiff },
    Format { name: "pnm", kind: ImageFormat::Pnm },
];

/// A decoded picture, still as it lies in the file.
pub(crate) struct Stored {
    /// Height x width x 3.
    pub(crate) rgb: Vec<u8>,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Stored colour type, see [`PictureInfo::colour`](crate::PictureInfo).
    pub(crate) colour: String,
    /// EXIF orientation, 1..=8, still to be applied.
    pub(crate) orientation: u8,
}

/// The format that the first bytes say, if it is one that is read.
pub(crate) fn guess(bytes: &[u8]) -> Option<Format> {
    let kind = image::guess_format(bytes).ok()?;
    FORMATS.into_iter().find(|format| format.kind == kind)
}

/// Says, for an error, what bytes that [`guess`] does not know look like.
pub(crate) fn describe(bytes: &[u8]) -> String {
    // The brands of ISO media files: see the registry at mp4ra.org.
    let brand = (bytes.get(4..8) == Some(b"ftyp".as_slice())).then(|| bytes.get(8..12)).flatten();
    let found = match brand {
        Some(b"avif" | b"avis") => "an AVIF picture",
        Some(b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"msf1") => "a HEIC picture",
        Some(_) => "a video or another ISO media file",
        None if bytes.starts_with(b"\xff\x0a") || bytes.starts_with(b"\0\0\0\x0cJXL ") => {
            "a JPEG XL picture"
        }
        None if bytes.starts_with(b"\0\0\0\x0cjP  ") => "a JPEG 2000 picture",
        None if bytes.starts_with(b"%PDF") => "a PDF document",
        None => match image::guess_format(bytes) {
            Ok(format) => return format!("a picture of format {format:?}"),
            Err(_) if looks_like_text(bytes) => "text",
            Err(_) => "something unknown",
        },
    };
    found.to_owned()
}

/// Decodes `bytes` of any format but JPEG.
pub(crate) fn decode(
    bytes: &[u8],
    format: Format,
    name: &str,
    most: u64,
) -> Result<Stored, PictureError> {
    let told = |error| tell(error, format.name, name);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_ALLOC);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.kind);
    reader.limits(limits.clone());

    let mut decoder = reader.into_decoder().map_err(told)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    check_size(width, height, most, format.name, name)?;
    limits.reserve(decoder.total_bytes()).map_err(told)?;
    decoder.set_limits(limits).map_err(told)?;

    let orientation = orientation(&mut decoder).map_err(told)?;
    let colour = colour_name(bytes, format, decoder.original_color_type());
    let image = DynamicImage::from_decoder(decoder).map_err(told)?;
    Ok(Stored {
        rgb: colour::into_rgb(image),
        width,
        height,
        colour,
        orientation: orientation.to_exif(),
    })
}

/// The orientation a decoder found, or the one in EXIF data that wrongly begin as in a JPEG.
fn orientation(decoder: &mut impl ImageDecoder) -> Result<Orientation, ImageError> {
    let found = decoder.orientation()?;
    if found != Orientation::NoTransforms {
        return Ok(found);
    }
    let exif = decoder.exif_metadata()?;
    let prefixed = exif.as_deref().and_then(|exif| exif.strip_prefix(b"Exif\0\0"));
    Ok(prefixed.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms))
}

/// The stored colour type in words, see [`PictureInfo::colour`](crate::PictureInfo).
fn colour_name(bytes: &[u8], format: Format, colour: ExtendedColorType) -> String {
    // The decoders of these two expand palettes and do not say so. A PNG begins with its IHDR
    // chunk, whose colour type stands at byte 25.
    let palette = match format.kind {
        ImageFormat::Gif => true,
        ImageFormat::Png => bytes.get(25) == Some(&3),
        _ => false,
    };
    match colour {
        _ if palette => "palette".to_owned(),
        ExtendedColorType::Cmyk8 => "cmyk".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Sorts an error of the crate `image` into ours.
fn tell(error: ImageError, format: &'static str, name: &str) -> PictureError {
    let name = name.to_owned();
    let cut = ends_early(&error);
    match error {
        _ if cut => PictureError::Truncated { name, format, source: Some(Box::new(error)) },
        ImageError::Limits(_) => {
            PictureError::TooMuchMemory { name, format, source: Box::new(error) }
        }
        ImageError::Unsupported(_) => {
            PictureError::Unsupported { name, format, source: Box::new(error) }
        }
        _ => PictureError::Broken { name, format, source: Box::new(error) },
    }
}

/// Whether somewhere beneath `error` a reader ran out of bytes.
fn ends_early(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == ErrorKind::UnexpectedEof) {
            return true;
        }
        // the crate png says what its reader said, but does not pass the reader's error on
        if error.to_string() == ErrorKind::UnexpectedEof.to_string() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Whether the beginning is UTF-8 without control characters other than white space.
fn looks_like_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(512)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // A character may be cut in two at the end.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|c| c.is_control() && !c.is_whitespace())
}

//! JPEG, strictly.
//!
//! The crate `image` reads JPEG through zune-jpeg in its lenient mode, where data that stop early
//! or make no sense leave the rest of the picture grey and no error. A map of a half-grey
//! photograph would be explained with a straight face, so the decoder is called here directly:
//! lenient while it reads headers (files with stray bytes between segments are common and lose
//! nothing), strict from the first entropy-coded byte on.

use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::error::PictureError;
use crate::formats::Stored;
use crate::picture::check_size;

const FORMAT: &str = "jpeg";

/// Decodes a JPEG.
pub(crate) fn decode(bytes: &[u8], name: &str, most: u64) -> Result<Stored, PictureError> {
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let told = |error| tell(error, bytes, name);

    decoder.decode_headers().map_err(told)?;
    let (width, height) = decoder.dimensions().unwrap_or((0, 0));
    check_size(width, height, most, FORMAT, name)?;
    if !reaches_its_end(bytes) {
        return Err(cut(name, None));
    }

    let colour = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => "l8",
        Some(ColorSpace::RGB) => "rgb8",
        Some(ColorSpace::CMYK) => "cmyk",
        Some(ColorSpace::YCCK) => "ycck",
        _ => "ycbcr",
    };
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);

    let strict = decoder.options().set_strict_mode(true);
    decoder.set_options(strict);
    let mut rgb = vec![0; 3 * width * height];
    decoder.decode_into(&mut rgb).map_err(told)?;
    Ok(Stored { rgb, width, height, colour: colour.to_owned(), orientation: orientation.to_exif() })
}

/// Whether the marker segments lead to an end-of-image marker (ITU-T T.81, annex B).
///
/// Segments are stepped over by their length, so the end marker of a thumbnail within EXIF data
/// does not count; within entropy-coded data a byte 0xFF is always followed by 0 or a restart
/// marker, so the next other marker ends them. Bytes after the end marker are not looked at.
fn reaches_its_end(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte == 0xFF) {
        rest = &rest[at..];
        let Some(at) = rest.iter().position(|&byte| byte != 0xFF) else {
            return false;
        };
        let marker = rest[at];
        rest = &rest[at + 1..];
        match marker {
            0xD9 => return true,
            // A stuffed 0xFF, TEM, restart markers, start of image: nothing follows them.
            0x00 | 0x01 | 0xD0..=0xD8 => {}
            _ => {
                let &[high, low, ..] = rest else { return false };
                let length = usize::from(u16::from_be_bytes([high, low]));
                let Some(after) = rest.get(length.max(2)..) else {
                    return false;
                };
                rest = after;
            }
        }
    }
    false
}

/// Sorts an error of zune-jpeg into ours. A file without its end is called cut short, whatever
/// the decoder stumbled over.
fn tell(error: DecodeErrors, bytes: &[u8], name: &str) -> PictureError {
    let source = Box::new(error);
    match *source {
        DecodeErrors::Unsupported(_) => {
            PictureError::Unsupported { name: name.to_owned(), format: FORMAT, source }
        }
        _ if !reaches_its_end(bytes) => cut(name, Some(source)),
        _ => PictureError::Broken { name: name.to_owned(), format: FORMAT, source },
    }
}

fn cut(name: &str, source: Option<Box<DecodeErrors>>) -> PictureError {
    PictureError::Truncated {
        name: name.to_owned(),
        format: FORMAT,
        source: source.map(|source| source as _),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_behind_segments_and_entropy_coded_data() {
        let soi = b"\xff\xd8".as_slice();
        // A segment of 6 bytes whose content looks like an end of image.
        let thumbnail = b"\xff\xe1\x00\x06\xff\xd9\xff\xd9".as_slice();
        let scan = b"\xff\xda\x00\x02\x12\xff\x00\x34\xff\xd3\x56".as_slice();
        let fill = b"\xff\xff\xff".as_slice();
        let end = b"\xff\xd9".as_slice();
        let cases: [(&[&[u8]], bool); 8] = [
            (&[soi, thumbnail, scan, end], true),
            (&[soi, thumbnail, scan, end, b"appended \xff\xd8"], true),
            (&[soi, scan, fill, end], true),
            (&[soi, b"stray", scan, end], true),
            (&[soi, thumbnail, scan], false),
            (&[soi, thumbnail], false),
            (&[soi, scan, fill], false),
            (&[soi, b"\xff\xe1\x00\x20\xff\xd9"], false),
        ];
        for (parts, expected) in cases {
            let bytes = parts.concat();
            assert_eq!(reaches_its_end(&bytes), expected, "{bytes:x?}");
        }
    }
}

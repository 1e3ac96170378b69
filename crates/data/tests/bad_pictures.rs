//! Files that are no pictures, or not whole ones: each a clear error of its own kind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::error::Error;
use std::path::{Path, PathBuf};

use introspective_data::{MAX_FILE_BYTES, PictureError, decode, read};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).unwrap()
}

/// One file of every way of storing pixels that has an end to lose.
const WHOLE: [&str; 19] = [
    "rgb8.png",
    "palette.png",
    "rgb16.png",
    "interlaced.png",
    "ycbcr.jpg",
    "subsampled.jpg",
    "progressive.jpg",
    "restarts.jpg",
    "l8.jpg",
    "cmyk.jpg",
    "rgb8.webp",
    "rgba8.webp",
    "rgb8.bmp",
    "palette.gif",
    "rgb8.tiff",
    "lzw.tiff",
    "deflate.tiff",
    "rgb8.ppm",
    "bits.pbm",
];

#[test]
fn half_a_file_is_an_error_in_every_format() {
    for name in WHOLE {
        let bytes = fixture(name);
        let error = decode(&bytes[..bytes.len() / 2], name).expect_err(name);
        assert!(error.to_string().starts_with(name), "{error}");
        assert!(
            matches!(error, PictureError::Truncated { .. } | PictureError::Broken { .. }),
            "{name}: {error:?}"
        );
        if name.ends_with(".png") {
            assert!(matches!(error, PictureError::Truncated { .. }), "{name}: {error:?}");
        }
    }
}

/// No prefix of a JPEG is a picture, be it one byte short.
#[test]
fn a_cut_jpeg_is_never_a_picture() {
    for name in
        ["ycbcr.jpg", "progressive.jpg", "restarts.jpg", "l8.jpg", "cmyk.jpg", "turned-6.jpg"]
    {
        let bytes = fixture(name);
        for length in 3..bytes.len() {
            let error = decode(&bytes[..length], name).expect_err(name);
            assert!(
                matches!(error, PictureError::Truncated { format: "jpeg", .. }),
                "{name} cut to {length}: {error:?}"
            );
        }
    }
}

/// The same for PNG, up to the last data chunk: what follows (an end chunk of 12 bytes and the
/// checksum before it) holds no pixels.
#[test]
fn a_cut_png_is_never_a_picture() {
    for name in ["rgb8.png", "palette.png", "rgb16.png", "interlaced.png"] {
        let bytes = fixture(name);
        for length in 8..bytes.len() - 16 {
            let result = decode(&bytes[..length], name);
            assert!(result.is_err(), "{name} cut to {length} of {}", bytes.len());
        }
    }
}

/// Phones append videos and depth maps to their photographs.
#[test]
fn bytes_after_the_end_of_a_jpeg_do_no_harm() {
    let mut bytes = fixture("ycbcr.jpg");
    let whole = decode(&bytes, "whole").unwrap();
    bytes.extend_from_slice(b"an appended video \xff\xd8 or so");
    assert_eq!(decode(&bytes, "longer").unwrap(), whole);
}

#[test]
fn broken_entropy_coded_data_are_an_error() {
    // From the scan header on, a run of ones is no code of any Huffman table.
    let mut bytes = fixture("ycbcr.jpg");
    let scan = bytes.windows(2).position(|pair| pair == b"\xff\xda").unwrap();
    let end = bytes.len() - 2;
    for pair in bytes[scan + 14..end].chunks_exact_mut(2) {
        pair.copy_from_slice(&[0xff, 0x00]);
    }
    let error = decode(&bytes, "ones.jpg").unwrap_err();
    assert!(matches!(error, PictureError::Broken { format: "jpeg", .. }), "{error:?}");
    assert!(error.source().is_some());
}

#[test]
fn what_is_no_picture_is_named() {
    let cases: [(&[u8], &str); 9] = [
        (b"Dear diary,\ntoday I renamed a text file.", "is text"),
        ("Grüße, größer".as_bytes(), "is text"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "HEIC"),
        (b"\x00\x00\x00\x1cftypavif\x00\x00", "AVIF"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00", "video"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\xff\x0a\x01", "JPEG XL"),
        (b"qoif\x00\x00\x00\x01", "Qoi"),
        (b"\x01\x02\x03\x04\x05", "something unknown"),
    ];
    for (bytes, words) in cases {
        let error = decode(bytes, "holiday.jpg").unwrap_err();
        assert!(matches!(error, PictureError::NotAPicture { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains("holiday.jpg"), "{text}");
        assert!(text.contains("PNG, JPEG, WebP"), "{text} says what is read");
    }
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let kind = |path: &Path| read(path).unwrap_err();

    let missing = path("missing.png");
    let error = kind(&missing);
    assert!(matches!(error, PictureError::Missing { .. }), "{error:?}");
    assert!(error.to_string().contains("missing.png"));
    assert!(error.source().is_some());

    assert!(matches!(kind(folder.path()), PictureError::Folder { .. }));

    std::fs::write(path("empty.jpg"), b"").unwrap();
    assert!(matches!(kind(&path("empty.jpg")), PictureError::Empty { .. }));

    // Sparse: takes no room on the disk.
    let long = std::fs::File::create(path("long.png")).unwrap();
    long.set_len(MAX_FILE_BYTES + 1).unwrap();
    assert!(matches!(kind(&path("long.png")), PictureError::LongFile { .. }));
}

#[cfg(unix)]
#[test]
fn a_file_without_permission_is_unreadable() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.png");
    std::fs::copy(fixtures().join("rgb8.png"), &path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&path).is_ok() {
        return; // the superuser reads everything
    }
    let error = read(&path).unwrap_err();
    assert!(matches!(error, PictureError::Unreadable { .. }), "{error:?}");
}

/// The stated size counts, before anything is allocated or decoded: none of these has pixels.
#[test]
fn too_many_pixels_are_refused_on_their_header() {
    let mut jpeg = fixture("ycbcr.jpg");
    let frame = jpeg.windows(2).position(|pair| pair == b"\xff\xc0").unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    let mut bmp = fixture("rgb8.bmp");
    bmp[18..22].copy_from_slice(&20_000_u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&20_000_u32.to_le_bytes());
    let mut gif = fixture("palette.gif");
    gif[6..10].copy_from_slice(&[0xdc, 0xff, 0xdc, 0xff]);

    let cases: [(&str, Vec<u8>); 5] = [
        ("huge.png", fixture("400-megapixels.png")),
        ("huge.jpg", jpeg),
        ("huge.bmp", bmp),
        ("huge.gif", gif),
        ("huge.ppm", b"P6 20000 20000 255\n".to_vec()),
    ];
    for (name, bytes) in cases {
        let error = decode(&bytes, name).unwrap_err();
        assert!(matches!(error, PictureError::TooLarge { .. }), "{error:?}");
        assert!(error.to_string().contains("200000000"), "{error}");
    }
}

#[test]
fn a_picture_without_pixels_is_broken() {
    let error = decode(b"P6 0 5 255\n", "none.ppm").unwrap_err();
    assert!(matches!(error, PictureError::Broken { .. }), "{error:?}");
}

/// Found by fuzzing: the decoder's panic at a palette of 49 bytes (no multiple of 3) becomes an error.
#[test]
fn a_decoder_that_gives_up_is_an_error() {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(b"\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x03\0\0\0\x28\xcb\x34\xbb");
    bytes.extend(b"\0\0\0\x31PLTE");
    bytes.extend(0..49);
    bytes.extend(b"\xc4\xc3\xb7\x46\0\0\0\x0aIDAT\x78\x9c\x63\x60\0\0\0\x02\0\x01\x48\xaf\xa4\x71");
    bytes.extend(b"\0\0\0\0IEND\xae\x42\x60\x82");
    let error = decode(&bytes, "odd.png").unwrap_err();
    assert!(matches!(error, PictureError::Decoder { .. }), "{error:?}");
    assert!(error.to_string().starts_with("odd.png: the png decoder failed"), "{error}");
}

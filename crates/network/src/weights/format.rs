//! What kind of file the bytes are, by content; names of files lie.

use crate::checkpoint::is_legacy;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Safetensors,
    /// A zip archive, which the checkpoints of PyTorch 1.6 and later are.
    Zip,
    /// A checkpoint in the format of before.
    LegacyCheckpoint,
    /// Something that holds no weights that are read here, in words.
    Foreign(&'static str),
}

impl Format {
    /// The format that the bytes begin like.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
            return Self::Zip;
        }
        if is_legacy(bytes) {
            return Self::LegacyCheckpoint;
        }
        // the header's length, then the header
        if bytes.get(8) == Some(&b'{') && !bytes.starts_with(b"{") {
            return Self::Safetensors;
        }
        Self::Foreign(foreign(bytes))
    }
}

fn foreign(bytes: &[u8]) -> &'static str {
    let starts: [(&[u8], &str); 15] = [
        (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes them"),
        (b"GGUF", "a GGUF file"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"\x1f\x8b", "a gzip-compressed file"),
        (b"\x28\xb5\x2f\xfd", "a zstd-compressed file"),
        (b"BZh", "a bzip2-compressed file"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x89PNG", "a picture"),
        (b"\xff\xd8\xff", "a picture"),
        (b"GIF8", "a picture"),
        (b"RIFF", "a picture or a sound"),
        (b"%PDF", "a PDF document"),
        (b"{", "a JSON text"),
        (b"[", "a JSON text"),
    ];
    if bytes.is_empty() {
        return "an empty file";
    }
    if let Some((_, what)) = starts.iter().find(|(start, _)| bytes.starts_with(start)) {
        return what;
    }
    let text = bytes.trim_ascii_start();
    let page = [b"<!doctype".as_slice(), b"<html", b"<?xml"];
    if page.iter().any(|tag| text.get(..tag.len()).is_some_and(|s| s.eq_ignore_ascii_case(tag))) {
        return "a web page, not the file it links to";
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return "a tar archive";
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return "a TensorFlow Lite file";
    }
    match bytes {
        [0x80, 2..=5, ..] => "a Python pickle that torch.save did not write",
        // field 1 of a ModelProto, its IR version, then another of its fields
        [0x08, 1..=20, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42 | 0x72, ..] => "an ONNX file",
        _ => "of no format that is known here",
    }
}

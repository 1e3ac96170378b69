//! Pictures and labels from `.npy` files as NumPy writes them, and files that are none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::PathBuf;

use introspective_data::arrays::{ArraysError, PictureArray, read_integers};
use ndarray::{Array3, array};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Picture `n` of pictures.npy: the formula of make_arrays.py.
fn picture(n: usize) -> Array3<u8> {
    Array3::from_shape_fn((2, 4, 3), |(y, x, c)| (97 * n + 31 * y + 7 * x + c) as u8)
}

#[test]
fn pictures_come_one_at_a_time_and_in_any_order() {
    let file = PictureArray::open(fixture("pictures.npy")).unwrap();
    assert_eq!((file.len(), file.is_empty()), (5, false));
    for n in [4, 0, 2] {
        let read = file.picture(n).unwrap();
        assert_eq!(read.pixels, picture(n));
        assert_eq!((read.info.height, read.info.width, &read.info.format[..]), (2, 4, "npy"));
    }
    let error = file.picture(5).unwrap_err().to_string();
    assert!(error.contains("5 pictures; there is no number 5"), "{error}");
    assert_eq!(read_integers(fixture("labels.npy")).unwrap(), array![0, 1, 2, 0, 1]);
}

/// A header as NumPy writes it.
fn header(descr: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
}

/// A .npy file of such a header and so many bytes.
fn npy(header: &str, values: usize) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &vec![7; values]].concat()
}

#[test]
fn every_byte_of_the_pictures_that_are_meant_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let of = |bytes: &[u8], range| {
        fs::write(&path, bytes).unwrap();
        PictureArray::open(&path).unwrap().fingerprint(range).unwrap()
    };
    let plain = npy(&header("|u1", "False", "(3, 2, 4, 3)"), 72);
    let mut changed = plain.clone();
    *changed.last_mut().unwrap() = 8;
    assert_eq!(of(&plain, 0..3), of(&plain, 0..3));
    assert_ne!(of(&plain, 0..3), of(&changed, 0..3));
    assert_eq!(of(&plain, 0..2), of(&changed, 0..2));
    assert_ne!(of(&changed, 1..2), of(&changed, 2..3));
    // the same bytes as pictures of another shape
    let turned = npy(&header("|u1", "False", "(3, 4, 2, 3)"), 72);
    assert_ne!(of(&plain, 0..3), of(&turned, 0..3));
}

#[test]
fn what_is_no_array_of_pictures_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fog.npy");
    let bytes = |shape: &str, values| npy(&header("|u1", "False", shape), values);
    for (bytes, expected) in [
        (
            bytes("(3, 2, 4, 3)", 71),
            "damaged: its values take 71 bytes, where uint8 of shape (3, 2, 4, 3) takes 72",
        ),
        (bytes("(3, 2, 4, 3)", 73), "damaged: its values take 73 bytes"),
        (bytes("(4294967296, 4294967296, 2, 3)", 9), "takes too many"),
        (
            npy(&header("<f4", "False", "(3, 2, 4, 3)"), 288),
            "is float32 of shape (3, 2, 4, 3); expected pictures, uint8",
        ),
        (bytes("(3, 2, 4)", 24), "expected pictures, uint8 of shape (n, height, width, 3)"),
        (bytes("(3, 3, 2, 4)", 72), "expected pictures"),
        (npy(&header("|u1", "True", "(3, 2, 4, 3)"), 72), "np.ascontiguousarray"),
        (bytes("(3, 0, 4, 3)", 0), "a picture has 1 to"),
        (bytes("(0, 20000, 20000, 3)", 0), "a picture has 1 to"),
        (npy(&header("|O", "False", "(3,)"), 24), "stored as a pickle, which is never executed"),
        (b"no array at all".to_vec(), "is no array"),
        (b"\x93NUMPY".to_vec(), "damaged: its header cannot be read"),
        (Vec::new(), "damaged: its header cannot be read"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = PictureArray::open(&path).err().unwrap().to_string();
        assert!(error.contains("fog.npy: is ") && error.contains(expected), "{error}\n{expected}");
    }
    let absent = PictureArray::open(folder.path().join("absent")).err().unwrap();
    assert!(matches!(absent, ArraysError::Unreadable { .. }), "{absent}");
}

#[test]
fn labels_are_integers_of_any_width() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.npy");
    let read = |bytes: Vec<u8>| {
        fs::write(&path, bytes).unwrap();
        read_integers(&path)
    };
    let big = npy(&header(">i2", "False", "(2,)"), 4);
    assert_eq!(read(big).unwrap(), array![0x0707, 0x0707]);
    let error = read(npy(&header("<f8", "False", "(3,)"), 24)).unwrap_err().to_string();
    assert!(error.contains("is float64 of shape (3,); expected integers"), "{error}");
    let error = read(npy(&header("<i8", "False", "(2, 1)"), 16)).unwrap_err().to_string();
    assert!(error.contains("expected integers of shape (n,)"), "{error}");
    let error = read(npy(&header("<i8", "False", "(9223372036854775807,)"), 24)).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

proptest! {
    #[test]
    fn damaged_files_do_not_panic(
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
        keep in proptest::option::of(any::<Index>()),
    ) {
        let mut bytes = fs::read(fixture("pictures.npy")).unwrap();
        for (place, byte) in changes {
            // mostly in the header
            let end = if byte % 4 == 0 { bytes.len() } else { 128 };
            bytes[place.index(end)] = byte;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        fs::write(&path, &bytes).unwrap();
        if let Ok(file) = PictureArray::open(&path) {
            prop_assert!(file.len() <= bytes.len());
            for n in 0..file.len() {
                prop_assert_eq!(file.picture(n).unwrap().pixels.dim().2, 3);
            }
        }
        if let Ok(numbers) = read_integers(&path) {
            prop_assert!(numbers.len() <= bytes.len());
        }
    }
}

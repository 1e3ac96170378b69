//! Random damage to sets and files of arrays: an error or something consistent, never a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use introspective_data::arrays::Arrays;
use introspective_data::{LabelledSet, OpenOptions};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

static ARRAYS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let names =
        ["arrays-plain.npz", "arrays-compressed.npz", "arrays-types.npz", "arrays.safetensors"];
    names.map(|name| fs::read(folder.join(name)).unwrap()).to_vec()
});

/// Names and contents of small sets.
type Files = Vec<(&'static str, Vec<u8>)>;

static SETS: LazyLock<Vec<Files>> = LazyLock::new(|| {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2][..], &[7; 12]].concat();
    let labels = [&[0, 0, 8, 1, 0, 0, 0, 3][..], &[0, 2, 1]].concat();
    let gz = |bytes: &[u8]| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    vec![
        vec![
            ("train-images-idx3-ubyte.gz", gz(&images)),
            ("train-labels-idx1-ubyte", labels.clone()),
        ],
        vec![("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte.gz", gz(&labels))],
        vec![
            ("data_batch_1.bin", vec![3; 2 * 3073]),
            ("batches.meta.txt", b"a\nb\nc\nd\n".to_vec()),
        ],
        vec![("train.bin", vec![50; 3074])],
    ]
});

/// Reads all there is under every type; what comes out must fit what the file says.
fn read_arrays(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let length = bytes.len();
    let Ok(file) = Arrays::from_bytes(bytes, "x") else { return Ok(()) };
    for name in file.names() {
        let shape = file.shape(name).unwrap_or_default();
        if let Ok(matrix) = file.matrix(name) {
            prop_assert_eq!(matrix.shape(), shape);
            prop_assert!(matrix.len() <= 1032 * length);
        }
        if let Ok(vector) = file.vector(name) {
            prop_assert_eq!(vector.shape(), shape);
        }
        if let Ok(integers) = file.integers(name) {
            prop_assert_eq!(integers.shape(), shape);
        }
        if let Ok(strings) = file.strings(name) {
            prop_assert!(strings.len() <= 1032 * length);
        }
    }
    Ok(())
}

fn read_set(folder: &Path) -> Result<(), TestCaseError> {
    match LabelledSet::open(folder, OpenOptions::default()) {
        Ok(set) => {
            prop_assert!(!set.is_empty());
            prop_assert!(set.labels().iter().all(|&label| label < set.classes().len()));
            prop_assert!(set.picture(set.len() - 1).is_ok());
            prop_assert!(set.name(set.len() - 1).contains('#'));
            prop_assert_eq!(set.fingerprint().len(), 64);
        }
        Err(error) => prop_assert!(!error.to_string().is_empty()),
    }
    Ok(())
}

/// Changes, then a cut.
fn damage(bytes: &[u8], changes: &[(Index, u8)], keep: Option<Index>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, value) in changes {
        let at = at.index(bytes.len());
        bytes[at] ^= value;
    }
    if let Some(keep) = keep {
        bytes.truncate(keep.index(bytes.len()));
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_arrays_do_not_panic(
        file in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 0..6),
        keep in proptest::option::weighted(0.3, any::<Index>()),
    ) {
        read_arrays(damage(file.get::<Vec<u8>>(&ARRAYS), &changes, keep))?;
    }

    /// Digits in headers are where sizes stand.
    #[test]
    fn changed_numbers_do_not_panic(file in any::<Index>(), changes in vec((any::<Index>(), b'0'..=b'9'), 1..6)) {
        let mut bytes = file.get::<Vec<u8>>(&ARRAYS).clone();
        let digits: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at].is_ascii_digit()).collect();
        for (at, digit) in changes {
            bytes[*at.get(&digits)] = digit;
        }
        read_arrays(bytes)?;
    }

    #[test]
    fn damaged_sets_do_not_panic(
        set in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>()), 0..4),
        keep in proptest::option::weighted(0.3, any::<Index>()),
        at_start in proptest::option::of((0..16_usize, any::<u8>())),
    ) {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in set.get(&SETS) {
            let mut bytes = damage(bytes, &changes, keep);
            if let Some((at, value)) = at_start && at < bytes.len() {
                bytes[at] = value;
            }
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        read_set(folder.path())?;
    }
}

#[test]
fn undamaged_they_are_read() {
    for files in SETS.iter() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        assert!(
            LabelledSet::open(folder.path(), OpenOptions::default()).unwrap().picture(0).is_ok()
        );
    }
}

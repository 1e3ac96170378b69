//! CIFAR binaries and IDX files to labelled sets. The first byte says which.
#![no_main]

use std::fs;

use introspective_data::{LabelledSet, OpenOptions};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write =
        |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("space in it");
    match kind % 4 {
        0 => write("train.bin", bytes),
        1 => {
            write("data_batch_1.bin", bytes);
            write("batches.meta.txt", &bytes[..bytes.len().min(40)]);
        }
        kind => {
            // two files in one: the length of the first stands before it
            let Some((length, bytes)) = bytes.split_first_chunk() else { return };
            let at = usize::from(u16::from_le_bytes(*length)).min(bytes.len());
            let end = if kind == 2 { "" } else { ".gz" };
            write(&format!("t10k-labels-idx1-ubyte{end}"), &bytes[..at]);
            write(&format!("t10k-images-idx3-ubyte{end}"), &bytes[at..]);
        }
    }
    let Ok(set) = LabelledSet::open(folder.path(), OpenOptions::default()) else { return };
    assert!(set.labels().iter().all(|&label| label < set.classes().len()));
    for index in [0, set.len() - 1] {
        let picture = set.picture(index).expect("a picture in memory");
        assert_eq!(picture.pixels.dim(), (picture.info.height, picture.info.width, 3));
        assert!(set.name(index).contains('#'));
    }
    let _ = set.fingerprint();
});

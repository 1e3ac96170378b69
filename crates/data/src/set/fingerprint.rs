//! A number by which changed data are noticed.

use std::fmt::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Contents, LabelledSet};

/// See [`LabelledSet::fingerprint`].
pub(super) fn of(set: &LabelledSet) -> String {
    let mut hash = Sha256::new();
    text(&mut hash, b"labelled set 1");
    text(&mut hash, set.kind.as_str().as_bytes());
    number(&mut hash, set.classes.len() as u64);
    for class in &set.classes {
        text(&mut hash, class.as_bytes());
    }
    number(&mut hash, set.labels.len() as u64);
    for &label in &set.labels {
        number(&mut hash, label as u64);
    }
    match &set.contents {
        Contents::Files(files) => {
            for file in files {
                text(&mut hash, file.as_os_str().as_encoded_bytes());
                number(&mut hash, length(&set.root.join(file)));
            }
        }
        Contents::Records(records) => {
            for (file, end) in &records.files {
                text(&mut hash, file.as_bytes());
                number(&mut hash, *end as u64);
            }
            for size in [records.height, records.width, records.channels] {
                number(&mut hash, size as u64);
            }
            hash.update(&records.pixels);
        }
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut digits, byte| {
        // writing to a string cannot fail
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// The length of a file; one that cannot be looked at has a length that no file has.
fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(u64::MAX, |metadata| metadata.len())
}

fn number(hash: &mut Sha256, number: u64) {
    hash.update(number.to_le_bytes());
}

/// With its length before it, so that no two lists of texts read the same.
fn text(hash: &mut Sha256, text: &[u8]) {
    number(hash, text.len() as u64);
    hash.update(text);
}

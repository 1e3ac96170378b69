//! Several named arrays in one `.npz` file, as `numpy.load` reads it.

use std::collections::HashSet;
use std::io::Cursor;
use std::path::Path;

use ndarray::ArrayViewD;
use ndarray_npy::NpzWriter;

use crate::WriteError;

/// Writes `arrays` (names and f32 values of any shape) into an uncompressed `.npz`; an existing file is replaced.
///
/// The same arrays give the same bytes: no time of day is stored. Values are stored as they are, NaN included.
///
/// # Errors
/// Two arrays share a name, a name is empty or holds a path separator, or the file cannot be written.
pub fn write_npz(
    path: impl AsRef<Path>,
    arrays: &[(&str, ArrayViewD<'_, f32>)],
) -> Result<(), WriteError> {
    let path = path.as_ref();
    check_names(path, arrays)?;
    // In memory first: an archive that is dropped on a full disk prints what should be this function's error.
    let mut archive = NpzWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        archive.add_array(*name, array).map_err(|source| WriteError::Array {
            path: path.to_owned(),
            name: (*name).to_owned(),
            source,
        })?;
    }
    let archive =
        archive.finish().map_err(|source| WriteError::Finish { path: path.to_owned(), source })?;
    std::fs::write(path, archive.into_inner())
        .map_err(|source| WriteError::Io { path: path.to_owned(), source })
}

/// `numpy.load` finds an array by its member's name, so a name that is doubled or reads as a path would be lost.
fn check_names(path: &Path, arrays: &[(&str, ArrayViewD<'_, f32>)]) -> Result<(), WriteError> {
    let mut seen = HashSet::new();
    for (name, _) in arrays {
        let reason = if name.is_empty() {
            "it is empty"
        } else if name.contains(['/', '\\']) {
            "it holds a path separator"
        } else if !seen.insert(*name) {
            "an array of that name is there already"
        } else {
            continue;
        };
        return Err(WriteError::ArrayName {
            path: path.to_owned(),
            name: (*name).to_owned(),
            reason,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use std::fs::File;

    use ndarray::{Array1, Array2, ArrayD, arr0};
    use ndarray_npy::NpzReader;

    use super::*;

    #[test]
    fn arrays_read_back_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("maps.npz");
        let why = Array2::from_shape_fn((13, 7), |(y, x)| y as f32 - 0.25 * x as f32);
        let turned = why.t();
        let logits = Array1::from(vec![1.5f32, f32::NAN, f32::NEG_INFINITY]);
        let scalar = arr0(3.0f32);
        write_npz(
            &path,
            &[
                ("why", why.view().into_dyn()),
                ("turned", turned.into_dyn()),
                ("logits", logits.view().into_dyn()),
                ("scalar", scalar.view().into_dyn()),
            ],
        )
        .unwrap();

        let mut archive = NpzReader::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(archive.names().unwrap(), ["why", "turned", "logits", "scalar"]);
        let mut read =
            |name: &str| archive.by_name::<ndarray::OwnedRepr<f32>, ndarray::IxDyn>(name).unwrap();
        assert_eq!(read("why"), why.clone().into_dyn());
        assert_eq!(read("turned"), why.t().into_dyn());
        assert_eq!(read("scalar"), scalar.into_dyn());
        let back: ArrayD<f32> = read("logits");
        assert!(back[0] == 1.5 && back[1].is_nan() && back[2] == f32::NEG_INFINITY);
    }

    #[test]
    fn the_same_arrays_give_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let map = Array2::from_elem((3, 3), 0.5f32);
        let write = |name: &str| {
            let path = folder.path().join(name);
            write_npz(&path, &[("why", map.view().into_dyn())]).unwrap();
            std::fs::read(path).unwrap()
        };
        let bytes = write("a.npz");
        assert_eq!(bytes, write("b.npz"));
        // Bytes 10 .. 14 of a zip's first header are its time: 1980-01-01, the format's zero.
        assert_eq!(bytes[10..14], [0, 0, 0x21, 0]);
    }

    #[test]
    fn a_doubled_or_unfit_name_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("maps.npz");
        let map = Array2::from_elem((3, 3), 0.5f32);
        for names in [["a", "a"], ["a", ""], ["a", "../b"]] {
            let arrays = names.map(|name| (name, map.view().into_dyn()));
            assert!(matches!(write_npz(&path, &arrays), Err(WriteError::ArrayName { .. })));
            assert!(!path.exists());
        }
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_npz(folder.path().join("absent/maps.npz"), &[]).unwrap_err();
        assert!(error.to_string().contains("maps.npz"), "{error}");
    }
}

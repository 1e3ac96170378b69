//! Files of arrays against NumPy and safetensors, in both directions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::PathBuf;

use introspective_data::arrays::{Arrays, ArraysError, Values, write_npz, write_safetensors};
use ndarray::{Array1, Array2, ArrayD, Axis, array, s};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn h() -> Array2<f32> {
    Array2::from_shape_fn((5, 3), |(i, j)| i as f32 - j as f32 / 4.0)
}

fn z() -> Array2<f32> {
    Array2::from_shape_fn((5, 3), |(i, j)| (i + 1) as f32 * 2.0_f32.powi(j as i32))
}

fn labels() -> Array1<i64> {
    array![0, 1, 2, 0, 1]
}

fn names() -> Vec<String> {
    ["tench", "é 魚 🐟", ""].map(str::to_owned).to_vec()
}

fn check(file: &Arrays) {
    assert_eq!(file.matrix("h").unwrap(), h());
    assert_eq!(file.matrix("z").unwrap(), z());
    assert_eq!(file.integers("labels").unwrap(), labels());
    assert_eq!(file.vector("bias").unwrap(), array![0.0, -1.0, -2.0]);
    assert_eq!(file.strings("names").unwrap(), names());
    assert_eq!(file.shape("h"), Some(&[5, 3][..]));
    assert!(file.contains("names") && !file.contains("weight"));
}

#[test]
fn files_of_numpy_and_safetensors() {
    for name in ["arrays-plain.npz", "arrays-compressed.npz", "arrays.safetensors"] {
        check(&Arrays::read(fixture(name)).unwrap());
        check(&Arrays::from_bytes(fs::read(fixture(name)).unwrap(), name).unwrap());
    }
    let file = Arrays::read(fixture("arrays-plain.npz")).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["h", "z", "labels", "bias", "names"]);
}

#[test]
fn types_are_widened_and_fortran_order_is_turned() {
    let file = Arrays::read(fixture("arrays-types.npz")).unwrap();
    for name in ["h_f16", "h_f64", "h_big", "h_fortran"] {
        let read = file.matrix(name).unwrap();
        assert_eq!(read, h(), "{name}");
        assert!(read.is_standard_layout(), "{name}");
    }
    assert_eq!(file.matrix("h_column").unwrap(), h().slice(s![.., ..1]));
    assert_eq!(file.matrix("h_row").unwrap(), h().slice(s![..1, ..]));
    assert_eq!(file.matrix("h_none").unwrap().dim(), (0, 3));
    for kind in ["i1", "i2", "i4", ">i4", "u1", "u2", "u4", "u8"] {
        assert_eq!(file.integers(&format!("labels_{kind}")).unwrap(), labels(), "{kind}");
    }
    assert_eq!(file.strings("names_bytes").unwrap(), ["tench", "shark", ""]);
    assert_eq!(file.strings("names_big").unwrap(), names());

    let file = Arrays::read(fixture("arrays.safetensors")).unwrap();
    for name in ["h_f16", "h_bf16", "h_f64"] {
        assert_eq!(file.matrix(name).unwrap(), h(), "{name}");
    }
    assert_eq!(file.integers("labels_u8").unwrap(), labels());
}

fn message<T: std::fmt::Debug>(result: Result<T, ArraysError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn what_does_not_fit_is_named_with_what_was_found_and_expected() {
    let file = Arrays::read(fixture("arrays-types.npz")).unwrap();
    for (message, expected) in [
        (message(file.matrix("features")), "has no array \"features\", only h_f16, h_f64"),
        (
            message(file.matrix("labels_i4")),
            "\"labels_i4\" is int32 of shape (5,); expected floating-point numbers of shape (n, d); convert it: array.astype(np.float32)",
        ),
        (
            message(file.vector("h_f16")),
            "is float16 of shape (5, 3); expected floating-point numbers of shape (n,)",
        ),
        (message(file.vector("h_column")), "take out the dimensions of size 1"),
        (
            message(file.integers("h_f64")),
            "is float64 of shape (5, 3); expected integers of shape (n,); convert it: array.astype(np.int64)",
        ),
        (
            message(file.integers("labels_column")),
            "shape (5, 1); expected integers of shape (n,); take out",
        ),
        (message(file.integers("flags")), "is bool of shape (5,); expected integers"),
        (message(file.matrix("names_bytes")), "is byte strings of shape (3,); expected"),
        (message(file.strings("flags")), "expected strings of shape (n,)"),
        (message(file.vector("scalar")), "is float32 of shape (); expected"),
        (message(file.matrix("complex")), "of type \"<c8\", which is not read"),
        (
            message(file.vector("objects")),
            "stored as a pickle, which is never executed; save plain numbers",
        ),
        (message(file.vector("records")), "an array of records"),
        (message(file.vector("huge")), "1e300 is beyond the range of 32-bit floats"),
        (message(file.integers("too_large")), "9223372036854775808 is beyond the range of int64"),
        (message(file.strings("names_latin")), "a byte string is not UTF-8"),
    ] {
        assert!(
            message.contains("arrays-types.npz: ") && message.contains(expected),
            "{message}\nlacks: {expected}"
        );
    }
    let file = Arrays::read(fixture("arrays.safetensors")).unwrap();
    assert!(message(file.strings("model")).contains("no JSON list of strings"));
    assert!(message(file.matrix("h_f8")).contains("of type F8_E4M3, which is not read"));
}

#[test]
fn other_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let told = |bytes: &[u8]| {
        fs::write(folder.path().join("x"), bytes).unwrap();
        Arrays::read(folder.path().join("x")).err().unwrap().to_string()
    };
    let single = fs::read(fixture("arrays-single.npy")).unwrap();
    assert!(told(&single).contains("a single array (.npy), not a file of named arrays"));
    assert!(told(&single).contains("np.savez(file, h=array)"));
    assert!(told(b"").contains("is empty"));
    assert!(told(b"\x80\x04pickle").contains("a Python pickle"));
    assert!(told(b"some text that is long enough").contains("something else"));
    let plain = fs::read(fixture("arrays-plain.npz")).unwrap();
    assert!(told(&plain[..plain.len() / 2]).contains("is damaged: its zip archive"));
    let tensors = fs::read(fixture("arrays.safetensors")).unwrap();
    assert!(told(&tensors[..tensors.len() - 1]).contains("but its header describes"));
    let missing = Arrays::read(folder.path().join("absent")).err().unwrap();
    assert!(matches!(missing, ArraysError::Unreadable { .. }), "{missing}");
    assert!(Arrays::read(folder.path()).is_err());
}

/// A value changed in a stored member: the archive's checksum tells.
#[test]
fn changed_values_are_noticed() {
    let mut bytes = fs::read(fixture("arrays-plain.npz")).unwrap();
    let needle = (-1.0_f32).to_le_bytes();
    let at = bytes.windows(8).position(|w| w[..4] == needle && w[4..] == (-2.0_f32).to_le_bytes());
    bytes[at.unwrap()] ^= 1;
    let file = Arrays::from_bytes(bytes, "changed").unwrap();
    assert!(message(file.vector("bias")).contains("its values cannot be read"));
    assert_eq!(file.matrix("h").unwrap(), h());
}

fn everything<'a>(
    h: &'a Array2<f32>,
    labels: &'a Array1<i64>,
    bias: &'a Array1<f32>,
    names: &'a [String],
) -> [(&'static str, Values<'a>); 4] {
    [("h", h.into()), ("bias", bias.into()), ("labels", labels.into()), ("names", names.into())]
}

#[test]
fn what_is_written_reads_back_and_numpy_would_have_written_it() {
    let folder = tempfile::tempdir().unwrap();
    let (npz, tensors) = (folder.path().join("a.npz"), folder.path().join("a.safetensors"));
    let (bias, h, labels, names) = (array![-0.0, -1.0, -2.0], h(), labels(), names());
    let values = everything(&h, &labels, &bias, &names);
    write_npz(&npz, &values).unwrap();
    write_safetensors(&tensors, &values).unwrap();
    for path in [&npz, &tensors] {
        let file = Arrays::read(path).unwrap();
        assert_eq!(file.matrix("h").unwrap(), h);
        assert_eq!(file.integers("labels").unwrap(), labels);
        assert_eq!(file.vector("bias").unwrap(), bias);
        assert_eq!(file.strings("names").unwrap(), names);
    }
    // the members are NumPy's, header and all
    let (ours, theirs) = (fs::read(&npz).unwrap(), fs::read(fixture("arrays-plain.npz")).unwrap());
    let starts = |bytes: &[u8]| -> Vec<usize> {
        (0..bytes.len()).filter(|&at| bytes[at..].starts_with(b"\x93NUMPY")).collect()
    };
    let (our_starts, their_starts) = (starts(&ours), starts(&theirs));
    for (mine, numpys, length) in
        [(0, 0, 128 + 60), (1, 3, 128 + 12), (2, 2, 128 + 40), (3, 4, 128 + 3 * 5 * 4)]
    {
        let (mine, numpys) = (our_starts[mine], their_starts[numpys]);
        assert_eq!(ours[mine..mine + length], theirs[numpys..numpys + length]);
    }
    // and the reference implementation agrees with the header
    let bytes = fs::read(&tensors).unwrap();
    let parsed = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(parsed.tensor("h").unwrap().shape(), [5, 3]);
    assert_eq!(
        parsed.tensor("labels").unwrap().data().as_ptr() as usize % 4,
        bytes.as_ptr() as usize % 4
    );
}

#[test]
fn any_layout_is_written_in_standard_order_and_the_same_arrays_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let turned = h().reversed_axes();
    let deep = ArrayD::from_shape_fn(vec![2, 1, 3], |at| at[2] as f32);
    // more values than one piece holds
    let long = Array1::from_shape_fn(70_001, |i| i as f32);
    let many = Array2::from_shape_fn((3, 40_000), |(i, j)| (i * 40_000 + j) as f32);
    let mut strided = many.view();
    strided.invert_axis(Axis(1));
    let names: Vec<String> = (0..20).map(|i| format!("class {i}")).collect();
    let write = |name: &str| {
        let values = [
            ("turned", Values::from(&turned)),
            ("deep", Values::from(&deep)),
            ("long", Values::from(&long)),
            ("strided", Values::Floats(strided.view().into_dyn())),
            ("names", Values::from(&names[..])),
            ("others", Values::from(&names[3..])),
        ];
        let path = folder.path().join(name);
        match name.ends_with("npz") {
            true => write_npz(&path, &values).unwrap(),
            false => write_safetensors(&path, &values).unwrap(),
        }
        let file = Arrays::read(&path).unwrap();
        assert_eq!(file.matrix("turned").unwrap(), turned);
        assert_eq!(file.shape("deep").unwrap(), [2, 1, 3]);
        assert_eq!(file.vector("long").unwrap(), long);
        assert_eq!(file.matrix("strided").unwrap(), strided);
        assert_eq!(file.strings("others").unwrap(), names[3..]);
        fs::read(path).unwrap()
    };
    assert_eq!(write("a.npz"), write("b.npz"));
    assert_eq!(write("a.safetensors"), write("b.safetensors"));
}

#[test]
fn a_file_is_replaced_whole_or_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    fs::write(&path, "before").unwrap();
    let h = h();
    for names in [["a", "a"], ["a", ""], ["a", "../b"], ["a", "__metadata__"]] {
        let arrays = names.map(|name| (name, Values::from(&h)));
        assert!(matches!(write_npz(&path, &arrays), Err(ArraysError::Name { .. })));
    }
    let deep = ArrayD::<f32>::zeros(vec![1; 65]);
    let failed = write_npz(&path, &[("h", Values::from(&h)), ("deep", Values::from(&deep))]);
    assert!(matches!(failed, Err(ArraysError::Unwritable { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"before");
    let absent = write_safetensors(folder.path().join("absent/a"), &[("h", Values::from(&h))]);
    assert!(message(absent).contains("absent/a: cannot be written"));

    write_npz(&path, &[("h", Values::from(&h))]).unwrap();
    assert_eq!(Arrays::read(&path).unwrap().matrix("h").unwrap(), h);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        fs::write(folder.path().join("plain"), "").unwrap();
        assert_eq!(mode(path), mode(folder.path().join("plain")));
    }
}

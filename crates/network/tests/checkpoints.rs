//! PyTorch checkpoints of every form against the values they were written with
//! (fixtures/checkpoints.py).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::OnceLock;

use introspective_network::{CheckpointError, NetworkError, Weights};
use ndarray::{Array1, ArrayD};
use ndarray_npy::NpzReader;

/// The tensors of the script's class `Tiny`.
const TINY: [(&str, &[usize]); 9] = [
    ("bn1.bias", &[3]),
    ("bn1.running_mean", &[3]),
    ("bn1.running_var", &[3]),
    ("bn1.weight", &[3]),
    ("conv1.bias", &[3]),
    ("conv1.weight", &[3, 2, 1, 2]),
    ("head.1.bias", &[2]),
    ("head.1.weight", &[2, 3]),
    ("head.2.weight", &[2, 2]),
];

/// The fixture's files by the names of their cases.
fn files() -> &'static BTreeMap<String, Vec<u8>> {
    static FILES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints.npz.gz");
        let mut archive = Vec::new();
        let packed = std::fs::read(path).unwrap();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut archive).unwrap();
        let mut npz = NpzReader::new(Cursor::new(archive)).unwrap();
        let names = npz.names().unwrap();
        let read = |name: String| {
            let bytes: Array1<u8> = npz.by_name(&name).unwrap();
            (name.trim_end_matches(".npy").to_owned(), bytes.to_vec())
        };
        names.into_iter().map(read).collect()
    })
}

fn open(case: &str) -> Result<Weights, NetworkError> {
    Weights::from_bytes(files()[case].clone(), "net.pth")
}

/// The error and its causes, as the command prints them.
fn complaint(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", complaint(source)),
        None => error.to_string(),
    }
}

fn generated(name: &str, shape: &[usize]) -> ArrayD<f32> {
    ArrayD::from_shape_vec(shape, common::tensor(name, shape)).unwrap()
}

#[track_caller]
fn assert_holds(case: &str, expected: &[(&str, &[usize])], round: fn(f32) -> f32) {
    let weights = open(case).unwrap_or_else(|error| panic!("{case}: {}", complaint(&error)));
    let names: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
    assert_eq!(weights.names().collect::<Vec<_>>(), names, "{case}");
    for (name, shape) in expected {
        assert_eq!(weights.shape(name).unwrap(), *shape, "{case} {name}");
        assert_eq!(
            weights.values(name).unwrap(),
            generated(name, shape).mapv(round),
            "{case} {name}"
        );
    }
}

fn exact(value: f32) -> f32 {
    value
}

fn through_f16(value: f32) -> f32 {
    half::f16::from_f32(value).to_f32()
}

fn through_bf16(value: f32) -> f32 {
    half::bf16::from_f32(value).to_f32()
}

#[test]
fn state_dicts_of_both_formats_and_all_protocols_are_read() {
    for case in ["zip", "zip_4", "zip_5", "legacy", "legacy_4", "legacy_5", "dict", "parameters"] {
        assert_holds(case, &TINY, exact);
    }
}

#[test]
fn float_types_are_read_with_their_rounding() {
    for (case, round) in [
        ("float16", through_f16 as fn(f32) -> f32),
        ("bfloat16", through_bf16),
        // made from float32 values, so nothing is lost on the way back
        ("float64", exact),
    ] {
        assert_holds(case, &TINY, round);
        assert_holds(&format!("legacy_{case}"), &TINY, round);
    }
    let mixed = open("mixed").unwrap();
    let [half, full] = ["head.1.weight", "head.2.weight"].map(|name| mixed.values(name).unwrap());
    assert_eq!(half, generated("head.1.weight", &[2, 3]).mapv(through_f16));
    assert_eq!(full, generated("head.2.weight", &[2, 2]));
}

#[test]
fn prefixes_of_wrappers_are_stripped() {
    for prefix in [
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "model.",
        "net.",
        "network.",
        "module.module.",
    ] {
        assert_holds(&format!("prefix_{prefix}"), &TINY, exact);
    }
}

#[test]
fn state_dicts_are_found_under_the_keys_that_training_scripts_use() {
    let single: &[(&str, &[usize])] = &[("fc.weight", &[2, 2])];
    let wrappers: Vec<_> = files().keys().filter(|case| case.starts_with("wrapper_")).collect();
    assert_eq!(wrappers.len(), 14);
    for case in wrappers {
        assert_holds(case, single, exact);
    }
    for case in ["first_wrapper", "nested", "own_key"] {
        assert_holds(case, single, exact);
    }
    assert_holds("undotted", &[("bias", &[2]), ("weight", &[2, 3])], exact);
}

#[test]
fn what_lies_beside_the_state_dict_does_not_matter() {
    for case in ["training", "legacy_training", "lightning"] {
        assert_holds(case, &TINY, exact);
    }
}

#[test]
fn whole_modules_give_their_state_dict() {
    for case in ["whole", "whole_4", "whole_parallel"] {
        assert_holds(case, &TINY, exact);
    }
    assert_holds("whole_wrapped", &TINY, through_f16);
    assert_holds("legacy_whole", &[("inner.weight", &[2, 2])], exact);
}

#[test]
fn old_densenet_names_are_renewed() {
    let names = ["conv1.weight", "conv2.weight", "norm1.running_var", "norm1.weight", "norm2.bias"];
    let shapes: [&[usize]; 5] = [&[2, 2, 1, 1], &[1, 2, 1, 1], &[2], &[2], &[2]];
    let names = names.map(|name| format!("features.denseblock1.denselayer1.{name}"));
    let expected: Vec<_> = names.iter().map(String::as_str).zip(shapes).collect();
    assert_holds("densenet", &expected, exact);
}

#[test]
fn memory_layouts_are_honoured() {
    let base = generated("base.weight", &[6, 2]);
    for case in ["layouts", "legacy_layouts"] {
        let weights = open(case).unwrap();
        let values = |name: &str| weights.values(name).unwrap();
        assert_eq!(weights.names().count(), 12, "{case}");
        for (name, shape) in [
            ("transposed.weight", &[3, 4][..]),
            ("channels_last.weight", &[2, 3, 2, 2]),
            ("scalar.value", &[]),
        ] {
            assert_eq!(values(name), generated(name, shape), "{case} {name}");
        }
        let expanded = generated("expanded.weight", &[3, 1]);
        assert_eq!(values("expanded.weight"), expanded.broadcast([3, 4]).unwrap().into_dyn());
        assert_eq!(values("tied.again"), generated("tied.weight", &[2, 3]));
        assert_eq!(values("tied.weight"), values("tied.again"));
        assert_eq!(values("base.weight"), base);
        assert_eq!(values("base.rows"), base.slice(ndarray::s![2..4, ..]).into_dyn());
        assert_eq!(values("base.column"), base.slice(ndarray::s![.., 1]).into_dyn());
        assert_eq!(values("base.third"), base.slice(ndarray::s![..;3, ..]).into_dyn());
        assert_eq!(values("empty.weight").shape(), [0, 3]);
        let half = generated("half.transposed", &[2, 3]).mapv(through_f16);
        assert_eq!(values("half.transposed"), half, "{case}");
    }
}

#[test]
fn parameters_with_attributes_and_subclasses_are_tensors() {
    assert_holds(
        "attributed",
        &[("parameter.weight", &[2, 2]), ("subclass.weight", &[2, 2])],
        exact,
    );
}

#[test]
fn the_hash_is_that_of_the_file() {
    use sha2::Digest;
    for case in ["zip", "legacy_float64"] {
        let digest = sha2::Sha256::digest(&files()[case]);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(open(case).unwrap().sha256(), hex);
    }
}

#[test]
fn what_gives_no_network_says_why() {
    for (case, words) in [
        ("several", "several state dicts: student, teacher"),
        ("nothing", "no state dict: found a dict with the keys epoch, history"),
        ("tensor", "no state dict: found a single tensor"),
        (
            "integer",
            "tensor steps.weight in net.pth has element type I64; expected F32, F16, BF16 or F64",
        ),
        ("unsigned", "tensor steps.weight in net.pth has element type U16"),
        ("complex", "tensor wave.weight in net.pth has element type C64"),
        ("sparse", "tensor sparse.weight is made by torch._utils._rebuild_sparse_tensor"),
        ("negated", "tensor negated.weight is a lazy view"),
        ("nan", "tensor bad.weight in net.pth has values that are infinite or not a number"),
        (
            "torchscript",
            "net.pth is a TorchScript archive; expected a safetensors file or a PyTorch",
        ),
        ("bare_pickle", "net.pth is a Python pickle that torch.save did not write"),
    ] {
        let text = complaint(&open(case).unwrap_err());
        assert!(text.contains(words), "{case}: {text}");
    }
}

/// The files call `os.system("touch executed_by_a_checkpoint")` when they are unpickled.
#[test]
fn calls_are_data() {
    assert_holds("runs_beside", &[("fc.weight", &[2, 2])], exact);
    let alone = complaint(&open("runs_alone").unwrap_err());
    assert!(alone.contains("found what posix.system makes"), "{alone}");
    let inside = open("runs_inside").unwrap_err();
    assert!(
        matches!(
            &inside,
            NetworkError::Checkpoint { source: CheckpointError::NoStateDict { .. }, .. }
        ),
        "{inside:?}"
    );
    assert!(!Path::new("executed_by_a_checkpoint").exists());
}

/// A file that ends early is refused, or is as good as the whole one (its tail is padding).
#[test]
fn files_cut_anywhere_never_panic() {
    for case in ["zip", "legacy", "legacy_whole", "layouts"] {
        let whole = open(case).unwrap();
        let bytes = &files()[case];
        let mut refused = 0;
        for end in 0..bytes.len() {
            match Weights::from_bytes(bytes[..end].to_vec(), "cut") {
                Err(_) => refused += 1,
                Ok(weights) => {
                    for name in whole.names() {
                        assert_eq!(weights.values(name), whole.values(name), "{case} {end} {name}");
                    }
                }
            }
        }
        assert!(refused > bytes.len() * 9 / 10, "{case}: {refused} of {}", bytes.len());
    }
}

mod damaged {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        /// Whatever a few changed bytes make of a file, what comes out of it is whole.
        #[test]
        fn files_never_panic(
            case in prop::sample::select(vec!["zip", "zip_4", "legacy", "legacy_4", "layouts", "legacy_layouts", "whole", "legacy_training"]),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = files()[case].clone();
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(weights) = Weights::from_bytes(bytes, "damaged") {
                for name in weights.names() {
                    let values = weights.values(name).unwrap();
                    prop_assert_eq!(Some(values.shape()), weights.shape(name));
                    prop_assert!(values.iter().all(|value| value.is_finite()));
                }
            }
        }
    }
}

//! Head files that are whole, and such as are not.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use common::{bytes, farthest, features, fitted, options, zscore};
use introspective_reflect::{EnergyQuantile, FitOptions, Head, LogitScores, Method, ReflectError};
use proptest::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

const KEY: &str = "introspective_head";

static FULL: LazyLock<Vec<u8>> = LazyLock::new(|| bytes(&fitted(&options(1), None).unwrap()));
static LOW_RANK: LazyLock<Vec<u8>> = LazyLock::new(|| {
    bytes(&fitted(&FitOptions { rank: Some(2), seeds: 2, ..zscore(options(1)) }, None).unwrap())
});

fn read(bytes: &[u8]) -> Result<Head, ReflectError> {
    Head::from_bytes(bytes, Path::new("head.safetensors"))
}

/// Why it is refused.
fn refused(bytes: &[u8]) -> String {
    match read(bytes) {
        Err(ReflectError::File { path, reason }) => {
            assert_eq!(path, Path::new("head.safetensors"));
            reason
        }
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("read"),
    }
}

type Tensors = Vec<(String, Vec<usize>, Vec<u8>)>;

/// The file with its description and its tensors changed.
fn changed(bytes: &[u8], change: impl FnOnce(&mut Value, &mut Tensors)) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let mut about = serde_json::from_str(&header.metadata().as_ref().unwrap()[KEY]).unwrap();
    let file = SafeTensors::deserialize(bytes).unwrap();
    let tensors = file.tensors().into_iter();
    let mut tensors =
        tensors.map(|(name, t)| (name, t.shape().to_vec(), t.data().to_vec())).collect::<Vec<_>>();
    change(&mut about, &mut tensors);
    let views = tensors.iter().map(|(name, shape, data)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    let about = match about {
        Value::String(raw) => raw,
        about => about.to_string(),
    };
    safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), about)]))).unwrap()
}

fn about(change: impl FnOnce(&mut Value)) -> String {
    refused(&changed(&FULL, |about, _| change(about)))
}

#[test]
fn a_head_comes_back_as_it_was() {
    for file in [&FULL, &LOW_RANK] {
        let head = read(file).unwrap();
        assert!(bytes(&head) == **file);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("head.safetensors");
        head.write(&path).unwrap();
        assert_eq!(Head::read(&path).unwrap(), head);
        // nothing else is left in the folder
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    let fresh = fitted(&options(1), None).unwrap();
    assert_eq!(read(&FULL).unwrap(), fresh);
    let set = features(4, 20, 5, 12);
    let logits = |head: &Head| {
        head.logits(Method::Reflection, 0, &head.statistics, set.h.view(), set.z.view()).unwrap()
    };
    assert_eq!(farthest(&logits(&read(&FULL).unwrap()), &logits(&fresh)), 0.0);
}

#[test]
fn heads_know_whose_they_are() {
    let mut head = read(&FULL).unwrap();
    head.check_fits(None, [12, 0], 5).unwrap();
    head.check_fits(Some("abc"), [12, 0], 5).unwrap();
    head.about.classifier = Some("abc".to_owned());
    head.check_fits(Some("abc"), [12, 0], 5).unwrap();
    let foreign = |result: Result<(), ReflectError>, what: &str| {
        assert!(
            matches!(&result, Err(ReflectError::Foreign { reason }) if reason.contains(what)),
            "{result:?}"
        );
    };
    foreign(head.check_fits(Some("abd"), [12, 0], 5), "abd...");
    foreign(head.check_fits(Some("abc"), [13, 0], 5), "13");
    foreign(head.check_fits(Some("abc"), [12, 0], 6), "6");
}

/// What an older version wrote has no quantile, and few images have none either.
#[test]
fn the_energy_of_the_kept_images_is_kept() {
    let quantile = read(&FULL).unwrap().about.energy_quantile.unwrap();
    let kept = features(2, 40, 5, 12);
    let energies = kept.z.outer_iter().map(|z| LogitScores::of(z).negative_energy as f32);
    let under = energies.filter(|energy| *energy < quantile.value).count();
    assert_eq!((under, quantile.images, quantile.share), (2, 40, 0.05));
    let older = changed(&FULL, |about, _| {
        about.as_object_mut().unwrap().remove("energy_quantile");
    });
    assert_eq!(read(&older).unwrap().about.energy_quantile, None);
    assert_eq!(EnergyQuantile::of(features(2, 19, 5, 12).z.view()), None);
}

#[test]
fn missing_files_and_other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.safetensors");
    assert!(matches!(Head::read(&absent), Err(ReflectError::Io { doing: "read", .. })));
    assert!(matches!(Head::read(folder.path()), Err(ReflectError::Io { .. })));
    assert!(refused(b"").contains("no safetensors file"));
    assert!(refused(b"PK\x03\x04 something else").contains("no safetensors file"));
    let plain: [(&str, TensorView<'_>); 0] = [];
    let none = safetensors::serialize(plain, None).unwrap();
    assert!(refused(&none).contains("introspect fit"), "{}", refused(&none));
}

#[test]
fn descriptions_that_are_wrong_are_refused() {
    assert!(about(|a| a["format"] = json!(2)).contains("format 2; this version reads format 1"));
    assert!(about(|a| *a = json!("{")).contains("cannot be read"));
    assert!(about(|a| *a = json!([1, 2])).contains("format null"));
    assert!(about(|a| a["activation"] = json!("swish")).contains("swish"));
    assert!(about(|a| a["classes"] = json!(6)).contains("6 classes"));
    assert!(about(|a| a["classes"] = json!(0)).contains("0 classes"));
    assert!(about(|a| a["classes"] = json!(1_u64 << 62)).contains("classes"));
    assert!(about(|a| a["features"] = json!(u64::MAX)).contains("features"));
    assert!(about(|a| a["features"] = json!(-1)).contains("cannot be read"));
    assert!(about(|a| a["names"] = json!(["cat", "dog"])).contains("2 names for 5 classes"));
    assert!(about(|a| a["question"]["height"] = json!(1e39)).contains("height"));
    assert!(about(|a| a["question"]["height"] = Value::Null).contains("cannot be read"));
    assert!(about(|a| a["temperature"] = json!(-1.0)).contains("temperature"));
    assert!(about(|a| a["temperature"] = json!(1e300)).contains("temperature"));
    assert!(about(|a| a["seeds"][0]["temperatures"]["mlp-h"] = json!(0.0)).contains("temperature"));
    let quantile = |change: fn(&mut Value)| about(|a| change(&mut a["energy_quantile"]));
    assert!(quantile(|q| q["share"] = json!(1.5)).contains("share between 0 and 1"));
    assert!(quantile(|q| q["value"] = json!(1e39)).contains("quantile of the energy"));
    assert!(about(|a| a["seeds"] = json!([])).contains("no seed"));
    assert!(about(|a| a["seeds"][0]["temperatures"] = json!({})).contains("without networks"));
    assert!(about(|a| a["seeds"][0]["seed"] = json!(9)).contains("9."));
    assert!(about(|a| a["rank"] = json!(2)).contains("missing"));
    let low = |rank| refused(&changed(&LOW_RANK, |about, _| about["rank"] = rank));
    assert!(low(json!(3)).contains("does not fit"));
    assert!(low(json!(u64::MAX)).contains("does not fit"));
    assert!(low(Value::Null).contains("missing"));
    // a seed that is there twice has its networks once
    let twice = |about: &mut Value, _: &mut Tensors| about["seeds"][1] = about["seeds"][0].clone();
    assert!(refused(&changed(&LOW_RANK, twice)).contains("missing"));
}

/// Whichever tensor is absent, or of another shape, or not a number: it is named.
#[test]
fn each_tensor_is_needed_as_it_is() {
    for file in [&FULL, &LOW_RANK] {
        let names: Vec<String> =
            SafeTensors::deserialize(file).unwrap().names().iter().map(|n| n.to_string()).collect();
        assert!(names.len() > 20);
        for name in &names {
            let change = |change: fn(&mut Vec<usize>, &mut Vec<u8>)| {
                refused(&changed(file, |_, tensors| {
                    let tensor = tensors.iter_mut().find(|(other, ..)| other == name).unwrap();
                    change(&mut tensor.1, &mut tensor.2);
                }))
            };
            refused(&changed(file, |_, tensors| tensors.retain(|(other, ..)| other != name)));
            let flat = change(|shape, _| *shape = vec![1, shape.iter().product(), 1]);
            assert!(flat.contains(name.as_str()), "{name}: {flat}");
            let nan = change(|_, data| data[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
            assert!(nan.contains(name.as_str()) && nan.contains("not finite"), "{name}: {nan}");
            change(|shape, data| {
                shape[0] += 1;
                let more = shape.iter().product::<usize>() * 4;
                data.resize(more, 0);
            });
            change(|shape, data| {
                shape[0] = 0;
                data.clear();
            });
        }
    }
}

#[test]
fn other_types_of_numbers_are_refused() {
    let (_, header) = SafeTensors::read_metadata(&FULL).unwrap();
    let about = header.metadata().clone();
    let data = [0_u8; 24];
    let view = TensorView::new(Dtype::F64, vec![3], &data).unwrap();
    let file = safetensors::serialize([("statistics.h.low", view)], about).unwrap();
    assert!(refused(&file).contains("F64; expected F32"));
}

/// A header that claims more than there is.
#[test]
fn claims_beyond_the_file_are_refused() {
    let header = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let huge = r#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}}"#;
    let far = r#"{"a":{"dtype":"F32","shape":[268435456],"data_offsets":[0,1073741824]}}"#;
    for file in [header(huge), header(far), u64::MAX.to_le_bytes().to_vec(), vec![0xff; 4096]] {
        assert!(refused(&file).contains("no safetensors file"));
    }
}

proptest! {
    #[test]
    fn cut_files_are_refused(share in 0.0..1.0_f64) {
        for file in [&FULL, &LOW_RANK] {
            let end = (share * file.len() as f64) as usize;
            refused(&file[..end]);
        }
    }

    /// A changed bit is seen or gives another head, which can be used.
    #[test]
    fn changed_bits_do_no_harm(places in proptest::collection::vec((0.0..1.0_f64, 0..8_u8), 1..4), low in any::<bool>()) {
        let file = if low { &LOW_RANK } else { &FULL };
        let mut damaged = file.to_vec();
        for (share, bit) in &places {
            // half of the changes are in the header
            let range = if *bit < 4 { file.len() } else { 4000 };
            damaged[(share * range as f64) as usize] ^= 1 << bit;
        }
        if let Ok(head) = read(&damaged) {
            let set = features(4, 3, head.about.classes, head.about.features);
            for method in Method::ALL {
                let logits = head.logits(method, 0, &head.statistics, set.h.view(), set.z.view());
                prop_assert!(logits.is_none_or(|logits| logits.dim() == set.z.dim()));
            }
        }
    }
}

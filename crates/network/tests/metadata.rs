//! Safetensors files whose metadata say all: src/settings/metadata.rs is the specification.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::HashMap;
use std::fs;

use introspective_network::{
    Architecture, Interpolation, Method, NetworkError, Opened, Preprocessing,
};
use safetensors::SafeTensors;
use safetensors::tensor::serialize;

/// Opens a network of two classes whose file has these metadata.
fn open(
    metadata: &[(&str, &str)],
    architecture: Option<Architecture>,
) -> Result<Opened, NetworkError> {
    let tensors = Architecture::CifarResNet18.tensors(2, 3);
    let bytes = common::zeros(&tensors);
    let views = SafeTensors::deserialize(&bytes).unwrap();
    let metadata: HashMap<String, String> =
        metadata.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("own.safetensors");
    fs::write(&path, serialize(views.iter(), Some(metadata)).unwrap()).unwrap();
    Opened::from_path(&path, architecture)
}

#[test]
fn a_file_that_says_all_is_enough() {
    let interpolation = Interpolation::Bicubic;
    let method = Method::Torchvision { size: 37, crop: 32, interpolation };
    let torchvision =
        Preprocessing::new(method, vec![0.49, 0.48, 0.45], vec![0.25, 0.24, 0.26]).unwrap();
    let squash =
        Preprocessing::new(Method::Squash { size: 32 }, vec![0.5; 3], vec![0.1; 3]).unwrap();
    for preprocessing in [torchvision, squash] {
        let text = serde_json::to_string(&preprocessing).unwrap();
        let metadata = [
            ("format", "pt"),
            ("architecture", "cifar_resnet18"),
            ("classes", r#"["cat", "dog"]"#),
            ("preprocessing", &text),
        ];
        let opened = open(&metadata, None).unwrap();
        assert_eq!(opened.classifier.name(), "cifar_resnet18");
        assert_eq!(opened.preprocessing, Some(preprocessing));
        let classes = opened.classes.unwrap();
        assert_eq!([classes.name(0), classes.name(1)], ["cat", "dog"]);
    }
    let opened = open(&[("format", "pt")], None).unwrap();
    assert!(opened.preprocessing.is_none() && opened.classes.is_none());
}

#[test]
fn an_architecture_that_is_named_otherwise_needs_not_be_understood() {
    let unknown = [("architecture", "ResNet (CIFAR)")];
    let error = open(&unknown, None).unwrap_err().to_string();
    assert!(error.contains("architecture is \"ResNet (CIFAR)\""), "{error}");
    assert!(open(&unknown, Some(Architecture::CifarResNet18)).is_ok());
}

#[test]
fn malformed_metadata_is_refused_by_its_key() {
    let with = |change: (&str, &str)| {
        let usual = [
            ("method", r#""torchvision""#),
            ("size", "32"),
            ("crop", "32"),
            ("mean", "[0.5, 0.5, 0.5]"),
            ("std", "[0.5, 0.5, 0.5]"),
        ];
        let mut all: Vec<(&str, &str)> =
            usual.into_iter().filter(|(key, _)| *key != change.0).collect();
        all.push(change);
        let parts: Vec<String> =
            all.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        format!("{{{}}}", parts.join(", "))
    };
    assert!(open(&[("preprocessing", &with(("size", "40")))], None).is_ok());
    let changes = [
        (("method", "\"centre\""), "preprocessing.method is \"centre\""),
        (("method", "null"), "preprocessing.method is missing"),
        (("size", "null"), "preprocessing.size is missing"),
        (("size", "\"32\""), "preprocessing.size is \"32\""),
        (("size", "31"), "preprocessing.crop is 32; expected at most size, which is 31"),
        (("crop", "0"), "preprocessing.crop is 0"),
        (("crop", "1e99"), "preprocessing.crop is 1e+99"),
        (("interpolation", "\"nearest\""), "preprocessing.interpolation is \"nearest\""),
        (("interpolation", "3"), "preprocessing.interpolation is 3"),
        (("mean", "[0.5]"), "preprocessing.mean is [0.5]"),
        (("mean", "null"), "preprocessing.mean is missing"),
        (("std", "[0.5, 0.5, 0]"), "preprocessing.std is [0.5,0.5,0]"),
        (("std", "{}"), "preprocessing.std is an object of 0 keys"),
    ];
    for (change, words) in changes {
        let error = open(&[("preprocessing", &with(change))], None).expect_err(words).to_string();
        assert!(error.contains(words) && error.contains("own.safetensors"), "{error}");
    }
    for (key, value, words) in [
        ("preprocessing", "{", "preprocessing is unreadable"),
        ("preprocessing", "[]", "preprocessing is JSON of another kind"),
        ("classes", "cat, dog", "classes is unreadable"),
        ("classes", r#"{"0": "cat"}"#, "classes is unreadable"),
        ("classes", r#"["cat"]"#, "classes is a list of 1 names; expected 2"),
        ("classes", "[1, 2]", "classes is unreadable"),
    ] {
        let error = open(&[(key, value)], None).expect_err(words).to_string();
        assert!(error.contains(words) && error.contains("own.safetensors"), "{error}");
    }
}

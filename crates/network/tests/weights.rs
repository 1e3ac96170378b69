//! Weight files: types, damage, and networks that they do not fit.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use introspective_network::{
    Architecture, Classifier, NetworkError, Session, SessionOptions, Weights,
};
use ndarray::Array2;
use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView, serialize};

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn tensors(architecture: Architecture, classes: usize) -> Tensors {
    architecture
        .tensors(classes, 3)
        .into_iter()
        .map(|(name, shape)| (name.clone(), (shape.clone(), common::tensor(&name, &shape))))
        .collect()
}

fn open(architecture: Architecture, bytes: Vec<u8>) -> Result<Classifier, NetworkError> {
    Classifier::from_zoo(architecture, Weights::from_bytes(bytes, "weights.safetensors")?)
}

/// A file whose every tensor has the given type, `encode` turning a value into its bytes.
fn encoded(tensors: &Tensors, dtype: Dtype, encode: impl Fn(f32) -> Vec<u8>) -> Vec<u8> {
    let raw: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            (name.clone(), shape.clone(), values.iter().flat_map(|&v| encode(v)).collect())
        })
        .collect();
    let views = raw
        .iter()
        .map(|(name, shape, raw)| (name, TensorView::new(dtype, shape.clone(), raw).unwrap()));
    serialize(views, None).unwrap()
}

fn alpha_and_logits(classifier: &Classifier) -> (Vec<f32>, Vec<f32>) {
    let session = Session::new(classifier, &SessionOptions::default()).unwrap();
    let observation = session.observe(common::picture(3, 64, 64).view()).unwrap();
    let rows = Array2::ones((1, classifier.classes()));
    let alpha = session.alpha(&observation, rows.view()).unwrap();
    (alpha.iter().copied().collect(), observation.logits.to_vec())
}

#[test]
fn a_network_without_classes_or_channels_is_refused() {
    for (classes, channels) in [(0, 3), (2, 0)] {
        let error = Classifier::untrained(Architecture::ResNet18, classes, channels).unwrap_err();
        let words = format!("{classes} classes and {channels} input channels");
        assert!(error.to_string().contains(&words), "{error}");
    }
}

#[test]
fn half_precision_files_give_what_their_rounded_weights_give() {
    let arch = Architecture::SqueezeNet1_1;
    let exact = tensors(arch, 4);
    type Round = (Dtype, fn(f32) -> Vec<u8>, fn(f32) -> f32);
    let cases: [Round; 2] = [
        (
            Dtype::F16,
            |v| half::f16::from_f32(v).to_le_bytes().to_vec(),
            |v| half::f16::from_f32(v).to_f32(),
        ),
        (
            Dtype::BF16,
            |v| half::bf16::from_f32(v).to_le_bytes().to_vec(),
            |v| half::bf16::from_f32(v).to_f32(),
        ),
    ];
    for (dtype, encode, round) in cases {
        let rounded = exact
            .iter()
            .map(|(name, (shape, values))| {
                (name.clone(), (shape.clone(), values.iter().map(|&v| round(v)).collect()))
            })
            .collect();
        let half = open(arch, encoded(&exact, dtype, encode)).unwrap();
        let full = open(arch, common::safetensors(&rounded)).unwrap();
        assert_eq!(alpha_and_logits(&half), alpha_and_logits(&full), "{dtype}");
    }
}

#[test]
fn unaligned_tensors_are_realigned() {
    let arch = Architecture::SqueezeNet1_1;
    let aligned = common::safetensors(&tensors(arch, 4));
    // the header's length is free: pad it so that the data start at an odd offset
    let length = u64::from_le_bytes(aligned[..8].try_into().unwrap());
    for padding in [1, 2, 3] {
        let mut bytes = (length + padding).to_le_bytes().to_vec();
        bytes.extend_from_slice(&aligned[8..8 + length as usize]);
        bytes.extend(std::iter::repeat_n(b' ', padding as usize));
        bytes.extend_from_slice(&aligned[8 + length as usize..]);
        let shifted = open(arch, bytes).unwrap();
        let straight = open(arch, aligned.clone()).unwrap();
        assert_eq!(alpha_and_logits(&shifted), alpha_and_logits(&straight), "{padding}");
    }
}

#[test]
fn the_first_missing_unexpected_and_misshaped_tensors_are_named() {
    let mut tensors = tensors(Architecture::ResNet18, 5);
    tensors.remove("layer2.0.conv1.weight").unwrap();
    tensors.insert("head.extra".to_owned(), (vec![2], vec![0.0; 2]));
    tensors.insert("bn1.bias".to_owned(), (vec![3], vec![0.0; 3]));
    let error = open(Architecture::ResNet18, common::safetensors(&tensors)).unwrap_err();
    let text = error.to_string();
    for part in [
        "weights.safetensors does not fit resnet18",
        "1 missing (first: layer2.0.conv1.weight)",
        "1 unexpected (first: head.extra)",
        "1 mis-shaped (first: bn1.bias is [3], expected [64])",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn weights_of_another_architecture_say_which_one_they_fit() {
    let bytes = common::safetensors(&tensors(Architecture::SqueezeNet1_0, 5));
    let error = open(Architecture::ResNet18, bytes.clone()).unwrap_err().to_string();
    assert!(error.contains("would fit squeezenet1_0"), "{error}");
    let weights = Weights::from_bytes(bytes, "w").unwrap();
    assert_eq!(Architecture::fitting(&weights), [Architecture::SqueezeNet1_0]);
}

#[test]
fn every_architecture_opens_over_its_own_tensors() {
    for arch in Architecture::ALL {
        let classifier = Classifier::untrained(arch, 7, 1).unwrap();
        assert_eq!((classifier.classes(), classifier.channels()), (7, 1), "{arch}");
        let layer = classifier.default_layer();
        assert_eq!(layer, arch.default_layer());
        assert_eq!(classifier.find_layer(layer).unwrap(), layer);
    }
}

#[test]
fn counters_of_batch_norm_are_passed_over_and_other_integers_are_not() {
    let tensors = tensors(Architecture::ResNet18, 2);
    let counter = 7i64.to_le_bytes();
    let with = |name: &str| {
        let raw: Vec<_> = tensors
            .iter()
            .map(|(name, (shape, values))| {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                (name.clone(), shape.clone(), bytes)
            })
            .collect();
        let mut views: Vec<_> = raw
            .iter()
            .map(|(n, s, b)| (n.clone(), TensorView::new(Dtype::F32, s.clone(), b).unwrap()))
            .collect();
        views.push((name.to_owned(), TensorView::new(Dtype::I64, vec![], &counter).unwrap()));
        serialize(views, None).unwrap()
    };
    assert!(open(Architecture::ResNet18, with("bn1.num_batches_tracked")).is_ok());
    let error = open(Architecture::ResNet18, with("steps")).unwrap_err().to_string();
    assert!(error.contains("tensor steps") && error.contains("I64"), "{error}");
}

#[test]
fn weights_that_are_not_numbers_are_reported() {
    let mut tensors = tensors(Architecture::SqueezeNet1_1, 3);
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        tensors.get_mut("features.3.squeeze.bias").unwrap().1[1] = value;
        let bytes = common::safetensors(&tensors);
        let error = open(Architecture::SqueezeNet1_1, bytes).unwrap_err().to_string();
        assert!(error.contains("features.3.squeeze.bias"), "{error}");
        let f16 = encoded(&tensors, Dtype::F16, |v| half::f16::from_f32(v).to_le_bytes().to_vec());
        assert!(open(Architecture::SqueezeNet1_1, f16).is_err());
    }
    // finite weights whose sums overflow
    tensors = self::tensors(Architecture::SqueezeNet1_1, 3);
    tensors.get_mut("classifier.1.weight").unwrap().1.fill(f32::MAX);
    let classifier = open(Architecture::SqueezeNet1_1, common::safetensors(&tensors)).unwrap();
    let session = Session::new(&classifier, &SessionOptions::default()).unwrap();
    let error = session.observe(common::picture(3, 64, 64).view()).unwrap_err();
    assert!(matches!(error, NetworkError::NotFinite { .. }), "{error}");
}

#[test]
fn layers_and_inputs_that_do_not_fit_are_refused() {
    let classifier = Classifier::untrained(Architecture::ResNet18, 3, 3).unwrap();
    let session = |layer: &str| {
        let options = SessionOptions { layer: Some(layer.to_owned()), ..SessionOptions::default() };
        Session::new(&classifier, &options)
    };
    let unknown = session("layer4.2").err().unwrap().to_string();
    assert!(unknown.contains("nearest: layer4"), "{unknown}");
    assert!(matches!(session("fc").err().unwrap(), NetworkError::NotSpatial { .. }));

    let default = Session::new(&classifier, &SessionOptions::default()).unwrap();
    let grey = default.observe(common::picture(1, 64, 64).view()).unwrap_err();
    assert!(matches!(grey, NetworkError::Shape { .. }), "{grey}");
    let rows = Array2::zeros((1, 4));
    let observation = default.observe(common::picture(3, 64, 64).view()).unwrap();
    assert!(matches!(
        default.alpha(&observation, rows.view()).unwrap_err(),
        NetworkError::Shape { .. }
    ));

    let squeezenet = Classifier::untrained(Architecture::SqueezeNet1_0, 3, 3).unwrap();
    let session = Session::new(&squeezenet, &SessionOptions::default()).unwrap();
    let small = session.observe(common::picture(3, 5, 5).view()).unwrap_err();
    assert!(matches!(small, NetworkError::Run { .. }), "{small}");
}

#[test]
fn an_observation_of_another_session_is_refused() {
    let classifier = Classifier::untrained(Architecture::ResNet18, 3, 3).unwrap();
    let session = |layer: &str| {
        let options = SessionOptions { layer: Some(layer.to_owned()), ..SessionOptions::default() };
        Session::new(&classifier, &options).unwrap()
    };
    let observation = session("layer3").observe(common::picture(3, 64, 64).view()).unwrap();
    let error = session("layer4").alpha(&observation, Array2::zeros((1, 3)).view()).unwrap_err();
    assert!(matches!(error, NetworkError::Shape { what: "the observation", .. }), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Weights::read("no/such.safetensors".as_ref()).unwrap_err().to_string();
    assert!(error.contains("no/such.safetensors"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Damaged files end in an error or in weights, never in a panic.
    #[test]
    fn damaged_files_never_panic(cut in prop_oneof![Just(0usize), 0usize..2000], at in 0usize..2000, byte: u8) {
        let mut small = Tensors::new();
        for (name, shape) in Architecture::SqueezeNet1_1.tensors(2, 3).into_iter().take(3) {
            let values = common::tensor(&name, &shape);
            small.insert(name, (shape, values));
        }
        let mut bytes = common::safetensors(&small);
        let end = bytes.len();
        bytes.truncate(end.saturating_sub(cut / 2));
        let position = at.min(bytes.len().saturating_sub(1));
        if let Some(target) = bytes.get_mut(position) {
            *target = byte;
        }
        if let Ok(weights) = Weights::from_bytes(bytes, "damaged") {
            prop_assert!(Architecture::fitting(&weights).is_empty());
            for name in weights.names() {
                prop_assert!(weights.values(name).is_some());
            }
        }
    }
}

/// Found by fuzzing: there is nothing to copy, and no place behind a file of odd length.
#[test]
fn a_tensor_without_elements_has_values_too() {
    let mut header = br#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[0],"data_offsets":[8,8]},"n.num_batches_tracked":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}}"#.to_vec();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&[0; 9]);
    let weights = Weights::from_bytes(bytes, "test").unwrap();
    assert_eq!(weights.values("b").unwrap().shape(), [0]);
    assert_eq!(weights.values("a").unwrap().shape(), [2]);
}

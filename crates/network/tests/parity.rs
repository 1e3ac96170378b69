//! Logits, activations and maps against PyTorch and torchvision (fixtures/parity.py).
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/maps.rs"]
mod maps;

use std::fs::File;
use std::path::PathBuf;
use std::str::FromStr;

use introspective_network::{Architecture, Classifier, Session, SessionOptions, Weights};
use maps::{QUESTIONS, assert_close, cams, upstream};
use ndarray::{Array1, Array2, ArrayD, Axis, IxDyn};
use ndarray_npy::NpzReader;

fn fixture(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
}

fn classifier(name: &str, classes: usize, channels: usize) -> Classifier {
    let architecture = Architecture::from_str(name).unwrap();
    let bytes = common::weights(&architecture.tensors(classes, channels));
    let weights = Weights::from_bytes(bytes, "generated").unwrap();
    Classifier::from_zoo(architecture, weights).unwrap()
}

fn case(file: &str, name: &str, classes: usize, size: [usize; 3], layers: &[(&str, bool)]) {
    let mut npz =
        NpzReader::new(File::open(fixture(&format!("parity_{file}.npz"))).unwrap()).unwrap();
    let expected_logits: ArrayD<f32> = npz.by_name("logits").unwrap();
    let which: Array1<i64> = npz.by_name("classes").unwrap();
    let [channels, height, width] = size;
    let classifier = classifier(name, classes, channels);
    let picture = common::picture(channels, height, width);

    for &(layer, closed) in layers {
        let mut forms = vec![(false, false), (false, true)];
        if closed {
            forms.push((true, false));
        }
        for (closed_form, optimise) in forms {
            let options = SessionOptions {
                layer: Some(layer.to_owned()),
                without_closed_form: !closed_form,
                optimise,
                ..SessionOptions::default()
            };
            let session = Session::new(&classifier, &options).unwrap();
            assert_eq!(session.has_closed_form(), closed_form, "{layer}");
            let observation = session.observe(picture.view()).unwrap();
            let logits = observation.logits.clone().into_dyn();
            assert_close(&format!("{file} logits"), logits, &expected_logits, 1e-4);
            let rows = upstream(&observation.logits, &which);
            let alpha = session.alpha(&observation, rows.view()).unwrap();
            for (map, question) in cams(&observation, &alpha).into_iter().zip(QUESTIONS) {
                let expected: ArrayD<f32> = npz.by_name(&format!("{layer}/{question}")).unwrap();
                let what =
                    format!("{file} {layer} {question} closed={closed_form} fused={optimise}");
                assert_close(&what, map.into_dyn(), &expected, 1e-3);
            }
        }
    }
}

#[test]
fn resnet18() {
    case("resnet18", "resnet18", 1000, [3, 224, 224], &[("layer4", true), ("layer3", false)]);
}

#[test]
fn resnet50() {
    case("resnet50", "resnet50", 100, [3, 224, 224], &[("layer4", true), ("layer3", false)]);
}

#[test]
fn squeezenet1_0() {
    let layers = [("features.12", true), ("features.10", false)];
    case("squeezenet1_0", "squeezenet1_0", 100, [3, 224, 224], &layers);
}

#[test]
fn squeezenet1_1() {
    let layers =
        [("features.12", true), ("features.12.expand3x3_activation", true), ("features.7", false)];
    case("squeezenet1_1", "squeezenet1_1", 1000, [3, 224, 224], &layers);
}

#[test]
fn grey_pictures_of_odd_size_through_every_operator_of_a_resnet() {
    let layers =
        [("bn1", false), ("conv1", false), ("layer1.0.conv1", false), ("layer4.1.relu", true)];
    case("resnet18_odd", "resnet18", 7, [1, 65, 47], &layers);
}

#[test]
fn odd_sizes_through_poolings_that_round_up() {
    let layers = [("features.0", false), ("features.3.squeeze", false)];
    case("squeezenet1_1_odd", "squeezenet1_1", 5, [3, 71, 90], &layers);
}

#[test]
fn grouped_convolutions() {
    let layers =
        [("layer4", true), ("layer3.2", false), ("layer4.0.conv2", false), ("layer4.1.bn3", false)];
    case("resnext50_32x4d", "resnext50_32x4d", 9, [3, 64, 96], &layers);
}

#[test]
fn wide_bottlenecks() {
    let layers = [("layer4", true), ("layer4.2.bn1", false), ("layer3", false)];
    case("wide_resnet50_2", "wide_resnet50_2", 8, [3, 64, 64], &layers);
}

#[test]
fn alexnet() {
    let layers = [("features.11", true), ("features.12", true), ("features.8", false)];
    case("alexnet", "alexnet", 10, [3, 224, 224], &layers);
}

#[test]
fn adaptive_pooling_with_windows_that_overlap() {
    let layers = [("features.11", true), ("avgpool", true), ("features.3", false)];
    case("alexnet_odd", "alexnet", 5, [1, 191, 331], &layers);
}

#[test]
fn vgg16() {
    let layers = [("features.29", true), ("features.24", false)];
    case("vgg16", "vgg16", 10, [3, 224, 224], &layers);
}

/// The last maps are 3 x 4, fewer than the 7 x 7 that adaptive pooling makes of them.
#[test]
fn vgg16_with_batch_normalisation_on_a_small_picture() {
    let layers = [("features.42", true), ("features.38", false)];
    case("vgg16_bn", "vgg16_bn", 6, [3, 120, 152], &layers);
}

#[test]
fn densenet121() {
    let layers = [("features.norm5", true), ("features.transition3.conv", false)];
    case("densenet121", "densenet121", 10, [3, 224, 224], &layers);
}

#[test]
fn densenets_on_grey_pictures_of_odd_size() {
    let layers = [
        ("features.norm5", true),
        ("features.denseblock4", false),
        ("features.transition2", false),
        ("features.denseblock3.denselayer23.conv2", false),
        ("features.norm0", false),
    ];
    case("densenet121_odd", "densenet121", 7, [1, 75, 101], &layers);
}

#[test]
fn resnets_for_small_pictures() {
    let layers = [("layer3", true), ("layer2", false)];
    case("cifar_resnet18", "cifar_resnet18", 10, [3, 32, 32], &layers);
    let layers = [("layer3", true), ("layer3.0.downsample", false), ("layer1", false)];
    case("cifar_resnet50", "cifar_resnet50", 10, [3, 32, 32], &layers);
}

/// Names and shapes of all tensors are torchvision's, for all architectures.
#[test]
fn tensors_of_every_architecture() {
    let text = std::fs::read_to_string(fixture("tensors.txt")).unwrap();
    assert_eq!(text.lines().count(), Architecture::ALL.len());
    for line in text.lines() {
        let (name, expected) = line.split_once(' ').unwrap();
        let tensors = Architecture::from_str(name).unwrap().tensors(1000, 3);
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for (name, shape) in &tensors {
            let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
            for byte in format!("{name} {}\n", shape.join("x")).bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        assert_eq!(format!("{} {hash:016x}", tensors.len()), expected, "{name}");
    }
}

/// At conv1 a batch of the adjoint has 64 rows, so 300 classes take several batches.
#[test]
fn a_batch_of_questions_equals_the_questions_one_by_one() {
    let classifier = classifier("resnet18", 300, 3);
    let options = SessionOptions { layer: Some("conv1".to_owned()), ..SessionOptions::default() };
    let session = Session::new(&classifier, &options).unwrap();
    let observation = session.observe(common::picture(3, 64, 64).view()).unwrap();
    let rows = Array2::from_shape_fn((300, 300), |(i, j)| f32::from(u8::from(i == j)));
    let all = session.alpha(&observation, rows.view()).unwrap();
    for index in [0, 1, 150, 299] {
        let row = rows.select(Axis(0), &[index]);
        let one = session.alpha(&observation, row.view()).unwrap();
        let found = one.index_axis(Axis(0), 0).to_owned().into_dyn();
        let expected: ArrayD<f32> =
            all.index_axis(Axis(0), index).to_owned().into_shape_with_order(IxDyn(&[64])).unwrap();
        assert_close("one row", found, &expected, 1e-5);
    }
}

//! Folders as timm and transformers write them: `fixtures/folders.py` says what is stored.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use introspective_network::{
    Architecture, Interpolation, Method, NetworkError, Opened, Session, SessionOptions,
};
use ndarray::{Array1, Array3, ArrayD, s};
use ndarray_npy::NpzReader;
use serde_json::{Value, json};
use tempfile::TempDir;

type Shapes = Vec<(String, Vec<usize>)>;

fn fixture(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
}

fn array(name: &str) -> ArrayD<f32> {
    NpzReader::new(File::open(fixture("folders.npz")).unwrap()).unwrap().by_name(name).unwrap()
}

/// Tensors of an architecture under the names and shapes that another library gives them.
fn tensors(
    architecture: &str,
    classes: usize,
    channels: usize,
    rename: fn(&str, &[usize]) -> (String, Vec<usize>),
) -> Shapes {
    let architecture: Architecture = architecture.parse().unwrap();
    let tensors = architecture.tensors(classes, channels);
    tensors.iter().map(|(name, shape)| rename(name, shape)).collect()
}

/// timm's names and shapes from torchvision's.
fn timm(name: &str, shape: &[usize]) -> (String, Vec<usize>) {
    let vgg = [("0", "pre_logits.fc1"), ("3", "pre_logits.fc2"), ("6", "head.fc")];
    for (index, module) in vgg {
        let Some(last) = name.strip_prefix(&format!("classifier.{index}.")) else { continue };
        let shape = match (index, shape) {
            ("0", &[rows, columns]) => vec![rows, columns / 49, 7, 7],
            ("3", &[rows, columns]) => vec![rows, columns, 1, 1],
            _ => shape.to_vec(),
        };
        return (format!("{module}.{last}"), shape);
    }
    (name.to_owned(), shape.to_vec())
}

/// transformers' names from torchvision's ResNets'.
fn transformers(name: &str, shape: &[usize]) -> (String, Vec<usize>) {
    let kind = |module: &str| if module.contains("conv") { "convolution" } else { "normalization" };
    let parts: Vec<&str> = name.split('.').collect();
    let digit = |text: &str| text.chars().last().unwrap().to_digit(10).unwrap() - 1;
    let renamed = match parts[..] {
        ["fc", last] => format!("classifier.1.{last}"),
        [stem, last] => format!("resnet.embedder.embedder.{}.{last}", kind(stem)),
        [stage, block, "downsample", which, last] => {
            let which = if which == "0" { "convolution" } else { "normalization" };
            let stage = digit(stage);
            format!("resnet.encoder.stages.{stage}.layers.{block}.shortcut.{which}.{last}")
        }
        [stage, block, module, last] => {
            let (stage, index) = (digit(stage), digit(module));
            let kind = kind(module);
            format!("resnet.encoder.stages.{stage}.layers.{block}.layer.{index}.{kind}.{last}")
        }
        _ => panic!("{name}"),
    };
    (renamed, shape.to_vec())
}

/// A folder with the stored configuration and these weights.
fn folder(name: &str, weights: &[u8]) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("folders").join(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, place.path().join(path.file_name().unwrap())).unwrap();
    }
    fs::write(place.path().join("model.safetensors"), weights).unwrap();
    place
}

/// Opens a stored folder over weights made from their names, and compares the logits.
fn logits(name: &str, tensors: &Shapes, channels: usize) -> Opened {
    let place = folder(name, &common::weights(tensors));
    let opened = Opened::from_path(place.path(), None).unwrap();
    let session = Session::new(&opened.classifier, &SessionOptions::default()).unwrap();
    let found = session.observe(common::picture(channels, 64, 64).view()).unwrap().logits;
    let expected: Array1<f32> = array(&format!("{name}_logits")).into_dimensionality().unwrap();
    assert_eq!(found.len(), expected.len());
    let range =
        expected.fold(f32::MIN, |m, &v| m.max(v)) - expected.fold(f32::MAX, |m, &v| m.min(v));
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() <= 1e-4 * range, "{name}: {found} for {expected}");
    }
    drop(session);
    opened
}

/// Compares with what the library made of the photograph; `levels` is how many of 256 may lie between.
fn inputs(name: &str, opened: &Opened, sizes: &[(usize, usize)], levels: f32) {
    let preprocessing = opened.preprocessing.as_ref().unwrap();
    for &(width, height) in sizes {
        let photograph = common::photograph(width, height);
        let found = preprocessing.apply(photograph.view()).unwrap().input;
        let found = found.slice(s![.., ..;5, ..;5]);
        let expected: Array3<f32> =
            array(&format!("{name}_input_{width}x{height}")).into_dimensionality().unwrap();
        assert_eq!(found.dim(), expected.dim(), "{name}");
        for ((c, y, x), expected) in expected.indexed_iter() {
            let off = (found[[c, y, x]] - expected).abs() * preprocessing.std()[c] * 255.0;
            assert!(off <= levels + 1e-3, "{name} {width}x{height}: {off} levels at {c}, {y}, {x}");
        }
    }
}

/// Compares what is said about pictures and classes with what the library understands.
fn settings(name: &str, opened: &Opened) {
    let text = fs::read_to_string(fixture("folders/expected.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let expected = &all[name];
    let found = opened.preprocessing.as_ref().unwrap();
    for (key, found) in [("mean", found.mean()), ("std", found.std())] {
        let expected: Vec<f32> = serde_json::from_value(expected[key].clone()).unwrap();
        assert_eq!(found.len(), expected.len(), "{name} {key}");
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-7), "{name} {key}");
    }
    if let Some(side) = expected["size"].as_u64() {
        let Method::Torchvision { size, crop, interpolation } = found.method() else { panic!() };
        let found = json!([size, crop, interpolation.name()]);
        assert_eq!(found, json!([side, expected["crop"], expected["interpolation"]]), "{name}");
    }
    if let Some(expected) = expected["names"].as_array() {
        let classes = opened.classes.as_ref().unwrap();
        assert_eq!(classes.len(), expected.len());
        for (index, expected) in expected.iter().enumerate() {
            let unnamed = format!("class {index}");
            assert_eq!(classes.name(index), expected.as_str().unwrap_or(&unnamed), "{name}");
        }
    }
}

fn all_of(name: &str, tensors: &Shapes, channels: usize, sizes: &[(usize, usize)]) -> Opened {
    let opened = logits(name, tensors, channels);
    settings(name, &opened);
    inputs(name, &opened, sizes, 0.0);
    opened
}

#[test]
fn resnet18_of_timm() {
    let opened = all_of("resnet18", &tensors("resnet18", 5, 3, timm), 3, &[(301, 250), (180, 420)]);
    assert_eq!(opened.classifier.name(), "resnet18");
    assert_eq!(opened.crop_ratio, Some(0.95));
    assert_eq!(opened.classes.unwrap().name(0), "tabby, tabby cat");
}

#[test]
fn grey_pictures_and_names_with_gaps() {
    let opened = all_of("grey", &tensors("resnet18", 4, 1, timm), 1, &[(301, 250)]);
    assert_eq!(opened.classes.unwrap().name(1), "class 1");
}

#[test]
fn densenet_of_timm() {
    let opened = all_of("densenet121", &tensors("densenet121", 3, 3, timm), 3, &[]);
    assert!(opened.classes.is_none());
}

#[test]
fn vgg_of_timm_whose_head_is_a_convolution() {
    let opened = all_of("vgg11", &tensors("vgg11", 4, 3, timm), 3, &[(90, 120)]);
    // at other sizes timm's network is another one than torchvision's
    assert_eq!(opened.classifier.input_size(), Some([64, 64]));
    let session = Session::new(&opened.classifier, &SessionOptions::default()).unwrap();
    let error = session.observe(common::picture(3, 256, 256).view()).unwrap_err();
    assert!(matches!(error, NetworkError::InputSize { .. }), "{error}");
}

#[test]
fn resnets_of_transformers() {
    let basic = tensors("resnet18", 3, 3, transformers);
    let opened = logits("transformers", &basic, 3);
    settings("transformers", &opened);
    assert_eq!(opened.classifier.name(), "resnet18");
    assert_eq!(opened.crop_ratio, Some(0.875));
    // its processor resizes with PyTorch's arithmetic, which rounds a little differently than Pillow's
    inputs("transformers", &opened, &[(301, 301), (218, 109)], 1.0);

    let bottleneck = tensors("resnet50", 3, 3, transformers);
    let opened = logits("transformers50", &bottleneck, 3);
    settings("transformers50", &opened);
    assert_eq!(opened.classifier.name(), "resnet50");
    inputs("transformers50", &opened, &[(144, 216)], 1.0);
    let interpolation = Interpolation::Bilinear;
    let method = Method::Torchvision { size: 72, crop: 64, interpolation };
    assert_eq!(opened.preprocessing.unwrap().method(), method);
}

#[test]
fn other_configurations_of_timm() {
    for (name, architecture, classes) in
        [("imagenet", "resnet18", 1000), ("bilinear176", "resnet50", 2), ("flat", "resnet18", 3)]
    {
        let place = folder(name, &common::zeros(&tensors(architecture, classes, 3, timm)));
        let opened = Opened::from_path(place.path(), None).unwrap();
        assert_eq!(opened.classifier.name(), architecture);
        settings(name, &opened);
        let espresso = opened.classes.filter(|classes| classes.name(967) == "espresso");
        assert_eq!(espresso.is_some(), name == "imagenet");
    }
}

/// A folder with a small network of two classes whose configuration can be written anew.
struct Small(TempDir);

impl Small {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let weights = common::zeros(&tensors("cifar_resnet18", 2, 3, timm));
        fs::write(place.path().join("model.safetensors"), weights).unwrap();
        Self(place)
    }

    /// timm's form with one value replaced; a dot leads into `pretrained_cfg` and `model_args`.
    fn with(&self, key: &str, value: Value) -> Result<Opened, NetworkError> {
        let mut config = json!({
            "architecture": "cifar_resnet18", "num_classes": 2, "global_pool": "avg",
            "model_args": {"num_classes": 2, "in_chans": 3, "global_pool": "avg"},
            "pretrained_cfg": {
                "input_size": [3, 32, 32], "crop_pct": 1.0, "crop_mode": "center",
                "interpolation": "bicubic", "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2],
                "num_classes": 2,
            },
        });
        let pointer = format!("/{}", key.replace('.', "/"));
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        let parent = config.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.insert(last.to_owned(), value);
        self.write(&config.to_string())
    }

    fn write(&self, text: &str) -> Result<Opened, NetworkError> {
        fs::write(self.0.path().join("config.json"), text).unwrap();
        Opened::from_path(self.0.path(), None)
    }
}

#[test]
fn what_cannot_be_followed_is_refused_by_its_key() {
    let small = Small::new();
    assert!(small.with("license", json!("mit")).is_ok());
    let long: Vec<u32> = (0..100_000).collect();
    let deep = json!("x".repeat(100_000));
    let cases = [
        ("architecture", json!(7), "architecture is 7; expected a text"),
        ("architecture", json!(["resnet18"]), "architecture is [\"resnet18\"]"),
        ("architecture", deep.clone(), "xxx"),
        ("num_classes", json!(3), "num_classes is 3; expected 2"),
        ("num_classes", json!("2"), "num_classes is \"2\""),
        ("num_classes", json!(-1), "num_classes is -1"),
        ("num_classes", json!(0), "num_classes is 0"),
        ("num_classes", json!(1e300), "num_classes is 1e+300"),
        ("num_classes", json!(u64::MAX), "num_classes is 18446744073709551615"),
        ("global_pool", json!("max"), "global_pool is \"max\""),
        ("model_args", json!([1]), "model_args is [1]"),
        ("model_args.global_pool", json!("avgmax"), "model_args.global_pool is \"avgmax\""),
        ("model_args.output_stride", json!(8), "model_args.output_stride is 8"),
        ("model_args.act_layer", json!("silu"), "model_args.act_layer is \"silu\""),
        ("pretrained_cfg", json!("none"), "pretrained_cfg is \"none\""),
        ("pretrained_cfg.input_size", json!(224), "pretrained_cfg.input_size is 224"),
        ("pretrained_cfg.input_size", json!([3, 32]), "input_size is [3,32]"),
        ("pretrained_cfg.input_size", json!([3, 32, 48]), "input_size is [3,32,48]"),
        ("pretrained_cfg.input_size", json!([3, 0, 0]), "input_size is [3,0,0]"),
        ("pretrained_cfg.input_size", json!([3, 9000, 9000]), "1 to 8192 pixels"),
        ("pretrained_cfg.input_size", json!(["a", 32, 32]), "input_size"),
        ("pretrained_cfg.input_size", json!(long), "input_size is a list of 100000"),
        ("pretrained_cfg.crop_pct", json!(0), "pretrained_cfg.crop_pct is 0"),
        ("pretrained_cfg.crop_pct", json!(1.5), "crop_pct is 1.5"),
        ("pretrained_cfg.crop_pct", json!(1e-300), "crop_pct is 1e-300"),
        ("pretrained_cfg.crop_pct", json!("0.9"), "crop_pct is \"0.9\""),
        ("pretrained_cfg.crop_mode", json!("squash"), "crop_mode is \"squash\""),
        ("pretrained_cfg.crop_mode", json!("border"), "crop_mode is \"border\""),
        ("pretrained_cfg.interpolation", json!("lanczos"), "interpolation is \"lanczos\""),
        ("pretrained_cfg.interpolation", json!("random"), "interpolation is \"random\""),
        ("pretrained_cfg.mean", json!("grey"), "pretrained_cfg.mean is \"grey\""),
        ("pretrained_cfg.mean", json!([]), "mean is []"),
        ("pretrained_cfg.mean", json!([0.5, 1e200, 0.5]), "mean is [0.5,1e+200,0.5]"),
        ("pretrained_cfg.mean", json!([0.5, [0.5], 0.5]), "mean is [0.5,[0.5],0.5]"),
        ("pretrained_cfg.std", json!([0.2, 0.0, 0.2]), "std is [0.2,0.0,0.2]"),
        ("pretrained_cfg.std", json!([0.2, -1, 0.2]), "std is [0.2,-1,0.2]"),
        ("pretrained_cfg.std", json!(0), "std is 0"),
        ("label_names", json!(["a"]), "label_names is [\"a\"]; expected a list of 2 names"),
        ("label_names", json!(["a", null]), "label_names is [\"a\",null]"),
        ("label_names", json!({"0": "a", "2": "b"}), "label_names is a map with the index \"2\""),
        ("label_names", json!({"4294967296000": "a"}), "the index \"4294967296000\""),
        ("label_names", json!({"cat": 0}), "the index \"cat\""),
        ("label_names", json!("imagenet"), "label_names is \"imagenet\""),
        ("label_names", deep, "label_names is \"xxx"),
    ];
    for (key, value, words) in cases {
        let error = small.with(key, value).expect_err(words).to_string();
        assert!(error.contains(words), "{key}: {error}");
        assert!(error.contains("config.json"), "{key}: {error}");
        assert!(error.len() < 100_000, "{key}: a message of {} bytes", error.len());
    }
    // a file that another program has cut, or that is none
    for (text, words) in [
        ("", "not valid JSON"),
        ("{\"architecture\": \"cifar_resnet18\"", "not valid JSON"),
        ("[1, 2]", "is [1,2]; expected a JSON object"),
        ("null", "expected a JSON object"),
        ("{}", "architecture is missing"),
        (&"[".repeat(1_000_000), "not valid JSON"),
        (&" ".repeat(20_000_000), "larger than"),
    ] {
        let error = small.write(text).expect_err(words).to_string();
        assert!(error.contains(words) && error.contains("config.json"), "{error}");
    }
}

#[test]
fn values_that_timm_takes_otherwise_than_written_are_taken_so() {
    let small = Small::new();
    let opened = small.with("architecture", json!("cifar_resnet18.my_tag")).unwrap();
    assert_eq!(opened.classifier.name(), "cifar_resnet18");
    // one value for all channels, and the mean of two where there are three
    let mean = |value| {
        let opened = small.with("pretrained_cfg.mean", value).unwrap();
        opened.preprocessing.unwrap().mean().to_vec()
    };
    assert_eq!(mean(json!(0.25)), [0.25; 3]);
    assert_eq!(mean(json!([0.25, 0.75])), [0.5; 3]);
    // null counts as absent
    let opened = small.with("pretrained_cfg.crop_pct", Value::Null).unwrap();
    assert_eq!(opened.crop_ratio, Some(0.875));
    // the outer number of classes is the network's
    assert!(small.with("pretrained_cfg.num_classes", json!(1000)).is_ok());
    let opened = small.with("label_names", json!(["a", 7])).unwrap();
    assert_eq!(opened.classes.unwrap().name(1), "7");
}

/// transformers keeps timm's networks in a wrapper, whose configuration has timm's keys beside its own.
#[test]
fn a_wrapped_network_of_timm() {
    let wrapped = |name: &str, shape: &[usize]| (format!("timm_model.{name}"), shape.to_vec());
    let small = Small::new();
    let weights = common::zeros(&tensors("cifar_resnet18", 2, 3, wrapped));
    fs::write(small.0.path().join("model.safetensors"), weights).unwrap();
    let class = json!(["TimmWrapperForImageClassification"]);
    let opened = small.with("architectures", class).unwrap();
    assert_eq!(opened.classifier.name(), "cifar_resnet18");
}

#[test]
fn other_networks_are_refused_with_their_name() {
    let small = Small::new();
    for (config, words) in [
        (json!({"architecture": "resnet50d.ra2_in1k"}), "\"resnet50d\" of timm"),
        (json!({"architecture": "vit_base_patch16_224"}), "\"vit_base_patch16_224\" of timm"),
        (json!({"architectures": ["ViTForImageClassification"]}), "ViTForImageClassification"),
        (json!({"architectures": ["ResNetModel"]}), "ResNetModel"),
    ] {
        let error = small.write(&config.to_string()).unwrap_err();
        assert!(matches!(error, NetworkError::ForeignNetwork { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    for (config, words) in [
        (json!({"model_type": "resnet"}), "architectures is missing"),
        (json!({"architectures": []}), "architectures is []"),
        (json!({"architectures": 3}), "architectures is 3"),
    ] {
        let error = small.write(&config.to_string()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_resnet_of_transformers_must_be_torchvisions() {
    let place = folder("transformers", &common::zeros(&tensors("resnet18", 3, 3, transformers)));
    let file = |name: &str, key: &str, value: Value| {
        let stored = fs::read_to_string(fixture("folders/transformers").join(name)).unwrap();
        let mut json: Value = serde_json::from_str(&stored).unwrap();
        json[key] = value;
        fs::write(place.path().join(name), json.to_string()).unwrap();
        let opened = Opened::from_path(place.path(), None);
        fs::write(place.path().join(name), stored).unwrap();
        opened
    };
    for (key, value) in [
        ("layer_type", json!("other")),
        ("hidden_sizes", json!([64, 128, 256, 1024])),
        ("hidden_sizes", Value::Null),
        ("embedding_size", json!(32)),
        ("hidden_act", json!("gelu")),
        ("downsample_in_first_stage", json!(true)),
        ("downsample_in_bottleneck", json!("yes")),
        ("depths", json!([2, 2, 2])),
        ("depths", json!([2, 2, 2, 2.5])),
        ("depths", json!("2222")),
        ("id2label", json!({"0": "cat", "3": "dog"})),
        ("id2label", json!(true)),
    ] {
        let error = file("config.json", key, value).unwrap_err().to_string();
        assert!(error.contains("config.json: ") && error.contains(key), "{error}");
    }
    for (key, value) in [
        ("image_processor_type", json!("ViTImageProcessor")),
        ("image_processor_type", json!("BitImageProcessor")),
        ("do_resize", json!(false)),
        ("do_rescale", json!(0)),
        ("rescale_factor", json!(1)),
        ("resample", json!(0)),
        ("resample", json!("bicubic")),
        ("crop_pct", json!(0)),
        ("crop_pct", json!(1e-9)),
        ("size", json!({"height": 224, "width": 224})),
        ("size", json!({"shortest_edge": 384})),
        ("size", json!({"shortest_edge": -5})),
        ("image_mean", json!([0.5, 0.5])),
        ("image_mean", Value::Null),
        ("image_std", json!([0.5, 0.0, 0.5])),
    ] {
        let error = file("preprocessor_config.json", key, value).unwrap_err().to_string();
        // a Bit processor needs a centre crop, which this file does not have
        let key = if error.contains("do_center_crop") { "do_center_crop" } else { key };
        let named = error.contains("preprocessor_config.json: ") && error.contains(key);
        assert!(named, "{key}: {error}");
    }
    let plain = file("preprocessor_config.json", "do_normalize", json!(false)).unwrap();
    assert_eq!(plain.preprocessing.unwrap().std(), [1.0; 3]);
    fs::remove_file(place.path().join("preprocessor_config.json")).unwrap();
    assert!(Opened::from_path(place.path(), None).unwrap().preprocessing.is_none());
}

#[test]
fn what_a_folder_lacks_is_said() {
    let place = tempfile::tempdir().unwrap();
    let words = |expected: &str| {
        let error = Opened::from_path(place.path(), None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    words("has no config.json");
    fs::write(place.path().join("config.json"), r#"{"architecture": "cifar_resnet18"}"#).unwrap();
    words("has no weights; expected one of model.safetensors");
    fs::write(place.path().join("model.onnx"), "").unwrap();
    words("model.onnx itself");
    let weights = common::zeros(&tensors("cifar_resnet18", 2, 3, timm));
    fs::write(place.path().join("a.safetensors"), &weights).unwrap();
    assert!(Opened::from_path(place.path(), None).is_ok());
    fs::write(place.path().join("b.pth"), &weights).unwrap();
    words("several weight files, none of them called model.safetensors: a.safetensors, b.pth");
    fs::write(place.path().join("model.safetensors"), &weights).unwrap();
    assert!(Opened::from_path(place.path(), None).is_ok());

    // an architecture named beside the folder must be the folder's
    let named = |name: &str| Opened::from_path(place.path(), Some(name.parse().unwrap()));
    assert!(named("cifar_resnet18").is_ok());
    let error = named("resnet18").unwrap_err().to_string();
    assert!(error.contains("expected resnet18, the architecture asked for"), "{error}");
}

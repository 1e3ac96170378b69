//! Both engines give the same numbers. Without the feature `onnxruntime`, or without its library, there is
//! nothing to compare, and the tests say so.
#![cfg(feature = "onnxruntime")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::OnceLock;

use introspective_network::{
    Architecture, Classifier, NetworkError, Preprocessing, RuntimeChoice, Session, SessionOptions,
    Threads, Weights, embedded,
};
use ndarray::{Array, Array2, Array3, Dimension};

/// The classifier on ONNX Runtime, or `None` where there is no library: `ORT_DYLIB_PATH` says that there is.
fn on_onnxruntime(mut classifier: Classifier) -> Option<Classifier> {
    match classifier.choose_runtime(RuntimeChoice::OnnxRuntime) {
        Ok(_) => {
            assert_eq!(classifier.runtime().name, "onnxruntime");
            Some(classifier)
        }
        Err(NetworkError::RuntimeNotFound { .. })
            if std::env::var_os("ORT_DYLIB_PATH").is_none() =>
        {
            println!("skipped: no library of ONNX Runtime was found");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn generated(name: &str, classes: usize) -> Classifier {
    let architecture: Architecture = name.parse().unwrap();
    let bytes = common::weights(&architecture.tensors(classes, 3));
    Classifier::from_zoo(architecture, Weights::from_bytes(bytes, "generated").unwrap()).unwrap()
}

#[track_caller]
fn assert_close<D: Dimension>(what: &str, found: &Array<f32, D>, expected: &Array<f32, D>) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let scale = expected.fold(0f32, |m, v| m.max(v.abs()));
    let worst = (found - expected).fold(0f32, |m, v| m.max(v.abs())) / scale;
    assert!(scale > 0.0 && worst <= 1e-4, "{what}: off by {worst:e} of {scale}");
    println!("{what}: within {worst:.1e} of the largest");
}

/// Logits, activations and the maps of every kind of upstream row.
fn compare(rten: &Classifier, other: &Classifier, picture: &Array3<f32>, options: &SessionOptions) {
    let [ours, theirs] = [rten, other].map(|classifier| Session::new(classifier, options).unwrap());
    let [a, b] = [&ours, &theirs].map(|session| session.observe(picture.view()).unwrap());
    let what = format!("{} {} fused={}", rten.name(), ours.layer(), options.optimise);
    assert_close(&format!("{what} logits"), &b.logits, &a.logits);
    assert_close(&format!("{what} activations"), &b.activations, &a.activations);
    let classes = rten.classes();
    let mut noise = common::uniform("upstream");
    let upstream = Array2::from_shape_fn((3, classes), |(row, class)| match row {
        0 => f32::from(u8::from(class == 1)),
        _ => noise.next().unwrap() as f32 - 0.5,
    });
    let [alpha, beta] = [(&ours, &a), (&theirs, &b)]
        .map(|(session, seen)| session.alpha(seen, upstream.view()).unwrap());
    let maps = |alpha: &Array2<f32>, activations: &Array3<f32>| {
        let (k, u, v) = activations.dim();
        alpha.dot(&activations.to_shape((k, u * v)).unwrap())
    };
    assert_close(&format!("{what} alpha"), &beta, &alpha);
    assert_close(
        &format!("{what} maps"),
        &maps(&beta, &b.activations),
        &maps(&alpha, &a.activations),
    );
    if ours.has_closed_form() {
        let cams = [(&theirs, &b), (&ours, &a)].map(|(session, seen)| session.cams(seen).unwrap());
        assert_close(&format!("{what} maps of all classes"), &cams[0], &cams[1]);
    }
}

fn case(make: impl Fn() -> Classifier, picture: &Array3<f32>, layers: &[&str]) {
    let Some(other) = on_onnxruntime(make()) else { return };
    let rten = make();
    for layer in layers {
        for (optimise, threads) in [(false, None), (true, Some(2))] {
            let layer = Some((*layer).to_owned());
            let threads = threads.map(Threads::new);
            let options = SessionOptions { layer, optimise, threads, ..SessionOptions::default() };
            compare(&rten, &other, picture, &options);
        }
    }
}

/// Its weights are stored in half precision, which ONNX Runtime's operators do not mix with float32.
#[test]
fn the_embedded_network() {
    let photo = image();
    case(|| embedded::squeezenet().unwrap(), photo, &["features.12", "features.7"]);
}

/// The embedded photograph's colours as a picture of any kind would have them.
fn image() -> &'static Array3<f32> {
    static PICTURE: OnceLock<Array3<f32>> = OnceLock::new();
    PICTURE.get_or_init(|| {
        let mut noise = common::uniform("photo");
        let pixels = ndarray::Array3::from_shape_fn((300, 400, 3), |(y, x, c)| {
            ((x * (c + 1) + y * 2) % 200) as u8 + (50.0 * noise.next().unwrap()) as u8
        });
        Preprocessing::imagenet().apply(pixels.view()).unwrap().input
    })
}

#[test]
fn resnets_at_the_default_layer_and_at_early_ones() {
    let picture = common::picture(3, 64, 96);
    case(|| generated("resnet18", 10), &picture, &["layer4", "conv1"]);
    case(|| generated("resnet50", 10), &picture, &["layer4", "layer3"]);
}

/// Linear layers of a hundred megabytes, which ONNX Runtime gets as inputs; sums over positions of them; sizes
/// that the adaptive pooling has to average.
#[test]
fn an_alexnet_and_a_densenet() {
    let picture = common::picture(3, 96, 128);
    case(|| generated("alexnet", 5), &picture, &["features.11", "features.8"]);
    case(|| generated("densenet121", 5), &picture, &["features.norm5", "features.denseblock3"]);
}

/// Sizes that poolings round, through the adjoint of every operator of a SqueezeNet.
#[test]
fn an_odd_size_through_a_squeezenet() {
    let picture = common::picture(3, 71, 90);
    case(|| generated("squeezenet1_1", 5), &picture, &["features.0", "features.3.squeeze"]);
}

#[test]
fn the_runtime_is_chosen_before_the_first_session() {
    let mut classifier = generated("squeezenet1_1", 3);
    drop(Session::new(&classifier, &SessionOptions::default()).unwrap());
    let error = classifier.choose_runtime(RuntimeChoice::OnnxRuntime).unwrap_err();
    assert!(matches!(error, NetworkError::RuntimeStarted { running: "rten" }), "{error}");
    classifier.choose_runtime(RuntimeChoice::Rten).unwrap();

    let Some(mut other) = on_onnxruntime(generated("squeezenet1_1", 3)) else { return };
    assert!(other.choose_runtime(RuntimeChoice::Rten).is_err());
    assert_eq!(other.choose_runtime(RuntimeChoice::Auto).unwrap(), None);
    assert!(other.layers(64, 64).unwrap().len() > 20);
}

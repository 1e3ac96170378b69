//! Ask a trained image classifier *Why P? What if not P? Why P, rather than Q?*, and get the answers
//! as maps.
//!
//! This crate only gathers what a user needs from the rooms behind it; each item's documentation has
//! its formula, shapes and source.
//!
//! Explain a photograph with the embedded network:
//!
//! ```
//! use introspective::{Preprocessing, Questions, Session, SessionOptions, decode, embedded, explain};
//!
//! let classifier = embedded::squeezenet()?;
//! let session = Session::new(&classifier, &SessionOptions::default())?;
//! let photo = decode(embedded::sample_photograph(), "coffee.png")?;
//! let input = Preprocessing::imagenet().apply(photo.pixels.view())?.input;
//! let explanation = explain(&session, &session.observe(input.view())?, &Questions::default())?;
//!
//! assert_eq!(embedded::imagenet_classes().short(explanation.predicted), "espresso");
//! assert_eq!(explanation.answers[0].raw.dim(), (13, 13)); // Why espresso? At features.12.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Open a network of your own (PyTorch's weights, timm's folders, ONNX files), and ask about every class at once (at a
//! layer with a closed form these are a few small matrix products):
//!
//! ```no_run
//! use introspective::{Opened, Session, SessionOptions, atlas};
//!
//! let classifier = Opened::from_path("resnet50.pth".as_ref(), None)?.classifier;
//! let session = Session::new(&classifier, &SessionOptions::default())?;
//! # let input = ndarray::Array3::<f32>::zeros((3, 224, 224));
//! let atlas = atlas(&session, &session.observe(input.view())?)?;
//! let contrasts = atlas.rather_than.view(); // classes x 7 x 7: Why P, rather than Q? for every Q
//! let different = atlas.ranking(10); // those whose maps differ
//! let uncertainty = atlas.voice(224, 224).expect("three classes or more").map;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Ask how good the maps are: [`faithfulness`] takes their pixels away and puts them in, beside random maps, and asks the
//! same question of networks that forgot what they had learned.
//!
//! ```
//! use introspective::faithfulness::{CheckOptions, check};
//! use introspective::{Extractor, ExtractorOptions, Preprocessing, Questions, Session, SessionOptions, decode, embedded, explain};
//!
//! let classifier = embedded::squeezenet()?;
//! let session = Session::new(&classifier, &SessionOptions::default())?;
//! let extractor = Extractor::of_logits(&classifier, &ExtractorOptions::default())?;
//! let photo = decode(embedded::sample_photograph(), "coffee.png")?;
//! let input = Preprocessing::imagenet().apply(photo.pixels.view())?.input;
//! let explanation = explain(&session, &session.observe(input.view())?, &Questions::default())?;
//! let options = CheckOptions { steps: 5, draws: 1, ..CheckOptions::default() };
//! let checks = check(&session, &extractor, input.view(), &explanation, &options)?;
//! let insertion = &checks[0].scores[0].insertion;
//! assert!(insertion.curve.area() > insertion.random_area().unwrap_or_default()); // Why espresso?
//! assert!(!checks[0].is_unchanged());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Let the network think twice: [`reflect`] holds the second stage, here with a network and a head from files.
//!
//! ```
//! use introspective::reflect::{Disagreement, Head, Method, Scaling};
//! use introspective::{Extractor, ExtractorOptions, Opened, decode, embedded};
//! use ndarray::Axis;
//!
//! # let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/cifar10-jpeg"));
//! let opened = Opened::from_path(&folder.join("network.safetensors"), None)?;
//! let head = Head::read(&folder.join("head.safetensors"))?;
//! let extractor = Extractor::new(&opened.classifier, &ExtractorOptions::default())?;
//! let (hash, classes) = (opened.classifier.sha256(), opened.classifier.classes());
//! head.check_fits(Some(hash), [extractor.width(), extractor.stages_width()], classes)?;
//!
//! let photo = decode(embedded::sample_photograph(), "coffee.png")?;
//! let preprocessing = opened.preprocessing.expect("training wrote it into the file");
//! let input = preprocessing.apply(photo.pixels.view())?.input;
//! let features = extractor.extract(input.view().insert_axis(Axis(0)))?;
//! let (h, z) = (features.h.view(), features.z.view());
//! let statistics = head.statistics_for(Scaling::Train, h, z)?;
//! let second = head.logits(Method::Reflection, 0, &statistics, h, z).expect("every head has H");
//! let doubt = Disagreement::between(z.row(0), second.row(0));
//! assert!((0.0..=1.0).contains(&doubt.total_variation));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`reflect::fit`] makes such a head from features, [`measure::compare`] says whether it helps, and with the feature
//! `train` the module `train` trains a network of the zoo.

/// The corruptions of ImageNet-C and CIFAR-10-C.
pub use introspective_corrupt as corrupt;
/// Labelled sets, named arrays, holding out, augmentation.
pub use introspective_data as data;
pub use introspective_data::{Picture, PictureError, PictureInfo, decode, find_pictures, read};
/// How good a map is: deletion and insertion, average drop, networks with re-drawn weights.
pub use introspective_explain::faithfulness;
pub use introspective_explain::{
    Answer, Asked, Atlas, ClassMaps, Display, Evidence, ExplainError, Explanation, Form, Question,
    QuestionError, Questions, Ranked, Verdict, Voice, atlas, class_maps, explain, resize_bilinear,
    softmax,
};
/// Metrics of classifiers, temperatures, and methods against each other with intervals.
pub use introspective_measure as measure;
pub use introspective_network::{
    Architecture, CheckpointError, ClassError, ClassNames, Classifier, ExportOptions, Extractor,
    ExtractorOptions, Interpolation, LastLayer, Layer, Method, NetworkError, Observation, Opened,
    Prepared, PreprocessError, Preprocessing, Redraw, RuntimeChoice, RuntimeInfo, Session,
    SessionOptions, Threads, Weights, embedded,
};
/// The second stage: gradients as features, the introspective network H, its controls, trust scores.
pub use introspective_reflect as reflect;
/// Pictures, panels, pages and run folders.
pub use introspective_report as report;
/// Training and fine-tuning networks of the zoo.
#[cfg(feature = "train")]
pub use introspective_train as train;

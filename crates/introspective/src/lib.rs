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
//! Open a network of your own (PyTorch's weights, timm's folders, ONNX files), and ask for the gradient of every class
//! at once (at a layer with a closed form this is one small matrix product):
//!
//! ```no_run
//! use introspective::{Opened, Session, SessionOptions};
//!
//! let classifier = Opened::from_path("resnet50.pth".as_ref(), None)?.classifier;
//! let options = SessionOptions { layer: Some("layer3".to_owned()), ..SessionOptions::default() };
//! let session = Session::new(&classifier, &options)?;
//! # let input = ndarray::Array3::<f32>::zeros((3, 224, 224));
//! let observation = session.observe(input.view())?;
//! let everything = ndarray::Array2::eye(classifier.classes());
//! let alpha = session.alpha(&observation, everything.view())?; // classes x channels
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use introspective_data::{Picture, PictureError, PictureInfo, decode, find_pictures, read};
pub use introspective_explain::{
    Answer, Asked, Display, Evidence, ExplainError, Explanation, Form, Question, QuestionError,
    Questions, explain, resize_bilinear, softmax,
};
pub use introspective_network::{
    Architecture, CheckpointError, ClassError, ClassNames, Classifier, ExportOptions,
    Interpolation, Layer, Method, NetworkError, Observation, Opened, Prepared, PreprocessError,
    Preprocessing, RuntimeChoice, RuntimeInfo, Session, SessionOptions, Threads, Weights, embedded,
};
/// Pictures, panels and run folders.
pub use introspective_report as report;

//! ONNX to a graph, run on a small picture, with the gradient at its default layer.
#![no_main]

use introspective_network::{Classifier, Session, SessionOptions, Threads};
use ndarray::{Array2, Array3};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(classifier) = Classifier::from_onnx_bytes(bytes.to_vec(), "fuzz") else { return };
    let options = SessionOptions { threads: Some(Threads::new(1)), ..SessionOptions::default() };
    let Ok(session) = Session::new(&classifier, &options) else { return };
    let [height, width] = classifier.input_size().unwrap_or([16, 16]);
    if height * width > 4096 {
        return;
    }
    let picture = Array3::from_elem((classifier.channels(), height, width), 0.5);
    let Ok(observation) = session.observe(picture.view()) else { return };
    let mut row = Array2::zeros((1, classifier.classes()));
    row[[0, 0]] = 1.0;
    let _ = session.alpha(&observation, row.view());
});

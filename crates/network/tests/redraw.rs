//! Networks that PyTorch's exporters wrote, with their weights re-drawn.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "common/exports.rs"]
mod exports;

use exports::{EXPORTERS, write_model};
use introspective_network::{Classifier, Extractor, ExtractorOptions, Redraw};
use ndarray::Axis;

/// Whoever wrote the file, the same layers have weights, and all of them change what the network says.
#[test]
fn exported_networks_are_redrawn_as_well() {
    for (name, layers) in [("mobilenet_v3_large", 64), ("convnext_tiny", 59)] {
        for exporter in EXPORTERS {
            let folder = tempfile::tempdir().unwrap();
            let path = write_model(folder.path(), &format!("onnx_{name}.{exporter}"));
            let classifier = Classifier::from_onnx(&path).unwrap();
            assert_eq!(classifier.weighted_layers().len(), layers, "{name} {exporter}");
            let [height, width] = classifier.input_size().unwrap();
            let options = ExtractorOptions { optimise: false, ..ExtractorOptions::default() };
            let picture = common::picture(3, height, width);
            let logits = |classifier: &Classifier| {
                let extractor = Extractor::of_logits(classifier, &options).unwrap();
                extractor.extract(picture.view().insert_axis(Axis(0))).unwrap().z
            };
            let before = logits(&classifier);
            for which in [Redraw::Head, Redraw::All] {
                let after = logits(&classifier.redrawn(which, 0).unwrap());
                assert_ne!(before, after, "{name} {exporter} {which:?}");
            }
        }
    }
}

//! Safetensors to a graph: which architecture fits, and opening it.
#![no_main]

use introspective_network::{Architecture, Classifier, Weights};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(weights) = Weights::from_bytes(bytes.to_vec(), "fuzz") else { return };
    for architecture in Architecture::fitting(&weights) {
        let _ = Classifier::from_zoo(architecture, weights.clone());
    }
    let _ = Architecture::closest(&weights).to_string();
});

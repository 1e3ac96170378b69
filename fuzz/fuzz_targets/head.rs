//! A head's file to a second stage, which predicts if it can be read.
#![no_main]

use std::path::Path;

use introspective_reflect::{Head, Method};
use ndarray::Array2;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(head) = Head::from_bytes(bytes, Path::new("fuzz")) else { return };
    let (h, z) = (
        Array2::from_elem((2, head.about.features), 0.5),
        Array2::from_elem((2, head.about.classes), -0.5),
    );
    for seed in 0..head.networks.len() {
        for method in Method::ALL {
            let _ = head.logits(method, seed, &head.statistics, h.view(), z.view());
        }
    }
    if let Ok(mut stream) = head.stream() {
        let _ = stream.next(h.view(), z.view());
    }
});

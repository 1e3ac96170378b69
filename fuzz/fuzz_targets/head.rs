//! A head's file to a second stage, which predicts if it can be read.
#![no_main]

use std::path::Path;

use introspective_reflect::{Head, Method, Scaling};
use ndarray::{Array2, Axis};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(head) = Head::from_bytes(bytes, Path::new("fuzz")) else { return };
    let (a, z) = (
        Array2::from_elem((2, head.width()), 0.5),
        Array2::from_elem((2, head.about.classes), -0.5),
    );
    for seed in 0..head.networks.len() {
        for method in Method::ALL {
            let _ = head.logits(method, seed, &head.statistics, a.view(), z.view());
        }
    }
    for scaling in [Scaling::Stream, Scaling::StreamUnguarded] {
        if let Ok(mut stream) = head.stream(scaling, None) {
            for (a, z) in a.axis_chunks_iter(Axis(0), 1).zip(z.axis_chunks_iter(Axis(0), 1)) {
                let _ = stream.next(a, z);
            }
        }
    }
});

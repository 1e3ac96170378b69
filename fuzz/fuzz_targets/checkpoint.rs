//! PyTorch checkpoints, both formats: parsed for tensors, never executed.
#![no_main]

use introspective_network::Weights;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(weights) = Weights::from_bytes(bytes.to_vec(), "fuzz") {
        for name in weights.names().map(str::to_owned).collect::<Vec<_>>() {
            let values = weights.values(&name).expect("a tensor that is named has values");
            assert_eq!(Some(values.shape()), weights.shape(&name));
        }
    }
});

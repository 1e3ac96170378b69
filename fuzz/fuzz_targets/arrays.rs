//! `.npz` and safetensors to arrays, under every type that can be asked for.
#![no_main]

use introspective_data::arrays::Arrays;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Arrays::from_bytes(bytes.to_vec(), "fuzz") else { return };
    for name in file.names() {
        let shape = file.shape(name).unwrap_or_default();
        if let Ok(matrix) = file.matrix(name) {
            assert_eq!(matrix.shape(), shape);
        }
        if let Ok(vector) = file.vector(name) {
            assert_eq!(vector.shape(), shape);
        }
        if let Ok(integers) = file.integers(name) {
            assert_eq!(integers.shape(), shape);
        }
        let _ = file.strings(name);
    }
    let _ = file.strings("names");
});

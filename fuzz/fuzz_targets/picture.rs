//! A picture file to a network's input.
#![no_main]

use introspective_data::decode;
use introspective_network::Preprocessing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(picture) = decode(bytes, "fuzz") else { return };
    let prepared = Preprocessing::imagenet().apply(picture.pixels.view()).expect("an upright RGB picture");
    assert!(prepared.input.iter().all(|value| value.is_finite()));
});

//! A picture file to a network's input.
#![no_main]

use introspective_data::decode;
use introspective_network::Preprocessing;

libfuzzer_sys::fuzz_target!(init: {
    // libFuzzer ends the process at every panic, but those of decoders are caught and become errors; one that
    // is not caught still ends it
    std::panic::set_hook(Box::new(|_| {}));
}, |bytes: &[u8]| {
    let Ok(picture) = decode(bytes, "fuzz") else { return };
    // the decoder's limit is 200 megapixels, which take too long here; the resizer does not care how many
    if picture.pixels.len() > 3 << 22 {
        return;
    }
    let prepared = Preprocessing::imagenet().apply(picture.pixels.view()).expect("an upright RGB picture");
    assert!(prepared.input.iter().all(|value| value.is_finite()));
});

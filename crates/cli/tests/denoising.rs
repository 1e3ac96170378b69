//! `--denoise`, a front end before the network, as a stranger would use it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{NETWORK, introspect, json, manifest, stderr, stdout, three_classes};
use serde_json::Value;

#[test]
fn a_front_end_goes_before_the_network_and_a_head_remembers_it() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 2);
    let picture = "data/test/ant/0.png";
    let explain = |more: &[&str], out: &str| {
        let run = introspect(
            place,
            &[&["explain", picture, "--layer", "layer2", "--out", out], &NETWORK[..], more]
                .concat(),
        );
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        manifest(&place.join(out))
    };
    let (plain, filtered) = (explain(&[], "plain"), explain(&["--denoise"], "filtered"));
    assert_eq!(plain["preprocessing"].get("denoise"), None);
    let strength = filtered["preprocessing"]["denoise"]["strength"].as_f64().unwrap();
    assert!((strength - 0.8).abs() < 1e-6);
    assert_ne!(plain["top5"], filtered["top5"]);

    let fit = ["fit", "--data", "data", "--epochs", "1", "--without-controls", "--denoise=1.5"];
    let more = ["--out", "head.safetensors", "--fit-split", "0.25", "--json"];
    json(&introspect(place, &[&fit[..], &NETWORK, &more].concat()));
    let predict = |more: &[&str]| {
        let head = ["predict", picture, "--head", "head.safetensors"];
        let run = introspect(place, &[&head[..], &NETWORK, more].concat());
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        run
    };
    let run = predict(&["--denoise=1.5"]);
    assert!(!stderr(&run).contains("prepared otherwise"), "{}", stderr(&run));
    let same: Value = serde_json::from_str(stdout(&run).trim()).unwrap();
    let run = predict(&[]);
    assert!(stderr(&run).contains("--denoise"), "{}", stderr(&run));
    let other: Value = serde_json::from_str(stdout(&run).trim()).unwrap();
    assert_ne!(same["reflection"]["probabilities"], other["reflection"]["probabilities"]);

    let run = introspect(place, &[&["explain", picture, "--denoise=-1"], &NETWORK[..]].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("--denoise") && stderr(&run).contains("greater than 0"));
}

//! `introspect explain --check`, and verdicts, as a stranger would run them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{
    NETWORK, generated, introspect, json, manifest, names, photograph, stderr, stdout,
    three_classes,
};
use introspective_network::Architecture;
use serde_json::Value;

fn explain(place: &Path, more: &[&str]) -> std::process::Output {
    let run = introspect(place, &[&["explain"], more, &NETWORK].concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    run
}

fn verdict<'m>(manifest: &'m Value, name: &str) -> Option<&'m Value> {
    let verdicts = manifest["verdicts"].as_array().unwrap();
    for verdict in verdicts {
        assert!(verdict["says"].as_str().unwrap().ends_with('.'), "{verdict}");
        assert!(verdict["value"].is_f64() && verdict["threshold"].is_f64(), "{verdict}");
    }
    verdicts.iter().find(|verdict| verdict["name"] == name)
}

fn share(value: &Value) -> f64 {
    let value = value.as_f64().unwrap();
    assert!((0.0..=1.0).contains(&value), "{value}");
    value
}

#[test]
fn maps_are_checked_where_that_is_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 1, 1);
    let picture = "data/test/ant/0.png";
    let plain = explain(place, &[picture, "--layer", "layer2", "--out", "plain"]);
    assert!(!stdout(&plain).contains("check:"));
    let quiet = manifest(&place.join("plain"));
    assert!(quiet.get("checks").is_none());
    assert!(verdict(&quiet, "no-positive-evidence").is_some());
    assert!(verdict(&quiet, "unchanged-map").is_none());

    let flags = [picture, "--layer", "layer2", "--check", "--check-steps", "6", "--out", "out"];
    let run = explain(place, &flags);
    let text = stdout(&run);
    assert!(text.contains("check: Why ") && text.contains("(random: "), "{text}");
    assert_eq!(text.matches("Masked pictures are unlike").count(), 1, "{text}");
    let folder = names(&place.join("out"));
    assert!(["checks.csv", "checks.svg"].iter().all(|file| folder.contains(&(*file).to_owned())));
    let manifest = manifest(&place.join("out"));
    let mut files: Vec<String> = serde_json::from_value(manifest["files"].clone()).unwrap();
    files.sort_unstable();
    assert_eq!(files, folder);

    let checks = &manifest["checks"];
    assert_eq!((&checks["steps"], &checks["seed"]), (&6.into(), &0.into()));
    let maps = checks["maps"].as_array().unwrap();
    let probability = share(&manifest["prediction"]["probability"]);
    let mut curves = 0;
    for map in maps.iter().filter(|map| map["empty"] == false) {
        for score in map["scores"].as_array().unwrap() {
            for (curve, picture) in [("deletion", "start"), ("insertion", "end")] {
                let numbers = &score[curve];
                share(&numbers["area"]);
                assert_eq!(numbers["random_areas"].as_array().unwrap().len(), 3);
                if score["score"] == "probability" {
                    assert!((share(&numbers[picture]) - probability).abs() < 1e-4);
                }
                curves += 4;
            }
        }
        assert!((share(&map["faded"]["before"]) - probability).abs() < 1e-4);
        share(&map["faded"]["drop"]);
        let layers: Vec<&Value> =
            map["redrawn"].as_array().unwrap().iter().map(|drawn| &drawn["layers"]).collect();
        assert_eq!(layers, ["head", "all"]);
    }
    assert!(curves > 0, "all maps are empty: {checks}");
    let table = fs::read_to_string(place.join("out/checks.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 7 * curves);

    // the same numbers again, as JSON
    let again = [&flags[..7], &["again", "--json"]].concat();
    let printed = json(&explain(place, &again));
    assert_eq!(printed["checks"], *checks);

    let run = introspect(place, &["explain", picture, "--check-steps", "6"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("--check"), "{}", stderr(&run));
}

#[test]
fn several_pictures_have_means() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 1, 2);
    let run = explain(
        place,
        &[
            "data/test/ant",
            "data/test/bee",
            "--layer",
            "layer2",
            "--check",
            "--check-steps",
            "3",
            "--out",
            "out",
        ],
    );
    let text = stdout(&run);
    assert_eq!(text.matches("Masked pictures are unlike").count(), 1, "{text}");
    let index = manifest(&place.join("out"));
    let sets = index["checks"].as_array().unwrap();
    assert!(text.contains(&format!("check: {} of ", sets[0]["question"].as_str().unwrap())));
    for set in sets {
        assert!((1..=4).contains(&set["maps"].as_u64().unwrap()), "{set}");
        for number in ["average_drop", "increase"] {
            share(&set[number]);
        }
        let mut sum = 0.0;
        for entry in index["images"].as_array().unwrap() {
            let own = manifest(&place.join("out").join(entry["folder"].as_str().unwrap()));
            let questions = own["questions"].as_array().unwrap();
            let at = questions.iter().position(|q| q["question"] == set["question"]).unwrap();
            let map = &own["checks"]["maps"][at];
            if map["empty"] == false {
                let last = map["scores"].as_array().unwrap().last().unwrap();
                sum += share(&last["deletion"]["area"]);
            }
        }
        let mean = sum / set["maps"].as_f64().unwrap();
        assert!((share(&set["deletion"]["area"]) - mean).abs() < 1e-9);
    }
}

/// Each weight has one value everywhere, so that no draw is another network.
#[test]
fn a_map_that_cannot_change_is_said_to_be_useless() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let tensors: BTreeMap<_, _> = Architecture::CifarResNet18
        .tensors(3, 3)
        .into_iter()
        .map(|(name, shape)| {
            let mut values = generated::tensor(&name, &shape);
            if shape.len() > 1 {
                values.fill(0.05);
            }
            (name, (shape, values))
        })
        .collect();
    fs::write(place.join("network.safetensors"), generated::safetensors(&tensors)).unwrap();
    fs::write(place.join("names.txt"), "ant\nbee\ncat\n").unwrap();
    photograph(&place.join("x.png"), 32, 32, 1);
    let run = explain(place, &["x.png", "--check", "--check-steps", "2", "--out", "out"]);
    let manifest = manifest(&place.join("out"));
    let verdict = verdict(&manifest, "unchanged-map").unwrap();
    assert_eq!(verdict["holds"], true, "{verdict}");
    let text = stdout(&run);
    assert!(
        text.contains("note: The map stays the same when") && text.contains("(unchanged)"),
        "{text}"
    );
    // classes of equal weights: nothing tells them apart
    assert!(text.contains("note: No region tells"), "{text}");
}

#[test]
fn a_second_stage_allows_further_verdicts() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 16, 1);
    let fit =
        ["fit", "--data", "data", "--out", "head.safetensors", "--epochs", "1", "--hidden", "4"];
    let more = ["--fit-split", "0.5", "--without-controls", "--json"];
    let fitted = json(&introspect(place, &[&fit[..], &NETWORK, &more].concat()));
    let quantile = &fitted["about"]["energy_quantile"];
    assert_eq!(quantile["images"], 24);
    assert!((quantile["share"].as_f64().unwrap() - 0.05).abs() < 1e-6);

    explain(place, &["data/test/bee/0.png", "--out", "out"]);
    let usual = manifest(&place.join("out"));
    let unusual = verdict(&usual, "out-of-distribution").unwrap();
    let number = |key: &str| unusual[key].as_f64().unwrap();
    assert!((number("threshold") - quantile["value"].as_f64().unwrap()).abs() < 1e-5);
    let logits: Vec<f64> = serde_json::from_value(usual["logits"].clone()).unwrap();
    let energy = logits.iter().map(|z| z.exp()).sum::<f64>().ln();
    assert!((number("value") - energy).abs() < 1e-5, "{unusual}");
    assert_eq!(unusual["holds"], number("value") < number("threshold"));
    let same = verdict(&usual, "same-class").unwrap();
    assert_eq!(same["holds"], usual["second_stage"]["agrees"]);

    // half of the kept images are under this one
    let mut values: Vec<f64> = Vec::new();
    for class in ["ant", "bee", "cat"] {
        explain(place, &[&format!("data/train/{class}"), "--out", class]);
        for entry in manifest(&place.join(class))["images"].as_array().unwrap() {
            let own = manifest(&place.join(class).join(entry["folder"].as_str().unwrap()));
            let verdict = verdict(&own, "out-of-distribution").unwrap();
            values
                .push(verdict["value"].as_f64().unwrap() - verdict["threshold"].as_f64().unwrap());
        }
    }
    let under = values.iter().filter(|value| **value < 0.0).count();
    assert!(under >= 1 && under < values.len() / 2, "{under} of {}", values.len());
}

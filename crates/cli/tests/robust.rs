//! The robust recipe: fitted, used and cross-validated as a stranger would.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use common::{NETWORK, introspect, json, small_network, stderr, stdout, three_classes};
use introspective_reflect::Features;
use serde_json::Value;

const FIT: [&str; 8] =
    ["fit", "--recipe", "robust", "--epochs", "3", "--fit-split", "0.25", "--json"];

/// Pictures, their features of two passes with two corruptions, and a fold for each.
fn folds(place: &Path) {
    three_classes(place, 8, 4);
    let data = ["--data", "data", "--corruption", "gaussian_noise,fog", "--copies", "3"];
    let out = ["--out", "all.safetensors", "--save-features", "train.npz", "--seeds", "2"];
    json(&introspect(place, &[&FIT[..], &NETWORK, &data, &out].concat()));
    for (kind, name) in [("noise", "n.safetensors"), ("weather", "w.safetensors")] {
        let leave = ["--features", "train.npz", "--leave-out", kind, "--out", name, "--seeds", "2"];
        json(&introspect(place, &[&FIT[..], &leave].concat()));
    }
}

#[test]
fn a_recipe_is_a_set_of_defaults() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 4);
    let data = ["--data", "data", "--out", "head.safetensors"];
    let about = &json(&introspect(place, &[&FIT[..], &NETWORK, &data].concat()))["about"];
    assert_eq!((&about["reads"], &about["scaler"]), (&"activations".into(), &"z-score".into()));
    // 2 (16 + 16 + 32 + 64) pooled, and 64 features of the second pass
    assert_eq!((&about["stages"], &about["hidden"]), (&320.into(), &serde_json::json!([128])));
    assert!((about["own_share"].as_f64().unwrap() - 0.1).abs() < 1e-6);
    assert!(about["seeds"][0]["before_blend"].as_f64().unwrap() > 0.0);
    // 18 pictures and four copies of each
    assert_eq!((&about["trained_on"], &about["kept"]), (&90.into(), &6.into()));

    // flags go before it
    let flags =
        ["--own-statistics", "0", "--corruption", "none", "--hidden", "7", "--scaler", "minmax"];
    let more = ["--data", "data", "--out", "b.safetensors"];
    let about = &json(&introspect(place, &[&FIT[..], &NETWORK, &more, &flags].concat()))["about"];
    assert_eq!((&about["own_share"], &about["stages"]), (&Value::Null, &256.into()));
    assert_eq!((&about["trained_on"], &about["hidden"]), (&18.into(), &serde_json::json!([7])));
    assert_eq!(about["seeds"][0]["before_blend"], Value::Null);
    let paper = ["--data", "data", "--out", "c.safetensors", "--reads", "gradients"];
    let about = &json(&introspect(place, &[&FIT[..], &NETWORK, &paper].concat()))["about"];
    assert_eq!((&about["own_share"], &about["stages"]), (&Value::Null, &0.into()));

    let refused = |flags: &[&str], what: &str| {
        let data = ["fit", "--data", "data", "--out", "d.safetensors"];
        let run = introspect(place, &[&data[..], &NETWORK, flags].concat());
        assert_eq!(run.status.code(), Some(2));
        assert!(stderr(&run).contains(what), "{}", stderr(&run));
    };
    refused(&["--recipe", "robust", "--own-statistics", "1.5"], "a share from 0 to 1");
    refused(&["--reads", "gradients", "--own-statistics", "0.1"], "reads no second pass");

    // all pictures through it: predictions, and the same from an explanation
    let run =
        introspect(place, &[&["predict", "data/test/ant", "data/test/bee"], &NETWORK[..]].concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let lines = stdout(&run);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let p = first["reflection"]["probabilities"][1].as_f64().unwrap();
    let explain = ["explain", "data/test/ant/0.png", "--layer", "layer2", "--out", "x"];
    let run = introspect(place, &[&explain[..], &NETWORK].concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let top = common::manifest(&place.join("x"))["second_stage"]["top5"].clone();
    let same = top.as_array().unwrap().iter().find(|class| class["index"] == 1).unwrap();
    assert!((same["probability"].as_f64().unwrap() - p).abs() < 1e-5, "{same} {p}");
}

/// The robust recipe is the default wherever there is something for it to read.
#[test]
fn without_a_recipe_the_robust_one_is_taken_where_it_can_be() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 4);
    let fit = ["fit", "--epochs", "2", "--fit-split", "0.25", "--without-controls", "--json"];
    let fitted = |more: &[&str]| introspect(place, &[&fit[..], more].concat());
    let data = [&NETWORK[..], &["--data", "data", "--save-features", "all.npz"]].concat();
    let about = &json(&fitted(&[&data[..], &["--out", "a.safetensors"]].concat()))["about"];
    assert_eq!((&about["reads"], &about["trained_on"]), (&"activations".into(), &90.into()));

    // features of any software have h and z alone
    let features = Features::read(&place.join("all.npz")).unwrap();
    let few = Features { stages: Default::default(), own_share: None, ..features };
    let few = Features { stages: ndarray::Array2::zeros((few.len(), 0)), ..few };
    few.write(&place.join("few.npz")).unwrap();
    let run = fitted(&["--features", "few.npz", "--out", "b.safetensors"]);
    let about = &json(&run)["about"];
    assert_eq!((&about["reads"], &about["scaler"]), (&"gradients".into(), &"min-max".into()));
    assert!(stderr(&run).contains("--recipe paper"), "{}", stderr(&run));
    // asked for by name it is refused there, not replaced
    let named = ["--features", "few.npz", "--out", "c.safetensors", "--recipe", "robust"];
    let run = fitted(&named);
    assert!(stderr(&run).contains("need an array `stages`"), "{}", stderr(&run));
}

#[test]
fn a_network_without_batch_normalisation_has_no_second_pass() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 4);
    small_network(&place.join("other.safetensors"), "squeezenet1_1", 3, 3);
    let network =
        ["--model", "other.safetensors", "--classes", "names.txt", "--crop", "64", "--size", "64"];
    let data = ["--data", "data", "--out", "head.safetensors"];
    let run = introspect(place, &[&FIT[..], &network, &data].concat());
    assert!(stderr(&run).contains("no batch normalisations"), "{}", stderr(&run));
    let about = &json(&run)["about"];
    assert_eq!((&about["own_share"], &about["reads"]), (&Value::Null, &"activations".into()));
    let asked = ["--own-statistics", "0.1", "--force"];
    let run = introspect(place, &[&FIT[..], &network, &data, &asked].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("batch normalisation"), "{}", stderr(&run));
}

#[test]
fn every_corruption_is_scored_by_a_fold_that_has_not_seen_it() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    folds(place);
    let study = [
        "study",
        "recognition",
        "--data",
        "data",
        "--severity",
        "3",
        "--resamples",
        "20",
        "--json",
    ];
    let which =
        ["--corruption", "gaussian_noise,fog", "--without-batch-norm", "--keep", "--out", "s"];
    let folds = ["--head", "all.safetensors", "--fold", "n.safetensors", "--fold", "w.safetensors"];
    let result = json(&introspect(place, &[&study[..], &NETWORK, &which, &folds].concat()));
    let value = |result: &Value, cell: usize, method: &str| {
        let methods = result["cells"][cell]["methods"].as_array().unwrap().clone();
        let found = methods.into_iter().find(|m| m["name"] == method);
        found.unwrap_or_else(|| panic!("no {method}"))["metrics"]["nll"]["value"].as_f64().unwrap()
    };
    // each fold by itself, over the features that were kept
    let alone = |name: &str| {
        let again = ["--resume", "--force", "--head", name];
        json(&introspect(place, &[&study[..], &NETWORK, &which, &again].concat()))
    };
    let (noise, weather) = (alone("n.safetensors"), alone("w.safetensors"));
    for method in ["reflection", "reflection-ensemble", "mlp-h"] {
        let own = format!("{method}@folds");
        assert_eq!(value(&result, 1, &own), value(&noise, 1, method), "{method} on noise");
        assert_eq!(value(&result, 2, &own), value(&weather, 2, method), "{method} on fog");
    }
    assert_ne!(value(&noise, 1, "reflection"), value(&weather, 1, "reflection"));
    // clean: the first seed of the first fold, the second of the second
    let seeds = |result: &Value, method: &str| {
        let rows = result["rows"].as_array().unwrap().clone();
        let row = rows.into_iter().find(|row| row["group"] == "clean" && row["method"] == method);
        row.unwrap()["accuracy_of_seeds"].as_array().unwrap().clone()
    };
    let both = seeds(&result, "reflection@folds");
    assert_eq!(both[0], seeds(&noise, "reflection")[0]);
    assert_eq!(both[1], seeds(&weather, "reflection")[1]);
    // the second pass by itself is there once, and held against H
    let names: Vec<String> = result["cells"][0]["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("f-own-norm")).count(), 2, "{names:?}");
    let contrasts = result["contrasts"].as_array().unwrap();
    let pair = |method: &str, minus: &str| {
        contrasts.iter().any(|c| c["method"] == method && c["minus"] == minus)
    };
    assert!(pair("reflection@folds", "f-own-norm+temperature"));
    assert!(pair("reflection@folds", "mlp-h@folds") && pair("reflection@folds", "f+temperature"));

    // a corruption that all folds know cannot be cross-validated
    let one = ["--fold", "n.safetensors", "--out", "t"];
    let run = introspect(place, &[&study[..], &NETWORK, &["--corruption", "fog"], &one].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("every fold was trained on fog"), "{}", stderr(&run));
}

/// Two heads that read passes with other shares cannot share a study.
#[test]
fn shares_of_own_statistics_must_agree() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 4);
    for (share, name) in [("0.1", "a.safetensors"), ("0.3", "b.safetensors")] {
        let flags = ["--data", "data", "--own-statistics", share, "--out", name];
        let save = ["--save-features", &format!("{name}.npz")];
        json(&introspect(place, &[&FIT[..], &NETWORK, &flags, &save].concat()));
    }
    let study = ["study", "recognition", "--data", "data", "--head", "a.safetensors", "--head"];
    let run = introspect(place, &[&study[..], &["b.safetensors"], &NETWORK].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("study them one by one"), "{}", stderr(&run));
    let predict = ["predict", "--features", "b.safetensors.npz", "--head", "a.safetensors"];
    let run = introspect(place, &predict);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("the features are of one with 0.3"), "{}", stderr(&run));
    let features = Features::read(&place.join("a.safetensors.npz")).unwrap();
    assert_eq!((features.own_share, features.own_h().unwrap().ncols()), (Some(0.1), 64));
}

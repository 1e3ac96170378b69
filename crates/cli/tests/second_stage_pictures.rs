//! `introspect fit`, `predict`, `evaluate` and `explain --head` on pictures, as a stranger would run them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;

use common::{
    NETWORK, introspect, json, manifest, photograph, small_network, stderr, stdout, three_classes,
};
use introspective_reflect::Features;
use serde_json::Value;

#[test]
fn pictures_go_through_both_stages() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 4);
    fs::write(place.join("data/train/bee/broken.png"), b"\x89PNG\r\n\x1a\nno").unwrap();
    fs::create_dir(place.join("data/train/dog")).unwrap();
    let flags = [
        "fit",
        "--recipe",
        "paper",
        "--data",
        "data",
        "--out",
        "head.safetensors",
        "--epochs",
        "3",
        "--hidden",
        "5",
    ];
    let more = ["--save-features", "features.npz", "--fit-split", "0.25", "--json"];
    let run = introspect(place, &[&flags[..], &NETWORK, &more].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("\"dog\""), "{}", stderr(&run));
    fs::remove_dir(place.join("data/train/dog")).unwrap();

    let run = introspect(place, &[&flags[..], &NETWORK, &more].concat());
    let fitted = json(&run);
    assert!(stderr(&run).contains("left out: bee/broken.png"), "{}", stderr(&run));
    assert_eq!(fitted["about"]["facts"]["images"], 24);
    assert_eq!(fitted["about"]["facts"]["left_out"], 1);
    // what was written is what a file of features is
    let features = Features::read(&place.join("features.npz")).unwrap();
    assert_eq!((features.len(), features.width(), features.classes()), (24, 64, 3));
    let z = features.last_layer.as_ref().unwrap().logits(features.h.view());
    assert!((&z - &features.z).iter().all(|d| d.abs() < 1e-4));

    let evaluate = ["evaluate", "--data", "data", "--resamples", "20", "--json", "--out", "e1"];
    let more = ["--head", "head.safetensors", "--scaling", "batch"];
    let result = json(&introspect(place, &[&evaluate[..], &NETWORK, &more].concat()));
    assert_eq!(result["n"], 12);
    let names_of = |result: &Value| -> Vec<String> {
        let methods = result["methods"].as_array().unwrap();
        methods.iter().map(|m| m["name"].as_str().unwrap().to_owned()).collect()
    };
    assert!(names_of(&result).contains(&"f-batch-norm".to_owned()));

    // predictions do not depend on threads or batches, and come in input order
    let predict = ["predict", "data/test/cat", "data/test/ant", "--head", "head.safetensors"];
    let once =
        introspect(place, &[&predict[..], &NETWORK, &["--threads", "1", "--batch", "4"]].concat());
    let again =
        introspect(place, &[&predict[..], &NETWORK, &["--threads", "2", "--batch", "4"]].concat());
    assert_eq!(once.status.code(), Some(0), "{}", stderr(&once));
    assert_eq!(stdout(&once), stdout(&again));
    let images: Vec<String> = stdout(&once)
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["image"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(images[0], "data/test/cat/0.png");
    assert_eq!(images[4], "data/test/ant/0.png");

    // the head beside the network's file is found, and shows in an explanation
    let explain = ["explain", "data/test/ant/1.png", "--layer", "layer2", "--out", "x"];
    let run = introspect(place, &[&explain[..], &NETWORK].concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert!(stdout(&run).contains("on reflection:"), "{}", stdout(&run));
    let said = &manifest(&place.join("x"))["second_stage"];
    assert_eq!(said["top5"].as_array().unwrap().len(), 3);
    assert!(said["prediction"]["probability"].as_f64().unwrap() > 0.0);

    // on another network it is refused where it is named, before any picture is run, and else passed over
    small_network(&place.join("network.safetensors"), "cifar_resnet34", 3, 3);
    let evaluate = ["evaluate", "--data", "data", "--head", "head.safetensors", "--out", "e2"];
    for command in [&predict[..], &evaluate] {
        let run = introspect(place, &[command, &NETWORK].concat());
        assert_eq!(run.status.code(), Some(2));
        assert!(stderr(&run).contains("belongs to another classifier"), "{}", stderr(&run));
        assert_eq!(stdout(&run), "");
    }
    let explain = ["explain", "data/test/ant/1.png", "--layer", "layer2", "--out", "x2"];
    for command in [&["predict", "data/test/ant"][..], &explain] {
        let run = introspect(place, &[command, &NETWORK].concat());
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        assert!(
            stderr(&run).contains("lies beside the network and is not used"),
            "{}",
            stderr(&run)
        );
        assert!(!stdout(&run).contains("reflection"), "{}", stdout(&run));
    }
}

/// What the batch is scaled with is known after the last picture; each is run, and told, once.
#[test]
fn statistics_of_the_batch_come_from_the_pictures_that_can_be_read() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 4);
    let fit = [
        "fit",
        "--recipe",
        "paper",
        "--data",
        "data",
        "--epochs",
        "2",
        "--hidden",
        "5",
        "--out",
        "head.safetensors",
    ];
    json(&introspect(place, &[&fit[..], &NETWORK, &["--json"]].concat()));
    let predict = ["predict", "data/test/ant", "data/test/bee", "--scaling", "batch"];
    let whole = introspect(place, &[&predict[..], &NETWORK].concat());
    assert_eq!(whole.status.code(), Some(0), "{}", stderr(&whole));
    // an unreadable one more changes nothing for the others
    fs::write(place.join("data/test/ant/9.png"), b"no picture").unwrap();
    let run = introspect(place, &[&predict[..], &NETWORK].concat());
    assert_eq!(run.status.code(), Some(2));
    let (run_lines, others) = (stdout(&run), stdout(&whole));
    let lines: Vec<&str> = run_lines.lines().collect();
    assert!(
        lines[4].contains("data/test/ant/9.png") && lines[4].contains("\"error\""),
        "{}",
        lines[4]
    );
    let told = stderr(&run);
    assert_eq!(told.lines().filter(|line| line.contains("9.png")).count(), 1, "{told}");
    let without: Vec<&str> = lines.iter().copied().filter(|line| !line.contains("9.png")).collect();
    assert_eq!(without, others.lines().collect::<Vec<_>>());
    // and it is another scaling than the training set's
    let train = introspect(place, &[&predict[..3], &NETWORK].concat());
    assert_ne!(stdout(&train).lines().next(), stdout(&whole).lines().next());
}

/// The last of many pictures is a batch of its own; with as many classes its logits took other roundings by the threads.
#[test]
fn a_lone_last_picture_does_not_depend_on_threads() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 4);
    small_network(&place.join("wide.safetensors"), "cifar_resnet18", 300, 3);
    let network = ["--model", "wide.safetensors", "--crop", "32", "--size", "32", "--batch", "2"];
    let with = |threads| {
        let pictures = ["data/test/bee/0.png", "data/test/ant/0.png", "data/test/ant/1.png"];
        let run = introspect(
            place,
            &[&["predict"], &pictures[..], &network, &["--threads", threads]].concat(),
        );
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        stdout(&run)
    };
    let once = with("1");
    assert_eq!(once.lines().count(), 3);
    assert_eq!(once, with("2"));
    assert_eq!(once, with("3"));
}

#[test]
fn features_of_an_interrupted_fit_are_gone_on_with() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 4);
    let flags = [
        "fit",
        "--recipe",
        "paper",
        "--data",
        "data",
        "--epochs",
        "2",
        "--hidden",
        "5",
        "--out",
        "head.safetensors",
    ];
    let fit = |more: &[&str]| introspect(place, &[&flags[..], &NETWORK, more].concat());
    let fresh = json(&fit(&["--json"]));
    // what fails after the pictures were run leaves their features; a single network that diverges leaves no checkpoint
    let diverging = ["--force", "--lr", "1e30", "--without-controls"];
    let run = fit(&diverging);
    assert_eq!(run.status.code(), Some(2), "{}", stderr(&run));
    let part = place.join("head.safetensors.work/features-000000000.safetensors");
    assert!(part.exists());
    fs::remove_file(place.join("head.safetensors")).unwrap();
    // of the same length, so that the data look the same: whoever reads it again leaves it out
    let picture = place.join("data/train/ant/0.png");
    let length = fs::metadata(&picture).unwrap().len();
    fs::write(&picture, vec![0; length as usize]).unwrap();
    let resumed = json(&fit(&["--resume", "--json"]));
    assert_eq!(resumed["about"]["facts"]["left_out"], 0);
    assert_eq!(resumed["kept_accuracy"], fresh["kept_accuracy"]);
    assert_eq!(resumed["about"]["seeds"], fresh["about"]["seeds"]);

    // other pictures are not taken for these
    let run = fit(&diverging);
    assert_eq!(run.status.code(), Some(2));
    photograph(&place.join("data/train/ant/99.png"), 32, 32, 999);
    let run = fit(&["--resume", "--force"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("other pictures"), "{}", stderr(&run));
}

#[test]
fn one_unreadable_picture_costs_its_own_line_only() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 4);
    fs::write(place.join("data/test/ant/1.png"), b"no picture").unwrap();
    let run = introspect(place, &[&["predict", "data/test/ant"][..], &NETWORK].concat());
    assert_eq!(run.status.code(), Some(2));
    let lines: Vec<Value> =
        stdout(&run).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[1]["error"].as_str().unwrap().contains("data/test/ant/1.png"));
    assert!(lines[2]["f"]["confidence"].is_f64());
}

#[test]
fn augmented_copies_are_trained_on_and_saved_as_such() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 4);
    let flags = [
        "fit",
        "--recipe",
        "paper",
        "--data",
        "data",
        "--epochs",
        "2",
        "--hidden",
        "5",
        "--augment",
        "mild",
        "--copies",
        "2",
    ];
    let more = ["--fit-split", "0.25", "--json", "--out", "head.safetensors", "--without-controls"];
    let save = ["--save-features", "features.npz"];
    let fitted = json(&introspect(place, &[&flags[..], &NETWORK, &more, &save].concat()));
    // 6 of 24 kept aside, and none of their copies
    assert_eq!(fitted["about"]["kept"], 6);
    assert_eq!(fitted["about"]["trained_on"], 3 * 18);
    // saved copies say whose they are, so that a fit from the file keeps none aside whose image it trains on
    let features = Features::read(&place.join("features.npz")).unwrap();
    assert_eq!(features.len(), 3 * 24);
    assert_eq!(features.images[..24], (0..24).collect::<Vec<_>>());
    assert_eq!(features.images[24..48], features.images[..24]);
    assert_eq!((features.changes[0].as_str(), features.changes[30].as_str()), ("", "mild"));
    // every row is evaluated once, in whatever order
    let evaluate = ["evaluate", "--features", "features.npz", "--resamples", "20", "--json"];
    let evaluated = |more: &[&str]| json(&introspect(place, &[&evaluate[..], more].concat()));
    let (plain, mixed) = (evaluated(&[]), evaluated(&["--shuffle", "--seed", "3"]));
    assert_eq!((&plain["n"], &mixed["n"]), (&72.into(), &72.into()));
    let nll = |of: &Value| of["methods"][0]["metrics"]["nll"]["value"].as_f64().unwrap();
    assert!((nll(&plain) - nll(&mixed)).abs() < 1e-9);

    let again = [
        "fit",
        "--features",
        "features.npz",
        "--epochs",
        "2",
        "--hidden",
        "5",
        "--without-controls",
    ];
    let more = ["--fit-split", "0.25", "--json", "--out", "again.safetensors"];
    let again = json(&introspect(place, &[&again[..], &more].concat()));
    assert_eq!((&again["about"]["kept"], &again["about"]["trained_on"]), (&6.into(), &54.into()));
}

/// The robust form: stages are read where pictures are, and copies with some corruptions may be left out.
#[test]
fn heads_that_read_activations() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 8, 4);
    let fit = [
        "fit",
        "--recipe",
        "paper",
        "--reads",
        "activations",
        "--scaler",
        "zscore",
        "--epochs",
        "3",
        "--hidden",
        "5",
        "--json",
    ];
    let data = [
        "--data",
        "data",
        "--fit-split",
        "0.25",
        "--corruption",
        "noise,contrast",
        "--copies",
        "2",
    ];
    let out = ["--out", "head.safetensors", "--save-features", "features.npz"];
    let fitted = json(&introspect(place, &[&fit[..], &data, &NETWORK, &out].concat()));
    // means and deviations of 16, 16, 32 and 64 channels
    assert_eq!(fitted["about"]["stages"], 256);
    let changes = fitted["about"]["changes"].as_array().unwrap();
    assert!(changes.iter().any(|change| change == "contrast"), "{changes:?}");
    let features = Features::read(&place.join("features.npz")).unwrap();
    assert_eq!(features.stages.dim(), (72, 256));

    let leave = ["--features", "features.npz", "--leave-out", "noise", "--out", "fold.safetensors"];
    let fold = json(&introspect(place, &[&fit[..], &leave, &["--fit-split", "0.25"]].concat()));
    assert_eq!(fold["about"]["changes"].as_array().unwrap().len(), 1);
    let trained = |of: &Value| of["about"]["trained_on"].as_u64().unwrap();
    assert!(trained(&fold) < trained(&fitted) && trained(&fold) >= 18);
    let leave = ["--features", "features.npz", "--leave-out", "fog", "--out", "x.safetensors"];
    let run = introspect(place, &[&fit[..], &leave].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("--leave-out fog: no row"), "{}", stderr(&run));

    // predictions from pictures, from their features, and in an explanation are the same
    let evaluate = ["evaluate", "--data", "data", "--resamples", "20", "--json", "--out", "e1"];
    let more = ["--head", "head.safetensors", "--save-features", "test.npz"];
    let from_pictures = json(&introspect(place, &[&evaluate[..], &NETWORK, &more].concat()));
    let evaluate =
        ["evaluate", "--features", "test.npz", "--resamples", "20", "--json", "--out", "e2"];
    let from_features =
        json(&introspect(place, &[&evaluate[..], &["--head", "head.safetensors"]].concat()));
    assert_eq!(from_pictures["methods"], from_features["methods"]);
    let predicted = |from: &[&str]| -> Vec<f64> {
        let run = introspect(place, &[&["predict", "--head", "head.safetensors"], from].concat());
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        let lines = stdout(&run);
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["reflection"]["probabilities"][0].as_f64().unwrap()).collect()
    };
    let from_pictures =
        predicted(&[&["data/test/ant", "data/test/bee", "data/test/cat"], &NETWORK[..]].concat());
    let from_features = predicted(&["--features", "test.npz"]);
    assert_eq!(from_pictures.len(), 12);
    for (a, b) in from_pictures.iter().zip(&from_features) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    let explain = ["explain", "data/test/ant/0.png", "--layer", "layer2", "--out", "x"];
    let run = introspect(place, &[&explain[..], &NETWORK].concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let top = manifest(&place.join("x"))["second_stage"]["top5"].as_array().unwrap().clone();
    let first =
        top.iter().find(|class| class["index"] == 0).unwrap()["probability"].as_f64().unwrap();
    assert!((first - from_pictures[0]).abs() < 1e-5, "{first} {}", from_pictures[0]);

    // features without stages do not do
    let bare =
        introspective_reflect::Features { stages: ndarray::Array2::zeros((72, 0)), ..features };
    bare.write(&place.join("bare.npz")).unwrap();
    let run =
        introspect(place, &["predict", "--features", "bare.npz", "--head", "head.safetensors"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("reads 256 pooled activations"), "{}", stderr(&run));
    let run = introspect(
        place,
        &[&fit[..], &["--features", "bare.npz", "--out", "y.safetensors"]].concat(),
    );
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("array `stages`"), "{}", stderr(&run));
}

//! `introspect fit`, `predict` and `evaluate` on files of features, as a stranger would run them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{introspect, json, names, stderr, stdout};
use introspective_data::arrays::{Values, write_npz, write_safetensors};
use introspective_reflect::{Features, LastLayer};
use ndarray::{Array1, Array2};
use serde_json::Value;

const CLASSES: usize = 3;
const WIDTH: usize = 8;

/// Features of classes that overlap: `h` scattered about a centre a class, and a last layer that reads it.
fn features(count: usize, seed: usize) -> Features {
    let mut noise = common::generated::uniform(&format!("features {seed}"));
    let labels: Vec<usize> = (0..count).map(|row| row % CLASSES).collect();
    let h = Array2::from_shape_fn((count, WIDTH), |(row, k)| {
        let centre = if k % CLASSES == labels[row] { 1.0 } else { 0.0 };
        (centre + 2.5 * (noise.next().unwrap() - 0.5)) as f32
    });
    let weight =
        Array2::from_shape_fn((CLASSES, WIDTH), |(i, k)| if k % CLASSES == i { 1.0 } else { 0.0 });
    let last = LastLayer { weight, bias: Array1::from(vec![0.1, 0.0, -0.1]) };
    Features {
        z: last.logits(h.view()),
        stages: Array2::zeros((h.nrows(), 0)),
        own_share: None,
        h,
        labels,
        held_out: Vec::new(),
        images: Vec::new(),
        changes: Vec::new(),
        owner: Default::default(),
        last_layer: Some(last),
        names: Some(["ant", "bee", "cat"].map(str::to_owned).to_vec()),
    }
}

fn written(folder: &Path) {
    features(600, 1).write(&folder.join("train.npz")).unwrap();
    features(300, 2).write(&folder.join("test.safetensors")).unwrap();
}

const FIT: [&str; 9] =
    ["fit", "--features", "train.npz", "--epochs", "12", "--hidden", "10,6", "--fit-batch", "32"];

fn fit(folder: &Path, more: &[&str]) -> std::process::Output {
    introspect(folder, &[&FIT[..], more].concat())
}

#[test]
fn features_are_fitted_evaluated_and_predicted() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    written(place);
    let run = fit(place, &["--out", "head.safetensors", "--seeds", "2", "--json"]);
    let fitted = json(&run);
    assert_eq!(fitted["about"]["classes"], 3);
    assert_eq!(fitted["about"]["trained_on"], 540);
    assert_eq!(fitted["about"]["kept"], 60);
    assert!(stderr(&run).contains("--fit-split 0.1"), "{}", stderr(&run));
    assert_eq!(names(place), ["head.safetensors", "test.safetensors", "train.npz"]);

    let flags = ["evaluate", "--features", "test.safetensors", "--head", "head.safetensors"];
    let more = ["--scaling", "batch", "--resamples", "50", "--json"];
    let result = json(&introspect(place, &[&flags[..], &more].concat()));
    assert_eq!(result["n"], 300);
    let methods: Vec<&str> =
        result["methods"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(
        methods,
        [
            "f",
            "f+temperature",
            "linear-h",
            "mlp-h",
            "mlp-hz",
            "reflection",
            "reflection+temperature",
            "reflection-ensemble",
            "linear-h-batch",
            "mlp-h-batch",
            "mlp-hz-batch",
            "reflection-batch",
            "f-matched"
        ]
    );
    assert_eq!(result["skipped"][0]["name"], "f-batch-norm");
    let (f, reflection) = (&result["methods"][0], &result["methods"][5]);
    assert_eq!(f["seeds"], 1);
    assert_eq!(reflection["seeds"], 2);
    assert!(f.get("minus_f").is_none() || f["minus_f"].is_null());
    for metric in
        ["accuracy", "nll", "brier", "ece", "adaptive_ece", "classwise_ece", "mce", "aurc"]
    {
        for part in ["value", "low", "high"] {
            assert!(f["metrics"][metric][part].is_f64(), "{metric} {part}");
            assert!(reflection["minus_f"][metric][part].is_f64(), "{metric} {part}");
        }
    }
    let contrasts = result["contrasts"].as_array().unwrap();
    let pairs = contrasts.iter().map(|c| {
        let name = |key: &str| c[key].as_str().unwrap().to_owned();
        name("method") + " minus " + &name("minus")
    });
    assert_eq!(
        pairs.collect::<Vec<_>>(),
        [
            "reflection minus linear-h",
            "reflection minus mlp-h",
            "reflection minus mlp-hz",
            "reflection minus f+temperature",
            "reflection-batch minus linear-h-batch",
            "reflection-batch minus mlp-h-batch",
            "reflection-batch minus mlp-hz-batch",
            "reflection-batch minus f-matched"
        ]
    );
    let value = |method: usize| result["methods"][method]["metrics"]["nll"]["value"].as_f64();
    let nll = &contrasts[1]["difference"]["nll"];
    let expected = value(5).unwrap() - value(3).unwrap();
    assert!((nll["value"].as_f64().unwrap() - expected).abs() < 1e-12);
    assert!(nll["low"].as_f64().unwrap() <= nll["high"].as_f64().unwrap());
    assert_eq!(f["metrics"]["ece"]["bins"], 15);
    // the accuracy of f is that of the logits
    let test = features(300, 2);
    let right = test.z.outer_iter().zip(&test.labels).filter(|(z, label)| {
        let best =
            (0..CLASSES).fold(0, |best, class| if z[class] > z[best] { class } else { best });
        best == **label
    });
    let expected = right.count() as f64 / 300.0;
    assert!((f["metrics"]["accuracy"]["value"].as_f64().unwrap() - expected).abs() < 1e-12);
    // a temperature changes no prediction
    assert_eq!(result["methods"][1]["minus_f"]["accuracy"]["value"], 0.0);
    let out = place.join("introspect-evaluation");
    let files =
        ["contrasts.csv", "evaluation.csv", "evaluation.json", "manifest.json", "report.html"];
    assert_eq!(names(&out), files);
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("reflection-batch") && page.contains("f-batch-norm"));
    let stored: Value =
        serde_json::from_slice(&fs::read(out.join("evaluation.json")).unwrap()).unwrap();
    assert_eq!(stored["methods"], result["methods"]);

    let flags = ["predict", "--features", "test.safetensors", "--head", "head.safetensors"];
    let run = introspect(place, &flags);
    let lines: Vec<Value> =
        stdout(&run).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 300);
    let right = lines.iter().zip(&test.labels);
    let right = right.filter(|(line, label)| line["f"]["prediction"] == **label).count();
    assert!((right as f64 / 300.0 - expected).abs() < 1e-12);
    let sum: f64 = lines[0]["reflection"]["probabilities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p.as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-9);
    assert!(["ant", "bee", "cat"].contains(&lines[7]["f"]["class"].as_str().unwrap()));
    let table = stdout(&introspect(place, &[&flags[..], &["--csv"]].concat()));
    assert_eq!(table.lines().count(), 301);
    assert!(table.starts_with("image,f_prediction,f_class,"));
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_threads() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    written(place);
    // the command line is a part of the file, and so has to be the same
    let mut heads = Vec::new();
    for threads in ["1", "2", "3"] {
        let run = Command::new(env!("CARGO_BIN_EXE_introspect"))
            .args([&FIT[..], &["--out", "head.safetensors", "--force"]].concat())
            .env("RAYON_NUM_THREADS", threads)
            .current_dir(place)
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        heads.push(fs::read(place.join("head.safetensors")).unwrap());
    }
    assert!(heads.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_killed_fit_resumes_to_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    features(3000, 1).write(&place.join("train.npz")).unwrap();
    let args = [
        "fit",
        "--features",
        "train.npz",
        "--epochs",
        "400",
        "--hidden",
        "40",
        "--resume",
        "--out",
        "head.safetensors",
    ];
    let alone = introspect(place, &args);
    assert_eq!(alone.status.code(), Some(0), "{}", stderr(&alone));
    let expected = fs::read(place.join("head.safetensors")).unwrap();
    fs::remove_file(place.join("head.safetensors")).unwrap();

    let mut child = Command::new(env!("CARGO_BIN_EXE_introspect"))
        .args(args)
        .current_dir(place)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let work = place.join("head.safetensors.work");
    let begun = Instant::now();
    // killed as soon as there is something to go on with
    while !fs::read_dir(&work).is_ok_and(|mut files| files.next().is_some()) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no checkpoint came");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.join("head.safetensors").exists(), "it was done before it was killed");

    let without: Vec<&str> = args.into_iter().filter(|arg| *arg != "--resume").collect();
    let run = introspect(place, &without);
    assert_eq!(run.status.code(), Some(2));
    assert!(
        stderr(&run).contains("--resume goes on with it, --force begins anew"),
        "{}",
        stderr(&run)
    );
    let run = introspect(place, &args);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert!(fs::read(place.join("head.safetensors")).unwrap() == expected);
    assert!(!work.exists());
}

#[test]
fn diverging_losses_say_where_and_what_to_try() {
    let place = tempfile::tempdir().unwrap();
    written(place.path());
    let run = fit(place.path(), &["--out", "head.safetensors", "--lr", "1e30"]);
    assert_eq!(run.status.code(), Some(2));
    let said = stderr(&run);
    assert!(
        said.contains("the loss is NaN at epoch") || said.contains("the loss is inf at epoch"),
        "{said}"
    );
    assert!(said.contains("try a lower --lr"), "{said}");
    assert!(!place.path().join("head.safetensors").exists());
}

#[test]
fn heads_on_the_wrong_features_and_impossible_scalings_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    written(place);
    let run = fit(place, &["--out", "head.safetensors", "--without-controls"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    // another width
    let mut wide = features(30, 3);
    wide.h = Array2::zeros((30, WIDTH + 1));
    wide.last_layer = None;
    wide.write(&place.join("wide.npz")).unwrap();
    for command in ["predict", "evaluate"] {
        let run =
            introspect(place, &[command, "--features", "wide.npz", "--head", "head.safetensors"]);
        assert_eq!(run.status.code(), Some(2));
        assert!(
            stderr(&run).contains("its features have 8 values, these have 9"),
            "{}",
            stderr(&run)
        );
    }
    let flags = ["predict", "--features", "test.safetensors", "--head", "head.safetensors"];
    let run = introspect(place, &[&flags[..], &["--scaling", "stream"]].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("fit it with --scaler zscore"), "{}", stderr(&run));
    // what an evaluation cannot have goes to skipped, with the reason
    let flags = [
        "evaluate",
        "--features",
        "test.safetensors",
        "--head",
        "head.safetensors",
        "--resamples",
        "20",
        "--json",
    ];
    let result = json(&introspect(place, &[&flags[..], &["--scaling", "stream"]].concat()));
    let skipped: Vec<&str> =
        result["skipped"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert!(skipped.contains(&"linear-h") && skipped.contains(&"reflection-stream"), "{skipped:?}");

    // a head is not overwritten, and a file of weights is none
    let run = fit(place, &["--out", "head.safetensors"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("is there already"), "{}", stderr(&run));
    let run =
        introspect(place, &["predict", "--features", "train.npz", "--head", "test.safetensors"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("test.safetensors"), "{}", stderr(&run));
}

#[test]
fn a_stream_and_a_low_rank_can_be_had() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    written(place);
    let flags = ["--epochs", "150", "--scaler", "zscore", "--rank", "4", "--lr", "0.05"];
    let fit = ["fit", "--features", "train.npz", "--hidden", "10,6", "--fit-batch", "32"];
    let out = ["--out", "head.safetensors"];
    let run = introspect(place, &[&fit[..], &flags, &out].concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let flags = [
        "evaluate",
        "--features",
        "test.safetensors",
        "--head",
        "head.safetensors",
        "--resamples",
        "20",
        "--json",
    ];
    let scaling = ["--scaling", "stream,stream-unguarded,batch"];
    let result = json(&introspect(place, &[&flags[..], &scaling].concat()));
    let accuracy = |name: &str| {
        let methods = result["methods"].as_array().unwrap();
        let method = methods.iter().find(|m| m["name"] == name).unwrap();
        method["metrics"]["accuracy"]["value"].as_f64().unwrap()
    };
    // the test set is drawn as the training set was: scaling by either changes little
    for name in [
        "reflection-stream",
        "f-matched-stream",
        "reflection-stream-unguarded",
        "f-matched-stream-unguarded",
        "f-matched",
        "reflection-batch",
    ] {
        assert!(
            (accuracy(name) - accuracy("f")).abs() < 0.12,
            "{name}: {} {}",
            accuracy(name),
            accuracy("f")
        );
    }
    // another order gives a stream other statistics, and nothing else another value
    let mixed = [&flags[..], &scaling, &["--shuffle"]].concat();
    let mixed = json(&introspect(place, &mixed));
    let nll = |result: &Value, method: usize| {
        result["methods"][method]["metrics"]["nll"]["value"].as_f64().unwrap()
    };
    for (number, method) in result["methods"].as_array().unwrap().iter().enumerate() {
        let change = (nll(&result, number) - nll(&mixed, number)).abs();
        let stream = method["name"].as_str().unwrap().contains("-stream");
        assert_eq!(change > 1e-9, stream, "{} {change}", method["name"]);
    }
    let guard = &result["facts"]["stream_guard"];
    let share = |key: &str| guard[key].as_f64().unwrap();
    // 99 of 300 images come before there are enough, and then the stream is mixed
    assert!((share("few_images") - 0.33).abs() < 1e-12 && share("class_mix") < 0.1, "{guard}");
    assert!(result["notes"].to_string().contains("scored with the training set's instead"));
    assert!(result["notes"].to_string().contains("--shuffle"));
    assert!(!mixed["notes"].to_string().contains("--shuffle"));
}

/// One class alone: the guarded stream is what training statistics give, to the last digit, and says so; the other is not.
#[test]
fn a_stream_of_one_class_is_scored_with_training_statistics() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    written(place);
    let run = fit(place, &["--out", "head.safetensors", "--scaler", "zscore"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let all = features(900, 3);
    let own: Vec<usize> = (0..all.len()).filter(|&row| all.labels[row] == 1).collect();
    assert!(own.len() > 200, "{}", own.len());
    all.select(&own).write(&place.join("one.npz")).unwrap();
    let files = ["--features", "one.npz", "--head", "head.safetensors"];
    let flags = ["--scaling", "stream,stream-unguarded", "--resamples", "20", "--json"];
    let result = json(&introspect(place, &[&["evaluate"][..], &files, &flags].concat()));
    let guard = &result["facts"]["stream_guard"];
    assert_eq!(guard["training_statistics"], 1.0, "{guard}");
    let nll = |name: &str| {
        let methods = result["methods"].as_array().unwrap();
        let method = methods.iter().find(|m| m["name"] == name).unwrap();
        method["metrics"]["nll"]["value"].as_f64().unwrap()
    };
    for (guarded, plain, unguarded) in [
        ("reflection-stream", "reflection", "reflection-stream-unguarded"),
        ("mlp-hz-stream", "mlp-hz", "mlp-hz-stream-unguarded"),
        ("f-matched-stream", "f", "f-matched-stream-unguarded"),
    ] {
        assert_eq!(nll(guarded).to_bits(), nll(plain).to_bits(), "{guarded}");
        assert!(nll(unguarded) > nll(plain) + 0.01, "{unguarded}");
    }
    let lines = |scaling: &str| {
        let run = introspect(place, &[&["predict"][..], &files, &["--scaling", scaling]].concat());
        let out = String::from_utf8(run.stdout).unwrap();
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let (guarded, plain) = (lines("stream"), lines("train"));
    for (number, (guarded, plain)) in guarded.iter().zip(&plain).enumerate() {
        assert_eq!(guarded["reflection"], plain["reflection"]);
        assert_eq!(guarded["stream"], if number < 99 { "few-images" } else { "class-mix" });
        assert!(plain.get("stream").is_none());
    }
}

#[test]
fn features_that_do_not_fit_are_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let Features { h, z, .. } = features(30, 1);
    write_npz(place.join("unlabelled.npz"), &[("h", Values::from(&h)), ("z", Values::from(&z))])
        .unwrap();
    write_safetensors(place.join("h.safetensors"), &[("h", Values::from(&h))]).unwrap();
    let run = introspect(place, &["fit", "--features", "unlabelled.npz", "--out", "x.safetensors"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("it has no `labels`"), "{}", stderr(&run));
    let run = introspect(place, &["fit", "--features", "h.safetensors", "--out", "x.safetensors"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("no `z`, the logits"), "{}", stderr(&run));
    let run = introspect(place, &["fit", "--out", "x.safetensors"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("--data"), "{}", stderr(&run));
    // nothing is left behind
    assert_eq!(names(place), ["h.safetensors", "unlabelled.npz"]);
    // without a head the first stage predicts alone
    let run = introspect(place, &["predict", "--features", "unlabelled.npz"]);
    assert_eq!(run.status.code(), Some(0));
    assert!(stderr(&run).contains("--head names it"), "{}", stderr(&run));
    let line: Value = serde_json::from_str(stdout(&run).lines().next().unwrap()).unwrap();
    assert!(line.get("reflection").is_none() && line["f"]["confidence"].is_f64());
}

//! `introspect corrupt` and `introspect study recognition`, as a stranger would run them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::{
    NETWORK, introspect, json, names, photograph, small_network, stderr, stdout, three_classes,
};
use introspective_corrupt::{Corruption, Severity, corrupt};
use introspective_data::read;
use ndarray::{Array1, Array4, s};
use ndarray_npy::read_npy;
use serde_json::Value;

/// Pictures below a folder, two of one name but for the extension.
fn pictures(place: &Path) {
    for folder in ["in/ant", "in/bee/deep"] {
        fs::create_dir_all(place.join(folder)).unwrap();
    }
    photograph(&place.join("in/ant/0.png"), 40, 24, 1);
    photograph(&place.join("in/bee/deep/1.png"), 32, 32, 2);
    photograph(&place.join("in/bee/deep/2.png"), 32, 32, 3);
    fs::copy(place.join("in/bee/deep/2.png"), place.join("in/bee/deep/2.jpg")).unwrap();
}

#[test]
fn folders_come_out_in_the_layout_of_imagenet_c() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    pictures(place);
    let flags = ["corrupt", "in", "--corruption", "gaussian_noise,fog", "--severity", "5,2"];
    let run = introspect(place, &[&flags[..], &["--out", "out", "--seed", "7"]].concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert_eq!(stdout(&run), "16 files written: out\n");
    assert_eq!(names(&place.join("out")), ["corrupt.json", "fog", "gaussian_noise"]);
    assert_eq!(names(&place.join("out/fog")), ["2", "5"]);
    assert_eq!(names(&place.join("out/fog/5/bee/deep")), ["1.png", "2.jpg.png", "2.png.png"]);
    // the library's bytes: files are numbered as they are found, in order of their names
    let original = read(&place.join("in/bee/deep/1.png")).unwrap().pixels;
    let severity = Severity::new(5).unwrap();
    let expected = corrupt(original.view(), Corruption::GaussianNoise, severity, 7, 1).unwrap();
    let written = place.join("out/gaussian_noise/5/bee/deep/1.png");
    assert_eq!(read(&written).unwrap().pixels, expected);
    assert_eq!(read(&place.join("out/fog/2/ant/0.png")).unwrap().pixels.dim(), (24, 40, 3));

    // again: only what is missing, the same bytes whatever the threads
    let before = fs::read(&written).unwrap();
    fs::remove_file(&written).unwrap();
    let again = [&flags[..], &["--out", "out", "--seed", "7", "--threads", "1"]].concat();
    let run = introspect(place, &again);
    assert_eq!(stdout(&run), "1 files written, 15 were there: out\n");
    assert_eq!(fs::read(&written).unwrap(), before);

    // another seed belongs into another folder
    let run = introspect(place, &[&flags[..], &["--out", "out", "--seed", "8"]].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("another seed"), "{}", stderr(&run));
    let forced = [&flags[..], &["--out", "out", "--seed", "8", "--force"]].concat();
    assert_eq!(stdout(&introspect(place, &forced)), "16 files written: out\n");
    assert_ne!(fs::read(&written).unwrap(), before);
    // and nobody else's folder is filled
    let run = introspect(place, &[&flags[..], &["--out", "in"]].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("not empty"), "{}", stderr(&run));
}

#[test]
fn jpeg_files_and_sheets_can_be_had_and_unreadable_pictures_are_named() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    pictures(place);
    fs::write(place.join("in/ant/broken.png"), b"no picture").unwrap();
    let flags = ["corrupt", "in/ant", "--corruption", "contrast", "--severity", "1"];
    let run = introspect(place, &[&flags[..], &["--out", "out", "--jpeg", "90"]].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("left out") && stderr(&run).contains("broken.png"));
    assert_eq!(names(&place.join("out/contrast/1")), ["0.jpg"]);
    let jpeg = read(&place.join("out/contrast/1/0.jpg")).unwrap();
    assert_eq!((jpeg.info.format.as_str(), jpeg.pixels.dim()), ("jpeg", (24, 40, 3)));

    let sheet = ["corrupt", "in/ant/0.png", "--sheet", "--out", "sheet", "--severity", "1,5"];
    let run = introspect(place, &[&sheet[..], &["--corruption", "extra"]].concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let drawn = read(&place.join("sheet/sheet.png")).unwrap().pixels;
    assert_eq!(drawn.dim(), (4 * 30 + 6, 3 * 46 + 6, 3));
    // the first column is the picture as it is
    let original = read(&place.join("in/ant/0.png")).unwrap().pixels;
    assert_eq!(drawn.slice(s![6..30, 6..46, ..]), original);
    assert_ne!(drawn.slice(s![6..30, 98..138, ..]), original);

    for (flags, expected) in [
        (["--corruption", "mist"], "there is no corruption mist"),
        (["--severity", "6"], "6 is not in 1..=5"),
        (["--jpeg", "0"], "0 is not in 1..=100"),
    ] {
        let run = introspect(place, &[&["corrupt", "in", "--out", "x"][..], &flags].concat());
        assert_eq!(run.status.code(), Some(2));
        assert!(stderr(&run).contains(expected), "{}", stderr(&run));
    }
    assert!(!place.join("x").exists());
}

/// Three CIFAR records: a label, then planes of red, green and blue.
#[test]
fn a_set_comes_out_in_the_layout_of_cifar_10_c() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    let mut bytes = Vec::new();
    for (number, label) in [3u8, 0, 9].into_iter().enumerate() {
        bytes.push(label);
        bytes.extend((0..3072).map(|at| ((at * (number + 2) / 7) % 251) as u8));
    }
    fs::write(place.join("test_batch.bin"), bytes).unwrap();
    let flags = ["corrupt", "test_batch.bin", "--corruption", "shot_noise,pixelate"];
    let run = introspect(place, &[&flags[..], &["--severity", "1,4", "--out", "out"]].concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let expected = ["corrupt.json", "labels.npy", "pixelate.npy", "shot_noise.npy"];
    assert_eq!(names(&place.join("out")), expected);
    let noise: Array4<u8> = read_npy(place.join("out/shot_noise.npy")).unwrap();
    assert_eq!(noise.dim(), (6, 32, 32, 3));
    let labels: Array1<i64> = read_npy(place.join("out/labels.npy")).unwrap();
    assert_eq!(labels.to_vec(), [3, 0, 9, 3, 0, 9]);
    // the second severity of the third image
    let original = ndarray::Array3::from_shape_fn((32, 32, 3), |(y, x, c)| {
        (((c * 1024 + y * 32 + x) * 4 / 7) % 251) as u8
    });
    let severity = Severity::new(4).unwrap();
    let one = corrupt(original.view(), Corruption::ShotNoise, severity, 0, 2).unwrap();
    assert_eq!(noise.slice(s![5, .., .., ..]), one);
    let run = introspect(place, &[&flags[..], &["--severity", "1,4", "--out", "out"]].concat());
    assert!(stdout(&run).contains("2 were there"), "{}", stdout(&run));
}

/// A labelled folder, a network that was never trained, and heads on it.
fn study(place: &Path) {
    three_classes(place, 8, 5);
    for scaler in ["minmax", "zscore"] {
        let out = format!("{scaler}.safetensors");
        let fit = [
            "fit", "--recipe", "paper", "--data", "data", "--epochs", "2", "--hidden", "5",
            "--seeds", "2",
        ];
        let more = ["--scaler", scaler, "--out", &out, "--json"];
        json(&introspect(place, &[&fit[..], &NETWORK, &more].concat()));
    }
}

const STUDY: [&str; 12] = [
    "study",
    "recognition",
    "--data",
    "data",
    "--corruption",
    "fog,speckle_noise",
    "--severity",
    "1,5",
    "--resamples",
    "20",
    "--out",
    "study",
];

fn row<'a>(result: &'a Value, group: &str, method: &str) -> &'a Value {
    let rows = result["rows"].as_array().unwrap();
    rows.iter().find(|row| row["group"] == group && row["method"] == method).unwrap()
}

#[test]
fn a_study_of_two_heads_with_everything() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    study(place);
    let heads = ["--head", "minmax.safetensors", "--head", "zscore.safetensors", "--json"];
    let result = json(&introspect(place, &[&STUDY[..], &NETWORK, &heads].concat()));
    assert_eq!(result["n"], 15);
    let cells = result["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 5);
    assert_eq!(
        (&cells[4]["corruption"], &cells[4]["severity"]),
        (&"speckle_noise".into(), &5.into())
    );
    let rows = result["rows"].as_array().unwrap();
    let groups: BTreeSet<&str> = rows.iter().map(|row| row["group"].as_str().unwrap()).collect();
    let expected = [
        "clean",
        "common",
        "corrupted",
        "extra",
        "fog",
        "noise",
        "severity-1",
        "severity-5",
        "speckle_noise",
        "weather",
    ];
    assert_eq!(groups.into_iter().collect::<Vec<_>>(), expected);
    let methods = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let transductive = methods(&result["transductive"]);
    for method in ["f-batch-norm+temperature", "f-matched", "reflection-batch+temperature@zscore"] {
        assert!(transductive.contains(&method.to_owned()), "{method}: {transductive:?}");
    }
    assert!(!transductive.iter().any(|name| name == "reflection+temperature"));
    // a group's accuracy is the mean of its cells'
    let of_cell = |cell: usize, method: &str| {
        let methods = cells[cell]["methods"].as_array().unwrap();
        let found = methods.iter().find(|m| m["name"] == method).unwrap();
        found["metrics"]["accuracy"]["value"].as_f64().unwrap()
    };
    for method in ["f", "reflection", "mlp-h-batch@zscore"] {
        let mean = (1..5).map(|cell| of_cell(cell, method)).sum::<f64>() / 4.0;
        let own = row(&result, "corrupted", method)["metrics"]["accuracy"]["value"].as_f64();
        assert!((own.unwrap() - mean).abs() < 1e-12, "{method}");
    }
    assert_eq!(
        row(&result, "corrupted", "reflection")["accuracy_of_seeds"].as_array().unwrap().len(),
        2
    );
    let contrasts = result["contrasts"].as_array().unwrap();
    let pair = |method: &str, minus: &str| {
        contrasts.iter().any(|c| c["method"] == method && c["minus"] == minus)
    };
    assert!(pair("reflection", "mlp-h") && pair("reflection-batch@zscore", "f-matched@zscore"));
    assert!(pair("reflection", "f+temperature") && pair("reflection@zscore", "f+temperature"));
    assert!(!pair("reflection", "reflection@zscore") && !pair("reflection@zscore", "mlp-h"));
    assert_eq!(
        names(&place.join("study")),
        ["manifest.json", "report.html", "study.csv", "study.json"]
    );
    let page = fs::read_to_string(place.join("study/report.html")).unwrap();
    assert!(page.contains("speckle_noise") && page.contains("Single images"));
    assert!(!place.join("study.work").exists());
}

/// What is corrupted on the fly is what `corrupt` writes, and a study goes on where it was stopped.
#[test]
fn a_study_resumes_and_corrupts_as_the_command_does() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    study(place);
    let head = ["--head", "minmax.safetensors", "--json", "--without-batch-norm", "--keep"];
    let study = [&STUDY[..], &NETWORK, &head].concat();
    let whole = json(&introspect(place, &study));
    assert_eq!(whole["skipped"][0]["name"], "f-batch-norm");
    // some features are lost: those alone are made again
    let work = place.join("study.work");
    fs::remove_file(work.join("fog-5.safetensors")).unwrap();
    let run = introspect(place, &[&study[..], &["--force", "--resume"]].concat());
    assert_eq!(json(&run)["rows"], whole["rows"]);
    // without a word about the remains nothing is done
    fs::remove_dir_all(place.join("study")).unwrap();
    let run = introspect(place, &study);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("--resume"), "{}", stderr(&run));
    // features of another seed are not taken for these
    let run = introspect(place, &[&study[..], &["--resume", "--seed", "1"]].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("another"), "{}", stderr(&run));

    let run = introspect(
        place,
        &["corrupt", "data/test", "--corruption", "fog", "--severity", "5", "--out", "c"],
    );
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let evaluate = ["evaluate", "--data", "c/fog/5", "--head", "minmax.safetensors", "--json"];
    let more = ["--resamples", "20", "--out", "e"];
    let on_files = json(&introspect(place, &[&evaluate[..], &NETWORK, &more].concat()));
    let accuracy = |value: &Value| value["metrics"]["nll"]["value"].as_f64().unwrap();
    let cell = &whole["cells"][2];
    assert_eq!((&cell["corruption"], &cell["severity"]), (&"fog".into(), &5.into()));
    for method in ["f", "reflection", "mlp-hz"] {
        let named = |value: &Value| {
            let all = value["methods"].as_array().unwrap().clone();
            accuracy(all.iter().find(|m| m["name"] == method).unwrap())
        };
        assert!((named(cell) - named(&on_files)).abs() < 1e-6, "{method}");
    }
    // the same without files
    let flags = ["evaluate", "--data", "data", "--corruption", "fog", "--severity", "5"];
    let more = ["--head", "minmax.safetensors", "--json", "--resamples", "20", "--out", "e2"];
    let on_the_fly = json(&introspect(place, &[&flags[..], &NETWORK, &more].concat()));
    assert_eq!(on_the_fly["methods"], on_files["methods"]);
    assert_eq!(on_the_fly["facts"]["corruption"], "fog 5, seed 0");
    let two = ["evaluate", "--data", "data", "--corruption", "weather", "--severity", "5"];
    let run = introspect(place, &[&two[..], &NETWORK].concat());
    assert!(stderr(&run).contains("give one corruption"), "{}", stderr(&run));
    // a study is of the same images under every condition
    fs::write(place.join("data/test/ant/9.png"), b"no picture").unwrap();
    fs::remove_dir_all(&work).unwrap();
    let run = introspect(place, &study);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("9.png") && stderr(&run).contains("same"), "{}", stderr(&run));
}

/// In the order in which the images are taken, each corruption has its turn.
#[test]
fn a_stream_changes_its_corruption() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    study(place);
    let run = |out: &str, more: &[&str]| {
        let flags = ["evaluate", "--data", "data", "--resamples", "20", "--json", "--force"];
        let save = ["--save-features", out];
        let result = json(&introspect(place, &[&flags[..], &NETWORK, &save, more].concat()));
        let features = introspective_reflect::Features::read(&place.join(out)).unwrap();
        (features, result["facts"]["corruption"].clone())
    };
    let (clean, _) = run("clean.npz", &[]);
    let (fog, _) = run("fog.npz", &["--corruption", "fog", "--severity", "5"]);
    let turns = ["--corruption", "fog,none", "--severity", "5", "--changing", "2"];
    let (changing, fact) = run("changing.npz", &turns);
    assert_eq!(fact, "fog, none 5, changing every 2 images, seed 0");
    // pictures are run in batches, whose rounding differs
    let near = |a: &introspective_reflect::Features, b: &introspective_reflect::Features, row| {
        let pairs = a.h.row(row).into_iter().zip(b.h.row(row)).collect::<Vec<_>>();
        pairs.iter().all(|(a, b)| (*a - *b).abs() < 1e-4)
    };
    let fogged = |features: &introspective_reflect::Features| -> Vec<bool> {
        (0..clean.len())
            .map(|row| {
                let found = (near(features, &fog, row), near(features, &clean, row));
                assert_ne!(found.0, found.1, "row {row}");
                found.0
            })
            .collect()
    };
    assert!(clean.len() > 4);
    let expected: Vec<bool> = (0..clean.len()).map(|row| row / 2 % 2 == 0).collect();
    assert_eq!(fogged(&changing), expected);
    // another order, the same turns
    let (mixed, _) = run("mixed.npz", &[&turns[..], &["--shuffle"]].concat());
    let mixed = fogged(&mixed);
    assert_ne!(mixed, expected);
    let count = |all: &[bool]| all.iter().filter(|&&fog| fog).count();
    assert_eq!(count(&mixed), count(&expected));
    let alone = ["evaluate", "--data", "data", "--changing", "2"];
    let run = introspect(place, &[&alone[..], &NETWORK].concat());
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("--corruption"), "{}", stderr(&run));
}

/// Copies are corrupted, the images as they are are not, and what was drawn from is written down.
#[test]
fn a_head_is_fitted_on_corrupted_copies() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    study(place);
    let fit = [
        "fit",
        "--recipe",
        "paper",
        "--data",
        "data",
        "--epochs",
        "3",
        "--hidden",
        "5",
        "--fit-split",
        "0.25",
    ];
    let run = |out: &str, more: &[&str]| {
        let out = ["--out", out, "--json"];
        json(&introspect(place, &[&fit[..], &NETWORK, &out, more].concat()))
    };
    let plain = run("plain.safetensors", &[]);
    let blur = ["--corruption", "blur,fog", "--severity", "1,2", "--copies", "2"];
    let robust = run("robust.safetensors", &blur);
    let facts = &robust["about"]["facts"];
    assert_eq!((&facts["images"], &facts["copies"]), (&24.into(), &2.into()));
    assert_eq!(facts["corruption"].as_array().unwrap().len(), 12);
    assert_eq!(facts["corruption"][0], "defocus_blur 1");
    assert!(plain["about"]["facts"].get("corruption").is_none());
    // the same images are kept aside, as they are: f does there what it did
    assert_eq!(plain["kept_accuracy"]["f"], robust["kept_accuracy"]["f"]);
    let threads = [&blur[..], &["--threads", "1"]].concat();
    run("again.safetensors", &threads);
    let head = |name: &str| introspective_reflect::Head::read(&place.join(name)).unwrap();
    let (one, two) = (head("robust.safetensors"), head("again.safetensors"));
    assert_eq!(one.statistics.h, two.statistics.h);
    assert_ne!(one.statistics.h, head("plain.safetensors").statistics.h);
}

/// A network without batch normalisation costs that method alone, in an evaluation and in a study.
#[test]
fn a_network_without_batch_normalisation_is_measured_without_it() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    three_classes(place, 1, 3);
    small_network(&place.join("network.safetensors"), "squeezenet1_1", 3, 3);
    let flags = ["--resamples", "20", "--json"];
    let evaluate = ["evaluate", "--data", "data", "--scaling", "batch", "--out", "e"];
    let result = json(&introspect(place, &[&evaluate[..], &NETWORK, &flags].concat()));
    let reason = |result: &Value| {
        let skipped = result["skipped"].as_array().unwrap();
        let found = skipped.iter().find(|skipped| skipped["name"] == "f-batch-norm").unwrap();
        found["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason(&result).contains("batch normalisation"), "{}", reason(&result));
    let result = json(&introspect(place, &[&STUDY[..], &NETWORK, &["--json"]].concat()));
    assert!(reason(&result).contains("batch normalisation"), "{}", reason(&result));
    assert_eq!(result["cells"].as_array().unwrap().len(), 5);
}

/// Every answer that differs is counted, and what is shown can be found again.
#[test]
fn a_study_shows_what_the_second_stage_changed() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    study(place);
    let head = ["--head", "minmax.safetensors", "--json", "--without-batch-norm"];
    let flags = [&STUDY[..], &NETWORK, &head].concat();
    let result = json(&introspect(place, &flags));
    let changed = &result["changed"];
    assert_eq!(changed["method"], "reflection");
    assert_eq!(changed.get("without_maps"), None);

    // the counts, from what `predict` says of the pictures that `corrupt` writes
    let corrupted =
        ["corrupt", "data/test", "--corruption", "fog,speckle_noise", "--severity", "1,5"];
    assert_eq!(
        introspect(place, &[&corrupted[..], &["--out", "c"]].concat()).status.code(),
        Some(0)
    );
    let folders: Vec<String> = ["fog/1", "fog/5", "speckle_noise/1", "speckle_noise/5"]
        .iter()
        .flat_map(|condition| ["ant", "bee", "cat"].map(|class| format!("c/{condition}/{class}")))
        .collect();
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    let predict = [&["predict"], &folders[..], &["--head", "minmax.safetensors"]].concat();
    let run = introspect(place, &[&predict[..], &NETWORK].concat());
    let mut lines: Vec<Value> =
        stdout(&run).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4 * 15);
    let truth = |line: &Value| {
        let path = Path::new(line["image"].as_str().unwrap()).to_owned();
        path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
    };
    let class = |line: &Value, stage: &str| line[stage]["class"].as_str().unwrap().to_owned();
    let wrong_then_right =
        |line: &&Value| class(line, "f") != truth(line) && class(line, "reflection") == truth(line);
    let right_then_wrong =
        |line: &&Value| class(line, "f") == truth(line) && class(line, "reflection") != truth(line);
    let differs = |line: &&Value| class(line, "f") != class(line, "reflection");
    for group in changed["groups"].as_array().unwrap() {
        let part = match group["group"].as_str().unwrap() {
            "corrupted" => "c/".to_owned(),
            "severity-5" => "/5/".to_owned(),
            corruption @ ("fog" | "speckle_noise") => format!("c/{corruption}/"),
            _ => continue,
        };
        let of: Vec<&Value> =
            lines.iter().filter(|line| line["image"].as_str().unwrap().contains(&part)).collect();
        let count = |test: &dyn Fn(&&Value) -> bool| of.iter().filter(|line| test(line)).count();
        assert_eq!(group["answers"], of.len(), "{part}");
        assert_eq!(group["changed"], count(&differs), "{part}");
        assert_eq!(group["mended"], count(&wrong_then_right), "{part}");
        assert_eq!(group["spoiled"], count(&right_then_wrong), "{part}");
    }
    let [mended, spoiled] = [true, false].map(|kind| {
        let all = changed["examples"].as_array().unwrap().iter();
        all.filter(|example| example["mended"] == kind).collect::<Vec<_>>()
    });
    let all = &changed["groups"][0];
    assert_eq!(all["group"], "corrupted");
    assert_eq!(mended.len() as u64, all["mended"].as_u64().unwrap().min(4));
    assert_eq!(spoiled.len() as u64, all["spoiled"].as_u64().unwrap().min(4));
    // a network that was never trained says one class of all pictures, and H another: something changes
    assert!(mended.len() + spoiled.len() > 0, "{changed}");
    lines.retain(|line| differs(&line));
    for example in mended.iter().chain(&spoiled) {
        let (corruption, severity) =
            (&example["condition"]["corruption"], &example["condition"]["severity"]);
        let path = format!(
            "c/{}/{severity}/{}",
            corruption.as_str().unwrap(),
            example["image"].as_str().unwrap()
        );
        let line = lines.iter().find(|line| line["image"] == path[..]).unwrap();
        assert_eq!(example["truth"], truth(line));
        for (stage, ours) in [("f", "first"), ("reflection", "second")] {
            assert_eq!(example[ours]["class"], class(line, stage));
            let p = |value: &Value| value.as_f64().unwrap();
            let shown = p(&example[ours]["probability"]);
            assert!((shown - p(&line[stage]["confidence"])).abs() < 1e-5, "{path}");
        }
    }
    // four pictures each, in the page itself; with the same seed the same ones
    let page = fs::read_to_string(place.join("study/report.html")).unwrap();
    let pictures = page.matches("<img src=\"data:image/png;base64,iVBOR").count();
    assert_eq!(pictures, 4 * (mended.len() + spoiled.len()));
    assert!(page.contains("Why ") && page.contains("rather than"), "no questions");
    let again = json(&introspect(place, &[&flags[..], &["--force"]].concat()));
    assert_eq!(&again["changed"], changed);
    // without a second stage there is nothing to change
    let without =
        json(&introspect(place, &[&STUDY[..], &NETWORK, &["--json", "--force"]].concat()));
    assert_eq!(without.get("changed"), None);
}

//! `introspect explain` as a stranger would run it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::path::Path;

use common::{introspect, manifest, names, photograph, sample, small_network, stderr, stdout};
use ndarray::{Array2, ArrayD};
use ndarray_npy::NpzReader;
use serde_json::Value;

fn array(folder: &Path, name: &str) -> ArrayD<f32> {
    NpzReader::new(fs::File::open(folder.join("maps.npz")).unwrap()).unwrap().by_name(name).unwrap()
}

#[test]
fn without_arguments_the_embedded_photograph_is_explained() {
    let place = tempfile::tempdir().unwrap();
    let run = introspect(place.path(), &["explain"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let out = place.path().join("introspect-out");
    let expected = [
        "manifest.json",
        "maps.npz",
        "panel.png",
        "rather-than-cup.png",
        "report.html",
        "what-if-not.png",
        "why.png",
    ];
    assert_eq!(names(&out), expected);
    assert_eq!(names(place.path()), ["introspect-out"]);
    let text = stdout(&run);
    for part in ["espresso", "Why espresso, rather than cup?", "empty", "panel.png"] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }

    let manifest = manifest(&out);
    assert_eq!(manifest["schema_version"], 1);
    assert_eq!(manifest["image"], "embedded:coffee.png");
    assert_eq!(manifest["model"], "squeezenet1_1");
    assert_eq!(manifest["layer"], "features.12");
    assert_eq!(manifest["prediction"]["index"], 967);
    assert_eq!(manifest["prediction"]["name"], "espresso");
    assert_eq!(manifest["top5"].as_array().unwrap().len(), 5);
    assert_eq!(manifest["logits"].as_array().unwrap().len(), 1000);
    assert_eq!(manifest["weights_sha256"].as_str().unwrap().len(), 64);
    let files: Vec<&str> =
        manifest["files"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    let mut sorted = files.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    let questions = manifest["questions"].as_array().unwrap();
    let asked: Vec<&str> = questions.iter().map(|q| q["question"].as_str().unwrap()).collect();
    assert_eq!(asked, ["why", "what-if-not", "rather-than"]);
    assert_eq!(questions[1]["empty"], true, "nothing speaks against espresso");
    assert_eq!(questions[2]["contrast"]["name"], "cup");
    assert_eq!(questions[2]["form"], "cross-entropy-contrast");
}

/// fixtures/coffee.py: the same picture and weights through PIL, torchvision and autograd.
#[test]
fn the_whole_way_from_png_to_maps_is_pytorchs() {
    let place = tempfile::tempdir().unwrap();
    let picture = sample();
    let run = introspect(place.path(), &["explain", picture.to_str().unwrap()]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let out = place.path().join("introspect-out");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/coffee.npz");
    let mut npz = NpzReader::new(fs::File::open(fixture).unwrap()).unwrap();
    let logits: ArrayD<f32> = npz.by_name("logits").unwrap();
    let found: Vec<f32> = serde_json::from_value(manifest(&out)["logits"].clone()).unwrap();
    let scale = logits.fold(0f32, |m, z| m.max(z.abs()));
    for (found, expected) in found.iter().zip(&logits) {
        assert!((found - expected).abs() <= 1e-4 * scale, "{found} for {expected}");
    }
    for name in ["why", "what_if_not", "rather_than_925"] {
        for suffix in ["", "_display"] {
            let name = format!("{name}{suffix}");
            let expected: ArrayD<f32> = npz.by_name(&name).unwrap();
            let mut found = array(&out, &name);
            if !suffix.is_empty() {
                assert_eq!(found.shape(), [224, 224]);
                found = found.slice(ndarray::s![..;4, ..;4]).to_owned().into_dyn();
            }
            let range = expected.fold(f32::MIN, |m, &v| m.max(v))
                - expected.fold(f32::MAX, |m, &v| m.min(v));
            let worst =
                (&found - &expected).mapv(f32::abs).into_iter().max_by(f32::total_cmp).unwrap();
            assert!(worst <= 1e-3 * range, "{name}: {worst} in a range of {range}");
        }
    }
}

#[test]
fn one_bad_picture_does_not_lose_the_others() {
    let place = tempfile::tempdir().unwrap();
    let pictures = place.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    photograph(&pictures.join("b.png"), 80, 60, 1);
    photograph(&pictures.join("d.png"), 60, 80, 2);
    fs::write(pictures.join("a.jpg"), "this is no picture").unwrap();
    fs::write(pictures.join("c.png"), &fs::read(pictures.join("b.png")).unwrap()[..200]).unwrap();
    fs::write(pictures.join("e.png"), "").unwrap();
    fs::write(pictures.join("notes.txt"), "left alone").unwrap();

    let run = introspect(place.path(), &["explain", "pictures", "--json", "--out", "out"]);
    assert_eq!(run.status.code(), Some(2));
    let lines: Vec<Value> =
        stdout(&run).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let images: Vec<&str> = lines.iter().map(|line| line["image"].as_str().unwrap()).collect();
    assert_eq!(
        images,
        ["pictures/a.jpg", "pictures/b.png", "pictures/c.png", "pictures/d.png", "pictures/e.png"]
    );
    let failed: Vec<bool> = lines.iter().map(|line| line["error"].is_string()).collect();
    assert_eq!(failed, [true, false, true, false, true]);
    assert_eq!(names(&place.path().join("out")), ["b", "d", "manifest.json"]);
    assert_eq!(names(&place.path().join("out/b")).len(), 7);
    let index = manifest(&place.path().join("out"));
    assert_eq!(index["files"], serde_json::json!(["b", "d", "manifest.json"]));
    assert_eq!(index["images"].as_array().unwrap().len(), 5);
}

#[test]
fn when_every_picture_fails_nothing_is_written() {
    let place = tempfile::tempdir().unwrap();
    for name in ["a.png", "b.png"] {
        fs::write(place.path().join(name), "no picture").unwrap();
    }
    for args in
        [&["explain", "a.png", "b.png"][..], &["explain", "a.png"], &["explain", "none.png"]]
    {
        let run = introspect(place.path(), args);
        assert_eq!(run.status.code(), Some(2), "{args:?}");
        assert!(stderr(&run).contains(args[1]), "{}", stderr(&run));
        assert_eq!(names(place.path()), ["a.png", "b.png"]);
    }
    let run = introspect(place.path(), &["explain", "a.png", "--json"]);
    assert_eq!(run.status.code(), Some(2));
    let line: Value = serde_json::from_str(stdout(&run).trim()).unwrap();
    assert_eq!(line["image"], "a.png");
}

#[test]
fn clashing_stems_keep_their_extension() {
    let place = tempfile::tempdir().unwrap();
    for name in ["x.png", "y.png"] {
        photograph(&place.path().join(name), 70, 70, 3);
    }
    fs::copy(place.path().join("x.png"), place.path().join("x.ppm")).unwrap();
    let run = introspect(place.path(), &["explain", "x.png", "x.ppm", "y.png"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let out = place.path().join("introspect-out");
    assert_eq!(names(&out), ["manifest.json", "x.png", "x.ppm", "y"]);
}

#[test]
fn a_named_folder_is_not_overwritten_and_the_default_one_is() {
    let place = tempfile::tempdir().unwrap();
    let ok = |args: &[&str]| {
        let run = introspect(place.path(), args);
        assert_eq!(run.status.code(), Some(0), "{args:?}: {}", stderr(&run));
    };
    ok(&["explain"]);
    ok(&["explain", "--rather-than", "espresso maker"]);
    let default = place.path().join("introspect-out");
    assert!(default.join("rather-than-espresso-maker.png").exists());
    assert!(!default.join("rather-than-cup.png").exists(), "the earlier run is replaced");

    ok(&["explain", "--out", "mine"]);
    fs::write(place.path().join("mine/notes.txt"), "of a person").unwrap();
    let run = introspect(place.path(), &["explain", "--out", "mine"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("--force"), "{}", stderr(&run));
    ok(&["explain", "--out", "mine", "--force", "--rather-than", "968"]);
    assert!(place.path().join("mine/notes.txt").exists());

    fs::write(place.path().join("file"), "").unwrap();
    let run = introspect(place.path(), &["explain", "--out", "file/inside"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("file"), "{}", stderr(&run));
}

#[test]
fn a_failed_run_leaves_the_earlier_one() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(introspect(place.path(), &["explain"]).status.code(), Some(0));
    fs::write(place.path().join("bad.png"), "no").unwrap();
    assert_eq!(introspect(place.path(), &["explain", "bad.png"]).status.code(), Some(2));
    assert_eq!(manifest(&place.path().join("introspect-out"))["image"], "embedded:coffee.png");
}

#[test]
fn bad_words_are_answered_with_better_ones() {
    let place = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &[&str]); 12] = [
        (&["--class", "expresso"], &["--class", "expresso", "967 espresso"]),
        (&["--class", "crane"], &["134 crane", "517 crane"]),
        (&["--class", "1000"], &["out of range", "0 to 999"]),
        (&["--rather-than", "espresso"], &["must differ"]),
        (&["--layer", "features.13"], &["features.13", "nearest", "features.12"]),
        (&["--layer", "classifier.2x"], &["introspect layers"]),
        (&["--model", "resnet5"], &["nearest: resnet5", "introspect models"]),
        (&["--model", "resnet50"], &["--weights"]),
        (&["--weights", "none.safetensors"], &["none.safetensors"]),
        (&["--style", "signed", "--colormap", "jet"], &["diverging"]),
        (&["--preprocess", "squash", "--crop", "10"], &["--crop", "--size"]),
        (&["--size", "100"], &["224", "100"]),
    ];
    for (flags, parts) in cases {
        let run = introspect(place.path(), &[&["explain"], flags].concat());
        assert_eq!(run.status.code(), Some(2), "{flags:?}");
        for part in parts {
            assert!(stderr(&run).contains(part), "{flags:?}: {}", stderr(&run));
        }
        assert!(stdout(&run).is_empty(), "{flags:?}");
        assert!(names(place.path()).is_empty(), "{flags:?} left {:?}", names(place.path()));
    }
}

#[test]
fn weights_that_are_something_else_say_what_and_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let old = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
    let cases: [(&[u8], &[&str]); 6] = [
        (b"version https://git-lfs.github.com/spec/v1\noid", &["Git LFS pointer", "git lfs pull"]),
        (b"<!doctype html>", &["a web page", "download the file again"]),
        (b"\x08\x08\x12\x07pytorch", &["an ONNX file", "with --model"]),
        (b"PK\x03\x04 and no end", &["zip archive is damaged or cut short", "fetch it again"]),
        (b"\x10\0\0\0\0\0\0\0{\"a\"", &["not a valid safetensors file", "fetch it again"]),
        (old, &["net.pth", "cut short", "fetch it again"]),
    ];
    for (bytes, parts) in cases {
        fs::write(place.path().join("net.pth"), bytes).unwrap();
        let run = introspect(place.path(), &["explain", "--weights", "net.pth"]);
        assert_eq!(run.status.code(), Some(2), "{parts:?}");
        for part in parts {
            assert!(stderr(&run).contains(part), "{part}: {}", stderr(&run));
        }
    }
}

#[test]
fn a_fine_tuned_network_brings_its_classes_and_its_architecture() {
    let place = tempfile::tempdir().unwrap();
    small_network(&place.path().join("net.safetensors"), "squeezenet1_1", 3, 3);
    fs::write(place.path().join("names.txt"), "cat\ndog\nfish, Piscis\n").unwrap();
    photograph(&place.path().join("p.png"), 120, 90, 4);
    let flags = ["explain", "p.png", "--weights", "net.safetensors", "--classes", "names.txt"];
    let all = [&flags[..], &["--rather-than", "cat", "--rather-than", "piscis", "--class", "dog"]];
    let run = introspect(place.path(), &all.concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let manifest = manifest(&place.path().join("introspect-out"));
    assert_eq!(manifest["model"], "squeezenet1_1");
    assert_eq!(manifest["top5"].as_array().unwrap().len(), 3);
    let questions = manifest["questions"].as_array().unwrap();
    assert_eq!(questions.len(), 4);
    assert_eq!(questions[2]["map"], "rather_than_0");
    assert_eq!(questions[3]["picture"], "rather-than-fish.png");
    let pairwise = manifest["prediction"]["name"] != "dog";
    let form = if pairwise { "pairwise-contrast" } else { "cross-entropy-contrast" };
    assert_eq!(questions[2]["form"], form);

    let run = introspect(place.path(), &[&flags[..4], &["--model", "resnet18"]].concat());
    assert_eq!(run.status.code(), Some(2));
    let text = stderr(&run);
    assert!(text.contains("missing") && text.contains("would fit squeezenet1_1"), "{text}");
    let run = introspect(place.path(), &[&flags[..4], &["--classes", "imagenet"]].concat());
    assert!(stderr(&run).contains("1000 class names for a network of 3"), "{}", stderr(&run));
}

#[test]
fn a_grey_network_needs_its_mean_and_deviation() {
    let place = tempfile::tempdir().unwrap();
    small_network(&place.path().join("grey.safetensors"), "resnet18", 2, 1);
    photograph(&place.path().join("p.png"), 64, 64, 5);
    let flags =
        ["explain", "p.png", "--weights", "grey.safetensors", "--size", "72", "--crop", "64"];
    let run = introspect(place.path(), &flags);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("--mean"), "{}", stderr(&run));
    let run = introspect(place.path(), &[&flags[..], &["--mean", "0.5", "--std", "0.25"]].concat());
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
}

/// All weights zero: no map has a range, and the output says so instead of drawing noise.
#[test]
fn empty_maps_are_zero_and_reported() {
    let place = tempfile::tempdir().unwrap();
    common::zero_network(&place.path().join("zero.safetensors"));
    photograph(&place.path().join("p.png"), 64, 64, 6);
    let run = introspect(place.path(), &["explain", "p.png", "--weights", "zero.safetensors"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let out = place.path().join("introspect-out");
    for question in manifest(&out)["questions"].as_array().unwrap() {
        assert_eq!(question["empty"], true);
        let map = question["map"].as_str().unwrap();
        assert!(array(&out, &format!("{map}_display")).iter().all(|&v| v == 0.0));
    }
    assert!(stdout(&run).contains("empty: nothing"), "{}", stdout(&run));
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let place = tempfile::tempdir().unwrap();
    for layer in ["features.12", "features_7"] {
        let runs: Vec<Vec<Vec<u8>>> = ["1", "2", "3"]
            .iter()
            .map(|threads| {
                let flags = ["explain", "--threads", threads, "--layer", layer];
                let run = introspect(place.path(), &flags);
                assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
                let out = place.path().join("introspect-out");
                ["maps.npz", "panel.png", "why.png"]
                    .map(|file| fs::read(out.join(file)).unwrap())
                    .to_vec()
            })
            .collect();
        assert!(runs[0] == runs[1] && runs[0] == runs[2], "{layer}");
    }
}

#[test]
fn styles_draw_different_pictures_of_the_same_maps() {
    let place = tempfile::tempdir().unwrap();
    let mut seen: Vec<(Array2<f32>, Vec<u8>)> = Vec::new();
    for style in ["authors", "blend", "signed"] {
        let run = introspect(place.path(), &["explain", "--style", style]);
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        let out = place.path().join("introspect-out");
        let map = array(&out, "why").into_dimensionality().unwrap();
        seen.push((map, fs::read(out.join("why.png")).unwrap()));
    }
    assert!(seen[0].0 == seen[1].0 && seen[0].0 == seen[2].0);
    assert!(seen[0].1 != seen[1].1 && seen[0].1 != seen[2].1 && seen[1].1 != seen[2].1);
}

#[test]
fn the_picture_is_what_the_network_saw_at_the_photographs_resolution() {
    let place = tempfile::tempdir().unwrap();
    photograph(&place.path().join("wide.png"), 1200, 512, 7);
    let size = |flags: &[&str]| {
        let run = introspect(place.path(), &[&["explain", "wide.png"], flags].concat());
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        let picture = fs::read(place.path().join("introspect-out/why.png")).unwrap();
        // a PNG's width and height stand in its first chunk
        let number = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
        (number(16), number(20))
    };
    assert_eq!(size(&[]), (448, 448), "224/256 of the short side");
    assert_eq!(size(&["--preprocess", "squash"]), (768, 328), "at most 768, same shape");
    assert_eq!(size(&["--preprocess", "squash", "--picture-size", "2000"]), (1200, 512));
}

#[test]
fn a_class_that_is_no_class_is_refused_with_the_reason() {
    let place = tempfile::tempdir().unwrap();
    for (class, words) in [
        ("-1", "class -1 is out of range"),
        ("1000", "class 1000 is out of range"),
        ("", "empty word"),
        ("expresso", "espresso"),
    ] {
        for flag in ["--class", "--rather-than"] {
            let run = introspect(place.path(), &["explain", flag, class]);
            assert_eq!(run.status.code(), Some(2));
            assert!(stderr(&run).contains(words), "{}", stderr(&run));
        }
    }
    assert_eq!(names(place.path()), [""; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_stdout_does_not_stop_the_pictures() {
    let place = tempfile::tempdir().unwrap();
    photograph(&place.path().join("a.png"), 40, 40, 1);
    photograph(&place.path().join("b.png"), 40, 40, 2);
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_introspect"))
        .args(["explain", "a.png", "b.png", "--out", "out"])
        .current_dir(place.path())
        .stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("cannot write to standard output"), "{}", stderr(&run));
    assert_eq!(names(&place.path().join("out")), ["a", "b", "manifest.json"]);
}

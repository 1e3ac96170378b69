//! Whole trainings on a set made on the spot: it learns, and comes to the same bytes whatever happens on the way.

use std::fs;
use std::path::{Path, PathBuf};

use introspective_data::{LabelledSet, OpenOptions};
use introspective_network::{Architecture, Interpolation, Method, Opened};

use super::common;
use crate::error::TrainError;
use crate::optimizer::Optimizer;
use crate::pictures::Augmentation;
use crate::robust::Robust;
use crate::run::{Outcome, Plan, Processor, Report, run};
use crate::schedule::Schedule;
use crate::start::Start;
use crate::training::{End, News, Settings};

/// Pictures of 16 x 16: stripes down, stripes across, a plain half; colours and noise tell nothing.
fn pictures(root: &Path, classes: &[&str], each: usize) {
    for (class, name) in classes.iter().enumerate() {
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        for index in 0..each {
            let mut noise = common::uniform(&format!("{name} {index}"));
            let colour: Vec<f64> = noise.by_ref().take(3).map(|u| 60.0 + 120.0 * u).collect();
            let mut bytes = b"P6 16 16 255 ".to_vec();
            for y in 0..16 {
                for x in 0..16 {
                    let lit = match class {
                        0 => x % 4 < 2,
                        1 => y % 4 < 2,
                        _ => y < 8,
                    };
                    let base = if lit { 60.0 } else { 0.0 };
                    for colour in &colour {
                        bytes.push((colour + base + 30.0 * (noise.next().unwrap() - 0.5)) as u8);
                    }
                }
            }
            fs::write(folder.join(format!("{index:03}.ppm")), bytes).unwrap();
        }
    }
}

fn plan(out: PathBuf, epochs: usize) -> Plan {
    Plan {
        start: Start::New { architecture: Architecture::CifarResNet18, channels: 3 },
        method: Method::Torchvision { size: 16, crop: 16, interpolation: Interpolation::Bilinear },
        normal: None,
        held_out: 0.25,
        split_seed: 0,
        settings: Settings {
            epochs,
            batch: 16,
            optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: false },
            learning_rate: 0.05,
            weight_decay: 5e-4,
            schedule: Schedule::OneCycle,
            augmentation: Augmentation::CropFlip,
            robust: Robust::None,
            seed: 7,
        },
        processor: Processor::Cpu,
        out,
        force: false,
        resume: false,
        checkpoint_every: 1,
    }
}

fn set(root: &Path) -> LabelledSet {
    LabelledSet::open(root, OpenOptions::default()).unwrap()
}

fn through(plan: &Plan, set: &LabelledSet) -> Outcome {
    run(plan, set, &mut |_| true).unwrap()
}

/// First the header, which can be read, then all bytes.
fn same_bytes(a: &Path, b: &Path) {
    let [a, b] = [a, b].map(|path| fs::read(path).unwrap());
    let header = |bytes: &[u8]| {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        String::from_utf8(bytes[8..8 + length].to_vec()).unwrap()
    };
    assert_eq!(header(&a), header(&b));
    assert!(a == b, "the weights differ");
}

#[test]
fn it_learns_and_a_stop_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pictures(&data, &["across", "down", "half"], 40);
    let set = set(&data);
    let whole = folder.path().join("whole.safetensors");
    let outcome = through(&plan(whole.clone(), 4), &set);
    assert_eq!(outcome.end, End::Done);
    let last = outcome.history.last().unwrap();
    assert!(last.held_out_accuracy.unwrap() > 0.9, "{:?}", outcome.history);
    assert!(last.loss < 0.5 * outcome.history[0].loss, "{:?}", outcome.history);
    assert!(!folder.path().join("whole.checkpoint.safetensors").exists());

    // the same with one thread, stopped in the third epoch, and gone on with three threads
    let stopped = folder.path().join("stopped.safetensors");
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let mut told = false;
    let first = pool(1).install(|| {
        run(&plan(stopped.clone(), 4), &set, &mut |report| {
            told |= matches!(report, Report::News(News::Step { epoch: 3, step: 2, .. }));
            !told
        })
    });
    let first = first.unwrap();
    assert_eq!((first.end, first.history.len()), (End::Interrupted, 2));
    assert!(!stopped.exists());
    let resumed = Plan { resume: true, ..plan(stopped.clone(), 4) };
    let mut epochs = Vec::new();
    pool(3)
        .install(|| {
            run(&resumed, &set, &mut |report| {
                if let Report::News(News::Epoch(epoch)) = report {
                    epochs.push(epoch.epoch);
                }
                true
            })
        })
        .unwrap();
    assert_eq!(epochs, [3, 4]);
    same_bytes(&whole, &stopped);
    let curve = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(curve("whole.curve.csv"), curve("stopped.curve.csv"));
    assert_eq!(curve("whole.curve.csv").lines().count(), 5);
    // nothing is left to go on from
    assert!(matches!(
        run(&resumed, &set, &mut |_| true),
        Err(TrainError::Exists { checkpoint: false, .. })
    ));

    // what was written is enough to open it
    let opened = Opened::from_path(&whole, None).unwrap();
    assert_eq!(opened.classifier.name(), "cifar_resnet18");
    assert_eq!(opened.classes.unwrap().name(1), "down");
    assert_eq!(opened.preprocessing.unwrap().input_size(), 16);

    fine_tune(folder.path(), opened.classifier.into());
}

/// Two classes instead of three: a new last layer over the old ones.
fn fine_tune(folder: &Path, opened: Opened) {
    let data = folder.join("two");
    pictures(&data, &["across", "down"], 20);
    let set = set(&data);
    let old = opened.classifier.tensors().unwrap();
    let mut plan = Plan {
        start: Start::Trained(Box::new(opened.classifier)),
        ..plan(folder.join("two.safetensors"), 1)
    };
    plan.settings.learning_rate = 1e-6;
    plan.settings.schedule = Schedule::Constant;
    let mut new_head = None;
    run(&plan, &set, &mut |report| {
        if let Report::Begin(begin) = report {
            new_head = Some(begin.new_head);
        }
        true
    })
    .unwrap();
    assert_eq!(new_head, Some(true));
    let new = Opened::from_path(&plan.out, None).unwrap();
    assert_eq!(new.classifier.classes(), 2);
    for ((name, shape, new), (_, _, old)) in new.classifier.tensors().unwrap().iter().zip(&old) {
        if name.starts_with("fc.") {
            assert_eq!(shape[0], 2, "{name}");
        } else if !name.contains("running") {
            let moved = new.iter().zip(old).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(moved < 1e-3, "{name} moved by {moved}");
        }
    }
}

/// Noise and mixtures: stopped in the second epoch with one thread and gone on with three, the bytes are the same; the file
/// says how it was trained.
#[test]
fn robust_trainings_go_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pictures(&data, &["across", "down"], 12);
    let set = set(&data);
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let mixed = Robust::AugMix { width: 2, depth: 3, severity: 3.0, consistency: 12.0 };
    let mut weights = Vec::new();
    for (name, robust) in [("noise", Robust::gaussian_noise()), ("mixed", mixed)] {
        let plan = |file: &str, resume| {
            let mut plan = Plan { resume, ..plan(folder.path().join(file), 2) };
            plan.settings.robust = robust;
            plan
        };
        let [whole, stopped] = ["whole", "stopped"].map(|end| format!("{name}-{end}.safetensors"));
        let outcome = through(&plan(&whole, false), &set);
        for epoch in &outcome.history {
            // three views that have nothing in common give ln 3
            let consistency = epoch.consistency.map(|nats| (1e-6..1.1).contains(&nats));
            assert_eq!(consistency, robust.consistency().map(|_| true), "{epoch:?}");
        }
        let ended = pool(1).install(|| {
            run(&plan(&stopped, false), &set, &mut |report| {
                !matches!(report, Report::News(News::Step { epoch: 2, .. }))
            })
        });
        assert_eq!(ended.unwrap().end, End::Interrupted);
        let mut other = plan(&stopped, true);
        other.settings.robust = Robust::None;
        let error = run(&other, &set, &mut |_| true).unwrap_err().to_string();
        assert!(error.contains("robust was {\"name\":"), "{error}");
        pool(3).install(|| through(&plan(&stopped, true), &set));
        let [whole, stopped] = [whole, stopped].map(|name| folder.path().join(name));
        same_bytes(&whole, &stopped);
        let read = introspective_network::Weights::read(&whole).unwrap();
        let said: serde_json::Value = serde_json::from_str(&read.metadata()["training"]).unwrap();
        assert_eq!(said["settings"]["robust"], serde_json::to_value(robust).unwrap());
        weights.push(Opened::from_path(&whole, None).unwrap().classifier.tensors().unwrap());
    }
    assert!(weights[0] != weights[1]);
}

#[test]
fn other_settings_do_not_go_on_from_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pictures(&data, &["a", "b"], 8);
    let set = set(&data);
    let out = folder.path().join("model.safetensors");
    let stop = |plan: &Plan| {
        run(plan, &set, &mut |report| !matches!(report, Report::News(News::Epoch(_))))
    };
    assert_eq!(stop(&plan(out.clone(), 3)).unwrap().end, End::Interrupted);
    assert!(matches!(
        run(&plan(out.clone(), 3), &set, &mut |_| true),
        Err(TrainError::Exists { checkpoint: true, .. })
    ));
    let mut other = Plan { resume: true, ..plan(out.clone(), 3) };
    other.settings.learning_rate = 0.01;
    let error = run(&other, &set, &mut |_| true).unwrap_err().to_string();
    assert!(error.contains("learning_rate was 0.05 and is now 0.01"), "{error}");
    // a damaged one is no reason to panic
    let checkpoint = folder.path().join("model.checkpoint.safetensors");
    let bytes = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &bytes[..bytes.len() - 100]).unwrap();
    let again = Plan { resume: true, ..plan(out, 3) };
    let error = run(&again, &set, &mut |_| true).unwrap_err();
    assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
}

#[test]
fn a_loss_that_is_no_number_stops_and_keeps_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pictures(&data, &["a", "b"], 16);
    let out = folder.path().join("model.safetensors");
    let mut plan = plan(out.clone(), 3);
    plan.settings.learning_rate = 1e30;
    plan.settings.schedule = Schedule::Constant;
    let error = run(&plan, &set(&data), &mut |_| true).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { epoch: 1, step: 2, .. }), "{error}");
    assert!(error.to_string().contains("epoch 1, step 2"), "{error}");
    assert!(!out.exists());
}

#[test]
fn unreadable_pictures_are_left_out_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pictures(&data, &["a", "b"], 8);
    fs::write(data.join("a/003.ppm"), "no picture").unwrap();
    let out = folder.path().join("model.safetensors");
    let mut names = Vec::new();
    let mut counts = (0, 0);
    run(&plan(out.clone(), 1), &set(&data), &mut |report| {
        match report {
            Report::Unreadable(name, _) => names.push(name.to_owned()),
            Report::Begin(begin) => counts = (begin.trained_on, begin.held_out),
            _ => {}
        }
        true
    })
    .unwrap();
    assert_eq!(names, ["a/003.ppm"]);
    assert_eq!(counts.0 + counts.1, 15);
    let weights = introspective_network::Weights::read(&out).unwrap();
    assert!(weights.metadata()["training"].contains("\"unreadable\":[\"a/003.ppm\"]"));

    for class in ["a", "b"] {
        for file in fs::read_dir(data.join(class)).unwrap() {
            fs::write(file.unwrap().path(), "").unwrap();
        }
    }
    let plan = Plan { force: true, ..plan(out, 1) };
    let error = run(&plan, &set(&data), &mut |_| true).unwrap_err();
    assert!(matches!(error, TrainError::NothingReadable { count: 16, .. }), "{error}");
}

#[test]
fn settings_out_of_range_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pictures(&data, &["a", "b"], 2);
    let set = set(&data);
    let check = |change: &dyn Fn(&mut Plan), what: &str| {
        let mut plan = plan(folder.path().join("model.safetensors"), 1);
        change(&mut plan);
        let error = run(&plan, &set, &mut |_| true).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    check(&|plan| plan.held_out = 1.0, "the share held out is 1");
    check(&|plan| plan.settings.batch = 1, "the batch is 1");
    check(&|plan| plan.settings.learning_rate = f64::NAN, "the learning rate is NaN");
    check(&|plan| plan.settings.weight_decay = -1.0, "the weight decay is -1");
    let noise = |deviation| Robust::GaussianNoise { deviation };
    for deviation in [0.0, -0.1, 1.5, f64::NAN] {
        check(&|plan| plan.settings.robust = noise(deviation), "deviation of the noise is");
    }
    let augmix = |width, depth, severity, consistency| {
        move |plan: &mut Plan| {
            plan.settings.robust = Robust::AugMix { width, depth, severity, consistency };
        }
    };
    check(&augmix(0, 3, 3.0, 12.0), "AugMix's width is 0");
    check(&augmix(3, 0, 3.0, 12.0), "AugMix's depth is 0");
    check(&augmix(3, 3, 11.0, 12.0), "AugMix's severity is 11");
    check(&augmix(3, 3, f64::NAN, 12.0), "AugMix's severity is NaN");
    check(&augmix(3, 3, 3.0, -1.0), "consistency loss is -1");
    let small = Method::Squash { size: 4 };
    check(
        &|plan| {
            plan.start = Start::New { architecture: Architecture::AlexNet, channels: 3 };
            plan.method = small;
        },
        "pictures of 4 x 4 are too small",
    );
}

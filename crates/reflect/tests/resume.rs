//! A fit that is stopped and gone on with, and one that cannot go on.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{bytes, features, fitted, options, quiet};
use introspective_reflect::{
    Features, FitOptions, KeepState, Method, Owner, Progress, ReflectError, Scaler, Schedule, fit,
};

const EPOCHS: usize = 5;

fn state(folder: &Path, every: usize) -> KeepState {
    KeepState { folder: folder.to_owned(), every }
}

fn data() -> (Features, Features) {
    (features(1, 160, 5, 12), features(2, 40, 5, 12))
}

#[test]
fn a_stopped_fit_goes_on_to_the_same_bytes() {
    let (training, kept) = data();
    for rank in [None, Some(2)] {
        let options = FitOptions { rank, seeds: 2, ..options(EPOCHS) };
        let alone =
            bytes(&fit(&training, &kept, &Owner::default(), &options, None, &quiet).unwrap());
        // two seeds of four networks: stopped within, between and at the end of trainings
        for stop in [0, 1, 2, 7, EPOCHS, 3 * EPOCHS + 2, 6 * EPOCHS] {
            let folder = tempfile::tempdir().unwrap();
            let state = state(folder.path(), 2);
            let heard = AtomicUsize::new(0);
            let stopping = |progress: Progress<'_>| {
                let epoch = progress.figures.is_some();
                let count = heard.fetch_add(usize::from(epoch), Ordering::SeqCst);
                if count >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let stopped =
                fit(&training, &kept, &Owner::default(), &options, Some(&state), &stopping);
            assert!(matches!(stopped, Err(ReflectError::Stopped)), "stop {stop}");
            let again = fit(&training, &kept, &Owner::default(), &options, Some(&state), &quiet);
            assert!(
                bytes(&again.unwrap()) == alone,
                "rank {rank:?}, stopped at {stop}: other bytes"
            );
        }
    }
}

/// Epochs that `fit` trained, by seed and method.
fn trained(options: &FitOptions, state: &KeepState) -> BTreeMap<(u64, Method), usize> {
    let (training, kept) = data();
    let epochs = Mutex::new(BTreeMap::new());
    let watch = |progress: Progress<'_>| {
        if progress.figures.is_some() {
            *epochs.lock().unwrap().entry((progress.seed, progress.method)).or_default() += 1;
        }
        ControlFlow::Continue(())
    };
    fit(&training, &kept, &Owner::default(), options, Some(state), &watch).unwrap();
    epochs.into_inner().unwrap()
}

#[test]
fn more_seeds_train_only_the_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(folder.path(), 10);
    let one = FitOptions { seed: 3, controls: false, ..options(EPOCHS) };
    assert_eq!(trained(&one, &state).len(), 1);
    let three = FitOptions { seeds: 3, controls: true, ..one };
    let epochs = trained(&three, &state);
    assert_eq!(epochs.len(), 3 * 4 - 1);
    assert!(epochs.values().all(|&count| count == EPOCHS));
    assert!(!epochs.contains_key(&(3, Method::Reflection)));
    assert!(trained(&FitOptions { seeds: 2, ..three }, &state).is_empty());
}

#[test]
fn checkpoints_of_other_data_or_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(folder.path(), 1);
    let (training, kept) = data();
    let first = FitOptions { controls: false, ..options(EPOCHS) };
    let with = |training: &Features, options: &FitOptions| {
        fit(training, &kept, &Owner::default(), options, Some(&state), &quiet)
    };
    with(&training, &first).unwrap();
    let refused = |training: &Features, options: &FitOptions| match with(training, options) {
        Err(ReflectError::File { reason, .. }) => {
            assert!(reason.contains("other data or settings"), "{reason}")
        }
        other => assert!(other.is_err(), "was gone on with"),
    };
    let changes: [fn(&mut FitOptions); 6] = [
        |o| o.schedule.epochs = EPOCHS + 1,
        |o| o.schedule.learning_rate = 0.05,
        |o| o.schedule.milestones = vec![0.5],
        |o| o.hidden = vec![16, 9],
        |o| o.scaler = Scaler::ZScore,
        |o| o.rank = Some(2),
    ];
    for change in changes {
        let mut options = first.clone();
        change(&mut options);
        refused(&training, &options);
    }
    let mut h = training.clone();
    h.h[[3, 4]] += 0.5;
    let mut z = training.clone();
    z.z[[3, 4]] += 0.5;
    let mut label = training.clone();
    label.labels[7] = (label.labels[7] + 1) % 5;
    for other in [h, z, label] {
        refused(&other, &first);
    }
    // and nothing of that has damaged what is there
    with(&training, &first).unwrap();
}

#[test]
fn damaged_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(folder.path(), 1);
    let options = FitOptions { controls: false, ..options(EPOCHS) };
    fitted(&options, Some(&state)).unwrap();
    let path = folder.path().join("0.reflection.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let epochs = text(&whole).find("introspective_checkpoint\":\"5 ").unwrap()
        + "introspective_checkpoint\":\"".len();
    let later = |byte: u8| {
        let mut bytes = whole.clone();
        bytes[epochs] = byte;
        bytes
    };
    for damaged in [whole[..whole.len() / 2].to_vec(), Vec::new(), later(b'9'), later(b'-')] {
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(fitted(&options, Some(&state)), Err(ReflectError::File { .. })));
    }
}

#[test]
fn a_loss_that_is_no_number_stops_at_once() {
    let schedule = Schedule { learning_rate: 1e30, ..options(EPOCHS).schedule };
    match fitted(&FitOptions { schedule, ..options(EPOCHS) }, None) {
        Err(error @ ReflectError::Diverged { epoch: 1, .. }) => {
            let told = error.to_string();
            assert!(told.contains("learning rate of 1e30;"), "{told}");
            assert!(told.contains("--lr"), "{told}");
        }
        other => assert!(other.is_err(), "came to an end"),
    }
}

/// The rate jumps at the third epoch; what was reached before stays, and can be gone on with.
#[test]
fn earlier_epochs_of_a_diverged_fit_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(folder.path(), 1);
    let schedule = Schedule { milestones: vec![0.4], decay: 1e30, ..options(EPOCHS).schedule };
    let options = FitOptions { schedule, controls: false, ..options(EPOCHS) };
    let diverges = || match fitted(&options, Some(&state)) {
        Err(ReflectError::Diverged { epoch, method, seed, .. }) => {
            assert_eq!((epoch, method.as_str(), seed), (3, "reflection", 0));
            std::fs::read(folder.path().join("0.reflection.safetensors")).unwrap()
        }
        other => panic!("no divergence: {:?}", other.map(|_| ())),
    };
    let first = diverges();
    assert!(String::from_utf8_lossy(&first).contains("introspective_checkpoint\":\"2 "));
    assert!(diverges() == first);
}

/// One network's failure ends the others', and it is what is told.
#[test]
fn a_failure_stops_the_networks_beside_it() {
    let (mut training, kept) = data();
    // H alone overflows: h times z does, h does not
    training.h.mapv_inplace(|h| h * 1e20);
    training.z.mapv_inplace(|z| z * 1e20);
    let options = FitOptions { hidden: vec![16, 8], scaler: Scaler::Identity, ..options(100_000) };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let result = pool.install(|| fit(&training, &kept, &Owner::default(), &options, None, &quiet));
    assert!(matches!(result, Err(ReflectError::Diverged { .. })), "{:?}", result.map(|_| ()));
}

#[test]
fn what_does_not_fit_is_refused() {
    let (training, kept) = data();
    let with = |training: &Features, kept: &Features, options: &FitOptions| {
        fit(training, kept, &Owner::default(), options, None, &quiet).map(|_| ())
    };
    let narrow = features(2, 40, 5, 11);
    assert!(matches!(with(&training, &narrow, &options(1)), Err(ReflectError::Shape { .. })));
    let few = features(2, 40, 4, 12);
    assert!(matches!(with(&training, &few, &options(1)), Err(ReflectError::Shape { .. })));
    let mut unlabelled = training.clone();
    unlabelled.labels.clear();
    assert!(matches!(with(&unlabelled, &kept, &options(1)), Err(ReflectError::TooFew { .. })));
    let mut label = training.clone();
    label.labels[3] = 5;
    assert!(matches!(
        with(&label, &kept, &options(1)),
        Err(ReflectError::Label { row: 3, label: 5, .. })
    ));
    let mut broken = training.clone();
    broken.h[[2, 1]] = f32::NAN;
    let error = with(&broken, &kept, &options(1));
    assert!(matches!(error, Err(ReflectError::NotFinite { what: "h", row: 2, column: 1, .. })));
    let huge = FitOptions { hidden: vec![usize::MAX / 4], ..options(1) };
    assert!(matches!(with(&training, &kept, &huge), Err(ReflectError::Setting { .. })));
    // nothing kept aside is fine, and leaves temperatures at 1
    let nothing = kept.select(&[]);
    let head = fit(&training, &nothing, &Owner::default(), &options(1), None, &quiet).unwrap();
    assert_eq!(head.about.temperature, 1.0);
    assert!(head.about.seeds[0].temperatures.values().all(|&t| t == 1.0));
}

//! The robust form of H: h and pooled activations of the stages in place of gradients.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{features, options, quiet, zscore};
use introspective_reflect::{
    Features, First, FitOptions, Head, Method, Owner, Reads, ReflectError, Scaling, fit,
};
use ndarray::{Array1, Array2, Axis, concatenate, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Features of 3 classes whose h says nothing: only the second column of the stages tells the classes apart.
fn told_by_stages(seed: u64, images: usize) -> Features {
    let mut set = features(seed, images, 3, 4);
    let mut random = ChaCha8Rng::seed_from_u64(seed + 100);
    set.h = Array2::from_shape_simple_fn((images, 4), || random.random_range(0.0..1.0));
    set.z = set.last_layer.as_ref().unwrap().logits(set.h.view());
    set.stages = Array2::from_shape_fn((images, 2), |(image, column)| {
        let class = if column == 1 { 10.0 * set.labels[image] as f32 } else { 500.0 };
        class + random.random_range(-1.0..1.0_f32)
    });
    set
}

fn robust(epochs: usize) -> FitOptions {
    FitOptions { reads: Reads::Activations, ..zscore(options(epochs)) }
}

fn fitted(options: &FitOptions) -> Head {
    let (training, kept) = (told_by_stages(1, 300), told_by_stages(2, 60));
    fit(&training, &kept, &Owner::default(), options, None, &quiet).unwrap()
}

fn right(head: &Head, method: Method, set: &Features) -> f64 {
    let activations = head.activations(set);
    let logits =
        head.logits(method, 0, &head.statistics, activations.view(), set.z.view()).unwrap();
    let largest = |row: ndarray::ArrayView1<'_, f32>| introspective_reflect::largest(row);
    let rows = logits.outer_iter().zip(&set.labels);
    rows.filter(|(row, label)| largest(*row) == **label).count() as f64 / set.len() as f64
}

#[test]
fn h_reads_the_stages_and_its_controls_do_not() {
    let head = fitted(&robust(60));
    let test = told_by_stages(3, 300);
    assert!(right(&head, Method::Reflection, &test) > 0.95);
    for control in [Method::LinearH, Method::MlpH, Method::MlpHz] {
        assert!(right(&head, control, &test) < 0.6, "{control:?}");
    }
    assert_eq!((head.about.features, head.about.stages, head.width()), (4, 2, 6));
}

/// `logits = network(z-scores of [h, stages])`, by the formula.
#[test]
fn logits_are_the_networks_of_z_scores() {
    let head = fitted(&robust(2));
    let (training, test) = (told_by_stages(1, 300), told_by_stages(4, 9));
    let both = |set: &Features| concatenate![Axis(1), set.h, set.stages].mapv(f64::from);
    let all = both(&training);
    let (mean, deviation) = (all.mean_axis(Axis(0)).unwrap(), all.std_axis(Axis(0), 0.0));
    let mut x = ((both(&test) - &mean) / &deviation).mapv(|v| v as f32);
    let network = &head.networks[0][&Method::Reflection];
    let First::Full(first) = &network.first else { panic!("no full layer") };
    let sigmoid = |v: f32| 1.0 / (1.0 + (-v).exp());
    let mut layers = vec![first];
    layers.extend(&network.rest);
    for (index, layer) in layers.iter().enumerate() {
        let bias: &Array1<f32> = &layer.bias;
        x = x.dot(&layer.weight) + bias;
        if index + 1 < layers.len() {
            x.mapv_inplace(sigmoid);
        }
    }
    let logits = head.logits(
        Method::Reflection,
        0,
        &head.statistics,
        head.activations(&test).view(),
        test.z.view(),
    );
    assert!(common::farthest(&logits.unwrap(), &x) < 1e-4);
}

#[test]
fn a_file_gives_it_back() {
    let head = fitted(&robust(1));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("head.safetensors");
    head.write(&path).unwrap();
    assert_eq!(Head::read(&path).unwrap(), head);
    // heads of before know nothing of stages
    let text = serde_json::to_value(&head.about).unwrap();
    let mut old = text.clone();
    for key in ["reads", "stages", "changes"] {
        old.as_object_mut().unwrap().remove(key);
    }
    let old: introspective_reflect::About = serde_json::from_value(old).unwrap();
    assert_eq!((old.reads, old.stages), (Reads::Gradients, 0));
}

#[test]
fn stages_that_are_missing_or_others_are_refused() {
    let (training, kept) = (features(1, 40, 3, 4), features(2, 10, 3, 4));
    let run = |training: &Features, kept: &Features, options: &FitOptions| {
        fit(training, kept, &Owner::default(), options, None, &quiet)
    };
    assert!(matches!(run(&training, &kept, &robust(1)), Err(ReflectError::NoStages)));
    let with = told_by_stages(1, 40);
    let error = run(&with, &kept, &robust(1)).unwrap_err().to_string();
    assert!(error.contains("stages kept aside"), "{error}");
    let low = FitOptions { rank: Some(2), ..robust(1) };
    let error = run(&with, &told_by_stages(2, 10), &low).unwrap_err().to_string();
    assert!(error.contains("rank"), "{error}");
    let head = fitted(&robust(1));
    head.check_fits(None, [4, 2], 3).unwrap();
    let error = head.check_fits(None, [4, 0], 3).unwrap_err().to_string();
    assert!(error.contains("2 pooled activations of the stages, here are 0"), "{error}");
    // one that reads gradients does not mind stages
    let paper = run(&with, &told_by_stages(2, 10), &options(1)).unwrap();
    paper.check_fits(None, [4, 2], 3).unwrap();
    assert_eq!(paper.activations(&with).ncols(), 4);
}

/// Statistics of a batch and of a stream are taken of the stages too.
#[test]
fn other_scalings_include_the_stages() {
    let head = fitted(&robust(40));
    let mut moved = told_by_stages(5, 200);
    moved.stages.slice_mut(s![.., 1]).mapv_inplace(|v| 3.0 * v + 70.0);
    let scored = |scaling| {
        let (a, z) = (head.activations(&moved), moved.z.view());
        let statistics = head.statistics_for(scaling, a.view(), z).unwrap();
        let logits = head.logits(Method::Reflection, 0, &statistics, a.view(), z).unwrap();
        let rows = logits.outer_iter().zip(&moved.labels);
        rows.filter(|(row, label)| introspective_reflect::largest(*row) == **label).count()
    };
    assert!(scored(Scaling::Batch) > 180 && scored(Scaling::Train) < 120);
    let (a, z) = (head.activations(&moved), moved.z.view());
    let mut stream = head.stream(Scaling::StreamUnguarded, None).unwrap();
    let streamed = head.logits_of_stream(Method::Reflection, 0, &mut stream, a.view(), z).unwrap();
    // the last image's statistics are nearly those of all
    assert_eq!(streamed.dim(), (200, 3));
}

/// The same with a second pass: four features more, which tell the classes apart where the stages do not.
fn of_two_passes(seed: u64, images: usize) -> Features {
    let mut set = told_by_stages(seed, images);
    let own = set.h.mapv(|v| v + 0.1);
    set.stages = concatenate![Axis(1), set.stages, own];
    set.own_share = Some(0.1);
    set
}

/// `w ln softmax(z_own / T_f) + (1 - w) ln softmax(z_H / T_H)`, by the formula.
#[test]
fn an_average_is_that_of_the_log_probabilities() {
    let (mut training, mut kept) = (of_two_passes(1, 300), of_two_passes(2, 90));
    // a third of the rows are copies: of the kept ones those that the weight is chosen on
    training.images = (0..200).chain(0..100).collect();
    training.changes = (0..300).map(|row| if row < 200 { "" } else { "fog" }.to_owned()).collect();
    kept.images = (0..60).chain(0..30).collect();
    kept.changes = (0..90).map(|row| if row < 60 { "" } else { "fog" }.to_owned()).collect();
    let kinds = vec![vec!["snow".to_owned()], vec!["frost".to_owned(), "fog".to_owned()]];
    let averaged = FitOptions { blend: true, kinds, ..robust(20) };
    let fitted = |options: &FitOptions| {
        fit(&training, &kept, &Owner::default(), options, None, &quiet).unwrap()
    };
    let (mut head, alone) = (fitted(&averaged), fitted(&robust(20)));
    assert_eq!((head.about.kept, alone.about.kept), (60, 60));
    let before = head.about.seeds[0].before_blend.unwrap();
    assert_eq!(before, alone.about.seeds[0].temperatures[&Method::Reflection]);
    let test = of_two_passes(3, 20);
    let logits = |head: &Head| {
        let a = head.activations(&test);
        head.logits(Method::Reflection, 0, &head.statistics, a.view(), test.z.view()).unwrap()
    };
    let log_softmax = |z: Array2<f32>| {
        let mut z = z.mapv(f64::from);
        for mut row in z.rows_mut() {
            let sum: f64 = row.iter().map(|v| v.exp()).sum();
            row.mapv_inplace(|v| v - sum.ln());
        }
        z
    };
    let blend = head.blend.clone().unwrap();
    let own = log_softmax(blend.last.logits(test.own_h().unwrap()) / blend.temperature);
    let plain = log_softmax(logits(&alone) / before);
    for weight in [0.0, 0.25, 1.0] {
        head.blend.as_mut().unwrap().weight = weight;
        let expected = &own * f64::from(weight) + &plain * f64::from(1.0 - weight);
        let far =
            (logits(&head).mapv(f64::from) - expected).iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        assert!(far < 1e-4, "{weight}: {far}");
    }
    // the stages tell all, of copies that it has not seen as well, so the second pass gets no weight; without copies it is a half
    assert_eq!(blend.weight, 0.0);
    let clean = kept.select(&(0..60).collect::<Vec<_>>());
    let half = fit(&training, &clean, &Owner::default(), &averaged, None, &quiet).unwrap();
    assert_eq!(half.blend.as_ref().unwrap().weight, 0.5);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("head.safetensors");
    half.write(&path).unwrap();
    assert_eq!(Head::read(&path).unwrap(), half);
}

#[test]
fn an_average_needs_a_second_pass() {
    let (training, kept) = (told_by_stages(1, 40), told_by_stages(2, 10));
    let averaged = FitOptions { blend: true, ..robust(1) };
    let run = |training: &Features, kept: &Features, options: &FitOptions| {
        fit(training, kept, &Owner::default(), options, None, &quiet)
    };
    assert!(matches!(run(&training, &kept, &averaged), Err(ReflectError::NoSecondPass)));
    let (training, kept) = (of_two_passes(1, 40), of_two_passes(2, 10));
    let of_gradients = FitOptions { blend: true, ..zscore(options(1)) };
    assert!(matches!(run(&training, &kept, &of_gradients), Err(ReflectError::NoSecondPass)));
    // a head of one pass reads the first of two
    let one = fitted(&robust(1));
    assert_eq!(one.activations(&training).ncols(), 6);
    let two = run(&training, &kept, &averaged).unwrap();
    assert_eq!((two.about.own_share, two.width()), (Some(0.1), 10));
}

/// Whatever bits of the file are changed: it is refused, or what is read can predict.
#[test]
fn changed_bits_do_no_harm() {
    let (training, kept) = (of_two_passes(1, 40), of_two_passes(2, 10));
    let options = FitOptions { blend: true, hidden: vec![4], ..robust(1) };
    let head = fit(&training, &kept, &Owner::default(), &options, None, &quiet).unwrap();
    let file = common::bytes(&head);
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let mut read = 0;
    for round in 0..3000 {
        let mut damaged = file.clone();
        for _ in 0..random.random_range(1..4) {
            // half of the changes are in the header
            let range = if round % 2 == 0 { 4000.min(file.len()) } else { file.len() };
            damaged[random.random_range(0..range)] ^= 1 << random.random_range(0..8);
        }
        if let Ok(head) = Head::from_bytes(&damaged, std::path::Path::new("damaged")) {
            read += 1;
            let a = Array2::from_elem((2, head.width()), 0.5);
            let z = Array2::from_elem((2, head.about.classes), 0.5);
            for method in Method::ALL {
                let logits = head.logits(method, 0, &head.statistics, a.view(), z.view());
                assert!(logits.is_none_or(|logits| logits.dim() == z.dim()));
            }
        }
    }
    assert!(read > 100 && read < 2900, "{read}");
}

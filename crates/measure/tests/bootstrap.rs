//! The intervals of a comparison.
#![allow(missing_docs, clippy::unwrap_used)]

use introspective_measure::{
    CompareOptions, Comparison, Estimate, INTERVAL, Method, Metric, Metrics, Outputs, Resampling,
    Sampled, compare, ece,
};
use ndarray::{Array2, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Logits that favour the right class, more so with a larger hint.
fn problem(
    random: &mut ChaCha8Rng,
    n: usize,
    classes: usize,
    hint: f32,
) -> (Array2<f32>, Vec<usize>) {
    let labels: Vec<usize> = (0..n).map(|_| random.random_range(0..classes)).collect();
    let logits = Array2::from_shape_fn((n, classes), |(row, class)| {
        random.random_range(-3.0..3.0) + if class == labels[row] { hint } else { 0.0 }
    });
    (logits, labels)
}

fn method<'a>(name: &str, seeds: &[&'a Array2<f32>]) -> Method<'a> {
    Method { name: name.to_owned(), seeds: seeds.iter().map(|z| z.view()).collect() }
}

/// Predicts class 0 for every image, so that a label of 0 is a right answer.
fn coin(random: &mut ChaCha8Rng, n: usize, rate: f64) -> (Array2<f32>, Vec<usize>) {
    let labels = (0..n).map(|_| usize::from(!random.random_bool(rate))).collect();
    (Array2::from_shape_fn((n, 2), |(_, class)| if class == 0 { 1.0 } else { 0.0 }), labels)
}

#[test]
fn intervals_cover_a_known_mean_as_often_as_they_say() {
    let mut random = random(1);
    let trials = 300;
    for (level, lowest, highest) in [(0.95, 0.91, 0.985), (0.8, 0.74, 0.86)] {
        let covered = (0..trials).filter(|trial| {
            let (logits, labels) = coin(&mut random, 200, 0.7);
            let options =
                CompareOptions { resamples: 200, seed: *trial, level, ..CompareOptions::default() };
            let comparison = compare(&[method("f", &[&logits])], &labels, &options).unwrap();
            let accuracy = comparison.methods[0].metrics.accuracy;
            accuracy.low <= 0.7 && 0.7 <= accuracy.high
        });
        let share = covered.count() as f64 / trials as f64;
        assert!(share > lowest && share < highest, "{share} at level {level}");
    }
}

#[test]
fn the_interval_of_a_mean_has_the_width_that_theory_gives() {
    let (logits, labels) = coin(&mut random(2), 2000, 0.7);
    let options = CompareOptions { resamples: 4000, ..CompareOptions::default() };
    let comparison = compare(&[method("f", &[&logits])], &labels, &options).unwrap();
    let Estimate { value, low, high, .. } = comparison.methods[0].metrics.accuracy;
    let half = 1.96 * (value * (1.0 - value) / 2000.0).sqrt();
    assert!(((high - low) / (2.0 * half) - 1.0).abs() < 0.05, "{low} {high} {half}");
    assert!((value - low - half).abs() < 0.1 * half && (high - value - half).abs() < 0.1 * half);
}

#[test]
fn a_method_differs_from_itself_by_nothing() {
    let (logits, labels) = problem(&mut random(3), 150, 7, 2.0);
    let methods = [method("f", &[&logits]), method("again", &[&logits])];
    let comparison = compare(&methods, &labels, &CompareOptions::default()).unwrap();
    for (metric, estimate) in comparison.methods[1].minus_f.as_ref().unwrap().iter() {
        let found = (estimate.value, estimate.low, estimate.high);
        assert_eq!(found, (0.0, 0.0, 0.0), "{metric:?}");
        assert!(!estimate.excludes_zero());
    }
    assert_eq!(comparison.methods[0].minus_f, None);
}

#[test]
fn differences_are_paired() {
    // the second is right wherever the first is, and on a few images more
    let (logits, labels) = problem(&mut random(4), 400, 6, 1.5);
    let mut better = logits.clone();
    for image in 0..20 {
        better[(image, labels[image])] += 20.0;
    }
    let methods = [method("f", &[&logits]), method("better", &[&better])];
    let comparison = compare(&methods, &labels, &CompareOptions::default()).unwrap();
    let difference = comparison.methods[1].minus_f.as_ref().unwrap().accuracy;
    let own = comparison.methods[1].metrics.accuracy;
    assert!(difference.excludes_zero() && difference.low > 0.0, "{difference:?}");
    assert!(difference.high - difference.low < 0.6 * (own.high - own.low));
    let f = comparison.methods[0].metrics.accuracy;
    assert!((own.value - f.value - difference.value).abs() < 1e-15);
}

#[test]
fn a_contrast_is_the_difference_that_the_second_as_first_method_would_give() {
    let (f, labels) = problem(&mut random(5), 200, 6, 1.0);
    let (a, _) = problem(&mut random(6), 200, 6, 1.0);
    let (b, _) = problem(&mut random(7), 200, 6, 1.0);
    let options = CompareOptions {
        contrasts: vec![("a".to_owned(), "b".to_owned()), ("a".to_owned(), "f".to_owned())],
        ..CompareOptions::default()
    };
    let methods = [method("f", &[&f]), method("a", &[&a, &b]), method("b", &[&b])];
    let comparison = compare(&methods, &labels, &options).unwrap();
    assert_eq!(comparison.contrasts.len(), 2);
    let (first, second) = (&comparison.contrasts[0], &comparison.contrasts[1]);
    assert_eq!((&first.method[..], &first.minus[..]), ("a", "b"));
    assert_eq!(Some(&second.difference), comparison.methods[1].minus_f.as_ref());
    let turned = [methods[2].clone(), methods[1].clone()];
    let turned = compare(&turned, &labels, &CompareOptions::default()).unwrap();
    assert_eq!(Some(&first.difference), turned.methods[1].minus_f.as_ref());
}

/// The mean over conditions is the mean of each condition's values, resample by resample.
#[test]
fn conditions_are_averaged_before_intervals_are_taken() {
    let (first, labels) = problem(&mut random(8), 120, 6, 1.0);
    let (second, _) = problem(&mut random(9), 120, 6, 1.0);
    let options = CompareOptions { resamples: 50, ..CompareOptions::default() };
    let resampling = Resampling::new(labels.len(), &options).unwrap();
    let sample = |seeds: &[&Array2<f32>]| resampling.sample(&method("f", seeds), &labels).unwrap();
    let (a, b) = (sample(&[&first, &second]), sample(&[&second, &first]));
    let mean = Sampled::mean(&[&a, &b]).unwrap();
    for metric in Metric::ALL {
        let close = |x: f64, y: f64| (x - y).abs() < 1e-12;
        assert!(close(mean.value(metric), (a.value(metric) + b.value(metric)) / 2.0));
        let pairs = a.resampled(metric).zip(b.resampled(metric));
        assert!(mean.resampled(metric).zip(pairs).all(|(m, (x, y))| close(m, (x + y) / 2.0)));
        let seeds = a.of_seeds(metric).zip(b.of_seeds(metric));
        assert!(mean.of_seeds(metric).zip(seeds).all(|(m, (x, y))| close(m, (x + y) / 2.0)));
        // both conditions hold the same two seeds
        assert!(close(mean.value(metric), a.value(metric)));
    }
    // one condition alone is what `compare` gives
    let compared = compare(&[method("f", &[&first, &second])], &labels, &options).unwrap();
    assert_eq!(compared.methods[0].metrics, a.metrics(&resampling));
    assert!(mean.minus(&mean, &resampling).iter().all(|(_, e)| !e.excludes_zero()));
    // what does not belong together has no mean
    assert_eq!(Sampled::mean(&[&a, &sample(&[&first])]), None);
    assert_eq!(Sampled::mean(&[]), None);
    let short = resampling.sample(&method("f", &[&first]), &labels[1..]);
    assert!(short.unwrap_err().to_string().contains("120 images"));
}

#[test]
fn a_value_is_the_mean_over_the_seeds() {
    let mut random = random(5);
    let (first, labels) = problem(&mut random, 200, 8, 2.0);
    let second = first.mapv(|z| z * 3.0);
    let options = CompareOptions { resamples: 50, ..CompareOptions::default() };
    let comparison = compare(&[method("f", &[&first, &second])], &labels, &options).unwrap();
    let of = |z: &Array2<f32>| ece(Outputs::Logits(z.view()), &labels, 15).unwrap();
    let mean = (of(&first) + of(&second)) / 2.0;
    assert!((comparison.methods[0].metrics.ece.value - mean).abs() < 1e-14);
    assert_eq!(comparison.methods[0].seeds, 2);
}

/// Resampling by multiplicities must equal measuring the drawn images themselves, which shows in the interval of a
/// single resample: `[2 v - q, 2 v - q]` with q the resample's value.
#[test]
fn a_resample_is_measured_as_if_its_images_were_a_data_set() {
    use introspective_measure::{adaptive_ece, aurc, brier, classwise_ece, mce, nll};
    for (n, classes) in [(1, 3), (7, 2), (130, 90), (200, 10)] {
        let (logits, labels) = problem(&mut random(6), n, classes, 3.0);
        // a grid, for ties
        let logits = logits.mapv(|z| z.round());
        for seed in 0..5 {
            let options = CompareOptions { resamples: 1, seed, ..CompareOptions::default() };
            let comparison = compare(&[method("f", &[&logits])], &labels, &options).unwrap();
            let metrics = &comparison.methods[0].metrics;

            let mut random = random(seed);
            random.set_stream(0);
            let drawn: Vec<usize> =
                (0..n).map(|_| random.random_range(0..n as u64) as usize).collect();
            let z = logits.select(Axis(0), &drawn);
            let y: Vec<usize> = drawn.iter().map(|image| labels[*image]).collect();
            let outputs = Outputs::Logits(z.view());
            let check = |estimate: &Estimate, expected: f64| {
                let found = 2.0 * estimate.value - estimate.low;
                assert_eq!(estimate.low, estimate.high);
                assert!((found - expected).abs() < 1e-12, "{n} {classes} {found} {expected}");
            };
            check(&metrics.nll, nll(outputs, &y).unwrap());
            check(&metrics.brier, brier(outputs, &y).unwrap());
            check(&metrics.ece, ece(outputs, &y, 15).unwrap());
            check(&metrics.adaptive_ece, adaptive_ece(outputs, &y, 15).unwrap());
            check(&metrics.classwise_ece, classwise_ece(outputs, &y, 15).unwrap());
            check(&metrics.mce, mce(outputs, &y, 15).unwrap());
            check(&metrics.aurc, aurc(outputs, &y).unwrap());
        }
    }
}

fn example(threads: usize, seed: u64) -> Comparison {
    let (logits, labels) = problem(&mut random(7), 300, 70, 3.0);
    let hotter = logits.mapv(|z| z / 2.0);
    let methods = [method("f", &[&logits]), method("f+temperature", &[&hotter, &logits])];
    let options = CompareOptions { resamples: 100, seed, ..CompareOptions::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| compare(&methods, &labels, &options).unwrap())
}

#[test]
fn same_seed_same_bytes_whatever_the_threads() {
    let text = |threads, seed| serde_json::to_string(&example(threads, seed)).unwrap();
    assert_eq!(text(1, 0), text(2, 0));
    assert_eq!(text(1, 0), text(3, 0));
    assert_ne!(text(1, 0), text(1, 1));
}

#[test]
fn the_json_has_the_promised_form() {
    let comparison = example(2, 9);
    let json = serde_json::to_value(&comparison).unwrap();
    let keys = |value: &serde_json::Value| {
        value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys(&json), "n resamples level seed interval methods");
    assert_eq!((json["n"].as_u64(), json["resamples"].as_u64()), (Some(300), Some(100)));
    assert_eq!((json["seed"].as_u64(), json["level"].as_f64()), (Some(9), Some(0.95)));
    assert_eq!(json["interval"], INTERVAL);
    let (f, other) = (&json["methods"][0], &json["methods"][1]);
    assert_eq!(keys(f), "name seeds metrics");
    assert_eq!(keys(other), "name seeds metrics minus_f");
    assert_eq!((f["name"].as_str(), other["seeds"].as_u64()), (Some("f"), Some(2)));
    let all = "accuracy top5 nll brier ece adaptive_ece classwise_ece mce aurc";
    for metrics in [&f["metrics"], &other["metrics"], &other["minus_f"]] {
        assert_eq!(keys(metrics), all);
        assert_eq!(keys(&metrics["accuracy"]), "value low high");
        for (key, norm) in
            [("ece", "l1"), ("adaptive_ece", "l1"), ("classwise_ece", "l1"), ("mce", "max")]
        {
            assert_eq!(keys(&metrics[key]), "value low high bins norm");
            assert_eq!(
                (metrics[key]["bins"].as_u64(), &metrics[key]["norm"]),
                (Some(15), &norm.into())
            );
        }
    }
    let text = serde_json::to_string(&comparison).unwrap();
    let back: Comparison = serde_json::from_str(&text).unwrap();
    assert_eq!((&back.interval, back.n), (&comparison.interval, 300));
    for (back, method) in back.methods.iter().zip(&comparison.methods) {
        assert_eq!((&back.name, back.seeds), (&method.name, method.seeds));
        let pairs = back.minus_f.iter().zip(&method.minus_f);
        for (back, metrics) in pairs.chain([(&back.metrics, &method.metrics)]) {
            assert_eq!(back.iter().count(), 9);
            for ((_, a), (metric, b)) in back.iter().zip(metrics.iter()) {
                // serde_json reads numbers to the last bit but one
                let near = |a: f64, b: f64| (a - b).abs() < 1e-14;
                assert!(near(a.value, b.value) && near(a.low, b.low), "{metric:?}");
                assert!(near(a.high, b.high) && (a.bins, a.norm) == (b.bins, b.norm), "{metric:?}");
            }
        }
    }
}

#[test]
fn five_classes_have_no_top_five() {
    for (classes, there) in [(5, false), (6, true)] {
        let (logits, labels) = problem(&mut random(8), 40, classes, 1.0);
        let options = CompareOptions { resamples: 5, ..CompareOptions::default() };
        let comparison = compare(&[method("f", &[&logits])], &labels, &options).unwrap();
        let metrics: &Metrics = &comparison.methods[0].metrics;
        assert_eq!(metrics.top5.is_some(), there);
        assert_eq!(metrics.get(Metric::Top5).is_some(), there);
        assert_eq!(serde_json::to_string(metrics).unwrap().contains("top5"), there);
    }
}

#[test]
fn one_image_and_hopeless_logits_give_finite_numbers() {
    for (logits, label) in [
        (Array2::from_elem((1, 1), 3.0f32), 0),
        (Array2::from_elem((1, 2), 0.0), 1),
        (ndarray::array![[f32::MAX, f32::MIN]], 1),
    ] {
        let options = CompareOptions { resamples: 10, ..CompareOptions::default() };
        let methods = [method("f", &[&logits]), method("g", &[&logits])];
        let comparison = compare(&methods, &[label], &options).unwrap();
        for metrics in
            [Some(&comparison.methods[0].metrics), comparison.methods[1].minus_f.as_ref()]
        {
            for (metric, e) in metrics.unwrap().iter() {
                assert!([e.value, e.low, e.high].iter().all(|v| v.is_finite()), "{metric:?}");
            }
        }
    }
}

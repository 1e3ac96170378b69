//! Streams: running statistics by their definition, and what the guard makes of them.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::ops::ControlFlow;

use common::{bytes, farthest, options, zscore};
use introspective_reflect::{
    Columns, Features, FitOptions, GUARD_IMAGES, GUARD_WINDOW, Head, LastLayer, Method,
    OfGradients, Owner, STREAM_WEIGHT, STREAM_WINDOW, Scaling, Stream, Verdict, fit, largest,
    probabilities,
};
use ndarray::{Array2, ArrayView2, Axis, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Five classes around centres of 12 features, equally often, and a last layer that knows the centres.
fn features(seed: u64, count: usize) -> Features {
    let mut centres = ChaCha8Rng::seed_from_u64(7);
    let centres = Array2::from_shape_simple_fn((5, 12), || centres.random_range(0.0..2.0_f32));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<usize> = (0..count).map(|_| random.random_range(0..5)).collect();
    let h = Array2::from_shape_fn((count, 12), |(image, k)| {
        centres[[labels[image], k]] + random.random_range(-1.5..1.5_f32)
    });
    let bias = centres.mapv(|c| -0.5 * c * c).sum_axis(Axis(1));
    let last = LastLayer { weight: centres, bias };
    let mut features = Features::new(h.clone(), last.logits(h.view())).unwrap();
    features.labels = labels;
    features.last_layer = Some(last);
    features
}

fn head(rank: Option<usize>) -> Head {
    let options = FitOptions { rank, ..zscore(options(150)) };
    let watch = |_: introspective_reflect::Progress<'_>| ControlFlow::Continue(());
    fit(&features(1, 800), &features(2, 100), &Owner::default(), &options, None, &watch).unwrap()
}

fn row(features: &Features, row: usize) -> (ArrayView2<'_, f32>, ArrayView2<'_, f32>) {
    (features.h.slice(s![row..=row, ..]), features.z.slice(s![row..=row, ..]))
}

fn verdicts(stream: &mut Stream, features: &Features) -> Vec<Verdict> {
    let next = |index| {
        let (h, z) = row(features, index);
        stream.next(h, z).verdict
    };
    (0..features.len()).map(next).collect()
}

/// The images of some classes alone.
fn of_classes(all: &Features, classes: std::ops::Range<usize>) -> Features {
    let rows: Vec<usize> =
        (0..all.len()).filter(|&row| classes.contains(&all.labels[row])).collect();
    all.select(&rows)
}

/// As if another camera had taken the pictures: every feature shifted and scaled, logits by the last layer.
fn shifted(features: &Features) -> Features {
    let mut moved = features.clone();
    moved.h = Array2::from_shape_fn(features.h.dim(), |(n, k)| {
        features.h[[n, k]] * (0.5 + 0.05 * k as f32) + if k % 2 == 0 { 1.0 } else { 0.1 }
    });
    moved.z = moved.last_layer.as_ref().unwrap().logits(moved.h.view());
    moved
}

fn accuracy(logits: &Array2<f32>, labels: &[usize]) -> f64 {
    let right = logits.rows().into_iter().zip(labels).filter(|(z, label)| largest(*z) == **label);
    right.count() as f64 / labels.len() as f64
}

/// Mean and deviation of a column of values, the last one newest, begun with a mean and deviation, by their definition.
fn by_definition(values: &[f64], fade: f64, start: (f64, f64)) -> (f64, f64) {
    let n = values.len() as i32;
    let mut weights = vec![STREAM_WEIGHT * fade.powi(n)];
    weights.extend((1..=n).map(|index| fade.powi(n - index)));
    let total: f64 = weights.iter().sum();
    let mean = weights[0] * start.0
        + values.iter().zip(&weights[1..]).map(|(value, weight)| value * weight).sum::<f64>();
    let mean = mean / total;
    let spread = weights[0] * (start.1.powi(2) + (start.0 - mean).powi(2))
        + values.iter().zip(&weights[1..]).map(|(v, w)| w * (v - mean).powi(2)).sum::<f64>();
    (mean, (spread / total).sqrt())
}

#[test]
fn running_statistics_are_weighted_means_by_their_definition() {
    for rank in [None, Some(2)] {
        let head = head(rank);
        let images = features(3, 400);
        let last = images.last_layer.as_ref();
        for (scaling, fade) in
            [(Scaling::StreamUnguarded, 1.0), (Scaling::Stream, 1.0 - 1.0 / STREAM_WINDOW)]
        {
            let mut stream = head.stream(scaling, last).unwrap();
            let mut compared = 0;
            for index in 0..images.len() {
                let (h, z) = row(&images, index);
                let next = stream.next(h, z);
                if next.verdict != Verdict::Mixed || ![0, 150, 399].contains(&index) {
                    continue;
                }
                compared += 1;
                let g = head.about.question.gradients(images.z.slice(s![..=index, ..]));
                let check = |found: &Columns,
                             start: &Columns,
                             value: &dyn Fn(usize, usize) -> f32| {
                    for column in 0..found.len() {
                        let values: Vec<f64> =
                            (0..=index).map(|row| f64::from(value(row, column))).collect();
                        let from = (f64::from(start.low[column]), f64::from(start.high[column]));
                        let (mean, deviation) = by_definition(&values, fade, from);
                        assert!((f64::from(found.low[column]) - mean).abs() < 1e-5);
                        assert!((f64::from(found.high[column]) - deviation).abs() < 1e-5);
                    }
                };
                let (found, start) = (&next.statistics, &head.statistics);
                check(&found.h, &start.h, &|row, k| images.h[[row, k]]);
                check(&found.z, &start.z, &|row, k| images.z[[row, k]]);
                match (&found.gradients, &start.gradients) {
                    (OfGradients::Products(found), OfGradients::Products(start)) => {
                        check(found, start, &|row, c| g[[row, c / 12]] * images.h[[row, c % 12]]);
                    }
                    (OfGradients::Pair(found, _), OfGradients::Pair(start, _)) => {
                        check(found, start, &|row, k| g[[row, k]]);
                    }
                    _ => unreachable!(),
                }
            }
            assert_eq!(compared, if scaling == Scaling::Stream { 2 } else { 3 });
        }
    }
}

/// The effective share of classes, written down once more in the plainest way.
#[test]
fn the_guards_share_is_that_of_its_definition() {
    let head = head(None);
    let images = shifted(&features(4, 300));
    let last = images.last_layer.clone().unwrap();
    let mut guard = head.guard(Some(&last));
    let (start, fade) = (&head.statistics.h, 1.0 - 1.0 / GUARD_WINDOW);
    let mut shares = Vec::new();
    let mut sum = [0.0; 5];
    for index in 0..images.len() {
        let (h, z) = row(&images, index);
        guard.next(h, z);
        // the training statistics keep their weight
        let weights: Vec<f64> = (0..=index).map(|row| fade.powi((index - row) as i32)).collect();
        let total = STREAM_WEIGHT + weights.iter().sum::<f64>();
        let matched = Array2::from_shape_fn((1, 12), |(_, k)| {
            let (m0, d0) = (f64::from(start.low[k]), f64::from(start.high[k]));
            let of = |power: i32| {
                let column = images.h.column(k);
                let values = column.iter().map(|&v| f64::from(v).powi(power));
                values.zip(&weights).map(|(value, weight)| value * weight).sum::<f64>()
            };
            let mean = (STREAM_WEIGHT * m0 + of(1)) / total;
            let square = (STREAM_WEIGHT * (d0 * d0 + m0 * m0) + of(2)) / total;
            let deviation = (square - mean * mean).sqrt();
            ((f64::from(h[[0, k]]) - mean) / deviation * d0 + m0) as f32
        });
        let p = probabilities(last.logits(matched.view()).row(0));
        for (sum, p) in sum.iter_mut().zip(p) {
            *sum = *sum * fade + p;
        }
        let weight: f64 = weights.iter().sum();
        let squares: f64 = weights.iter().map(|w| w * w).sum();
        let training = head.about.mean_probabilities.as_ref().unwrap();
        let divergence: f64 = sum
            .iter()
            .zip(training)
            .map(|(q, s)| q / weight * (q / weight / f64::from(*s)).ln())
            .sum();
        let expected = (4.0 / (2.0 * weight * weight / squares) - divergence).min(0.0).exp();
        assert!((guard.share() - expected).abs() < 1e-4, "{index}: {} {expected}", guard.share());
        shares.push(expected);
    }
    assert!(shares.iter().any(|&share| share < 0.999), "{shares:?}");
}

#[test]
fn few_images_and_few_classes_are_scored_exactly_as_by_training_statistics() {
    let all = features(5, 1500);
    let last = all.last_layer.clone().unwrap();
    for rank in [None, Some(2)] {
        let head = head(rank);
        for last in [Some(&last), None] {
            let few = all.select(&(0..GUARD_IMAGES as usize - 1).collect::<Vec<_>>());
            for images in [few, of_classes(&all, 2..3), shifted(&of_classes(&all, 4..5))] {
                let (h, z) = (images.h.view(), images.z.view());
                for method in Method::ALL {
                    let mut stream = head.stream(Scaling::Stream, last).unwrap();
                    let streamed = head.logits_of_stream(method, 0, &mut stream, h, z).unwrap();
                    for index in 0..images.len() {
                        let (h, z) = row(&images, index);
                        let by_training = head.logits(method, 0, &head.statistics, h, z).unwrap();
                        assert_eq!(by_training.row(0), streamed.row(index), "{method:?} {index}");
                    }
                }
                let mut stream = head.stream(Scaling::Stream, last).unwrap();
                let found = verdicts(&mut stream, &images);
                for (index, verdict) in found.into_iter().enumerate() {
                    let few = index + 1 < GUARD_IMAGES as usize;
                    let expected = if few { Verdict::FewImages } else { Verdict::ClassMix };
                    assert_eq!(verdict, expected, "{index}");
                }
            }
        }
    }
}

#[test]
fn a_mixed_stream_from_elsewhere_is_brought_back() {
    let head = head(None);
    let images = shifted(&features(6, 1500));
    let (h, z) = (images.h.view(), images.z.view());
    let last = images.last_layer.as_ref().unwrap();
    let stream = || head.stream(Scaling::Stream, Some(last)).unwrap();
    for method in [Method::LinearH, Method::Reflection] {
        let plain = head.logits(method, 0, &head.statistics, h, z).unwrap();
        let streamed = head.logits_of_stream(method, 0, &mut stream(), h, z).unwrap();
        let before = accuracy(&plain, &images.labels);
        let after = accuracy(&streamed, &images.labels);
        assert!(after > before + 0.05, "{method:?}: {before} {after}");
    }
    let found = verdicts(&mut stream(), &images);
    let mixed = found.iter().filter(|v| **v == Verdict::Mixed).count();
    assert!(mixed > 1000, "{mixed}");
    let mut running = stream();
    let mut matched = Array2::zeros(z.dim());
    for index in 0..images.len() {
        let (h, z) = row(&images, index);
        let statistics = running.next(h, z).statistics;
        matched.row_mut(index).assign(&head.matched(last, &statistics, h).row(0));
    }
    let (before, after) = (accuracy(&images.z, &images.labels), accuracy(&matched, &images.labels));
    assert!(after > before + 0.1, "f: {before} {after}");
}

/// A stream that is mixed, then of one class, then mixed again: the guard follows.
#[test]
fn the_guard_follows_a_stream_that_changes() {
    let head = head(None);
    let (mixed, all) = (features(7, 1000), features(8, 2500));
    let one = of_classes(&all, 0..1);
    let mut stream = head.stream(Scaling::Stream, mixed.last_layer.as_ref()).unwrap();
    let count = |found: &[Verdict], wanted: Verdict| found.iter().filter(|v| **v == wanted).count();
    let first = verdicts(&mut stream, &mixed);
    assert_eq!(count(&first, Verdict::ClassMix), 0);
    let second = verdicts(&mut stream, &one);
    let missed = count(&second, Verdict::Mixed);
    assert!(second.len() > 400 && missed < 400, "{missed} of {}", second.len());
    assert!(second[missed..].iter().all(|&verdict| verdict == Verdict::ClassMix));
    let third = verdicts(&mut stream, &features(9, 3000));
    assert!(third[2000..].iter().all(|&verdict| verdict == Verdict::Mixed));
}

#[test]
fn nothing_depends_on_later_images_or_on_threads() {
    let head = head(None);
    let images = features(10, 500);
    let logits = |images: &Features, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut stream = head.stream(Scaling::Stream, images.last_layer.as_ref()).unwrap();
            let (h, z) = (images.h.view(), images.z.view());
            head.logits_of_stream(Method::Reflection, 0, &mut stream, h, z).unwrap()
        })
    };
    let whole = logits(&images, 1);
    assert_eq!(whole, logits(&images, 3));
    let part = images.select(&(0..230).collect::<Vec<_>>());
    assert_eq!(whole.slice(s![..230, ..]), logits(&part, 2));
    // and those behind the minimum are not the training set's
    let (h, z) = (images.h.view(), images.z.view());
    let plain = head.logits(Method::Reflection, 0, &head.statistics, h, z).unwrap();
    assert!(farthest(&plain, &whole) > 1e-3);
}

/// A training set without balance is the measure: the same classes in the same shares are mixed, equal shares are not.
#[test]
fn mixed_means_as_in_training() {
    let mut head = head(None);
    let all = features(11, 4000);
    let mut counts = [0; 5];
    let rare: Vec<usize> = (0..all.len())
        .filter(|&row| {
            let count = &mut counts[all.labels[row]];
            *count += 1;
            all.labels[row] < 3 || *count % 8 == 0
        })
        .collect();
    let rare = all.select(&rare);
    let (h, z) = (rare.h.view(), rare.z.view());
    head.statistics = head.statistics_for(Scaling::Batch, h, z).unwrap();
    let p = rare.z.rows().into_iter().map(probabilities).collect::<Vec<_>>();
    let mean = |class: usize| p.iter().map(|p| p[class]).sum::<f64>() / rare.len() as f64;
    let mean: Vec<f32> = (0..5).map(|class| mean(class) as f32).collect();
    let balanced = head.about.mean_probabilities.replace(mean);
    let safe = |head: &Head, features: &Features| {
        let mut stream = head.stream(Scaling::Stream, features.last_layer.as_ref()).unwrap();
        let found = verdicts(&mut stream, features);
        found.iter().filter(|v| **v == Verdict::Mixed).count() as f64 / found.len() as f64
    };
    assert!(safe(&head, &rare) > 0.9);
    head.about.mean_probabilities = balanced;
    assert!(safe(&head, &rare) < 0.2);
}

#[test]
fn what_is_not_finite_is_not_taken_in() {
    let head = head(None);
    let mut images = features(12, 300);
    images.h[[40, 3]] = f32::NAN;
    images.z[[150, 2]] = f32::INFINITY;
    let last = images.last_layer.clone();
    let mut stream = head.stream(Scaling::Stream, last.as_ref()).unwrap();
    let found = verdicts(&mut stream, &images);
    for (index, verdict) in found.iter().enumerate() {
        assert_eq!(*verdict == Verdict::NotFinite, index == 40 || index == 150, "{index}");
    }
    let (h, z) = row(&images, 299);
    let mut without = head.stream(Scaling::Stream, last.as_ref()).unwrap();
    let good: Vec<usize> = (0..299).filter(|row| ![40, 150].contains(row)).collect();
    verdicts(&mut without, &images.select(&good));
    let mut with = head.stream(Scaling::Stream, last.as_ref()).unwrap();
    verdicts(&mut with, &images.select(&(0..299).collect::<Vec<_>>()));
    assert_eq!(without.next(h, z).statistics, with.next(h, z).statistics);
}

#[test]
fn mean_probabilities_are_kept_in_the_file_and_older_files_do_without() {
    let mut head = head(None);
    let training = features(1, 800);
    let mean = head.about.mean_probabilities.clone().unwrap();
    for (class, mean) in mean.iter().enumerate() {
        let of = |z| probabilities(z)[class];
        let expected = training.z.rows().into_iter().map(of).sum::<f64>() / 800.0;
        assert!((f64::from(*mean) - expected).abs() < 1e-6, "{class}: {mean} {expected}");
    }
    let read = |bytes: &[u8]| Head::from_bytes(bytes, std::path::Path::new("head"));
    assert_eq!(read(&bytes(&head)).unwrap().about.mean_probabilities, Some(mean));
    // without them all classes count alike
    let images = features(13, 200);
    let share = |head: &Head| {
        let mut guard = head.guard(images.last_layer.as_ref());
        (0..images.len()).for_each(|index| {
            let (h, z) = row(&images, index);
            guard.next(h, z);
        });
        guard.share()
    };
    let known = share(&head);
    head.about.mean_probabilities = Some(vec![0.2; 5]);
    let equal = share(&head);
    head.about.mean_probabilities = None;
    let older = bytes(&head);
    assert!(!String::from_utf8_lossy(&older).contains("mean_probabilities"));
    assert_eq!(read(&older).unwrap(), head);
    assert_eq!(share(&head).to_bits(), equal.to_bits());
    assert!((known - equal).abs() > 1e-9, "{known} {equal}");
    head.about.mean_probabilities = Some(vec![0.5, 0.5]);
    assert!(read(&bytes(&head)).unwrap_err().to_string().contains("mean probabilities"));
}

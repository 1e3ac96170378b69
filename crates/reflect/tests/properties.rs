//! What holds whatever the data.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{bytes, farthest, features, fitted, options, quiet, zscore};
use introspective_reflect::{
    Columns, FitOptions, Head, Method, OfGradients, Owner, ReflectError, Scaler, Scaling, fit,
};
use ndarray::{Array1, Array2, Axis};
use proptest::prelude::*;

fn matrix(rows: usize, columns: usize) -> impl Strategy<Value = Array2<f32>> {
    proptest::collection::vec(-3.0..3.0_f32, rows * columns)
        .prop_map(move |values| Array2::from_shape_vec((rows, columns), values).unwrap())
}

/// n x N and n x d, some columns constant.
fn factors() -> impl Strategy<Value = (Array2<f32>, Array2<f32>)> {
    (1..30_usize, 1..5_usize, 1..6_usize).prop_flat_map(|(n, classes, d)| {
        (matrix(n, classes), matrix(n, d), any::<[bool; 2]>()).prop_map(
            |(mut g, mut h, constant)| {
                for (matrix, constant) in [&mut g, &mut h].into_iter().zip(constant) {
                    if constant {
                        let first = matrix[[0, 0]];
                        matrix.column_mut(0).fill(first);
                    }
                }
                (g, h)
            },
        )
    })
}

/// Each column by definition, in f64.
fn by_definition(x: &Array2<f64>, scaler: Scaler) -> (Array1<f64>, Array1<f64>) {
    match scaler {
        Scaler::MinMax => (
            x.fold_axis(Axis(0), f64::INFINITY, |a, &b| a.min(b)),
            x.fold_axis(Axis(0), f64::NEG_INFINITY, |a, &b| a.max(b)),
        ),
        Scaler::ZScore => (x.mean_axis(Axis(0)).unwrap(), x.std_axis(Axis(0), 0.0)),
        Scaler::Identity => (Array1::zeros(x.ncols()), Array1::ones(x.ncols())),
    }
}

proptest! {
    #[test]
    fn statistics_of_products_are_those_of_the_matrix_written_out((g, h) in factors()) {
        let d = h.ncols();
        let dense = Array2::from_shape_fn((g.nrows(), g.ncols() * d), |(n, c)| {
            f64::from(g[[n, c / d]]) * f64::from(h[[n, c % d]])
        });
        for scaler in Scaler::ALL {
            let found = Columns::of_products(g.view(), h.view(), scaler);
            let (low, high) = by_definition(&dense, scaler);
            let pairs = found.low.iter().zip(&low).chain(found.high.iter().zip(&high));
            for (found, expected) in pairs {
                prop_assert!((f64::from(*found) - expected).abs() < 3e-6, "{scaler:?}: {found}, {expected}");
            }
            let scaled = found.affine().apply(dense.mapv(|v| v as f32).view());
            prop_assert!(scaled.iter().all(|v| v.is_finite()));
        }
    }
}

fn head(scaler: Scaler, rank: Option<usize>) -> Head {
    fitted(&FitOptions { scaler, rank, ..options(4) }, None).unwrap()
}

#[test]
fn batch_scaling_undoes_a_scaling_of_the_features() {
    for rank in [None, Some(2)] {
        let head = head(Scaler::ZScore, rank);
        let set = features(3, 60, 5, 12);
        let logits = |h: &Array2<f32>, scaling| {
            let statistics = head.statistics_for(scaling, h.view(), set.z.view()).unwrap();
            head.logits(Method::Reflection, 0, &statistics, h.view(), set.z.view()).unwrap()
        };
        let factors = Array1::from_shape_fn(12, |k| 0.2 + 0.7 * k as f32);
        let scaled = &set.h * &factors;
        assert!(farthest(&logits(&set.h, Scaling::Batch), &logits(&scaled, Scaling::Batch)) < 1e-4);
        // which is a property of batch scaling, not of this head
        assert!(farthest(&logits(&set.h, Scaling::Train), &logits(&scaled, Scaling::Train)) > 1e-2);
    }
}

#[test]
fn matching_the_training_set_to_itself_leaves_the_classifiers_logits() {
    for scaler in [Scaler::MinMax, Scaler::ZScore] {
        let head = head(scaler, None);
        let training = features(1, 160, 5, 12);
        let last = training.last_layer.as_ref().unwrap();
        let own =
            head.statistics_for(Scaling::Batch, training.h.view(), training.z.view()).unwrap();
        let matched = head.matched(last, &own, training.h.view());
        assert!(farthest(&matched, &training.z) < 1e-4);
        // and a set that was shifted and scaled comes back
        let moved = training.h.mapv(|h| 3.0 * h + 5.0);
        let own = head.statistics_for(Scaling::Batch, moved.view(), training.z.view()).unwrap();
        assert!(farthest(&head.matched(last, &own, moved.view()), &training.z) < 1e-3);
    }
}

/// Mean and deviation of the columns move by what 160 images in the weight of 256 can do, and not at the end
/// of whole passes.
#[test]
fn a_stream_of_the_training_set_stays_at_its_statistics() {
    for rank in [None, Some(2)] {
        let head = head(Scaler::ZScore, rank);
        let training = features(1, 160, 5, 12);
        let mut stream = head.stream(Scaling::StreamUnguarded, None).unwrap();
        let mut last = None;
        for row in 0..training.len() {
            let one = training.select(&[row]);
            let statistics = stream.next(one.h.view(), one.z.view()).statistics;
            for (now, then) in statistics.h.low.iter().zip(&head.statistics.h.low) {
                assert!((now - then).abs() < 0.1, "row {row}: {now}, {then}");
            }
            last = Some(statistics);
        }
        let last = last.unwrap();
        let same = |a: &Columns, b: &Columns| {
            let near = |a: &Array1<f32>, b: &Array1<f32>| {
                assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5 * (1.0 + b.abs())));
            };
            near(&a.low, &b.low);
            near(&a.high, &b.high);
        };
        same(&last.h, &head.statistics.h);
        same(&last.z, &head.statistics.z);
        match (&last.gradients, &head.statistics.gradients) {
            (OfGradients::Products(a), OfGradients::Products(b)) => same(a, b),
            (OfGradients::Pair(g, h), OfGradients::Pair(eg, eh)) => {
                same(g, eg);
                same(h, eh);
            }
            _ => unreachable!(),
        }
        let (h, z) = (training.h.view(), training.z.view());
        let mut stream = head.stream(Scaling::StreamUnguarded, None).unwrap();
        let scored = head.logits_of_stream(Method::Reflection, 0, &mut stream, h, z).unwrap();
        let by_training = head.logits(Method::Reflection, 0, &head.statistics, h, z).unwrap();
        let far = farthest(&scored, &by_training);
        assert!(far > 0.0 && far < 0.5, "{far}");
    }
}

#[test]
fn a_stream_needs_means() {
    let head = head(Scaler::MinMax, None);
    for scaling in [Scaling::Stream, Scaling::StreamUnguarded] {
        let stream = head.stream(scaling, None);
        assert!(matches!(stream, Err(ReflectError::Scaling { asked: "stream", .. })));
    }
}

#[test]
fn threads_change_no_byte() {
    let (training, kept) = (features(1, 300, 6, 70), features(2, 80, 6, 70));
    let set = features(3, 600, 6, 70);
    let mut found = Vec::new();
    for (rank, controls) in [(None, true), (None, false), (Some(3), true), (Some(3), false)] {
        let options = FitOptions { hidden: vec![70, 20], rank, controls, ..zscore(options(3)) };
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (head, logits) = pool.install(|| {
                let head =
                    fit(&training, &kept, &Owner::default(), &options, None, &quiet).unwrap();
                let logits: Vec<Array2<f32>> = Method::ALL
                    .into_iter()
                    .filter_map(|m| head.logits(m, 0, &head.statistics, set.h.view(), set.z.view()))
                    .collect();
                (bytes(&head), logits)
            });
            assert_eq!(logits.len(), if controls { 4 } else { 1 });
            found.push((rank, controls, head, logits));
        }
    }
    for three in found.chunks(3) {
        for other in &three[1..] {
            assert!(
                three[0].2 == other.2,
                "rank {:?}, controls {}: heads differ",
                other.0,
                other.1
            );
            assert!(
                three[0].3 == other.3,
                "rank {:?}, controls {}: logits differ",
                other.0,
                other.1
            );
        }
    }
}

/// H alone is H among the controls, whose networks are as large.
#[test]
fn controls_have_as_many_parameters_and_change_nothing() {
    for rank in [None, Some(2)] {
        let with = fitted(&FitOptions { rank, ..options(2) }, None).unwrap();
        let alone = fitted(&FitOptions { rank, controls: false, ..options(2) }, None).unwrap();
        assert_eq!(with.networks[0][&Method::Reflection], alone.networks[0][&Method::Reflection]);
        let parameters = |method| with.parameters(method).unwrap() as f64;
        for method in [Method::MlpH, Method::MlpHz] {
            let ratio = parameters(method) / parameters(Method::Reflection);
            assert!((1.0..1.05).contains(&ratio), "{method:?}: {ratio}");
        }
        assert!(alone.parameters(Method::MlpH).is_none());
    }
}

/// H learns: twice as often right as chance, at least, and its temperature is fitted on what was kept.
#[test]
fn a_fitted_head_predicts() {
    let head = fitted(&options(60), None).unwrap();
    let set = features(5, 300, 5, 12);
    for method in Method::ALL {
        let logits = head.logits(method, 0, &head.statistics, set.h.view(), set.z.view()).unwrap();
        let right = logits.rows().into_iter().zip(&set.labels);
        let right = right
            .filter(|(row, label)| introspective_reflect::largest(row.view()) == **label)
            .count();
        assert!(right > 120, "{}: {right} of 300", method.name());
        let temperature = head.about.seeds[0].temperatures[&method];
        assert!(temperature > 0.1 && temperature < 10.0, "{}: {temperature}", method.name());
    }
}

//! Checks of maps: against PyTorch, numpy and scipy (fixtures/faithfulness.py), on networks whose best map is known, and on
//! networks whose map cannot change.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../network/tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::fs::File;

use introspective_explain::faithfulness::{
    Blur, CheckError, CheckOptions, Faded, FadedSet, Logits, Masking, PixelOrder, Reads, Score,
    check, random_map, redrawn_maps,
};
use introspective_explain::{Explanation, Questions, explain};
use introspective_measure::spearman;
use introspective_network::{
    Architecture, Classifier, Extractor, ExtractorOptions, NetworkError, Redraw, Session,
    SessionOptions, Weights,
};
use ndarray::{Array1, Array2, Array3, ArrayD, ArrayView4, Axis, array};
use ndarray_npy::NpzReader;
use proptest::prelude::*;

const SIDE: usize = 32;
const CLASS: usize = 3;
const CONTRAST: usize = 7;

fn expected(name: &str) -> ArrayD<f64> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/faithfulness.npz");
    let mut npz = NpzReader::new(File::open(path).unwrap()).unwrap();
    npz.by_name::<ndarray::OwnedRepr<f64>, _>(name).unwrap_or_else(|_| {
        npz.by_name::<ndarray::OwnedRepr<f32>, _>(name).unwrap().mapv(f64::from)
    })
}

fn drawn(name: &str) -> Array2<f32> {
    let mut numbers = common::uniform(name);
    Array2::from_shape_simple_fn((SIDE, SIDE), || numbers.next().unwrap() as f32)
}

fn levels() -> Array2<f32> {
    let mut numbers = common::uniform("map");
    Array2::from_shape_simple_fn((SIDE, SIDE), || {
        (8.0 * numbers.next().unwrap()).floor() as f32 / 8.0
    })
}

fn zoo(architecture: Architecture, bytes: Vec<u8>) -> Classifier {
    Classifier::from_zoo(architecture, Weights::from_bytes(bytes, "generated").unwrap()).unwrap()
}

fn generated() -> Classifier {
    let architecture = Architecture::CifarResNet18;
    zoo(architecture, common::weights(&architecture.tensors(10, 3)))
}

/// A network of which each weight has one value everywhere, so that no order of its numbers is another.
fn uniform_network() -> Classifier {
    let architecture = Architecture::CifarResNet18;
    let tensors: BTreeMap<_, _> = architecture
        .tensors(4, 3)
        .into_iter()
        .map(|(name, shape)| {
            let mut values = common::tensor(&name, &shape);
            if shape.len() > 1 {
                values.fill(0.05);
            }
            (name, (shape, values))
        })
        .collect();
    zoo(architecture, common::safetensors(&tensors))
}

fn near(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found} instead of {expected}");
}

fn near_all(what: &str, found: impl Iterator<Item = f32>, expected: &ArrayD<f64>) {
    let scale = expected.fold(0f64, |most, v| most.max(v.abs()));
    let mut count = 0;
    for (found, expected) in found.zip(expected) {
        near(what, found.into(), *expected, 1e-4 * scale);
        count += 1;
    }
    assert_eq!(count, expected.len(), "{what}");
}

#[test]
fn curves_and_areas_are_pytorchs() {
    let classifier = generated();
    let picture = common::picture(3, SIDE, SIDE);
    let blur = Blur { radius: 2, sigma: 2.0 };
    near_all("blurred", blur.apply(picture.view()).into_iter(), &expected("blurred"));
    let extractor = Extractor::of_logits(&classifier, &ExtractorOptions::default()).unwrap();
    let masking = Masking::new(&extractor, picture.view(), 12, blur).unwrap();
    let ties = PixelOrder::of(drawn("ties").view());
    let order = PixelOrder::with_ties(levels().view(), &ties).unwrap();
    let traces = [
        ("deletion", masking.deletion(&order).unwrap()),
        ("insertion", masking.insertion(&order).unwrap()),
    ];
    for (name, trace) in traces {
        near_all(name, trace.logits.iter().copied(), &expected(name));
        for (share, expected) in trace.shares.iter().zip(&expected("shares")) {
            near(name, *share, *expected, 1e-12);
        }
        let area = |score| trace.curve(score).area();
        let single = |key: &str| expected(&format!("{name}_{key}")).sum();
        near(name, area(Score::Class(CLASS)), single("area"), 1e-4);
        let pair = Score::Pair { class: CLASS, contrast: CONTRAST };
        near(name, area(pair), single("pair"), 1e-4);
    }
    let [before, kept, rest] = expected("faded").into_raw_vec_and_offset().0[..] else { panic!() };
    for (reads, after) in [(Reads::For, kept), (Reads::Against, rest)] {
        let faded = masking.faded(levels().view(), reads, CLASS).unwrap();
        near("before", faded.before, before, 1e-4);
        near(reads.name(), faded.after, after, 1e-4);
    }
}

#[test]
fn rank_correlations_are_scipys() {
    let list = |map: Array2<f32>| map.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let (levels, ties) = (list(levels()), list(drawn("ties")));
    let pairs =
        [(&levels[..], &ties[..]), (&levels[..200], &levels[200..400]), (&ties[..9], &ties[9..18])];
    for ((a, b), expected) in pairs.into_iter().zip(&expected("spearman")) {
        near("Spearman", spearman(a, b).unwrap().unwrap(), *expected, 1e-12);
    }
}

/// Two classes, of which the first has the logit `sum w x`, and the other 0.
struct Linear(Array3<f32>);

impl Logits for Linear {
    fn logits(&self, pictures: ArrayView4<'_, f32>) -> Result<Array2<f32>, NetworkError> {
        let z: Vec<f32> = pictures.outer_iter().map(|x| (&x * &self.0).sum()).collect();
        Ok(ndarray::stack![Axis(1), Array1::from(z), Array1::zeros(pictures.len_of(Axis(0)))])
    }

    fn batch(&self, _: usize, _: usize) -> usize {
        5
    }
}

fn numbers(count: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-1f32..1.0, count)
}

proptest! {
    /// Each pixel's share of the logit is the best map there is: no other order has a smaller area at deletion, and read the
    /// other way round, none has a larger one.
    #[test]
    fn the_contributions_of_a_linear_network_are_its_best_map(
        weights in numbers(48), pixels in numbers(48), other in numbers(16), steps in 1usize..20,
    ) {
        let array = |values| Array3::from_shape_vec((3, 4, 4), values).unwrap();
        let (network, picture) = (Linear(array(weights)), array(pixels));
        let contributions = (&network.0 * &picture).sum_axis(Axis(0));
        let other = Array2::from_shape_vec((4, 4), other).unwrap();
        let masking = Masking::new(&network, picture.view(), steps, Blur::of_side(4)).unwrap();
        let area = |map: &Array2<f32>| {
            let trace = masking.deletion(&PixelOrder::of(map.view())).unwrap();
            prop_assert_eq!(trace.shares.len(), steps.min(16) + 1);
            let area = trace.curve(Score::Class(0)).area();
            prop_assert!((0.0..=1.0 + 1e-9).contains(&area));
            Ok(area)
        };
        let best = area(&contributions)?;
        let worst = area(&-&contributions)?;
        let between = area(&other)?;
        prop_assert!(best <= between + 1e-6 && between <= worst + 1e-6, "{} {} {}", best, between, worst);
    }

    /// Only the order that a map puts the pixels in matters, not how bright it is where.
    #[test]
    fn curves_do_not_change_with_the_scale_of_a_map(weights in numbers(48), map in numbers(16)) {
        let network = Linear(Array3::from_shape_vec((3, 4, 4), weights).unwrap());
        let picture = common::picture(3, 4, 4);
        let map = Array2::from_shape_vec((4, 4), map).unwrap();
        let masking = Masking::new(&network, picture.view(), 7, Blur::of_side(4)).unwrap();
        let traces = |map: &Array2<f32>| {
            let order = PixelOrder::of(map.view());
            (masking.deletion(&order).unwrap(), masking.insertion(&order).unwrap())
        };
        prop_assert_eq!(traces(&map), traces(&map.mapv(|v| (3.0 * v).exp() - 2.0)));
    }
}

/// Deletion ends blank, insertion at the picture, whatever the order.
#[test]
fn all_orders_have_the_same_ends() {
    let network = Linear(common::picture(3, 6, 5));
    let picture = common::picture(3, 6, 5).mapv(|v| 0.3 * v + 0.1);
    let blur = Blur { radius: 1, sigma: 1.0 };
    let masking = Masking::new(&network, picture.view(), 4, blur).unwrap();
    let logit = |picture: &Array3<f32>| (picture * &network.0).sum();
    let blurred = blur.apply(picture.view());
    for seed in 0..3 {
        let order = PixelOrder::of(random_map([2, 2], [6, 5], seed).view());
        let ends = [
            (masking.deletion(&order).unwrap(), logit(&picture), 0.0),
            (masking.insertion(&order).unwrap(), logit(&blurred), logit(&picture)),
        ];
        for (trace, first, last) in ends {
            assert!((trace.logits[[0, 0]] - first).abs() < 1e-5);
            assert!((trace.logits[[4, 0]] - last).abs() < 1e-5);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let network = Linear(common::picture(3, 4, 4));
    let picture = common::picture(3, 4, 4);
    let blur = Blur::of_side(4);
    assert!(matches!(Masking::new(&network, picture.view(), 0, blur), Err(CheckError::Steps)));
    let nothing = Array3::zeros((3, 0, 4));
    assert!(matches!(Masking::new(&network, nothing.view(), 5, blur), Err(CheckError::Empty)));
    let masking = Masking::new(&network, picture.view(), 5, blur).unwrap();
    let wrong = Array2::zeros((4, 5));
    let errors = [
        masking.deletion(&PixelOrder::of(wrong.view())).unwrap_err(),
        masking.faded(wrong.view(), Reads::For, 0).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("4 x 5"), "{error}");
    }
}

#[test]
fn drops_and_increases_by_hand() {
    let faded = |before, after| Faded { before, after };
    let set = [faded(0.8, 0.6), faded(0.5, 0.9), faded(0.4, 0.1), faded(0.0, 0.0)];
    assert!((set[0].drop() - 0.25).abs() < 1e-12 && !set[0].increases());
    assert!(set[1].drop() == 0.0 && set[1].increases());
    assert!(set[3].drop() == 0.0 && !set[3].increases());
    let all = FadedSet::of(&set).unwrap();
    assert_eq!(all.pictures, 4);
    assert!((all.drop - (0.25 + 0.75) / 4.0).abs() < 1e-12);
    assert!((all.increase - 0.25).abs() < 1e-12);
    assert_eq!(FadedSet::of(&[]), None);
}

fn explained(classifier: &Classifier) -> (Session<'_>, Array3<f32>, Explanation) {
    // its maps have both signs at this layer
    let layer = Some("layer2".to_owned());
    let options = SessionOptions { layer, ..SessionOptions::default() };
    let session = Session::new(classifier, &options).unwrap();
    let picture = common::picture(3, SIDE, SIDE);
    let observation = session.observe(picture.view()).unwrap();
    let questions = Questions { class: Some(1), rather_than: vec![0] };
    let explanation = explain(&session, &observation, &questions).unwrap();
    (session, picture, explanation)
}

/// All draws of a network whose weights are the same everywhere are that network: its map shows nothing that it learned.
#[test]
fn a_map_that_cannot_change_is_flagged() {
    let classifier = uniform_network();
    let (session, picture, explanation) = explained(&classifier);
    assert!(explanation.answers[0].range().0 < explanation.answers[0].range().1);
    let which = [Redraw::Head, Redraw::All];
    let redrawn = redrawn_maps(&session, picture.view(), &explanation, &which, 2, 0).unwrap();
    for map in &redrawn[0] {
        assert!(map.correlation().unwrap() > 0.999, "{map:?}");
        assert!(map.is_unchanged());
    }
    // classes of the same weights: nothing tells one from the other, and a constant map has no order
    assert!(redrawn[2].iter().all(|map| map.correlation().is_none() && !map.is_unchanged()));
}

#[test]
fn a_map_that_depends_on_the_weights_is_not_flagged() {
    let classifier = generated();
    let (session, picture, explanation) = explained(&classifier);
    let which = [Redraw::Head, Redraw::All];
    let redrawn = redrawn_maps(&session, picture.view(), &explanation, &which, 3, 0).unwrap();
    for map in redrawn.iter().flatten() {
        assert_eq!(map.correlations.len(), 3);
        assert!(!map.is_unchanged() && map.correlation().unwrap().abs() < 0.9, "{map:?}");
    }
    // the map against P is the one for it, turned over
    assert_eq!(redrawn[0], redrawn[1]);
}

#[test]
fn everything_at_once() {
    let classifier = generated();
    let (session, picture, explanation) = explained(&classifier);
    let extractor = Extractor::of_logits(&classifier, &ExtractorOptions::default()).unwrap();
    let options = CheckOptions { steps: 8, draws: 1, ..CheckOptions::default() };
    let run = || check(&session, &extractor, picture.view(), &explanation, &options).unwrap();
    let checks = run();
    assert_eq!(checks, run(), "the same seed gives the same numbers");
    let reads: Vec<Reads> = checks.iter().map(|check| check.reads).collect();
    assert_eq!(reads, [Reads::For, Reads::Against, Reads::For]);
    let scores: Vec<usize> = checks.iter().map(|check| check.scores.len()).collect();
    assert_eq!(scores, [1, 1, 2], "a contrast is looked at as a pair, too");
    let class = checks[0].asked.class;
    assert_eq!(checks[2].scores[1].score, Score::Pair { class, contrast: 0 });
    for check in &checks {
        let [deletion, insertion] = [&check.scores[0].deletion, &check.scores[0].insertion];
        assert_eq!(deletion.small_is_good, check.reads == Reads::For);
        assert_eq!(insertion.small_is_good, check.reads == Reads::Against);
        assert_eq!((deletion.random.len(), deletion.curve.shares.len()), (3, 9));
        let before = explanation.probabilities[class];
        near("the picture as it is", deletion.curve.start(), before, 1e-5);
        near("the picture as it is", insertion.curve.end(), before, 1e-5);
        near("the picture as it is", check.faded.unwrap().before, before, 1e-5);
        for random in &deletion.random {
            near("the blank picture", random.end(), deletion.curve.end(), 1e-12);
        }
        assert_eq!(check.redrawn.len(), 2);
    }
}

/// A map that knows nothing gets what chance gets.
#[test]
fn an_empty_map_is_not_checked_and_a_flat_order_is_chance() {
    let classifier = generated();
    let (session, picture, mut explanation) = explained(&classifier);
    explanation.answers[0].raw.fill(-1.0);
    let extractor = Extractor::of_logits(&classifier, &ExtractorOptions::default()).unwrap();
    let options = CheckOptions { steps: 5, redraw: Vec::new(), ..CheckOptions::default() };
    let checks = check(&session, &extractor, picture.view(), &explanation, &options).unwrap();
    assert!(checks[0].scores.is_empty() && checks[0].faded.is_none());
    assert!(checks[0].redrawn.is_empty() && !checks[0].is_unchanged());
    assert_eq!(checks[1].scores.len(), 1);
    for answer in &mut explanation.answers {
        answer.raw = array![[1.0, 1.0], [1.0, 1.0]];
    }
    let none = check(&session, &extractor, picture.view(), &explanation, &options).unwrap();
    assert!(none.iter().all(|check| check.scores.is_empty()));
}

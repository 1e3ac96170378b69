//! Operations are Pillow's, byte for byte (`tests/fixtures/pillow.py`); what is drawn keeps within its bounds and depends on
//! seed, epoch and number alone.

use std::collections::HashMap;
use std::mem::discriminant;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

use super::common;
use crate::pictures::{Augmentation, Change, Normal, Pictures};
use crate::pillow::Operation;
use crate::robust::{Robust, draw};

fn operation(name: &str, number: f64) -> Operation {
    match name {
        "autocontrast" => Operation::AutoContrast,
        "equalize" => Operation::Equalize,
        "posterize" => Operation::Posterize(number as u32),
        "rotate" => Operation::Rotate(number),
        "solarize" => Operation::Solarize(number as u32),
        "shear_x" => Operation::ShearX(number),
        "shear_y" => Operation::ShearY(number),
        "translate_x" => Operation::TranslateX(number),
        "translate_y" => Operation::TranslateY(number),
        _ => panic!("{name}"),
    }
}

#[test]
fn operations_are_pillows() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pillow.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut cases = 0;
    for (name, expected) in file.iter() {
        let words: Vec<&str> = name.split(' ').collect();
        let &[picture, kind, number] = words.as_slice() else { continue };
        let picture = file.tensor(picture).unwrap();
        let mut found = picture.data().to_vec();
        operation(kind, number.parse().unwrap()).apply(&mut found, picture.shape()[1]);
        let differing = found.iter().zip(expected.data()).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 0, "{name}: bytes of {}", found.len());
        cases += 1;
    }
    assert_eq!(cases, 68);
}

#[test]
fn operations_are_drawn_within_their_severity() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut counts = HashMap::new();
    let mut extremes: HashMap<_, [f64; 2]> = HashMap::new();
    for _ in 0..9000 {
        let operation = draw(3.0, 32, &mut random);
        *counts.entry(discriminant(&operation)).or_insert(0) += 1;
        let value = match operation {
            Operation::AutoContrast | Operation::Equalize => continue,
            Operation::Posterize(v) | Operation::Solarize(v) => f64::from(v),
            Operation::Rotate(v)
            | Operation::ShearX(v)
            | Operation::ShearY(v)
            | Operation::TranslateX(v)
            | Operation::TranslateY(v) => v,
        };
        let [low, high] = extremes.entry(discriminant(&operation)).or_insert([value; 2]);
        (*low, *high) = (low.min(value), high.max(value));
    }
    // each has its turn: 1000 give or take five standard deviations
    assert_eq!(counts.len(), 9);
    assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
    // the authors' integers: 4 - int(3 * 4 / 10), int(3 * 30 / 10) excluded, 256 - int(3 * 25.6), int(3 * 32 / 30)
    let of = |operation: Operation| extremes[&discriminant(&operation)];
    assert_eq!(of(Operation::Posterize(0)), [3.0, 4.0]);
    assert_eq!(of(Operation::Rotate(0.0)), [-8.0, 8.0]);
    assert_eq!(of(Operation::Solarize(0)), [180.0, 254.0]);
    assert_eq!(of(Operation::TranslateX(0.0)), [-3.0, 3.0]);
    assert_eq!(of(Operation::TranslateY(0.0)), [-3.0, 3.0]);
    for shear in [Operation::ShearX(0.0), Operation::ShearY(0.0)] {
        let [low, high] = of(shear);
        assert!((-0.09..-0.085).contains(&low) && (0.085..0.09).contains(&high), "{low} {high}");
    }
}

/// So many pictures of 16 x 16 in colour.
fn pictures(count: usize) -> Pictures {
    let bytes = common::uniform("pictures").map(|u| (256.0 * u) as u8).take(count * 3 * 256);
    Pictures { side: 16, channels: 3, bytes: bytes.collect(), labels: vec![0; count] }
}

/// Values as they are, in 0..1.
fn unit() -> Normal {
    Normal { mean: vec![0.0; 3], std: vec![1.0; 3] }
}

fn change(robust: Robust, epoch: usize) -> Change {
    Change { augmentation: Augmentation::CropFlip, robust, seed: 11, epoch }
}

#[test]
fn a_copy_depends_on_seed_epoch_and_number_alone() {
    let pictures = pictures(12);
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let normal = Normal { mean: vec![0.5, 0.4, 0.3], std: vec![0.2, 0.25, 0.3] };
    for robust in [Robust::None, Robust::gaussian_noise(), Robust::augmix()] {
        let of =
            |examples: &[usize], epoch| pictures.changed(examples, &normal, &change(robust, epoch));
        let all: Vec<usize> = (0..12).collect();
        let one = pool(1).install(|| of(&all, 3));
        assert_eq!(one, pool(3).install(|| of(&all, 3)), "{robust:?}");
        assert_ne!(one, of(&all, 4), "{robust:?}");
        // in another batch and at another place
        let size = 3 * 256;
        let pair = of(&[9, 4], 3);
        for view in 0..robust.views() {
            let (alone, among) = ((2 * view + 1) * size, (12 * view + 4) * size);
            assert_eq!(pair[alone..alone + size], one[among..among + size], "{robust:?}");
        }
    }
}

#[test]
fn the_first_of_three_views_is_the_picture_and_the_others_are_two_mixtures() {
    let pictures = pictures(8);
    let all: Vec<usize> = (0..8).collect();
    let plain = pictures.changed(&all, &unit(), &change(Robust::None, 0));
    let three = pictures.changed(&all, &unit(), &change(Robust::augmix(), 0));
    let [first, second, third] = [0, 1, 2].map(|view| &three[view * plain.len()..][..plain.len()]);
    assert_eq!(first, plain);
    for (a, b) in [(first, second), (first, third), (second, third)] {
        for (a, b) in a.chunks(3 * 256).zip(b.chunks(3 * 256)) {
            assert_ne!(a, b);
        }
    }
    assert!(three.iter().all(|v| (0.0..=1.0 + 1e-6).contains(v)));
    // without the consistency loss, the one mixture
    let alone = Robust::AugMix { width: 3, depth: 3, severity: 3.0, consistency: 0.0 };
    assert_eq!(pictures.changed(&all, &unit(), &change(alone, 0)), second);
}

/// Weights of chains and the share of their mixture add up to a whole: a picture that no operation changes stays.
#[test]
fn mixing_keeps_what_operations_keep() {
    let plain = Pictures { side: 8, channels: 3, bytes: vec![0; 3 * 64], labels: vec![0] };
    let mixed = plain.changed(&[0], &unit(), &change(Robust::augmix(), 0));
    assert!(mixed.iter().all(|v| *v == 0.0));
    // posterized to three bits or four, solarized or not, but never moved by much: half of the differences are small
    let pictures = pictures(40);
    let all: Vec<usize> = (0..40).collect();
    let augmix = Robust::AugMix { width: 3, depth: 3, severity: 0.1, consistency: 12.0 };
    let three = pictures.changed(&all, &unit(), &change(augmix, 0));
    let length = three.len() / 3;
    let mut far: Vec<f32> =
        (length..2 * length).map(|i| (three[i] - three[i - length]).abs()).collect();
    far.sort_by(f32::total_cmp);
    assert!(far[length / 2] < 0.05, "{}", far[length / 2]);
}

#[test]
fn noise_has_its_deviation_and_is_clipped() {
    let count = 400;
    let values = |level: u8| {
        let bytes = vec![level; count * 3 * 64];
        let pictures = Pictures { side: 8, channels: 3, bytes, labels: vec![0; count] };
        let all: Vec<usize> = (0..count).collect();
        let noise =
            Change { augmentation: Augmentation::None, ..change(Robust::gaussian_noise(), 2) };
        pictures.changed(&all, &unit(), &noise)
    };
    let middle = values(102);
    let deviations: Vec<f64> = middle
        .chunks(3 * 64)
        .map(|picture| {
            let squares = picture.iter().map(|v| f64::from(v - 0.4).powi(2));
            (squares.sum::<f64>() / picture.len() as f64).sqrt()
        })
        .collect();
    // even between 0 and 0.1: mean 0.05, and its own deviation 0.0289, over 400 pictures
    let mean = deviations.iter().sum::<f64>() / count as f64;
    assert!((mean - 0.05).abs() < 5.0 * 0.0289 / (count as f64).sqrt(), "{mean}");
    let low = deviations.iter().filter(|d| **d < 0.02).count();
    assert!((50..110).contains(&low), "{low} of {count} below a fifth");
    assert!(deviations.iter().all(|d| *d < 0.12));
    let black = values(0);
    assert!(black.iter().all(|v| (0.0..=1.0).contains(v)));
    let clipped = black.iter().filter(|v| **v == 0.0).count() as f64 / black.len() as f64;
    assert!((clipped - 0.5).abs() < 0.01, "{clipped}");
}

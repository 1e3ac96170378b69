//! What holds for every picture.

#![allow(clippy::unwrap_used)]

use introspective_corrupt::{CorruptError, Corruption, Family, Severity, corrupt};
use ndarray::{Array3, s};
use proptest::prelude::*;
use rayon::prelude::*;

fn picture(height: usize, width: usize, channels: usize, salt: usize) -> Array3<u8> {
    Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
        let wave = (7 * x + 11 * y + 60 * c + 13 * salt) % 256;
        let grain = (x * 7919 + y * 104_729 + c * 31 + salt * 17) % 61;
        (wave * 3 / 4 + grain) as u8
    })
}

fn photograph(size: u32) -> Array3<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/coffee.png");
    let part = image::imageops::crop_imm(&image::open(path).unwrap().to_rgb8(), 100, 0, 400, 400)
        .to_image();
    let small = image::imageops::resize(&part, size, size, image::imageops::FilterType::Triangle);
    Array3::from_shape_vec((size as usize, size as usize, 3), small.into_raw()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_size_is_corrupted_and_keeps_its_shape(
        height in 1usize..=48,
        width in 1usize..=64,
        grey in any::<bool>(),
        salt in 0usize..1000,
        seed in any::<u64>(),
        index in any::<u64>(),
    ) {
        let picture = picture(height, width, if grey { 1 } else { 3 }, salt);
        for corruption in Corruption::ALL {
            for severity in Severity::ALL {
                let first = corrupt(picture.view(), corruption, severity, seed, index)?;
                prop_assert_eq!(first.dim(), picture.dim());
                prop_assert_eq!(&first, &corrupt(picture.view(), corruption, severity, seed, index)?);
            }
        }
    }
}

#[test]
fn very_long_and_very_small_pictures_are_corrupted() {
    for (height, width) in
        [(1, 1), (1, 2), (2, 1), (1, 700), (700, 1), (2, 5000), (3, 300), (300, 3), (2, 2), (5, 5)]
    {
        for channels in [1, 3] {
            let picture = picture(height, width, channels, 1);
            for corruption in Corruption::ALL {
                for severity in Severity::ALL {
                    let result = corrupt(picture.view(), corruption, severity, 3, 4).unwrap();
                    assert_eq!(result.dim(), picture.dim());
                }
            }
        }
    }
}

#[test]
fn black_and_white_pictures_are_corrupted() {
    for level in [0u8, 255] {
        for channels in [1, 3] {
            let picture = Array3::from_elem((32, 32, channels), level);
            for corruption in Corruption::ALL {
                for severity in Severity::ALL {
                    let result = corrupt(picture.view(), corruption, severity, 3, 4).unwrap();
                    let mean =
                        result.iter().map(|&x| f64::from(x)).sum::<f64>() / result.len() as f64;
                    let name = corruption.name();
                    // nothing that only moves, mixes or counts light changes an even picture
                    if matches!(corruption.family(), Family::Blur)
                        || corruption == Corruption::Pixelate
                    {
                        let brighter =
                            if corruption == Corruption::DefocusBlur { 4.0 } else { 0.0 };
                        assert!(
                            (mean - f64::from(level)).abs() <= brighter,
                            "{name}: {mean} for {level}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn bytes_do_not_depend_on_threads_or_order() {
    let pictures: Vec<Array3<u8>> = (0..12).map(|n| picture(32, 32, 3, n)).collect();
    let all = |threads: usize| -> Vec<Array3<u8>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            (0..12 * 19 * 5)
                .into_par_iter()
                .map(|job| {
                    let (image, corruption, severity) = (job % 12, job / 12 % 19, job / 12 / 19);
                    let severity = Severity::ALL[severity];
                    corrupt(
                        pictures[image].view(),
                        Corruption::ALL[corruption],
                        severity,
                        5,
                        image as u64,
                    )
                    .unwrap()
                })
                .collect()
        })
    };
    assert_eq!(all(1), all(2));
}

/// FNV-1a of all results: bytes are promised, and a change of them must be meant.
#[test]
fn bytes_are_those_of_the_first_version() {
    let mut hashes = Vec::new();
    for (height, width, channels) in [(32, 32, 3), (28, 28, 1), (60, 97, 3), (224, 224, 3)] {
        let picture = picture(height, width, channels, 2);
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for corruption in Corruption::ALL {
            for severity in Severity::ALL {
                for &byte in &corrupt(picture.view(), corruption, severity, 11, 12).unwrap() {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                }
            }
        }
        hashes.push(hash);
    }
    assert_eq!(hashes, BYTES, "{hashes:#x?}");
}

const BYTES: [u64; 4] =
    [0x2563_6425_511b_129d, 0xd249_46c5_647a_529d, 0x4f2f_9e2c_cee0_4797, 0xe29e_f773_1f13_dbb0];

#[test]
fn seed_and_index_change_what_is_random_and_nothing_else() {
    let picture = photograph(32);
    for corruption in Corruption::ALL {
        let severity = Severity::new(5).unwrap();
        let of = |seed, index| corrupt(picture.view(), corruption, severity, seed, index).unwrap();
        let name = corruption.name();
        if corruption.is_random() {
            assert_ne!(of(0, 0), of(0, 1), "{name}");
            assert_ne!(of(0, 0), of(1, 0), "{name}");
            assert_ne!(of(0, 1), of(1, 0), "{name}");
        } else {
            assert_eq!(of(0, 0), of(1, 1), "{name}");
        }
    }
}

/// Peak signal-to-noise ratio, in decibels, of the mean over some images.
fn psnr(picture: &Array3<u8>, corruption: Corruption, severity: Severity) -> f64 {
    let mut sum = 0.0;
    let images = if corruption.is_random() { 60 } else { 1 };
    for index in 0..images {
        let result = corrupt(picture.view(), corruption, severity, 0, index).unwrap();
        sum += result
            .iter()
            .zip(picture)
            .map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2))
            .sum::<f64>();
    }
    10.0 * (255.0 * 255.0 * (picture.len() as u64 * images) as f64 / sum).log10()
}

#[test]
fn a_higher_severity_is_further_from_the_photograph() {
    let mut wrong = Vec::new();
    for size in [32, 100, 224] {
        let picture = photograph(size);
        for corruption in Corruption::ALL {
            let ratios: Vec<f64> =
                Severity::ALL.map(|severity| psnr(&picture, corruption, severity)).to_vec();
            for (at, pair) in ratios.windows(2).enumerate() {
                if !exempt(corruption, at + 1) && pair[1] > pair[0] + 0.1 {
                    wrong.push(format!("{} {} at {size}: {ratios:.1?}", corruption.name(), at + 1));
                }
            }
            if ratios[0] > 60.0 || ratios[4] < 1.0 {
                wrong.push(format!("{} at {size}: {ratios:.1?}", corruption.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where the published parameters trade one strength for another from this severity to the next: colours are paler at
/// severities 1 and 2 and stronger from 3 on; drops are water up to 3 and mud from 4 on; glass blurs more and moves less, or the other
/// way round; fog of the same thickness is less even; frost of the same weight lets less light through; the affine map of
/// small pictures' elastic_transform falls while the displacement rises; and large pixels happen to meet the edges of the picture.
fn exempt(corruption: Corruption, severity: usize) -> bool {
    matches!(
        (corruption, severity),
        (Corruption::Saturate, 2)
            | (Corruption::Spatter, 3)
            | (Corruption::GlassBlur, _)
            | (Corruption::Fog, 3)
            | (Corruption::Frost, 3)
            | (Corruption::ElasticTransform, _)
            | (Corruption::Pixelate, 1)
    )
}

#[test]
fn a_view_that_is_not_in_order_gives_the_same() {
    let picture = picture(40, 30, 3, 5);
    let turned = picture.view().permuted_axes([1, 0, 2]);
    let copied = turned.as_standard_layout().to_owned();
    let part = picture.slice(s![4..36, 2..29, ..]);
    for corruption in [Corruption::GaussianNoise, Corruption::ZoomBlur] {
        for severity in Severity::ALL {
            let of = |view| corrupt(view, corruption, severity, 0, 0).unwrap();
            assert_eq!(of(turned), of(copied.view()));
            assert_eq!(of(part), of(part.to_owned().view()));
        }
    }
}

#[test]
fn what_cannot_be_corrupted_is_refused_by_name() {
    let severity = Severity::new(1).unwrap();
    let of = |shape: (usize, usize, usize)| {
        corrupt(Array3::zeros(shape).view(), Corruption::Fog, severity, 0, 0)
    };
    assert!(matches!(of((4, 4, 2)), Err(CorruptError::Channels { found: 2 })));
    assert!(matches!(of((4, 4, 0)), Err(CorruptError::Channels { found: 0 })));
    assert!(matches!(of((0, 4, 3)), Err(CorruptError::Empty { height: 0, width: 4 })));
    assert!(matches!(of((1, 32_769, 1)), Err(CorruptError::TooLarge { limit: 32_768, .. })));
    assert!(of((1, 32_768, 1)).is_ok());
    for wrong in [0, 6, 255] {
        assert!(
            matches!(Severity::new(wrong), Err(CorruptError::Severity { found }) if found == wrong)
        );
    }
}

#[test]
fn names_are_those_of_the_publication_and_lead_back() {
    for corruption in Corruption::ALL {
        assert_eq!(Corruption::from_name(corruption.name()), Some(corruption));
    }
    assert_eq!(Corruption::from_name("Fog"), None);
    let parts: Vec<Corruption> = Corruption::COMMON.into_iter().chain(Corruption::EXTRA).collect();
    assert_eq!(parts, Corruption::ALL);
    let count = |family| Corruption::ALL.into_iter().filter(|c| c.family() == family).count();
    let families = [Family::Noise, Family::Blur, Family::Weather, Family::Digital];
    assert_eq!(families.map(count), [4, 5, 5, 5]);
}

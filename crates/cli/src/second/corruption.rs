//! Corruptions of pictures, by the names on the command line.

use std::sync::Arc;

use anyhow::{Context, Result};
use introspective_corrupt::{Corruption, Family, Severity, corrupt};
use introspective_data::Picture;
use ndarray::{Array3, ArrayView3, Axis, s};
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::extract::Reader;

/// The corruptions that names mean; `all`, `common`, `extra` and the families are lists of them.
pub fn corruptions(names: &[String]) -> Result<Vec<Corruption>> {
    let mut all = Vec::new();
    for name in names {
        let family = Family::ALL.into_iter().find(|family| family.name() == name);
        match (name.as_str(), family) {
            ("all", _) => all.extend(Corruption::ALL),
            ("common", _) => all.extend(Corruption::COMMON),
            ("extra", _) => all.extend(Corruption::EXTRA),
            (_, Some(family)) => {
                all.extend(Corruption::ALL.into_iter().filter(|one| one.family() == family));
            }
            (name, None) => all.push(Corruption::from_name(name).with_context(|| {
                let known = Corruption::ALL.map(Corruption::name).join(", ");
                let families = Family::ALL.map(Family::name).join(", ");
                format!(
                    "there is no corruption {name}; choose among {known}, or all, common, extra, {families}"
                )
            })?),
        }
    }
    let mut seen = Vec::new();
    all.retain(|corruption| {
        let new = !seen.contains(corruption);
        seen.push(*corruption);
        new
    });
    Ok(all)
}

/// Severities without repetitions, rising.
pub fn severities(numbers: &[u8]) -> Result<Vec<Severity>> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers.into_iter().map(Severity::new).collect::<Result<_, _>>()?)
}

/// Gives the pictures of `read` with a corruption, each with randomness of its own number.
pub fn corrupting(
    read: Arc<Reader>,
    corruption: Corruption,
    severity: Severity,
    seed: u64,
) -> Arc<Reader> {
    Arc::new(move |number| corrupted(read(number)?, corruption, severity, seed, number as u64))
}

/// Sets the choice of a corruption apart from other draws of the same seed.
const CHOICE: u64 = 0x636f_7272_7570_7421;

/// Corruptions of which each copy of a picture gets one.
#[derive(Clone, Debug)]
pub struct Mixed {
    corruptions: Vec<Corruption>,
    severities: Vec<Severity>,
}

impl Mixed {
    /// None if no names are given.
    pub fn new(names: &[String], numbers: &[u8]) -> Result<Option<Self>> {
        let corruptions = corruptions(names)?;
        let severities = severities(numbers)?;
        Ok((!corruptions.is_empty()).then_some(Self { corruptions, severities }))
    }

    /// The corruption and the severity that are drawn for a picture's number.
    pub fn draw(&self, seed: u64, number: u64) -> Option<(Corruption, Severity)> {
        // an augmentation of the same seed and number draws from its own stream: the choice must not go with its draws
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ CHOICE);
        random.set_stream(number);
        let chosen = self.corruptions.choose(&mut random).zip(self.severities.choose(&mut random));
        chosen.map(|(&corruption, &severity)| (corruption, severity))
    }

    /// A picture with the corruption and the severity that are drawn for its number.
    pub fn apply(&self, picture: Picture, seed: u64, number: u64) -> Result<Picture> {
        match self.draw(seed, number) {
            Some((corruption, severity)) => corrupted(picture, corruption, severity, seed, number),
            None => Ok(picture),
        }
    }

    /// What was drawn from, for records.
    pub fn names(&self) -> Vec<String> {
        let each = |corruption: &Corruption| {
            self.severities
                .iter()
                .map(|severity| format!("{} {}", corruption.name(), severity.get()))
                .collect::<Vec<_>>()
        };
        self.corruptions.iter().flat_map(each).collect()
    }
}

/// The picture with a corruption. One without colour is corrupted as such: noise has no colour then.
pub fn corrupted(
    mut picture: Picture,
    corruption: Corruption,
    severity: Severity,
    seed: u64,
    index: u64,
) -> Result<Picture> {
    let grey = ["l1", "l8", "la8", "l16", "la16"].contains(&picture.info.colour.as_str());
    let apply = |pixels: ArrayView3<'_, u8>| corrupt(pixels, corruption, severity, seed, index);
    let pixels = if grey {
        apply(picture.pixels.slice(s![.., .., ..1])).map(|plane| {
            let (height, width, _) = plane.dim();
            let mut wide = Array3::zeros((height, width, 3));
            wide.axis_iter_mut(Axis(2)).for_each(|mut channel| {
                channel.assign(&plane.index_axis(Axis(2), 0));
            });
            wide
        })
    } else {
        apply(picture.pixels.view())
    };
    picture.pixels = pixels?;
    Ok(picture)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use introspective_data::PictureInfo;

    use super::*;

    fn picture(colour: &str) -> Picture {
        let (width, height, format) = (20, 16, "png".to_owned());
        let info = PictureInfo { width, height, format, colour: colour.to_owned(), orientation: 1 };
        let pixels = Array3::from_shape_fn((height, width, 3), |(y, x, _)| (9 * y + 4 * x) as u8);
        Picture { pixels, info }
    }

    #[test]
    fn noise_on_a_picture_without_colour_has_none() {
        let severity = Severity::new(5).unwrap();
        let noisy = |colour: &str| {
            corrupted(picture(colour), Corruption::GaussianNoise, severity, 1, 2).unwrap().pixels
        };
        let equal = |pixels: &Array3<u8>| {
            pixels.lanes(Axis(2)).into_iter().all(|p| p[0] == p[1] && p[1] == p[2])
        };
        let grey = noisy("l8");
        assert_eq!(grey.dim(), (16, 20, 3));
        assert!(equal(&grey) && grey != picture("l8").pixels);
        assert!(!equal(&noisy("rgb8")));
    }

    #[test]
    fn names_of_lists_and_each_corruption_once() {
        let found = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            corruptions(&names)
        };
        assert_eq!(found(&["all", "fog"]).unwrap().len(), 19);
        assert_eq!(found(&["fog", "extra", "noise", "fog"]).unwrap().len(), 1 + 4 + 3);
        let error = found(&["mist"]).unwrap_err().to_string();
        assert!(error.contains("mist") && error.contains("weather"), "{error}");
    }

    #[test]
    fn every_corruption_of_a_mixture_is_drawn() {
        let names = ["blur".to_owned(), "fog".to_owned()];
        let mixed = Mixed::new(&names, &[1, 3]).unwrap().unwrap();
        let drawn: std::collections::BTreeSet<Vec<u8>> = (0..200)
            .map(|number| {
                let pixels = mixed.apply(picture("l8"), 0, number).unwrap().pixels;
                pixels.iter().copied().collect()
            })
            .collect();
        // two severities of three blurs that are the same for every picture, and others for each of the rest
        assert!(drawn.len() > 60, "{}", drawn.len());
        assert_eq!(mixed.names().len(), 12);
    }
}

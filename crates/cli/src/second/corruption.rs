//! Corruptions of pictures, by the names on the command line.

use std::sync::Arc;

use anyhow::{Context, Result};
use introspective_corrupt::{Corruption, Severity, corrupt};
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
        match name.as_str() {
            "all" => all.extend(Corruption::ALL),
            "common" => all.extend(Corruption::COMMON),
            "extra" => all.extend(Corruption::EXTRA),
            "noise" | "blur" | "weather" | "digital" => {
                all.extend(Corruption::ALL.into_iter().filter(|one| one.family().name() == name));
            }
            name => all.push(Corruption::from_name(name).with_context(|| {
                let known = Corruption::ALL.map(Corruption::name).join(", ");
                format!(
                    "there is no corruption {name}; choose among {known}, or all, common, extra"
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

    /// A picture with a corruption and a severity that are drawn for its number.
    pub fn apply(&self, picture: Picture, seed: u64, number: u64) -> Result<Picture> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number);
        let chosen = self.corruptions.choose(&mut random).zip(self.severities.choose(&mut random));
        let Some((&corruption, &severity)) = chosen else { return Ok(picture) };
        corrupted(picture, corruption, severity, seed, number)
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

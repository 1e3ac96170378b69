//! From a labelled set to pictures of one size in memory.

use introspective_data::LabelledSet;
use introspective_network::Preprocessing;
use rayon::prelude::*;

use crate::error::{Result, TrainError};
use crate::pictures::Pictures;

/// The pictures of a set, and those that could not be read.
pub struct Gathered {
    /// All pictures; one that could not be read is black.
    pub pictures: Pictures,
    /// Number, name and what is wrong of each that could not be read.
    pub unreadable: Vec<(usize, String, String)>,
}

/// Reads every picture of a set and brings it to size, with the steps that predicting will use; of `preprocessing` mean and deviation are not applied.
///
/// `watch` is told after some pictures how many were read; if it says no, reading ends with `None`.
///
/// # Errors
/// None of the pictures can be read.
pub fn gather(
    set: &LabelledSet,
    preprocessing: &Preprocessing,
    mut watch: impl FnMut(usize) -> bool,
) -> Result<Option<Gathered>> {
    const TOGETHER: usize = 512;
    let (side, channels) = (preprocessing.input_size(), preprocessing.channels());
    let mut bytes = Vec::with_capacity(set.len() * channels * side * side);
    let mut unreadable = Vec::new();
    for start in (0..set.len()).step_by(TOGETHER) {
        if !watch(start) {
            return Ok(None);
        }
        let end = (start + TOGETHER).min(set.len());
        let read: Vec<std::result::Result<Vec<u8>, String>> = (start..end)
            .into_par_iter()
            .map(|index| {
                let picture = set.picture(index).map_err(|error| error.to_string())?;
                let prepared = preprocessing
                    .apply(picture.pixels.view())
                    .map_err(|error| error.to_string())?;
                // values in 0..1 that were bytes, or lie between
                Ok(prepared
                    .input
                    .iter()
                    .map(|v| (v * 255.0).round().clamp(0.0, 255.0) as u8)
                    .collect())
            })
            .collect();
        for (index, read) in (start..end).zip(read) {
            match read {
                Ok(picture) => bytes.extend(picture),
                Err(error) => {
                    bytes.resize(bytes.len() + channels * side * side, 0);
                    unreadable.push((index, set.name(index), error));
                }
            }
        }
    }
    match unreadable.first() {
        Some((_, name, error)) if unreadable.len() == set.len() => {
            Err(TrainError::NothingReadable {
                root: set.root().display().to_string(),
                count: set.len(),
                first: format!("{name}: {error}"),
            })
        }
        _ => {
            let labels = set.labels().to_vec();
            Ok(Some(Gathered { pictures: Pictures { side, channels, bytes, labels }, unreadable }))
        }
    }
}

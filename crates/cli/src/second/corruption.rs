//! Corruptions of pictures, by the names on the command line.

use anyhow::{Context, Result};
use introspective_corrupt::{Corruption, Severity, corrupt};
use introspective_data::Picture;
use ndarray::{Array3, ArrayView3, Axis, s};

/// The corruptions that names mean; `all`, `common` and `extra` are lists of them.
pub fn corruptions(names: &[String]) -> Result<Vec<Corruption>> {
    let mut all = Vec::new();
    for name in names {
        match name.as_str() {
            "all" => all.extend(Corruption::ALL),
            "common" => all.extend(Corruption::COMMON),
            "extra" => all.extend(Corruption::EXTRA),
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

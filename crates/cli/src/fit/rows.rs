//! Which rows of the features are for what: training, temperatures, the weight of an average.

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use introspective_data::held_out;
use introspective_reflect::Features;

use crate::args::FitArgs;
use crate::second::corruption::corruptions;
use crate::second::source::Source;

/// Number of rows that are images as they are: those before the first copy.
fn clean(source: &Source) -> usize {
    let mut seen = HashSet::new();
    source.images.iter().take_while(|&&image| seen.insert(image)).count()
}

/// Rows kept aside for the temperatures: those that the classifier has not seen, where that is known; else a share
/// drawn from each class. Of changed copies none.
pub fn kept(args: &FitArgs, source: &Source) -> Result<Vec<usize>> {
    let (features, clean) = (&source.features, clean(source));
    let unseen: Vec<usize> =
        (0..clean).filter(|&row| features.held_out.get(row).copied().unwrap_or(false)).collect();
    if !unseen.is_empty() {
        return Ok(unseen);
    }
    eprintln!(
        "note: nothing says which images the classifier was not trained on; temperatures are fitted on a share \
         (--fit-split {}) that it may have seen, and then come out too low",
        args.fit_split
    );
    let labels = &features.labels[..clean];
    Ok(held_out(labels, args.fit_split, args.seed).context("--fit-split")?.held)
}

/// Of some rows those that are no copies with the corruptions of --leave-out.
///
/// # Errors
/// There are none of them among the rows.
pub fn without(args: &FitArgs, features: &Features, rows: Vec<usize>) -> Result<Vec<usize>> {
    let all = rows.len();
    let staying = left_in(args, features, rows)?;
    if !args.leave_out.is_empty() && staying.len() == all {
        bail!(
            "--leave-out {}: no row is a copy with one of these corruptions; they come from --corruption, or from features \
             that were saved with it",
            args.leave_out.join(",")
        );
    }
    Ok(staying)
}

pub fn left_in(args: &FitArgs, features: &Features, mut rows: Vec<usize>) -> Result<Vec<usize>> {
    let names = corruptions(&args.leave_out).context("--leave-out")?;
    let left: HashSet<&str> = names.iter().map(|corruption| corruption.name()).collect();
    let drawn = |row: &usize| features.changes.get(*row).map(String::as_str).unwrap_or_default();
    rows.retain(|row| !left.contains(drawn(row)));
    Ok(rows)
}

/// The kept rows and the copies of their images.
pub fn aside(images: &[usize], kept: &[usize]) -> Vec<usize> {
    let aside: HashSet<usize> = kept.iter().map(|&row| images[row]).collect();
    (0..images.len()).filter(|&row| aside.contains(&images[row])).collect()
}

/// Rows to train on: of the images of the kept rows neither they nor their copies. `images` says which image each row
/// is of.
pub fn others(images: &[usize], kept: &[usize]) -> Vec<usize> {
    let aside: HashSet<usize> = kept.iter().map(|&row| images[row]).collect();
    (0..images.len()).filter(|&row| !aside.contains(&images[row])).collect()
}

#[cfg(test)]
mod tests {
    use super::others;

    /// Whatever is missing among the copies: of picture 1 the second copy, of picture 2 the first.
    #[test]
    fn no_copy_of_a_kept_image_is_trained_on() {
        let images = [0, 1, 2, 3, 0, 1, 3, 0, 2, 3];
        assert_eq!(others(&images, &[1, 3]), [0, 2, 4, 7, 8]);
        assert_eq!(others(&images, &[]), (0..10).collect::<Vec<_>>());
    }
}

//! A set of arrays in CIFAR-10-C's layout: an array for each corruption, the severities one after the other.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use introspective_corrupt::Corruption;
use introspective_data::LabelledSet;
use ndarray::{Array1, Array4, Axis};
use ndarray_npy::write_npy;
use rayon::prelude::*;

use super::{Plan, finish, whole};
use crate::second::bar;
use crate::second::corruption::corrupted;

/// Writes `<corruption>.npy`, uint8 (severities x images, H, W, 3), and `labels.npy`, uint8 or int64 (as many); an
/// array that is there already is left alone.
pub fn write(plan: &Plan<'_>, set: &LabelledSet) -> Result<ExitCode> {
    let (images, severities) = (set.len(), plan.severities.len());
    if images == 0 {
        bail!("the set is empty");
    }
    let progress = bar(true, plan.corruptions.len() * images * severities, "pictures");
    let (mut written, mut kept) = (0, 0);
    for &corruption in &plan.corruptions {
        let path = plan.args.out.join(format!("{}.npy", corruption.name()));
        if path.exists() {
            kept += 1;
            progress.inc((images * severities) as u64);
            continue;
        }
        progress.set_message(format!("({})", corruption.name()));
        let Some(pictures) = pictures(plan, set, corruption, &progress)? else { break };
        whole(&path, |path| {
            write_npy(path, &pictures)
                .with_context(|| format!("{}: cannot be written", path.display()))
        })?;
        written += 1;
    }
    let labels: Array1<i64> =
        (0..severities).flat_map(|_| set.labels().iter().map(|&label| label as i64)).collect();
    let path = plan.args.out.join("labels.npy");
    whole(&path, |path| {
        write_npy(path, &labels).with_context(|| format!("{}: cannot be written", path.display()))
    })?;
    progress.finish_and_clear();
    finish(written + 1, kept, 0, plan)
}

/// All severities of a corruption; none if the user asked to stop.
fn pictures(
    plan: &Plan<'_>,
    set: &LabelledSet,
    corruption: Corruption,
    progress: &indicatif::ProgressBar,
) -> Result<Option<Array4<u8>>> {
    let images = set.len();
    let (height, width, channels) = set.picture(0)?.pixels.dim();
    let mut all = Array4::zeros((plan.severities.len() * images, height, width, channels));
    let stopped = AtomicBool::new(false);
    let places: Vec<_> = all.axis_iter_mut(Axis(0)).collect();
    places.into_par_iter().enumerate().try_for_each(|(row, mut place)| {
        if stopped.load(Ordering::Relaxed) || plan.interrupt.came() {
            stopped.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let (severity, number) = (plan.severities[row / images], row % images);
        let picture = set.picture(number)?;
        let result = corrupted(picture, corruption, severity, plan.args.seed, number as u64)?;
        if result.pixels.dim() != place.dim() {
            bail!("{}: its size differs from the first image's", set.name(number));
        }
        place.assign(&result.pixels);
        progress.inc(1);
        anyhow::Ok(())
    })?;
    Ok((!stopped.into_inner()).then_some(all))
}

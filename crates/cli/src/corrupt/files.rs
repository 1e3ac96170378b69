//! Pictures in ImageNet-C's layout: a folder for each corruption, in it one for each severity.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use introspective_corrupt::{Corruption, Severity};
use introspective_data::read;
use introspective_report::write_png;
use jpeg_encoder::{ColorType, Encoder};
use ndarray::Array3;
use rayon::prelude::*;

use super::inputs::File;
use super::{Plan, finish, whole};
use crate::output;
use crate::run_folder::make_folder;
use crate::second::bar;
use crate::second::corruption::corrupted;

/// Writes every picture under every condition; what is there already is left alone.
pub fn write(plan: &Plan<'_>, files: &[File]) -> Result<ExitCode> {
    let conditions: Vec<(Corruption, Severity)> = plan
        .corruptions
        .iter()
        .flat_map(|&one| plan.severities.iter().map(move |&severity| (one, severity)))
        .collect();
    let progress = bar(true, files.len() * conditions.len(), "pictures");
    let [written, kept, failed] = [0; 3].map(AtomicUsize::new);
    files.par_iter().enumerate().try_for_each(|(number, file)| {
        let wanted: Vec<_> = conditions
            .iter()
            .map(|&(one, severity)| (one, severity, place(plan, file, one, severity)))
            .filter(|(_, _, path)| !path.exists())
            .collect();
        kept.fetch_add(conditions.len() - wanted.len(), Ordering::Relaxed);
        progress.inc((conditions.len() - wanted.len()) as u64);
        if wanted.is_empty() || plan.interrupt.came() {
            return Ok(());
        }
        let picture = match read(&file.path) {
            Ok(picture) => picture,
            Err(error) => {
                failed.fetch_add(1, Ordering::Relaxed);
                let text = output::chain(&error.into());
                progress.suspend(|| eprintln!("left out: {text}"));
                return Ok(());
            }
        };
        for (one, severity, path) in wanted {
            if plan.interrupt.came() {
                return Ok(());
            }
            let result = corrupted(picture.clone(), one, severity, plan.args.seed, number as u64)?;
            if let Some(folder) = path.parent() {
                make_folder(folder)?;
            }
            whole(&path, |path| encode(path, &result.pixels, plan.args.jpeg))?;
            written.fetch_add(1, Ordering::Relaxed);
            progress.inc(1);
        }
        anyhow::Ok(())
    })?;
    progress.finish_and_clear();
    finish(written.into_inner(), kept.into_inner(), failed.into_inner(), plan)
}

fn place(plan: &Plan<'_>, file: &File, corruption: Corruption, severity: Severity) -> PathBuf {
    let extension = if plan.args.jpeg.is_some() { "jpg" } else { "png" };
    let mut name = file.name.clone().into_os_string();
    name.push(".");
    name.push(extension);
    plan.args.out.join(corruption.name()).join(severity.get().to_string()).join(name)
}

fn encode(path: &Path, pixels: &Array3<u8>, jpeg: Option<u8>) -> Result<()> {
    let Some(quality) = jpeg else { return Ok(write_png(path, pixels.view())?) };
    let (height, width, _) = pixels.dim();
    let sides = u16::try_from(width).ok().zip(u16::try_from(height).ok());
    let (width, height) =
        sides.with_context(|| format!("{width} x {height} pixels are too many for a JPEG file"))?;
    let bytes = pixels.as_standard_layout();
    let bytes = bytes.as_slice().context("a picture in one piece")?;
    let encoder = Encoder::new_file(path, quality)
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    encoder
        .encode(bytes, width, height, ColorType::Rgb)
        .with_context(|| format!("{}: cannot be written", path.display()))
}

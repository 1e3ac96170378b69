//! A contact sheet: all corruptions of one picture.

use std::process::ExitCode;

use anyhow::{Result, bail};
use introspective_data::read;
use introspective_report::{crop_and_fit, write_png};
use ndarray::{Array3, s};

use super::{Plan, whole};
use crate::output;
use crate::run_folder::make_folder;
use crate::second::corruption::corrupted;

/// Longest side of a picture on the sheet; corruptions are of that size, too.
const SIDE: usize = 224;
/// White between pictures.
const GAP: usize = 6;

/// Draws `sheet.png`: a row for each corruption, in it the picture as it is and at each severity.
pub fn draw(plan: &Plan<'_>) -> Result<ExitCode> {
    let [input] = &plan.args.inputs[..] else {
        bail!("--sheet is of one picture; {} inputs were given", plan.args.inputs.len())
    };
    if input.is_dir() {
        bail!("--sheet is of one picture, and {} is a folder", input.display());
    }
    let out = &plan.args.out;
    let path = out.join("sheet.png");
    if path.exists() && !plan.args.force {
        bail!("{} is there already; choose another --out, or add --force", path.display());
    }
    let mut picture = read(input)?;
    let (height, width, _) = picture.pixels.dim();
    picture.pixels =
        crop_and_fit(picture.pixels.view(), 0.0, 0.0, width as f64, height as f64, SIDE);
    let (height, width, _) = picture.pixels.dim();
    let columns = 1 + plan.severities.len();
    let (rows, step) = (plan.corruptions.len(), (height + GAP, width + GAP));
    let mut sheet = Array3::from_elem((rows * step.0 + GAP, columns * step.1 + GAP, 3), 255);
    for (row, &corruption) in plan.corruptions.iter().enumerate() {
        for column in 0..columns {
            let pixels = match column {
                0 => picture.pixels.clone(),
                _ => {
                    let severity = plan.severities[column - 1];
                    corrupted(picture.clone(), corruption, severity, plan.args.seed, 0)?.pixels
                }
            };
            let (top, left) = (GAP + row * step.0, GAP + column * step.1);
            sheet.slice_mut(s![top..top + height, left..left + width, ..]).assign(&pixels);
        }
    }
    make_folder(out)?;
    whole(&path, |path| Ok(write_png(path, sheet.view())?))?;
    let names: Vec<&str> = plan.corruptions.iter().map(|one| one.name()).collect();
    output::line(&format!("rows: {}", names.join(", ")))?;
    output::line(&format!("  {}", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

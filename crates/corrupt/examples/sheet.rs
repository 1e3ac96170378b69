//! A contact sheet: a picture, and its nineteen corruptions at five severities, as one PNG.
//!
//! ```sh
//! cargo run --release -p introspective-corrupt --example sheet -- assets/coffee.png 224 sheet.png
//! ```
//!
//! The picture's middle is cut to a square and made as small as asked for. One row a corruption, severities from left to right.

use std::error::Error;

use image::imageops::{FilterType, crop_imm, resize};
use introspective_corrupt::{Corruption, Severity, corrupt};
use ndarray::{Array3, ArrayView3, s};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, size, output] = &arguments[..] else {
        return Err("usage: sheet PICTURE SIZE SHEET.png".into());
    };
    let size: usize = size.parse()?;
    let picture = square(input, size)?;
    // small pictures are drawn larger, or nothing could be seen
    let zoom = (96 / size).max(1);
    let (tile, gap) = (size * zoom, 2);
    let shape = (Corruption::ALL.len() * (tile + gap), 6 * (tile + gap), 3);
    let mut sheet = Array3::from_elem(shape, 255u8);
    for (row, corruption) in Corruption::ALL.into_iter().enumerate() {
        let mut place = |column: usize, view: ArrayView3<'_, u8>| {
            let (top, left) = (row * (tile + gap), column * (tile + gap));
            sheet
                .slice_mut(s![top..top + tile, left..left + tile, ..])
                .indexed_iter_mut()
                .for_each(|((y, x, c), sample)| *sample = view[[y / zoom, x / zoom, c]]);
        };
        place(0, picture.view());
        for severity in Severity::ALL {
            let seed = 0;
            let index = row as u64;
            let corrupted = corrupt(picture.view(), corruption, severity, seed, index)?;
            place(usize::from(severity.get()), corrupted.view());
        }
    }
    let (height, width, _) = sheet.dim();
    let samples = sheet.into_raw_vec_and_offset().0;
    let sheet = image::RgbImage::from_raw(width as u32, height as u32, samples)
        .ok_or("the sheet has no pixels")?;
    sheet.save(output)?;
    Ok(())
}

fn square(path: &str, size: usize) -> Result<Array3<u8>, Box<dyn Error>> {
    let picture = image::open(path)?.to_rgb8();
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    let middle = crop_imm(&picture, left, top, side, side).to_image();
    let small = resize(&middle, size as u32, size as u32, FilterType::Triangle);
    Ok(Array3::from_shape_vec((size, size, 3), small.into_raw())?)
}

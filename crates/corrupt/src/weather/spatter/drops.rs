//! How light falls on drops of water.

use super::distances::distances;
use super::outlines::outlines;
use crate::border::Border;

/// Brightness of drops, 0 to `strength`: the liquid's height x how far inside its outline lies, made into a relief.
///
/// The outlines' distance to every pixel, up to 20, is smoothed over 3 x 3 pixels, spread evenly over 0 to 255 by its
/// histogram, filtered with ((-2, -1, 0), (-1, 1, 1), (0, 1, 2)), which lights it from the upper left, and smoothed again; the
/// product with the liquid is divided by its largest value. Without any liquid there is no light. (`imagecorruptions`, with
/// OpenCV's functions; there, no liquid gives 0 / 0.)
pub(super) fn reflections(liquid: &[u8], height: usize, width: usize, strength: f32) -> Vec<f32> {
    let distance = distances(&outlines(liquid, height, width), height, width);
    let near: Vec<f32> = distance.into_iter().map(|d| d.min(20.0)).collect();
    let smooth = over_3x3(&near, height, width, &[1.0 / 9.0; 9]);
    let even = equalised(&smooth.into_iter().map(|x| x as u8).collect::<Vec<_>>());
    let even: Vec<f32> = even.into_iter().map(f32::from).collect();
    let relief = over_3x3(&even, height, width, &[-2.0, -1.0, 0.0, -1.0, 1.0, 1.0, 0.0, 1.0, 2.0]);
    let relief: Vec<f32> = relief.into_iter().map(|x| x.clamp(0.0, 255.0)).collect();
    let relief = over_3x3(&relief, height, width, &[1.0 / 9.0; 9]);
    let light: Vec<f32> =
        liquid.iter().zip(relief).map(|(&l, r)| f32::from(l) * r.round()).collect();
    let brightest = light.iter().copied().fold(0.0, f32::max);
    if brightest == 0.0 {
        return light;
    }
    light.into_iter().map(|x| x / brightest * strength).collect()
}

/// The weighted sum over the 3 x 3 neighbourhood; beyond the border the image is mirrored.
fn over_3x3(image: &[f32], height: usize, width: usize, weights: &[f32; 9]) -> Vec<f32> {
    let mut out = Vec::with_capacity(image.len());
    let columns: Vec<usize> =
        (0..width + 2).map(|x| Border::Mirror.at(x as isize - 1, width)).collect();
    for y in 0..height {
        let rows: [&[f32]; 3] = std::array::from_fn(|k| {
            &image[Border::Mirror.at((y + k) as isize - 1, height) * width..][..width]
        });
        out.extend(columns.windows(3).map(|at| {
            let mut sum = 0.0;
            for (row, weights) in rows.iter().zip(weights.as_chunks::<3>().0) {
                sum += weights[0] * row[at[0]] + weights[1] * row[at[1]] + weights[2] * row[at[2]];
            }
            sum
        }));
    }
    out
}

/// Values spread so that each is as frequent as the others: 255 x the share of pixels below or at a value, without the lowest.
fn equalised(image: &[u8]) -> Vec<u8> {
    let mut counts = [0u32; 256];
    for &x in image {
        counts[usize::from(x)] += 1;
    }
    let lowest = counts.iter().position(|&count| count > 0).unwrap_or(0);
    let rest = image.len() as u32 - counts[lowest];
    if rest == 0 {
        return image.to_vec();
    }
    let scale = 255.0 / rest as f32;
    let mut sum = 0;
    let mut levels = [0u8; 256];
    for value in lowest + 1..256 {
        sum += counts[value];
        levels[value] = (sum as f32 * scale).round_ties_even() as u8;
    }
    image.iter().map(|&x| levels[usize::from(x)]).collect()
}

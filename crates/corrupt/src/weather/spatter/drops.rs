//! How light falls on drops of water.

use std::f32::consts::SQRT_2;

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

/// Edges that are not followed below this gradient, and those that begin above this one.
const WEAK: i32 = 50;
const STRONG: i32 = 150;

/// Canny's edges (1986) with Sobel's gradients, |dx| + |dy|: ridges of the gradient that connect to a strong one.
fn outlines(image: &[u8], height: usize, width: usize) -> Vec<bool> {
    let at = |y: isize, x: isize| {
        i32::from(image[Border::Nearest.at(y, height) * width + Border::Nearest.at(x, width)])
    };
    let mut gradients = vec![(0i32, 0i32); image.len()];
    // gradients of the image with a rim of zeros
    let stride = width + 2;
    let mut sizes = vec![0i32; stride * (height + 2)];
    for y in 0..height {
        let rows: [&[u8]; 3] = std::array::from_fn(|k| {
            &image[Border::Nearest.at((y + k) as isize - 1, height) * width..][..width]
        });
        if rows.iter().all(|row| row.iter().all(|&x| x == 0)) {
            continue;
        }
        for x in 0..width {
            let (y, x) = (y as isize, x as isize);
            let right = at(y - 1, x + 1) + 2 * at(y, x + 1) + at(y + 1, x + 1);
            let left = at(y - 1, x - 1) + 2 * at(y, x - 1) + at(y + 1, x - 1);
            let below = at(y + 1, x - 1) + 2 * at(y + 1, x) + at(y + 1, x + 1);
            let above = at(y - 1, x - 1) + 2 * at(y - 1, x) + at(y - 1, x + 1);
            let (dx, dy) = (right - left, below - above);
            let (y, x) = (y as usize, x as usize);
            gradients[y * width + x] = (dx, dy);
            sizes[(y + 1) * stride + x + 1] = dx.abs() + dy.abs();
        }
    }
    let mut ridges = vec![false; sizes.len()];
    let mut edges = vec![false; image.len()];
    let mut to_follow = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let place = (y + 1) * stride + x + 1;
            if sizes[place] > WEAK && is_ridge(&sizes, place, stride, gradients[y * width + x]) {
                ridges[place] = true;
                if sizes[place] > STRONG {
                    to_follow.push(place);
                }
            }
        }
    }
    while let Some(place) = to_follow.pop() {
        if !std::mem::replace(&mut ridges[place], false) {
            continue;
        }
        let (y, x) = (place / stride - 1, place % stride - 1);
        edges[y * width + x] = true;
        for neighbour in [place - stride, place, place + stride] {
            to_follow.extend(
                [neighbour - 1, neighbour, neighbour + 1].into_iter().filter(|&n| ridges[n]),
            );
        }
    }
    edges
}

/// Whether the gradient is largest along its own direction, rounded to 45 degrees.
fn is_ridge(sizes: &[i32], place: usize, stride: usize, (dx, dy): (i32, i32)) -> bool {
    // tangents of 22.5 and 67.5 degrees: sqrt 2 - 1 and sqrt 2 + 1
    let (along, across) = (dx.abs() as f32, dy.abs() as f32);
    let size = sizes[place];
    if across < along * (SQRT_2 - 1.0) {
        size > sizes[place - 1] && size >= sizes[place + 1]
    } else if across > along * (SQRT_2 + 1.0) {
        size > sizes[place - stride] && size >= sizes[place + stride]
    } else if (dx < 0) == (dy < 0) {
        size > sizes[place - stride - 1] && size > sizes[place + stride + 1]
    } else {
        size > sizes[place - stride + 1] && size > sizes[place + stride - 1]
    }
}

/// For each pixel the distance to the nearest edge, as the shortest way in steps to neighbours and by knight's moves, of
/// lengths 1, 1.4 and 2.1969 (Borgefors 1986); 8192 and more without any edge.
fn distances(edges: &[bool], height: usize, width: usize) -> Vec<f32> {
    const STRAIGHT: f32 = 1.0;
    const DIAGONAL: f32 = 1.4;
    const KNIGHT: f32 = 2.1969;
    const FAR: f32 = 8192.0;
    // two more on every side, so that no step needs a check
    let stride = width + 4;
    let mut distance = vec![FAR; stride * (height + 4)];
    for (row, edges) in
        distance[2 * stride..].chunks_exact_mut(stride).zip(edges.chunks_exact(width))
    {
        for (d, &edge) in row[2..].iter_mut().zip(edges) {
            if edge {
                *d = 0.0;
            }
        }
    }
    let (up, left) = (stride, 1);
    let steps = [
        (up, STRAIGHT),
        (left, STRAIGHT),
        (up + left, DIAGONAL),
        (up - left, DIAGONAL),
        (2 * up + left, KNIGHT),
        (2 * up - left, KNIGHT),
        (up + 2 * left, KNIGHT),
        (up - 2 * left, KNIGHT),
    ];
    let places = |y: usize| (y + 2) * stride + 2..(y + 2) * stride + 2 + width;
    for place in (0..height).flat_map(places) {
        for (back, length) in steps {
            distance[place] = distance[place].min(distance[place - back] + length);
        }
    }
    for place in (0..height).rev().flat_map(|y| places(y).rev()) {
        for (on, length) in steps {
            distance[place] = distance[place].min(distance[place + on] + length);
        }
    }
    (0..height).flat_map(|y| &distance[places(y)]).copied().collect()
}

//! The outlines of drops.

use std::f32::consts::SQRT_2;

/// Edges that are not followed below this gradient, and those that begin above this one.
const WEAK: i32 = 50;
const STRONG: i32 = 150;

/// Canny's edges (1986) with Sobel's gradients, |dx| + |dy|: ridges of the gradient that connect to a strong one.
pub(super) fn outlines(image: &[u8], height: usize, width: usize) -> Vec<bool> {
    let mut gradients = vec![(0i32, 0i32); image.len()];
    // gradients of the image with a rim of zeros
    let stride = width + 2;
    let mut sizes = vec![0i32; stride * (height + 2)];
    // sums of three rows, weighted 1, 2, 1, and the difference of the outer ones, with the outermost pixels repeated
    let (mut sums, mut steps) = (vec![0i32; stride], vec![0i32; stride]);
    for y in 0..height {
        let row = |y: usize| &image[y * width..][..width];
        let rows = [row(y.saturating_sub(1)), row(y), row((y + 1).min(height - 1))];
        if rows.iter().all(|row| row.iter().all(|&x| x == 0)) {
            continue; // most of a picture is dry
        }
        let pixels = rows[0].iter().zip(rows[1]).zip(rows[2]);
        for (((&a, &b), &c), (sum, step)) in pixels.zip(sums[1..].iter_mut().zip(&mut steps[1..])) {
            let (a, b, c) = (i32::from(a), i32::from(b), i32::from(c));
            (*sum, *step) = (a + 2 * b + c, c - a);
        }
        for line in [&mut sums, &mut steps] {
            line[0] = line[1];
            line[width + 1] = line[width];
        }
        let out = gradients[y * width..].iter_mut().zip(&mut sizes[(y + 1) * stride + 1..]);
        for ((gradient, size), (sums, steps)) in out.zip(sums.windows(3).zip(steps.windows(3))) {
            *gradient = (sums[2] - sums[0], steps[0] + 2 * steps[1] + steps[2]);
            *size = gradient.0.abs() + gradient.1.abs();
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

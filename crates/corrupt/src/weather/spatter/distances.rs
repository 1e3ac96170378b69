//! How far every pixel is from an outline.

use crate::vectors::vectorized;

const STRAIGHT: f32 = 1.0;
const DIAGONAL: f32 = 1.4;
const KNIGHT: f32 = 2.1969;
/// Farther than any picture is wide.
const FAR: f32 = 4_194_304.0;

/// For each pixel the distance to the nearest edge, as the shortest way in steps to neighbours and by knight's moves, of
/// lengths 1, 1.4 and 2.1969 (Borgefors 1986); without any edge, millions.
pub(super) fn distances(edges: &[bool], height: usize, width: usize) -> Vec<f32> {
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
    vectorized(
        #[inline(always)]
        || {
            // down, with all steps from above and from the left; then up, with their opposites
            for y in 2..height + 2 {
                let (above, row) = distance.split_at_mut(y * stride);
                let (far, near) = above[(y - 2) * stride..].split_at(stride);
                across(&mut row[..stride], near, far);
                for x in 2..width + 2 {
                    row[x] = row[x].min(row[x - 1] + STRAIGHT);
                }
            }
            for y in (2..height + 2).rev() {
                let (row, below) = distance.split_at_mut((y + 1) * stride);
                let row = &mut row[y * stride..];
                let (near, far) = below.split_at(stride);
                across(row, near, &far[..stride]);
                for x in (2..width + 2).rev() {
                    row[x] = row[x].min(row[x + 1] + STRAIGHT);
                }
            }
        },
    );
    let rows = distance.chunks_exact(stride).skip(2).take(height);
    rows.flat_map(|row| &row[2..2 + width]).copied().collect()
}

/// The steps that lead to a row from the row beside it and from the one beyond.
#[inline(always)]
fn across(row: &mut [f32], near: &[f32], far: &[f32]) {
    let width = row.len() - 4;
    let (near, far) = (&near[..width + 4], &far[..width + 4]);
    for (x, d) in row[2..2 + width].iter_mut().enumerate() {
        let x = x + 2;
        let straight = near[x] + STRAIGHT;
        let diagonal = near[x - 1].min(near[x + 1]) + DIAGONAL;
        let flat = near[x - 2].min(near[x + 2]);
        let steep = far[x - 1].min(far[x + 1]);
        *d = d.min(straight).min(diagonal).min(flat.min(steep) + KNIGHT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_edge_is_as_far_as_the_shortest_way() {
        let (height, width) = (7, 9);
        let mut edges = [false; 63];
        edges[3 * width + 4] = true;
        let found = distances(&edges, height, width);
        let at = |y: usize, x: usize| found[y * width + x];
        assert_eq!(at(3, 4), 0.0);
        assert_eq!(at(3, 8), 4.0);
        assert_eq!(at(2, 5), DIAGONAL);
        assert_eq!(at(1, 3), KNIGHT);
        assert_eq!(at(5, 5), KNIGHT);
        assert_eq!(at(6, 1), 3.0 * DIAGONAL);
        assert_eq!(at(0, 3), KNIGHT + STRAIGHT);
        assert!(distances(&[false; 12], 3, 4).iter().all(|&d| d > 1e6));
    }
}

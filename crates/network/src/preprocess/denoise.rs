//! Non-local means: a denoising front end for networks that were not trained on noise.

use ndarray::{Array2, Array3, ArrayView2};
use serde::Serialize;

use super::PreprocessError;

/// Patches that are compared reach this far from their middle: 5 x 5.
const PATCH: usize = 2;

/// A pixel is averaged with those up to this far away in each direction: 9 x 9.
const SEARCH: usize = 4;

/// Pixels that have to be made up around a picture.
const MARGIN: usize = PATCH + SEARCH;

/// Non-local means (Buades, Coll and Morel 2005): every pixel becomes the mean of the pixels q around it, weighted by
/// `w = exp(-max(d2(p, q) - 2 s^2, 0) / h^2)`, with d2 the mean squared difference of the 5 x 5 patches around
/// p and q over positions and channels, q up to 4 pixels away in each direction, `h = strength * s`, and s the
/// picture's own noise, estimated from it (Immerkaer 1996): `sqrt(pi/2) / 6 * mean |L * v|`, L the difference of two Laplacians
/// (1 -2 1; -2 4 -2; 1 -2 1), averaged over channels. Pixels outside mirror those inside, without repeating the border's.
///
/// A clean picture of fine texture counts as noisy and loses some of it: the front end has its price.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct NonLocalMeans {
    strength: f32,
}

impl NonLocalMeans {
    /// A filter of this strength, greater than 0; 0.8 is usual.
    ///
    /// # Errors
    /// [`PreprocessError::Strength`].
    pub fn new(strength: f32) -> Result<Self, PreprocessError> {
        if strength.is_finite() && strength > 0.0 {
            Ok(Self { strength })
        } else {
            Err(PreprocessError::Strength { found: strength.to_string() })
        }
    }

    /// Filter parameter h in units of the noise's standard deviation.
    pub fn strength(self) -> f32 {
        self.strength
    }

    /// Filters a picture, C x H x W of any range, all channels with the same weights. One without noise, or smaller than 3 x 3, stays as
    /// it is.
    pub fn apply(self, picture: &mut Array3<f32>) {
        let (channels, height, width) = picture.dim();
        let noise = noise(picture);
        let h2 = (self.strength * noise).powi(2);
        if h2 <= 0.0 || !h2.is_normal() {
            return;
        }
        let padded = padded(picture);
        // flat planes of height x width
        let mut sums = vec![vec![0.0_f32; height * width]; channels];
        let mut weights = vec![0.0_f32; height * width];
        let mut patches = Patches::new(height, width);
        let scale = 1.0 / ((2 * PATCH + 1).pow(2) * channels) as f32;
        for dy in 0..=2 * SEARCH {
            for dx in 0..=2 * SEARCH {
                let distances = patches.distances(&padded, dy, dx);
                let offset = 2.0 * noise * noise;
                for y in 0..height {
                    let row = y * width..(y + 1) * width;
                    let weight = &mut distances[row.clone()];
                    for value in weight.iter_mut() {
                        *value = (-(*value * scale - offset).max(0.0) / h2).exp();
                    }
                    for (sum, &weight) in weights[row.clone()].iter_mut().zip(&*weight) {
                        *sum += weight;
                    }
                    for (sums, plane) in sums.iter_mut().zip(&padded) {
                        let other = line(plane, y + PATCH + dy, PATCH + dx, width);
                        let sums = sums[row.clone()].iter_mut();
                        for ((sum, &weight), &other) in sums.zip(&*weight).zip(other) {
                            *sum += weight * other;
                        }
                    }
                }
            }
        }
        // the pixel itself has weight 1, so that no sum of weights is 0
        for ((c, y, x), value) in picture.indexed_iter_mut() {
            *value = sums[c][y * width + x] / weights[y * width + x];
        }
    }
}

/// Standard deviation of the noise, from what is left of a picture once its smooth parts are taken away.
fn noise(picture: &Array3<f32>) -> f32 {
    let (channels, height, width) = picture.dim();
    if height < 3 || width < 3 {
        return 0.0;
    }
    let mut sum = 0.0_f64;
    for plane in picture.outer_iter() {
        for y in 1..height - 1 {
            for x in 1..width - 1 {
                let sides =
                    plane[[y - 1, x]] + plane[[y + 1, x]] + plane[[y, x - 1]] + plane[[y, x + 1]];
                let corners = plane[[y - 1, x - 1]]
                    + plane[[y - 1, x + 1]]
                    + plane[[y + 1, x - 1]]
                    + plane[[y + 1, x + 1]];
                sum += f64::from((4.0 * plane[[y, x]] - 2.0 * sides + corners).abs());
            }
        }
    }
    let mean = sum / (channels * (height - 2) * (width - 2)) as f64;
    ((std::f64::consts::PI / 2.0).sqrt() / 6.0 * mean) as f32
}

/// Each channel with a mirrored margin.
fn padded(picture: &Array3<f32>) -> Vec<Array2<f32>> {
    let (_, height, width) = picture.dim();
    let pad = |plane: ArrayView2<'_, f32>| {
        Array2::from_shape_fn((height + 2 * MARGIN, width + 2 * MARGIN), |(y, x)| {
            plane[[mirrored(y, height), mirrored(x, width)]]
        })
    };
    picture.outer_iter().map(pad).collect()
}

/// Where a padded position is taken from.
fn mirrored(at: usize, side: usize) -> usize {
    let period = 2 * (side - 1).max(1);
    // MARGIN more than a multiple of the period keeps the difference positive
    let at = (at + MARGIN * period - MARGIN) % period;
    if at < side { at } else { period - at }.min(side - 1)
}

/// `length` values of row `y` of a standard-layout plane from column `x` on.
fn line(plane: &Array2<f32>, y: usize, x: usize, length: usize) -> &[f32] {
    let start = y * plane.ncols() + x;
    plane.as_slice().and_then(|all| all.get(start..start + length)).unwrap_or_default()
}

/// Room for the sums of squared differences of patches.
struct Patches {
    height: usize,
    width: usize,
    squares: Vec<f32>,
    columns: Vec<f32>,
    sums: Vec<f32>,
}

impl Patches {
    fn new(height: usize, width: usize) -> Self {
        let (tall, wide) = (height + 2 * PATCH, width + 2 * PATCH);
        Self {
            height,
            width,
            squares: vec![0.0; tall * wide],
            columns: vec![0.0; height * wide],
            sums: vec![0.0; height * width],
        }
    }

    /// Sums over patches and channels of squared differences between every pixel and the one (dy - SEARCH, dx - SEARCH) away.
    fn distances(&mut self, padded: &[Array2<f32>], dy: usize, dx: usize) -> &mut [f32] {
        let wide = self.width + 2 * PATCH;
        self.squares.fill(0.0);
        for (y, squares) in self.squares.chunks_exact_mut(wide).enumerate() {
            for plane in padded {
                let here = line(plane, y + SEARCH, SEARCH, wide);
                let there = line(plane, y + dy, dx, wide);
                for ((square, &here), &there) in squares.iter_mut().zip(here).zip(there) {
                    *square += (here - there) * (here - there);
                }
            }
        }
        for (y, columns) in self.columns.chunks_exact_mut(wide).enumerate() {
            columns.fill(0.0);
            for row in self.squares[y * wide..].chunks_exact(wide).take(2 * PATCH + 1) {
                for (sum, &square) in columns.iter_mut().zip(row) {
                    *sum += square;
                }
            }
        }
        for (y, sums) in self.sums.chunks_exact_mut(self.width).enumerate() {
            sums.fill(0.0);
            for shift in 0..=2 * PATCH {
                let columns = &self.columns[y * wide + shift..];
                for (sum, &column) in sums.iter_mut().zip(columns) {
                    *sum += column;
                }
            }
        }
        debug_assert_eq!(self.sums.len(), self.height * self.width);
        &mut self.sums
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The formula, pixel by pixel.
    fn plain(picture: &Array3<f32>, strength: f32) -> Array3<f32> {
        let (channels, height, width) = picture.dim();
        let noise = noise(picture);
        let (patch, search) = (PATCH as isize, SEARCH as isize);
        let at = |c: usize, y: isize, x: isize| {
            let inside = |at: isize, side: usize| {
                let period = 2 * (side as isize - 1);
                let at = at.rem_euclid(period);
                at.min(period - at) as usize
            };
            picture[[c, inside(y, height), inside(x, width)]]
        };
        Array3::from_shape_fn((channels, height, width), |(c, y, x)| {
            let (y, x) = (y as isize, x as isize);
            let (mut sum, mut weights) = (0.0_f64, 0.0_f64);
            for dy in -search..=search {
                for dx in -search..=search {
                    let mut d2 = 0.0_f64;
                    for channel in 0..channels {
                        for py in -patch..=patch {
                            for px in -patch..=patch {
                                let here = at(channel, y + py, x + px);
                                let there = at(channel, y + dy + py, x + dx + px);
                                d2 += f64::from(here - there).powi(2);
                            }
                        }
                    }
                    d2 /= 25.0 * channels as f64;
                    let excess = (d2 - 2.0 * f64::from(noise).powi(2)).max(0.0);
                    let weight = (-excess / f64::from(strength * noise).powi(2)).exp();
                    weights += weight;
                    sum += weight * f64::from(at(c, y + dy, x + dx));
                }
            }
            (sum / weights) as f32
        })
    }

    fn noisy(shape: (usize, usize, usize), deviation: f32) -> Array3<f32> {
        let mut state = 5_u64;
        // twelve uniform numbers add up to a normal one
        let mut normal = || {
            let mut uniform = || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as f32 / (1 << 24) as f32
            };
            deviation * ((0..12).map(|_| uniform()).sum::<f32>() - 6.0)
        };
        Array3::from_shape_fn(shape, |(c, y, x)| {
            let edge = if x > shape.2 / 2 { 0.7 } else { 0.2 };
            edge + 0.1 * c as f32 + 0.005 * y as f32 + normal()
        })
    }

    #[test]
    fn it_is_the_formula() {
        for shape in [(3, 11, 16), (1, 4, 3), (3, 3, 30)] {
            for strength in [0.5, 1.5] {
                let picture = noisy(shape, 0.05);
                let expected = plain(&picture, strength);
                let mut filtered = picture;
                NonLocalMeans::new(strength).unwrap().apply(&mut filtered);
                for (found, expected) in filtered.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-5, "{shape:?}: {found} for {expected}");
                }
            }
        }
    }

    #[test]
    fn noise_is_estimated_and_mostly_removed() {
        let clean = noisy((3, 48, 48), 0.0);
        let mut picture = noisy((3, 48, 48), 0.05);
        assert!((noise(&picture) - 0.05).abs() < 0.005, "{}", noise(&picture));
        let error = |a: &Array3<f32>| (a - &clean).mapv(|v| v * v).mean().unwrap();
        let before = error(&picture);
        NonLocalMeans::new(0.8).unwrap().apply(&mut picture);
        assert!(error(&picture) < 0.25 * before, "{} of {before}", error(&picture));
    }

    #[test]
    fn a_flat_or_tiny_picture_stays_as_it_is() {
        for shape in [(3, 8, 8), (3, 1, 1), (1, 2, 9)] {
            let picture = Array3::from_elem(shape, 0.4);
            let mut filtered = picture.clone();
            NonLocalMeans::new(1.0).unwrap().apply(&mut filtered);
            assert_eq!(filtered, picture);
        }
    }

    #[test]
    fn a_strength_must_be_positive() {
        for strength in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(NonLocalMeans::new(strength).is_err());
        }
    }
}

//! The blurred picture from which insertion starts.

use ndarray::{Array3, ArrayView3, Axis};

/// Side in pixels of the pictures that RISE's kernel is for.
const USUAL_SIDE: f64 = 224.0;

/// A Gaussian kernel `exp(-d^2 / (2 sigma^2))` of `2 radius + 1` values, cut off there and scaled to the sum 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blur {
    /// Pixels on either side of the middle.
    pub radius: usize,
    /// Standard deviation in pixels, above 0.
    pub sigma: f64,
}

impl Blur {
    /// RISE's 11 x 11 pixels with a deviation of 5 for a side of 224, and the same share of any other side, but never
    /// less than 5 x 5 with a deviation of 2: less leaves small pictures as they are.
    pub fn of_side(side: usize) -> Self {
        let size = 5.0 * side as f64 / USUAL_SIDE;
        Self { radius: (size.round() as usize).max(2), sigma: size.max(2.0) }
    }

    /// Blurs each channel, C x H x W, along both axes; beyond its edge a picture goes on with the edge's pixels.
    pub fn apply(&self, picture: ArrayView3<'_, f32>) -> Array3<f32> {
        let once = along(picture, Axis(2), &self.weights());
        along(once.view(), Axis(1), &self.weights())
    }

    /// The kernel from its left end to its right.
    fn weights(&self) -> Vec<f32> {
        let reach = self.radius as i64;
        let height = |d: i64| (-0.5 * (d as f64 / self.sigma).powi(2)).exp();
        let sum: f64 = (-reach..=reach).map(height).sum();
        (-reach..=reach).map(|d| (height(d) / sum) as f32).collect()
    }
}

fn along(picture: ArrayView3<'_, f32>, axis: Axis, weights: &[f32]) -> Array3<f32> {
    let mut blurred = Array3::zeros(picture.dim());
    let last = picture.len_of(axis).saturating_sub(1);
    let radius = weights.len() / 2;
    for at in 0..picture.len_of(axis) {
        let mut line = blurred.index_axis_mut(axis, at);
        for (offset, &weight) in weights.iter().enumerate() {
            let from = (at + offset).saturating_sub(radius).min(last);
            line.scaled_add(weight, &picture.index_axis(axis, from));
        }
    }
    blurred
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_that_of_rise_at_its_size_and_grows_with_the_side() {
        assert_eq!(Blur::of_side(224), Blur { radius: 5, sigma: 5.0 });
        assert_eq!(Blur::of_side(448), Blur { radius: 10, sigma: 10.0 });
        assert_eq!(Blur::of_side(32), Blur { radius: 2, sigma: 2.0 });
    }

    #[test]
    fn a_constant_stays_and_a_point_becomes_the_kernel() {
        let blur = Blur { radius: 2, sigma: 1.5 };
        let constant = Array3::from_elem((2, 4, 3), 0.5);
        assert!(blur.apply(constant.view()).iter().all(|v| (v - 0.5).abs() < 1e-6));
        let mut point = Array3::zeros((1, 9, 9));
        point[[0, 4, 4]] = 1.0;
        let spread = blur.apply(point.view());
        let weights = blur.weights();
        assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        for ((_, y, x), value) in spread.indexed_iter() {
            let near = |i: usize| if (2..=6).contains(&i) { weights[i - 2] } else { 0.0 };
            assert!((value - near(y) * near(x)).abs() < 1e-7, "{y} {x}");
        }
    }
}

//! The questions "why P, rather than i?" as gradients of a loss at the logits.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::error::{ReflectError, Result};

/// The loss whose gradients are the features. `J` is taken on the logits z of one image, N of them, with a
/// target y.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Mean squared error, `J = 1/N sum_i (z_i - y_i)^2`: what the authors' published figures use.
    #[default]
    Mse,
    /// Binary cross-entropy with logits, mean over the classes.
    Bce,
    /// Mean absolute error.
    L1,
    /// Smooth L1 (Huber with beta 1), mean over the classes.
    SmoothL1,
    /// Softmax cross-entropy, `J = -sum_i y_i log p_i`.
    CrossEntropy,
}

/// Which target asks all the questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// One question a class: y = M e_i, of whose gradient row i is kept. For all losses but cross-entropy
    /// this equals [`Target::AllOnes`] exactly (derived).
    Stacked,
    /// All classes at once: y = M 1.
    #[default]
    AllOnes,
}

/// A loss, a target and its height M.
///
/// The features of one image are `r[i, k] = g_i h_k` with g the gradient at the logits and h the input of
/// the last linear layer: the gradient of J with respect to that layer's weights, which has rank one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// The loss.
    pub loss: Loss,
    /// The target.
    pub target: Target,
    /// Height of the target, M.
    pub height: f32,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Mse, Self::Bce, Self::L1, Self::SmoothL1, Self::CrossEntropy];

    /// `mse`, `bce`, `l1`, `smooth-l1`, `cross-entropy`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mse => "mse",
            Self::Bce => "bce",
            Self::L1 => "l1",
            Self::SmoothL1 => "smooth-l1",
            Self::CrossEntropy => "cross-entropy",
        }
    }

    /// M where none is given: the mean over the training images of the largest logit for losses on the
    /// logits themselves; 1 for losses on probabilities.
    pub fn default_height(self, logits: ArrayView2<'_, f32>) -> f32 {
        match self {
            Self::Mse | Self::L1 | Self::SmoothL1 => mean_largest(logits),
            Self::Bce | Self::CrossEntropy => 1.0,
        }
    }
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Stacked, Self::AllOnes];

    /// `stacked`, `all-ones`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stacked => "stacked",
            Self::AllOnes => "all-ones",
        }
    }
}

/// Mean over the rows of the largest value, 0 for no rows.
pub fn mean_largest(logits: ArrayView2<'_, f32>) -> f32 {
    let largest = |row: ArrayView1<'_, f32>| row.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let sum: f64 = logits.rows().into_iter().map(|row| f64::from(largest(row))).sum();
    if logits.nrows() == 0 { 0.0 } else { (sum / logits.nrows() as f64) as f32 }
}

impl Question {
    /// A question; M must be finite, and positive for losses on probabilities.
    ///
    /// # Errors
    /// [`ReflectError::Setting`].
    pub fn new(loss: Loss, target: Target, height: f32) -> Result<Self> {
        let probability = matches!(loss, Loss::Bce | Loss::CrossEntropy);
        if !height.is_finite() || (probability && height <= 0.0) {
            return Err(ReflectError::Setting {
                what: "the target's height M",
                found: height.to_string(),
                expected: "a finite number, above 0 for bce and cross-entropy",
            });
        }
        Ok(Self { loss, target, height })
    }

    /// g for one image, N: `r[i, k] = g_i h_k`.
    ///
    /// | loss | g_i |
    /// |---|---|
    /// | mse | `2 (z_i - M) / N` |
    /// | bce | `(sigmoid(z_i) - M) / N` |
    /// | l1 | `sign(z_i - M) / N` |
    /// | smooth l1 | `clamp(z_i - M, -1, 1) / N` |
    /// | cross-entropy, stacked | `M (p_i - 1)` |
    /// | cross-entropy, all ones | `M (N p_i - 1)` |
    pub fn gradient(&self, logits: ArrayView1<'_, f32>) -> Array1<f32> {
        let mut gradient = logits.to_owned();
        self.write_gradient(gradient.view_mut());
        gradient
    }

    /// g for each row of logits: n x N in, n x N out.
    pub fn gradients(&self, logits: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut gradients = logits.to_owned();
        for row in gradients.axis_iter_mut(Axis(0)) {
            self.write_gradient(row);
        }
        gradients
    }

    fn write_gradient(&self, mut z: ndarray::ArrayViewMut1<'_, f32>) {
        let (m, n) = (self.height, z.len() as f32);
        match self.loss {
            Loss::Mse => z.mapv_inplace(|z| 2.0 / n * (z - m)),
            // in f64: near the target, sigmoid and M cancel
            Loss::Bce => {
                z.mapv_inplace(|z| ((sigmoid(f64::from(z)) - f64::from(m)) / f64::from(n)) as f32)
            }
            Loss::L1 => z.mapv_inplace(|z| {
                let sign = if z == m { 0.0 } else { (z - m).signum() };
                sign / n
            }),
            Loss::SmoothL1 => z.mapv_inplace(|z| (z - m).clamp(-1.0, 1.0) / n),
            Loss::CrossEntropy => {
                let largest = z.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
                let powers = z.mapv(|z| f64::from(z - largest).exp());
                let sum = powers.sum();
                let times = if self.target == Target::Stacked { 1.0 } else { f64::from(n) };
                for (z, power) in z.iter_mut().zip(powers) {
                    *z = m * (times * power / sum - 1.0) as f32;
                }
            }
        }
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// The features of one image as a dense matrix, N x d, class-major: `r[i, k] = g_i h_k`. For looking at
/// them; training and scoring keep the factors.
pub fn dense(g: ArrayView1<'_, f32>, h: ArrayView1<'_, f32>) -> Array2<f32> {
    Array2::from_shape_fn((g.len(), h.len()), |(i, k)| g[i] * h[k])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Loss, Question, Target, dense};
    use ndarray::{Array1, Array2, array};

    fn loss_value(loss: Loss, z: &Array1<f64>, y: &Array1<f64>) -> f64 {
        let n = z.len() as f64;
        let log_sum = {
            let m = z.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            m + z.mapv(|v| (v - m).exp()).sum().ln()
        };
        z.iter()
            .zip(y)
            .map(|(&z, &y)| match loss {
                Loss::Mse => (z - y).powi(2) / n,
                Loss::Bce => (z.max(0.0) - z * y + (-z.abs()).exp().ln_1p()) / n,
                Loss::L1 => (z - y).abs() / n,
                Loss::SmoothL1 => {
                    let e = (z - y).abs();
                    (if e < 1.0 { 0.5 * e * e } else { e - 0.5 }) / n
                }
                Loss::CrossEntropy => -y * (z - log_sum),
            })
            .sum()
    }

    /// dJ/dW by central differences of J(W h + b), for the target y; N x d.
    fn weight_gradient(
        loss: Loss,
        w: &Array2<f64>,
        b: &Array1<f64>,
        h: &Array1<f64>,
        y: &Array1<f64>,
    ) -> Array2<f64> {
        let step = 1e-5;
        Array2::from_shape_fn(w.dim(), |index| {
            let at = |sign: f64| {
                let mut w = w.clone();
                w[index] += sign * step;
                loss_value(loss, &(w.dot(h) + b), y)
            };
            (at(1.0) - at(-1.0)) / (2.0 * step)
        })
    }

    /// The features are what they are said to be: row i of the gradient for class i, or the gradient for
    /// all ones; and the two agree for all losses but cross-entropy.
    #[test]
    fn outer_products_are_the_gradients() {
        let w = array![[0.5, -1.0, 0.3], [1.5, 0.2, -0.7], [-0.4, 0.9, 1.1], [0.1, 0.6, -1.3]];
        let b = array![0.1, -0.2, 0.3, 0.05];
        let h = array![1.2, 0.7, -0.6];
        let z = w.dot(&h) + &b;
        let (n, m) = (z.len(), 1.7);
        for loss in Loss::ALL {
            let stacked = Array2::from_shape_fn((n, h.len()), |(i, k)| {
                let mut y = Array1::zeros(n);
                y[i] = m;
                weight_gradient(loss, &w, &b, &h, &y)[[i, k]]
            });
            let ones = weight_gradient(loss, &w, &b, &h, &Array1::from_elem(n, m));
            let z = z.mapv(|v| v as f32);
            let h = h.mapv(|v| v as f32);
            let features = |target| {
                let question = Question::new(loss, target, m as f32).unwrap();
                dense(question.gradient(z.view()).view(), h.view()).mapv(f64::from)
            };
            let far = |a: &Array2<f64>, b: &Array2<f64>| {
                (a - b).mapv(f64::abs).fold(0.0, |a: f64, &b| a.max(b))
            };
            assert!(far(&features(Target::Stacked), &stacked) < 1e-5, "{loss:?} stacked");
            assert!(far(&features(Target::AllOnes), &ones) < 1e-5, "{loss:?} all ones");
            let differ = far(&stacked, &ones) > 1e-3;
            assert_eq!(differ, loss == Loss::CrossEntropy, "{loss:?}");
        }
    }

    #[test]
    fn heights_are_checked() {
        assert!(Question::new(Loss::Mse, Target::AllOnes, f32::NAN).is_err());
        assert!(Question::new(Loss::Bce, Target::AllOnes, 0.0).is_err());
        assert!(Question::new(Loss::Mse, Target::AllOnes, 0.0).is_ok());
    }

    #[test]
    fn default_height_is_the_mean_of_the_largest() {
        let z = array![[1.0, 4.0], [2.0, -1.0]];
        assert_eq!(Loss::Mse.default_height(z.view()), 3.0);
        assert_eq!(Loss::CrossEntropy.default_height(z.view()), 1.0);
    }
}

//! Numbers that say how far a prediction can be trusted, from logits and the factors of the gradients.

use ndarray::ArrayView1;
use serde::Serialize;

use crate::question::Question;

/// Scores of one vector of logits z, p its softmax. Larger means what the name says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LogitScores {
    /// Confidence, `max p` (maximum softmax probability, MSP), in 1/N..1: larger is surer.
    pub confidence: f64,
    /// `-sum p ln p` in nats, 0 to ln N: larger is less sure.
    pub entropy: f64,
    /// `p_(1) - p_(2)`, 0 to 1: larger is surer. With one class, 1.
    pub margin: f64,
    /// `max z`: larger is more in-distribution.
    pub max_logit: f64,
    /// `logsumexp z`, the negative energy at temperature 1: larger is more in-distribution.
    pub negative_energy: f64,
}

/// Scores of the gradients with respect to the classifier's last layer, from their factors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GradientScores {
    /// Frobenius norm of the introspective features, `|g| |h|`; `2/N |z - M| |h|` for the default loss.
    pub introspective_norm: f64,
    /// GradNorm up to a constant: `|h|_1 sum_k |1 - N p_k|` (Huang et al. 2021): larger is more
    /// in-distribution.
    pub gradnorm: f64,
    /// GradTrust: `max_k v_k / mean_k v_k` with `v_k = (z_k - 1/N)^4` (Prabhushankar and AlRegib 2024;
    /// reduction derived): larger is more trust. `None` if all v are zero.
    pub gradtrust: Option<f64>,
    /// Purview of the last layer: `|h|^2 sum_k (sigmoid(z_k) - 1)^2 / N^2` (derived): larger is more unusual.
    pub purview: f64,
}

/// Both stages' opinions of an image compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Disagreement {
    /// True if the two stages predict different classes.
    pub classes_differ: bool,
    /// Total variation `1/2 sum |p - q|` of their probabilities, 0 to 1.
    pub total_variation: f64,
}

/// `p = softmax z`, in f64.
pub fn probabilities(logits: ArrayView1<'_, f32>) -> Vec<f64> {
    let largest = logits.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let powers: Vec<f64> =
        logits.iter().map(|z| (f64::from(*z) - f64::from(largest)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// The class of the largest value; the first of equals. 0 for none.
pub fn largest(logits: ArrayView1<'_, f32>) -> usize {
    let mut best = 0;
    for (class, value) in logits.iter().enumerate() {
        if *value > logits[best] {
            best = class;
        }
    }
    best
}

impl LogitScores {
    /// Of the logits of one image, at least one and finite.
    pub fn of(logits: ArrayView1<'_, f32>) -> Self {
        let p = probabilities(logits);
        let (mut first, mut second) = (0.0_f64, 0.0_f64);
        for &p in &p {
            if p > first {
                (first, second) = (p, first);
            } else {
                second = second.max(p);
            }
        }
        let max_logit = f64::from(logits.fold(f32::NEG_INFINITY, |a, &b| a.max(b)));
        let sum: f64 = logits.iter().map(|&z| (f64::from(z) - max_logit).exp()).sum();
        Self {
            confidence: first,
            entropy: -p.iter().filter(|&&p| p > 0.0).map(|p| p * p.ln()).sum::<f64>() + 0.0,
            margin: first - second,
            max_logit,
            negative_energy: max_logit + sum.ln(),
        }
    }
}

impl GradientScores {
    /// Of one image's penultimate features h and logits z.
    pub fn of(question: &Question, h: ArrayView1<'_, f32>, z: ArrayView1<'_, f32>) -> Self {
        let n = z.len() as f64;
        let norm =
            |x: ArrayView1<'_, f32>| x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let p = probabilities(z);
        let v: Vec<f64> = z.iter().map(|&z| (f64::from(z) - 1.0 / n).powi(4)).collect();
        let mean = v.iter().sum::<f64>() / n;
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        Self {
            introspective_norm: norm(question.gradient(z).view()) * norm(h),
            gradnorm: h.iter().map(|&h| f64::from(h.abs())).sum::<f64>()
                * p.iter().map(|p| (1.0 - n * p).abs()).sum::<f64>(),
            gradtrust: (mean > 0.0).then(|| v.iter().copied().fold(0.0, f64::max) / mean),
            purview: norm(h).powi(2)
                * z.iter().map(|&z| (sigmoid(f64::from(z)) - 1.0).powi(2)).sum::<f64>()
                / (n * n),
        }
    }
}

impl Disagreement {
    /// Between the classifier's and the second stage's logits of one image.
    pub fn between(first: ArrayView1<'_, f32>, second: ArrayView1<'_, f32>) -> Self {
        let (p, q) = (probabilities(first), probabilities(second));
        Self {
            classes_differ: largest(first) != largest(second),
            total_variation: p.iter().zip(&q).map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Disagreement, GradientScores, LogitScores};
    use crate::question::{Loss, Question, Target, dense};
    use ndarray::array;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-6 * (1.0 + b.abs()), "{a} is not {b}");
    }

    #[test]
    fn logit_scores_by_hand() {
        // p = 1/2, 1/4, 1/4
        let scores = LogitScores::of(array![2.0_f32.ln(), 0.0, 0.0].view());
        near(scores.confidence, 0.5);
        near(scores.margin, 0.25);
        near(scores.entropy, 1.5 * 2.0_f64.ln());
        near(scores.max_logit, 2.0_f64.ln());
        near(scores.negative_energy, 4.0_f64.ln());
        // does not overflow
        near(LogitScores::of(array![1000.0, 0.0].view()).negative_energy, 1000.0);
    }

    /// Against the gradients written out.
    #[test]
    fn gradient_scores_are_those_of_the_dense_gradients() {
        let (h, z) = (array![0.5_f32, -1.5, 2.0], array![1.0_f32, -0.5, 3.0, 0.25]);
        let question = Question::new(Loss::Mse, Target::AllOnes, 2.0).unwrap();
        let scores = GradientScores::of(&question, h.view(), z.view());
        let r = dense(question.gradient(z.view()).view(), h.view());
        near(scores.introspective_norm, f64::from(r.mapv(|v| v * v).sum().sqrt()));

        // GradNorm: L1 norm of the gradient of KL(uniform || softmax), times N
        let p = z.mapv(f32::exp);
        let p = &p / p.sum();
        let kl = dense(p.mapv(|p| p - 0.25).view(), h.view());
        near(scores.gradnorm, 4.0 * f64::from(kl.mapv(f32::abs).sum()));

        // GradTrust: variances over features of squared gradients of MSE(z, 1/N) are in the ratio of g^4
        let to = Question::new(Loss::Mse, Target::AllOnes, 0.25).unwrap();
        let squares = dense(to.gradient(z.view()).view(), h.view()).mapv(|v| f64::from(v).powi(2));
        let v = squares.var_axis(ndarray::Axis(1), 0.0);
        near(scores.gradtrust.unwrap(), v.fold(0.0, |a: f64, &b| a.max(b)) / v.mean().unwrap());

        // Purview: squared norm of the gradient of the mean BCE that wants all classes
        let bce = Question::new(Loss::Bce, Target::AllOnes, 1.0).unwrap();
        let r = dense(bce.gradient(z.view()).view(), h.view());
        near(scores.purview, f64::from(r.mapv(|v| v * v).sum()));
    }

    #[test]
    fn disagreement_by_hand() {
        let (a, b) = (array![3.0_f32.ln(), 0.0], array![0.0, 3.0_f32.ln()]);
        let far = Disagreement::between(a.view(), b.view());
        assert!(far.classes_differ);
        near(far.total_variation, 0.5);
        assert!(!Disagreement::between(a.view(), a.view()).classes_differ);
    }
}

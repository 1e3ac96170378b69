//! AugMix's consistency loss: what a network says of a picture and of its mixed copies should be the same.

use burn_tensor::{Tensor, activation};

/// Copies of each picture that the consistency compares: itself and two mixtures.
pub const VIEWS: usize = 3;

/// Mixtures of probabilities are not taken to be less, whose logarithms would be too large.
const LEAST: f64 = 1e-7;

/// Jensen-Shannon divergence in nats, mean over pictures: with `p_v = softmax(z_v)` of the three copies of a picture and
/// `m = (p_1 + p_2 + p_3) / 3`, it is `sum over v and c of p_v[c] (ln p_v[c] - ln m[c]) / 3` (Hendrycks et al. 2020,
/// section 3; m is kept above 1e-7, as in the authors' code).
///
/// Logits: 3 n x classes, first those of all n pictures, then those of their first mixtures, then of their second.
pub fn divergence(logits: Tensor<2>) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    let count = rows / VIEWS;
    // logarithms by themselves: those of a softmax that underflowed would be infinite
    let logarithms = activation::log_softmax(logits, 1).reshape([VIEWS, count, classes]);
    let p = logarithms.clone().exp();
    let mixture = p.clone().mean_dim(0).clamp(LEAST, 1.0).log();
    (p * (logarithms - mixture)).sum() / rows as f64
}

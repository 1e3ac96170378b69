//! The maps of the fixtures: four questions' upstream rows by the authors' formulas, and comparing.

use introspective_network::Observation;
use ndarray::{Array1, Array2, ArrayD};

/// What the four rows of [`upstream`] are called in a fixture.
pub const QUESTIONS: [&str; 4] = ["why", "what_if_not", "rather_than", "pairwise"];

/// Upstream rows of the four maps in a fixture, by the authors' formulas.
pub fn upstream(logits: &Array1<f32>, classes: &Array1<i64>) -> Array2<f32> {
    let [p, q, other] = [0, 1, 2].map(|i| usize::try_from(classes[i]).unwrap());
    let mut rows = Array2::zeros((4, logits.len()));
    rows[[0, p]] = 1.0;
    rows[[1, p]] = -1.0;
    let highest = logits.fold(f32::MIN, |m, &z| m.max(z));
    let powers = logits.mapv(|z| (z - highest).exp());
    rows.row_mut(2).assign(&(&powers / powers.sum()));
    rows[[2, q]] -= 1.0;
    rows[[3, other]] = 1.0;
    rows[[3, p]] = -1.0;
    rows
}

/// `CAM_b = sum_k alpha_bk A_k`.
pub fn cams(observation: &Observation, alpha: &Array2<f32>) -> Vec<Array2<f32>> {
    let (k, u, v) = observation.activations.dim();
    let flat = observation.activations.to_shape((k, u * v)).unwrap();
    alpha
        .dot(&flat)
        .outer_iter()
        .map(|row| row.to_owned().into_shape_with_order((u, v)).unwrap())
        .collect()
}

/// Equal within `tolerance` of the expected values' range.
#[track_caller]
pub fn assert_close(what: &str, found: ArrayD<f32>, expected: &ArrayD<f32>, tolerance: f32) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    assert!(found.iter().all(|v| v.is_finite()), "{what} is not finite");
    let low = expected.fold(f32::MAX, |m, &v| m.min(v));
    let high = expected.fold(f32::MIN, |m, &v| m.max(v));
    let worst = (&found - expected).mapv(f32::abs).into_iter().max_by(f32::total_cmp).unwrap()
        / (high - low);
    assert!(worst <= tolerance, "{what}: off by {worst:e} of the range, allowed {tolerance:e}");
    println!("{what}: within {worst:.1e} of the range");
}

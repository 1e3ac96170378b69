//! Basic bootstrap intervals.

/// `[2 v - q((1 + level)/2), 2 v - q((1 - level)/2)]` with the quantiles of the resampled values.
pub(super) fn basic_interval(value: f64, mut resampled: Vec<f64>, level: f64) -> (f64, f64) {
    resampled.sort_unstable_by(f64::total_cmp);
    let (lower, upper) = ((1.0 - level) / 2.0, (1.0 + level) / 2.0);
    (2.0 * value - quantile(&resampled, upper), 2.0 * value - quantile(&resampled, lower))
}

/// The quantile of sorted values, linear between them, as numpy's default has it.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([1, 2, 4, 8], [0, 0.025, 0.5, 0.975, 1])
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (share, expected) in [(0.0, 1.0), (0.025, 1.075), (0.5, 3.0), (0.975, 7.7), (1.0, 8.0)]
        {
            assert!((quantile(&sorted, share) - expected).abs() < 1e-12);
        }
        assert_eq!(quantile(&[3.0], 0.3), 3.0);
    }

    #[test]
    fn the_interval_is_reversed() {
        let (low, high) = basic_interval(2.0, vec![8.0, 1.0, 4.0, 2.0], 0.95);
        assert!((low - (4.0 - 7.7)).abs() < 1e-12 && (high - (4.0 - 1.075)).abs() < 1e-12);
    }
}

//! Enlarging by linear interpolation, corners on corners.

/// Where the samples of an enlarged run lie in the run it is made from.
pub(crate) struct Axis {
    /// The first sample of the part that is enlarged.
    pub(crate) start: usize,
    /// How many samples that part has.
    pub(crate) length: usize,
    /// For each sample of the result the one before it, counted from `start`, and how far it is on the way to the next.
    pub(crate) places: Vec<(usize, f32)>,
}

impl Axis {
    /// The middle of a run of n samples, enlarged by a factor of at least 1 to n samples again.
    ///
    /// The middle are the ceil(n / factor) samples in the centre. They become round(ceil(n / factor) x factor) samples,
    /// the first on the first and the last on the last; of these, n are kept.
    pub(crate) fn new(n: usize, factor: f64) -> Axis {
        let length = ((n as f64 / factor).ceil() as usize).clamp(1, n);
        let start = (n - length) / 2;
        let enlarged = (length as f64 * factor).round_ties_even().max(n as f64);
        let trimmed = ((enlarged as usize - n) / 2) as f64;
        let step = if enlarged > 1.0 { (length as f64 - 1.0) / (enlarged - 1.0) } else { 0.0 };
        let places = (0..n)
            .map(|i| {
                let at = (i as f64 + trimmed) * step;
                let before = (at as usize).min(length.saturating_sub(2));
                (before, if length > 1 { (at - before as f64) as f32 } else { 0.0 })
            })
            .collect();
        Axis { start, length, places }
    }
}

//! The calibration error over bins of equal mass, in several resamples at a time.
//!
//! Masses are counted in B-ths of an image: a bin then takes exactly as many as there are images, and all additions of
//! masses are of whole numbers.

/// Fed with the images in order of their confidence.
pub(crate) struct EqualMass<const L: usize> {
    bins: f64,
    images: f64,
    /// What the bin still takes, and the sum of confidence minus correctness of what it holds.
    room: [f64; L],
    gaps: [f64; L],
    sums: [f64; L],
}

impl<const L: usize> EqualMass<L> {
    #[inline(always)]
    pub(crate) fn new(bins: usize, images: f64) -> Self {
        Self { bins: bins as f64, images, room: [images; L], gaps: [0.0; L], sums: [0.0; L] }
    }

    /// Groups of images of equal confidence, all together. Where they reach the end of a bin, `groups` is asked for them
    /// one by one: it is given a resample, and calls with the mass and gap of each.
    #[inline(always)]
    pub(crate) fn add(
        &mut self,
        masses: &[f64; L],
        gaps: &[f64; L],
        groups: impl Fn(usize, &mut dyn FnMut(f64, f64)),
    ) {
        // all lanes are looked at, which takes fewer steps than to stop early
        let mut full = false;
        for (mass, room) in masses.iter().zip(&self.room) {
            full |= mass * self.bins >= *room;
        }
        if !full {
            for lane in 0..L {
                self.room[lane] -= masses[lane] * self.bins;
                self.gaps[lane] += gaps[lane];
            }
            return;
        }
        for (lane, (mass, gap)) in masses.iter().zip(gaps).enumerate() {
            if mass * self.bins >= self.room[lane] {
                groups(lane, &mut |mass, gap| self.group(lane, mass, gap));
            } else {
                self.group(lane, *mass, *gap);
            }
        }
    }

    fn group(&mut self, lane: usize, mass: f64, mut gap: f64) {
        let mut left = mass * self.bins;
        while left >= self.room[lane] {
            let share = gap * (self.room[lane] / left);
            self.sums[lane] += (self.gaps[lane] + share).abs();
            gap -= share;
            left -= self.room[lane];
            (self.gaps[lane], self.room[lane]) = (0.0, self.images);
        }
        self.gaps[lane] += if left > 0.0 { gap } else { 0.0 };
        self.room[lane] -= left;
    }

    /// Mean over the bins of |accuracy - confidence|.
    #[inline(always)]
    pub(crate) fn errors(self) -> [f64; L] {
        self.sums.map(|sum| sum / self.images)
    }
}

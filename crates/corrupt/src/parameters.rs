//! The published parameters, and what they become at other sizes.
//!
//! Two sets were published: one for pictures of 32 x 32 (`make_cifar_c.py`, by which CIFAR-10-C was made), one for
//! 224 x 224 (`make_imagenet_c.py`, by which ImageNet-C was made, and the package `imagecorruptions`). At these sizes they are
//! used as they are. The size of a picture is its shorter side s. Between, with t = ln(s / 32) / ln 7, an amount is
//! (1 - t) small + t large and a length small^(1 - t) large^t; below 32 and above 224, amounts stay as they are, and
//! lengths are scaled by s / 32 and by s / 224, so that a picture looks the same when it is enlarged.

use crate::corruption::Severity;

/// How a parameter depends on the size of the picture.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// It does not, beyond the two sets.
    Amount,
    /// In pixels.
    Length,
    /// In pixels, and zero in one of the sets, so that it is mixed as an amount is.
    Reach,
}

/// The parameters of a corruption: N of them, by severity, for both sizes.
pub(crate) struct Table<const N: usize> {
    /// For 32 x 32.
    pub(crate) small: [[f64; N]; 5],
    /// For 224 x 224.
    pub(crate) large: [[f64; N]; 5],
    pub(crate) kinds: [Kind; N],
}

const SMALL: f64 = 32.0;
const LARGE: f64 = 224.0;

impl<const N: usize> Table<N> {
    /// The parameters of a severity for a picture whose shorter side has `size` pixels.
    pub(crate) fn at(&self, severity: Severity, size: usize) -> [f64; N] {
        let size = size as f64;
        let place = (libm::log(size / SMALL) / libm::log(LARGE / SMALL)).clamp(0.0, 1.0);
        let scale = if size < SMALL { size / SMALL } else { (size / LARGE).max(1.0) };
        std::array::from_fn(|n| {
            let (small, large) = (self.small[severity.row()][n], self.large[severity.row()][n]);
            let mixed = |a: f64, b: f64| (1.0 - place) * a + place * b;
            match self.kinds[n] {
                // the sets themselves to the last bit
                Kind::Length if place > 0.0 && place < 1.0 => {
                    libm::exp(mixed(libm::log(small), libm::log(large)))
                }
                Kind::Length | Kind::Reach => mixed(small, large) * scale,
                Kind::Amount => mixed(small, large),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table<3> = Table {
        small: [[1.0, 2.0, 0.0]; 5],
        large: [[3.0, 8.0, 7.0]; 5],
        kinds: [Kind::Amount, Kind::Length, Kind::Reach],
    };

    #[test]
    fn the_published_sets_stand_at_their_sizes_and_lengths_scale_beyond() {
        let at = |size| TABLE.at(Severity::ALL[2], size);
        assert_eq!(at(32), [1.0, 2.0, 0.0]);
        assert_eq!(at(224), [3.0, 8.0, 7.0]);
        assert_eq!(at(16), [1.0, 1.0, 0.0]);
        assert_eq!(at(448), [3.0, 16.0, 14.0]);
        let between = at(85); // 32 sqrt(7) is 84.7
        assert!((between[0] - 2.0).abs() < 0.01);
        assert!((between[1] - 4.0).abs() < 0.02);
        assert!((between[2] - 3.5).abs() < 0.02);
    }
}

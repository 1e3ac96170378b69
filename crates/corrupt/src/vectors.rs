//! Loops compiled for the widest vectors of the machine they run on.
//!
//! Width changes no byte: elements are computed apart from each other, sums over them are written out in a fixed order, and
//! products are rounded before they are added, since the compiler fuses nothing by itself.

use pulp::{Arch, Simd, WithSimd};

struct Loops<F>(F);

impl<F: FnOnce()> WithSimd for Loops<F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        (self.0)()
    }
}

/// Runs loops compiled for the machine. The closure, and whatever it calls, must be `#[inline(always)]`.
#[inline(always)]
pub(crate) fn vectorized(loops: impl FnOnce()) {
    #[cfg(test)]
    if tests::PLAIN.get() {
        return loops();
    }
    Arch::new().dispatch(Loops(loops));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;

    use ndarray::Array3;

    use crate::{Corruption, Severity, corrupt};

    thread_local! {
        /// Whether this thread is to do without the machine's own vectors, as the oldest machine would.
        pub(super) static PLAIN: Cell<bool> = const { Cell::new(false) };
    }

    #[test]
    fn bytes_do_not_depend_on_the_width_of_vectors() {
        for (height, width, channels) in [(32, 32, 3), (28, 28, 1), (90, 131, 3)] {
            let picture = Array3::from_shape_fn((height, width, channels), |(y, x, c)| {
                ((x * x + 3 * y + 50 * c) % 251) as u8
            });
            for corruption in Corruption::ALL {
                for severity in Severity::ALL {
                    let of = |plain| {
                        PLAIN.set(plain);
                        corrupt(picture.view(), corruption, severity, 1, 2).unwrap()
                    };
                    assert_eq!(of(false), of(true), "{} {}", corruption.name(), severity.get());
                }
            }
        }
    }
}

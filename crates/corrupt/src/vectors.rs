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
    Arch::new().dispatch(Loops(loops));
}

//! Loops compiled for the widest vectors of the machine they run on.
//!
//! Width changes no bit: lanes are computed apart from each other, and products are rounded before they are added, since
//! the compiler fuses nothing by itself.

use pulp::{Arch, Simd, WithSimd};

struct Loops<F>(F);

impl<T, F: FnOnce() -> T> WithSimd for Loops<F> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> T {
        (self.0)()
    }
}

/// Runs loops compiled for the machine. The closure, and whatever it calls, must be `#[inline(always)]`.
#[inline(always)]
pub(crate) fn vectorized<T>(loops: impl FnOnce() -> T) -> T {
    Arch::new().dispatch(Loops(loops))
}

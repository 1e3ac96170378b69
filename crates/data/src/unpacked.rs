//! Compressed data: how much they can become, and how much memory to ask for before they have.

/// The most bytes that deflate makes of one: 258 of two bits.
pub(crate) const MAX_INFLATION: u64 = 1032;

/// How much memory is asked for before the data have shown that there are as many: 64 MiB.
pub(crate) const FIRST_BYTES: u64 = 64 << 20;

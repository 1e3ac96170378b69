//! The room against PyTorch, against the engine that explains, and against itself.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

#[path = "../../network/tests/common/mod.rs"]
mod common;

mod steps;

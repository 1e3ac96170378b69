//! Trains.
#![cfg(feature = "engine")]
mod constants;
mod error;
mod kernels;
mod operations;
mod program;

//! `introspect study`.

mod changed;
mod conditions;
mod origin;
mod outcome;
mod recognition;

pub use recognition::run;

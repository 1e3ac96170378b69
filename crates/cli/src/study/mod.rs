//! `introspect study`.

mod changed;
mod conditions;
mod heads;
mod origin;
mod outcome;
mod recognition;

pub use recognition::run;

//! `introspect study`.

mod conditions;
mod outcome;
mod recognition;

pub use recognition::run;

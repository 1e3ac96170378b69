//! What the commands about the second stage share.

mod bar;
pub mod extract;
pub mod head;
pub mod methods;
pub mod source;

pub use bar::bar;

//! Blurs: of lenses, glass and motion.

pub(crate) mod defocus;
pub(crate) mod gaussian;
pub(crate) mod glass;
pub(crate) mod motion;
pub(crate) mod zoom;

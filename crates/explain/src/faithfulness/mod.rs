//! How good a map is: what the network says when the pixels that it shows are taken away or put in, and whether the map depends
//! on what the network has learned at all.
//!
//! | check | what is done | source |
//! |---|---|---|
//! | [`Masking::deletion`] | pixels become each channel's mean, in the map's order | Petsiuk et al. 2018 (RISE), arXiv 1806.07421 |
//! | [`Masking::insertion`] | pixels are put into a blurred picture, in the map's order | the same |
//! | [`Masking::faded`] | the picture times the map: average drop, increase in confidence | Chattopadhyay et al. 2018 (Grad-CAM++), arXiv 1710.11063 |
//! | [`redrawn_maps`] | the same question to networks whose weights were re-drawn, from the logits down | Adebayo et al. 2018, arXiv 1810.03292 |
//!
//! [`check`] does all of it for all maps of an explanation. Areas come with those of maps that know nothing
//! ([`random_map`]): an area says little without them, because it depends on the picture, on the network and on how coarse the
//! map is more than on what the map shows.
//!
//! # How to read them
//! A map of what speaks *for* a class ([`Reads::For`]: *Why P?*, *Why P, rather than Q?*) is the better the sooner the class's score
//! falls at deletion (small area) and rises at insertion (large area), the less the class loses when only the map's part is left
//! (small drop), and the more often it even gains (increase).
//!
//! A map of what speaks *against* it ([`Reads::Against`]: *What if not P?*) claims the opposite: without that evidence P should be
//! more probable. So a *large* area at deletion and a *small* one at insertion are good; and for drop and increase the picture is
//! multiplied by `1 - map`, which takes away what the map shows: small drops and many increases are good, as before. (Derived
//! here; the publications have no such map.)
//!
//! # What they do not say
//! [`CAVEAT`]: a masked picture is none that the network was trained on. A good area shows that the network's answer changes where
//! the map says, not that a person would call it evidence: a map of the places where the network is easily fooled does well, too.
//! Which of two maps is better changes with what the pixels are replaced by (Hooker et al. 2019, arXiv 1806.10758, retrain the network
//! for that reason), and how a network responds to grey boxes is no evidence of what it looks at. Passing the check with re-drawn
//! weights proves no map right either; failing it proves one useless.

mod blur;
mod check;
mod curve;
mod masking;
mod order;
mod redrawn;

use introspective_network::NetworkError;

use crate::answer::ExplainError;
use crate::questions::Question;

pub use blur::Blur;
pub use check::{Against, CheckOptions, MapCheck, ScoreCheck, check};
pub use curve::{Curve, Score, Trace};
pub use masking::{Faded, FadedSet, Logits, Masking};
pub use order::{PixelOrder, random_map};
pub use redrawn::{RedrawnMap, redrawn_maps};

/// What must be said beside every number that comes from masked pictures.
pub const CAVEAT: &str = "Masked pictures are unlike those that the network was trained on. A better area than chance's shows that \
     the answer changes where the map points, not that what it points at is evidence; other replacements for the pixels rank \
     maps differently.";

/// Whether a map shows what speaks for the class asked about, or against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Without what it shows, the class should lose.
    For,
    /// Without what it shows, the class should gain.
    Against,
}

impl Reads {
    /// How the maps of a question are read.
    pub fn of(question: Question) -> Self {
        match question {
            Question::Why | Question::RatherThan => Self::For,
            Question::WhatIfNot => Self::Against,
        }
    }

    /// `for`, `against`.
    pub fn name(self) -> &'static str {
        match self {
            Self::For => "for",
            Self::Against => "against",
        }
    }
}

/// Why a map could not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A map, or an order of pixels, is not of the picture's size.
    #[error(
        "{what} has {} x {} pixels, but {} x {} (height x width) were expected",
        found[0], found[1], expected[0], expected[1]
    )]
    Size {
        /// What it is.
        what: &'static str,
        /// Its height and width.
        found: [usize; 2],
        /// Those of the picture.
        expected: [usize; 2],
    },
    /// No steps.
    #[error("a curve needs at least one step; found 0")]
    Steps,
    /// A picture without pixels.
    #[error("the picture has no pixels")]
    Empty,
    /// A network with re-drawn weights could not be explained.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// The network could not be run.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

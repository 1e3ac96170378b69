//! The room of the three questions: *Why P? What if not P? Why P, rather than Q?*
//!
//! Each answer is one combination of the maps `CAM_c = sum_k alpha_ck A_k` of a target layer's
//! activations A, weighted by the spatially averaged gradients alpha of the logits (METHOD section 4):
//!
//! | question | raw map, before ReLU |
//! |---|---|
//! | Why P? | `CAM_P` (Grad-CAM) |
//! | What if not P? | `-CAM_P` (counterfactual) |
//! | Why P, rather than Q? | `sum_c p_c CAM_c - CAM_Q` (Contrast-CAM), or `CAM_C - CAM_Q` for a class C that was not predicted |
//!
//! [`Questions`] says what is asked, [`explain`] answers it for a picture that a
//! [`Session`](introspective_network::Session) has observed, and [`Answer::display`] makes a map to
//! look at.
//!
//! [`atlas`] gives the maps of all classes at once ([`Atlas`]): which contrasts differ ([`Atlas::ranking`]), and where they
//! do ([`Atlas::voice`], the uncertainty of the explanation). [`faithfulness`] holds measures of how good a map is, [`Verdict`] what a
//! program should know of an explanation.

mod answer;
mod atlas;
mod classes;
pub mod faithfulness;
mod questions;
mod ranking;
mod softmax;
mod verdict;
mod voice;

pub use answer::{Answer, Display, Evidence, ExplainError, Explanation, explain};
pub use atlas::{Atlas, atlas};
pub use classes::{ClassMaps, class_maps};
pub use introspective_network::resize_bilinear;
pub use questions::{Asked, Form, Question, QuestionError, Questions};
pub use ranking::Ranked;
pub use softmax::softmax;
pub use verdict::Verdict;
pub use voice::Voice;

//! The sensing network as a second stage wants it: one pass over a picture, or two with different normalisation.

use anyhow::Result;
use introspective_network::{Classifier, Extractor};
use introspective_reflect::Head;
use ndarray::{Array2, ArrayView4, Axis, concatenate};

/// What is read of a picture beside h and z.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Pooled activations of the stages.
    pub stages: bool,
    /// A second pass with this share of the picture's own statistics in its batch normalisations, whose h is read too.
    pub own: Option<f32>,
}

impl Reading {
    /// What a head reads.
    pub fn of(head: &Head) -> Self {
        Self { stages: head.about.stages > 0, own: head.about.own_share }
    }
}

/// A network loaded for one or two passes over a picture.
pub struct Sensing<'c> {
    first: Extractor<'c>,
    second: Option<Extractor<'c>>,
}

impl<'c> Sensing<'c> {
    /// Of one pass or two.
    pub fn new(first: Extractor<'c>, second: Option<Extractor<'c>>) -> Self {
        Self { first, second }
    }

    /// The classifier.
    pub fn classifier(&self) -> &'c Classifier {
        self.first.classifier()
    }

    /// Width of all activations, d + S.
    pub fn width(&self) -> usize {
        let passes = [Some(&self.first), self.second.as_ref()];
        passes.into_iter().flatten().map(|pass| pass.width() + pass.stages_width()).sum()
    }

    /// Pictures to run at a time.
    pub fn preferred_batch(&self, side: usize) -> usize {
        self.first.preferred_batch(side, side)
    }

    /// Activations B x (d + S) and logits of the first pass, B x N, of preprocessed pictures, B x C x H x W. Activations are h
    /// and the stages of the first pass, then h of the second.
    pub fn extract(&self, batch: ArrayView4<'_, f32>) -> Result<(Array2<f32>, Array2<f32>)> {
        let first = self.first.extract(batch)?;
        let mut parts = vec![first.h.view(), first.stages.view()];
        let second = self.second.as_ref().map(|second| second.extract(batch)).transpose()?;
        if let Some(second) = &second {
            parts.push(second.h.view());
        }
        Ok((concatenate(Axis(1), &parts)?, first.z))
    }
}

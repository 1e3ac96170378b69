//! Whether a stream's images may be scaled with their own statistics.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::columns::{Columns, Moments};
use crate::features::LastLayer;
use crate::scores::probabilities;
use crate::statistics::{STREAM_WEIGHT, Statistics};

/// For how many images the guard remembers: an image's weight falls by the factor `1 - 1 / 1000` with each that follows.
pub const GUARD_WINDOW: f64 = 1000.0;

/// The least effective share of classes, [`Guard::share`], at which a stream counts as mixed.
///
/// Chosen on images that the first example network's training held out (CIFAR-10-JPEG, clean and eight corruptions), never on
/// test images: docs/results/streams.md has the choice and what it gives elsewhere.
pub const GUARD_SHARE: f64 = 0.93;

/// The same where logits are matched because the last layer is not known, chosen on the same images: they tell less.
pub const GUARD_SHARE_OF_LOGITS: f64 = 0.96;

/// The least number of images that a stream's statistics are used from.
pub const GUARD_IMAGES: u64 = 100;

/// What the guard says of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Running statistics may be used.
    Mixed,
    /// Fewer than [`GUARD_IMAGES`] have come.
    FewImages,
    /// The classes of the last images are not mixed as those of the training set.
    ClassMix,
    /// A feature or logit of the image is not finite; it is not taken in.
    NotFinite,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Mixed, Self::FewImages, Self::ClassMix, Self::NotFinite];

    /// `mixed`, `few-images`, `class-mix`, `not-finite`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::FewImages => "few-images",
            Self::ClassMix => "class-mix",
            Self::NotFinite => "not-finite",
        }
    }
}

/// Judges from h and z alone whether the images of a stream are mixed as the training set was.
///
/// Running means tell a shift of all images (a corruption, another camera) from a shift of the mix of classes only if
/// something else does. Predictions do, if they are made after the shift was taken out: h is matched per column to the training
/// set's mean and deviation, with running statistics in which the training set always keeps the weight of
/// [`STREAM_WEIGHT`] images, and the classifier's last layer predicts from it. With `q` the running mean of its probabilities over
/// the last [`GUARD_WINDOW`] images or so and `s` the classifier's mean probabilities over the training set,
///
/// `share = exp(-max(0, KL(q, s) - (N - 1) / 2m))`,
///
/// the effective share of classes: `exp(entropy(q)) / N` if s is uniform. `(N - 1) / 2m` is what the divergence
/// of a mixed stream of m images is on average (m: images that the window stands for). A stream is safe from
/// [`GUARD_IMAGES`] images on, as long as the share is [`GUARD_SHARE`] or more ([`Guard::threshold`]). The raw predictions would not do: a corruption alone drives
/// them into few classes.
///
/// Where the last layer is not known or not linear, logits are matched in place of h, and the threshold is
/// [`GUARD_SHARE_OF_LOGITS`].
#[derive(Clone, Debug)]
pub struct Guard {
    last: Option<LastLayer>,
    target: Columns,
    prior: Moments,
    recent: Moments,
    /// Mean probabilities over the training set, s.
    training: Array1<f64>,
    /// Running sum of probabilities; the running means' weight is `recent.count`.
    sum: Array1<f64>,
    /// Running sum of squared weights.
    squares: f64,
    images: u64,
    share: f64,
}

impl Guard {
    /// One that has seen nothing. `statistics` are z-scores of the training set, `mean` the classifier's mean
    /// probabilities over it (N; all equal if they are not known), `last` the classifier's last layer.
    pub fn start(statistics: &Statistics, mean: Option<&[f32]>, last: Option<&LastLayer>) -> Self {
        let classes = statistics.z.len();
        let target = if last.is_some() { &statistics.h } else { &statistics.z };
        let training = match mean {
            Some(mean) if mean.len() == classes => mean.iter().map(|&p| f64::from(p)).collect(),
            _ => Array1::from_elem(classes, 1.0 / classes as f64),
        };
        Self {
            last: last.cloned(),
            prior: Moments::started_from(target, 1, target.len(), STREAM_WEIGHT),
            recent: Moments::new(1, target.len()),
            target: target.clone(),
            training,
            sum: Array1::zeros(classes),
            squares: 0.0,
            images: 0,
            share: 1.0,
        }
    }

    /// Takes the next image in, and says whether it may be scaled with running statistics. `h` is 1 x d, `z` is 1 x N.
    pub fn next(&mut self, h: ArrayView2<'_, f32>, z: ArrayView2<'_, f32>) -> Verdict {
        if !h.iter().chain(&z).all(|v| v.is_finite()) {
            return Verdict::NotFinite;
        }
        let fade = 1.0 - 1.0 / GUARD_WINDOW;
        let x = if self.last.is_some() { h } else { z };
        self.recent.fade(fade);
        self.recent.add(Array2::ones((1, 1)).view(), x);
        let matched = self.prior.with(&self.recent).columns().matching(&self.target).apply(x);
        let logits = match &self.last {
            Some(last) => last.logits(matched.view()),
            None => matched,
        };
        self.sum *= fade;
        self.sum += &Array1::from(probabilities(logits.index_axis(Axis(0), 0)));
        self.squares = fade * fade * self.squares + 1.0;
        self.images += 1;
        self.share = self.effective_share();
        if self.images < GUARD_IMAGES {
            Verdict::FewImages
        } else if self.share >= self.threshold() {
            Verdict::Mixed
        } else {
            Verdict::ClassMix
        }
    }

    /// Effective share of classes among the last images, above 0 up to 1.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// The share from which on a stream counts as mixed.
    pub fn threshold(&self) -> f64 {
        if self.last.is_some() { GUARD_SHARE } else { GUARD_SHARE_OF_LOGITS }
    }

    fn effective_share(&self) -> f64 {
        let total = self.sum.sum();
        let divergence: f64 = self
            .sum
            .iter()
            .zip(&self.training)
            .map(|(&sum, &s)| {
                let q = sum / total;
                // a class that training never saw is as rare as one in a million
                if q > 0.0 { q * (q / s.max(1e-6)).ln() } else { 0.0 }
            })
            .sum();
        let images = self.recent.count * self.recent.count / self.squares;
        let expected = (self.training.len() as f64 - 1.0) / (2.0 * images);
        (expected - divergence).min(0.0).exp()
    }
}

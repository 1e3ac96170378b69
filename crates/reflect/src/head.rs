//! A fitted second stage: networks, the statistics they were scaled with, temperatures, and whose they are.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};

use crate::blend::Blend;
use crate::columns::{Affine, Scaler};
use crate::error::{ReflectError, Result};
use crate::features::{Features, LastLayer};
use crate::guard::Guard;
use crate::input::Input;
use crate::mlp::{Activation, Mlp};
use crate::options::Reads;
use crate::question::Question;
use crate::scores::LogitScores;
use crate::sgd::Schedule;
use crate::statistics::{OfGradients, Scaling, Statistics, side_by_side};
use crate::stream::{Stream, Streamed};

/// A way to predict from h and z that is trained: the second stage, and what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Multinomial logistic regression on h.
    LinearH,
    /// A network like H, of as many parameters, on h.
    MlpH,
    /// The same on h and z side by side.
    MlpHz,
    /// The second stage H, on what the head's [`Reads`] says: the paper's introspective network on the gradients, or the
    /// robust one on activations.
    Reflection,
}

impl Method {
    /// All of them, controls first.
    pub const ALL: [Self; 4] = [Self::LinearH, Self::MlpH, Self::MlpHz, Self::Reflection];

    /// `linear-h`, `mlp-h`, `mlp-hz`, `reflection`.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinearH => "linear-h",
            Self::MlpH => "mlp-h",
            Self::MlpHz => "mlp-hz",
            Self::Reflection => "reflection",
        }
    }
}

/// Whose head it is and how it was made; stored in the file as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Version of the format, 1.
    pub format: u32,
    /// SHA-256 of the classifier's file, if there was one.
    pub classifier: Option<String>,
    /// The classifier's architecture or name, for people.
    pub classifier_name: Option<String>,
    /// Names of the classes, if they are known.
    pub names: Option<Vec<String>>,
    /// Number of classes N.
    pub classes: usize,
    /// Width d of the penultimate features.
    pub features: usize,
    /// What H reads.
    #[serde(default)]
    pub reads: Reads,
    /// Number S of pooled activations of the stages that it reads beside h; 0 for one that reads gradients.
    #[serde(default)]
    pub stages: usize,
    /// Share of the picture's own statistics in the second pass that it reads, if it reads one: [`Features::own_share`].
    #[serde(default)]
    pub own_share: Option<f32>,
    /// The question whose gradients are read.
    pub question: Question,
    /// How columns were scaled.
    pub scaler: Scaler,
    /// Rank of the first layer, if it is restricted.
    pub rank: Option<usize>,
    /// Sizes of the hidden layers.
    pub hidden: Vec<usize>,
    /// What follows them.
    pub activation: Activation,
    /// How it was trained.
    pub schedule: Schedule,
    /// Number of images it was trained on.
    pub trained_on: usize,
    /// What had been done to the changed copies among them: names of corruptions and others, sorted; none without copies.
    #[serde(default)]
    pub changes: Vec<String>,
    /// The classifier's mean probabilities over them, N, sum 1: what a mixed stream is held against. Absent in files of
    /// older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_probabilities: Option<Vec<f32>>,
    /// How low the classifier's negative energy is for images like those it was trained on. Absent in files of older
    /// versions, and where few images were kept aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_quantile: Option<EnergyQuantile>,
    /// Number of images the temperatures were fitted on.
    pub kept: usize,
    /// True if the classifier was not trained on those either.
    pub kept_unseen: bool,
    /// Temperature of the classifier itself.
    pub temperature: f32,
    /// Seed and temperatures of each set of networks.
    pub seeds: Vec<SeedRecord>,
    /// Further facts for people: data, augmentation, versions.
    #[serde(default)]
    pub facts: BTreeMap<String, serde_json::Value>,
}

impl About {
    /// True if the statistics of the gradients are those of their factors: products are not read.
    pub(crate) fn scales_factors(&self) -> bool {
        self.rank.is_some() || self.reads == Reads::Activations
    }
}

/// A low quantile of the classifier's negative energy, `logsumexp z`, over the images kept aside: what a single picture is
/// held against to tell whether it is unlike them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnergyQuantile {
    /// The share of the images that is under it at most, between 0 and 1.
    pub share: f32,
    /// The quantile.
    pub value: f32,
    /// Number of images.
    pub images: usize,
}

impl EnergyQuantile {
    /// The share that [`fit`](crate::fit) takes: one picture of twenty of the usual kind is called unusual.
    pub const SHARE: f32 = 0.05;
    /// Of fewer images no quantile is told: not one would be under it.
    pub const FEWEST: usize = 20;

    /// The quantile [`EnergyQuantile::SHARE`] of these logits, n x N: the value of rank `floor(share n)`, counted from 0. `None`
    /// of fewer than [`EnergyQuantile::FEWEST`].
    pub fn of(z: ArrayView2<'_, f32>) -> Option<Self> {
        let (share, images) = (Self::SHARE, z.nrows());
        if images < Self::FEWEST {
            return None;
        }
        let energy = |z| LogitScores::of(z).negative_energy;
        let mut energies: Vec<f64> = z.outer_iter().map(energy).collect();
        energies.sort_by(f64::total_cmp);
        let rank = (f64::from(share) * images as f64) as usize;
        Some(Self { share, value: *energies.get(rank)? as f32, images })
    }
}

/// What is known about the networks of one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedRecord {
    /// The seed.
    pub seed: u64,
    /// Temperature of each method.
    pub temperatures: BTreeMap<Method, f32>,
    /// T_H of H before it is averaged, where it is: [`Blend`].
    #[serde(default)]
    pub before_blend: Option<f32>,
}

/// A second stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Whose it is.
    pub about: About,
    /// Statistics of the training set.
    pub statistics: Statistics,
    /// Networks by seed, in the order of [`About::seeds`].
    pub networks: Vec<BTreeMap<Method, Mlp>>,
    /// What H is averaged with, if anything.
    pub blend: Option<Blend>,
}

/// What a network reads, kept while it reads it.
enum Prepared<'a> {
    Matrix(Array2<f32>),
    Products(Array2<f32>, ArrayView2<'a, f32>, Affine),
    Pair(Array2<f32>, Array2<f32>),
}

impl Prepared<'_> {
    fn input(&self) -> Input<'_> {
        match self {
            Self::Matrix(x) => Input::Matrix(x.view()),
            Self::Products(g, h, scaling) => Input::Products { g: g.view(), h: h.view(), scaling },
            Self::Pair(g, h) => Input::Pair { g: g.view(), h: h.view() },
        }
    }
}

/// Brings activations (h, and the stages where they are read) and z to what a method reads, and hands that over.
pub(crate) fn with_input<T>(
    (method, reads): (Method, Reads),
    question: &Question,
    statistics: &Statistics,
    activations: ArrayView2<'_, f32>,
    z: ArrayView2<'_, f32>,
    read: impl FnOnce(Input<'_>) -> T,
) -> T {
    let (h, stages) = activations.split_at(Axis(1), statistics.h.len());
    let prepared = match method {
        Method::LinearH | Method::MlpH => Prepared::Matrix(statistics.h.affine().apply(h)),
        Method::MlpHz => {
            let (h, z) = (statistics.h.affine().apply(h), statistics.z.affine().apply(z));
            Prepared::Matrix(side_by_side(h.view(), z.view()))
        }
        Method::Reflection if reads == Reads::Activations => {
            let (h, stages) =
                (statistics.h.affine().apply(h), statistics.stages.affine().apply(stages));
            Prepared::Matrix(side_by_side(h.view(), stages.view()))
        }
        Method::Reflection => {
            let g = question.gradients(z);
            match &statistics.gradients {
                OfGradients::Products(r) => Prepared::Products(g, h, r.affine()),
                OfGradients::Pair(of_g, of_h) => {
                    let (g, h) = (of_g.affine().apply(g.view()), of_h.affine().apply(h));
                    Prepared::Pair(with_one(&g), with_one(&h))
                }
            }
        }
    };
    read(prepared.input())
}

/// A column of ones behind the others: products of scaled factors alone would lack what is linear in either, and with
/// it most of what tells the classes apart.
fn with_one(x: &Array2<f32>) -> Array2<f32> {
    let mut wider = Array2::ones((x.nrows(), x.ncols() + 1));
    wider.slice_mut(s![.., ..x.ncols()]).assign(x);
    wider
}

impl Head {
    /// Width of the activations that it reads: d of h, and S of the stages if they are read.
    pub fn width(&self) -> usize {
        self.about.features + self.about.stages
    }

    /// What it reads of some features' activations, n x (d + S): h, and the stages if they are read.
    pub fn activations<'f>(&self, features: &'f Features) -> Cow<'f, Array2<f32>> {
        match self.about.reads {
            Reads::Gradients => Cow::Borrowed(&features.h),
            Reads::Activations if self.about.own_share.is_none() => {
                Cow::Owned(side_by_side(features.h.view(), features.first_pass()))
            }
            Reads::Activations => Cow::Owned(features.activations()),
        }
    }

    /// Checks that a head is for a classifier with this file hash, and for features of this width, with so many pooled
    /// activations beside them.
    ///
    /// # Errors
    /// [`ReflectError::Foreign`].
    pub fn check_fits(
        &self,
        classifier: Option<&str>,
        [features, stages]: [usize; 2],
        classes: usize,
    ) -> Result<()> {
        let About { features: d, classes: n, stages: s, .. } = self.about;
        let foreign = |reason| Err(ReflectError::Foreign { reason });
        if features != d {
            return foreign(format!("its features have {d} values, these have {features}"));
        }
        if s != 0 && stages != s {
            return foreign(format!(
                "it reads {s} pooled activations of the stages, here are {stages}"
            ));
        }
        if classes != n {
            return foreign(format!("it knows {n} classes, here are {classes}"));
        }
        if let (Some(own), Some(other)) = (&self.about.classifier, classifier)
            && own != other
        {
            let name = self.about.classifier_name.as_deref().unwrap_or("a classifier");
            let short = |hash: &str| hash.chars().take(12).collect::<String>();
            return foreign(format!(
                "it was fitted on {name} with SHA-256 {}..., this one has {}...",
                short(own),
                short(other)
            ));
        }
        Ok(())
    }

    /// Statistics to score a set of images with.
    ///
    /// # Errors
    /// Streams have statistics for each image of its own: [`Head::stream`].
    pub fn statistics_for(
        &self,
        scaling: Scaling,
        activations: ArrayView2<'_, f32>,
        z: ArrayView2<'_, f32>,
    ) -> Result<Statistics> {
        match scaling {
            Scaling::Train => Ok(self.statistics.clone()),
            Scaling::None => Ok(self.statistics.without_scaling()),
            Scaling::Batch => {
                let About { question, scaler, features, .. } = &self.about;
                let factors = self.about.scales_factors();
                Ok(Statistics::of(activations, *features, z, question, *scaler, factors))
            }
            Scaling::Stream | Scaling::StreamUnguarded => Err(ReflectError::Scaling {
                asked: scaling.name(),
                reason: "its statistics are of each image's own",
            }),
        }
    }

    /// Logits of a method's network of one seed (an index into [`About::seeds`]), n x N; `None` if the head
    /// has no such network. Activations are those of [`Head::activations`], n x d (h) or n x (d + S) (h and the stages), z
    /// is n x N.
    ///
    /// # Panics
    /// If activations, z or the statistics have other widths than the head's: ask [`Head::check_fits`] first.
    pub fn logits(
        &self,
        method: Method,
        seed: usize,
        statistics: &Statistics,
        activations: ArrayView2<'_, f32>,
        z: ArrayView2<'_, f32>,
    ) -> Option<Array2<f32>> {
        let network = self.networks.get(seed)?.get(&method)?;
        let About { question, reads, .. } = &self.about;
        let what = (method, *reads);
        let logits =
            with_input(what, question, statistics, activations, z, |input| network.logits(input));
        let record = self.about.seeds.get(seed)?;
        Some(match (&self.blend, record.before_blend, method) {
            (Some(blend), Some(temperature), Method::Reflection) => {
                blend.apply(activations, &logits, temperature)
            }
            _ => logits,
        })
    }

    /// What judges a stream for this head. `last` is the classifier's last layer, if it is known.
    pub fn guard(&self, last: Option<&LastLayer>) -> Guard {
        Guard::start(&self.statistics, self.about.mean_probabilities.as_deref(), last)
    }

    /// A stream that begins with this head's training statistics: guarded ([`Scaling::Stream`]), or not
    /// ([`Scaling::StreamUnguarded`]). `last` is for the guard, which is sharper with it.
    ///
    /// # Errors
    /// The head was not fitted with z-scores, or `scaling` is no stream.
    pub fn stream(&self, scaling: Scaling, last: Option<&LastLayer>) -> Result<Stream> {
        let question = self.about.question;
        match scaling {
            Scaling::Stream => Stream::guarded(&self.statistics, question, self.guard(last)),
            Scaling::StreamUnguarded => Stream::unguarded(&self.statistics, question),
            other => Err(ReflectError::Scaling {
                asked: other.name(),
                reason: "its statistics are the same for all images, which is no stream",
            }),
        }
    }

    /// As [`Head::logits`], each image scaled with what `stream` gives for it, in the order given.
    pub fn logits_of_stream(
        &self,
        method: Method,
        seed: usize,
        stream: &mut Stream,
        activations: ArrayView2<'_, f32>,
        z: ArrayView2<'_, f32>,
    ) -> Option<Array2<f32>> {
        let mut logits = Array2::zeros(z.dim());
        for row in 0..z.nrows() {
            let (a, z) = (activations.slice(s![row..=row, ..]), z.slice(s![row..=row, ..]));
            let Streamed { statistics, .. } = stream.next(a, z);
            let part = self.logits(method, seed, &statistics, a, z)?;
            logits.slice_mut(s![row..=row, ..]).assign(&part);
        }
        Some(logits)
    }

    /// Logits of the classifier's own last layer on h whose columns were given the training set's statistics,
    /// n x N: the control that tells scaling from reflection. `statistics` are those of the set; of activations with stages
    /// the first d columns are h.
    pub fn matched(
        &self,
        last: &LastLayer,
        statistics: &Statistics,
        activations: ArrayView2<'_, f32>,
    ) -> Array2<f32> {
        let (h, _) = activations.split_at(Axis(1), self.about.features);
        last.logits(statistics.h.matching(&self.statistics.h).apply(h).view())
    }

    /// Number of parameters of a method's network.
    pub fn parameters(&self, method: Method) -> Option<usize> {
        Some(self.networks.first()?.get(&method)?.parameters())
    }
}

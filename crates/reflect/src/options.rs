//! Settings of a fit, and what is in range.

use serde::{Deserialize, Serialize};

use crate::columns::Scaler;
use crate::error::{ReflectError, Result};
use crate::head::Method;
use crate::mlp::Activation;
use crate::question::{Loss, Question, Target};
use crate::sgd::Schedule;

/// What the second stage H reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// The N d products of the introspective gradients: the paper's form.
    #[default]
    Gradients,
    /// h and the pooled activations of all stages, d + S numbers, each scaled on its own (derived). The gradients of the last layer are a function of h, so nothing of theirs is lost; what is new are the
    /// stages, where damage to a picture shows before the classifier has made it into features of a class.
    Activations,
}

impl Reads {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Gradients, Self::Activations];

    /// `gradients`, `activations`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gradients => "gradients",
            Self::Activations => "activations",
        }
    }
}

/// Settings of [`fit`](crate::fit).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitOptions {
    /// What H reads.
    pub reads: Reads,
    /// Average H with the classifier's own prediction from the second pass: [`Blend`](crate::Blend). Needs one, and the last
    /// layer.
    pub blend: bool,
    /// Changes ([`Features::changes`](crate::Features::changes)) of one kind each, for choosing the average's weight; with none it is 1/2.
    pub kinds: Vec<Vec<String>>,
    /// The loss whose gradients are the features.
    pub loss: Loss,
    /// The target that asks the questions.
    pub target: Target,
    /// M; `None` takes [`Loss::default_height`] of the training images.
    pub height: Option<f32>,
    /// Scaling of all columns.
    pub scaler: Scaler,
    /// Rank of H's first layer; `None` for a full one.
    pub rank: Option<usize>,
    /// Sizes of the hidden layers; none makes H linear.
    pub hidden: Vec<usize>,
    /// What follows them.
    pub activation: Activation,
    /// Training.
    pub schedule: Schedule,
    /// The first seed; further ones follow it.
    pub seed: u64,
    /// Number of seeds.
    pub seeds: usize,
    /// Fit the controls too.
    pub controls: bool,
}

impl Default for FitOptions {
    /// The paper's: mean squared error, all ones, min-max, 300 and 100 sigmoid units; one seed, with controls.
    fn default() -> Self {
        Self {
            reads: Reads::default(),
            blend: false,
            kinds: Vec::new(),
            loss: Loss::default(),
            target: Target::default(),
            height: None,
            scaler: Scaler::default(),
            rank: None,
            hidden: vec![300, 100],
            activation: Activation::default(),
            schedule: Schedule::default(),
            seed: 0,
            seeds: 1,
            controls: true,
        }
    }
}

impl FitOptions {
    /// That all settings are in range.
    ///
    /// # Errors
    /// [`ReflectError::Setting`].
    pub fn check(&self) -> Result<()> {
        let schedule = &self.schedule;
        let wrong =
            |what, found: String, expected| Err(ReflectError::Setting { what, found, expected });
        if schedule.epochs == 0 {
            return wrong("the number of epochs", "0".to_owned(), "at least 1");
        }
        if schedule.batch == 0 {
            return wrong("the batch", "0".to_owned(), "at least 1 example");
        }
        if !(schedule.learning_rate.is_finite() && schedule.learning_rate > 0.0) {
            return wrong("the learning rate", schedule.learning_rate.to_string(), "above 0");
        }
        if !(0.0..1.0).contains(&schedule.momentum) {
            return wrong("the momentum", schedule.momentum.to_string(), "0 or more, below 1");
        }
        if !(schedule.weight_decay.is_finite() && schedule.weight_decay >= 0.0) {
            return wrong("the weight decay", schedule.weight_decay.to_string(), "0 or more");
        }
        if !(schedule.decay.is_finite() && schedule.decay > 0.0) {
            return wrong("the factor at a milestone", schedule.decay.to_string(), "above 0");
        }
        let inside = |share: &f64| *share > 0.0 && *share < 1.0;
        if let Some(share) = schedule.milestones.iter().find(|share| !inside(share)) {
            return wrong(
                "a milestone",
                share.to_string(),
                "a share of the epochs, between 0 and 1",
            );
        }
        if self.hidden.contains(&0) {
            return wrong("a hidden layer", "0 units".to_owned(), "at least 1 unit");
        }
        if self.rank == Some(0) {
            return wrong("the rank", "0".to_owned(), "at least 1");
        }
        if let (Reads::Activations, Some(rank)) = (self.reads, self.rank) {
            let expected = "none for an H that reads activations: only products have factors";
            return wrong("the rank", rank.to_string(), expected);
        }
        if self.seeds == 0 {
            return wrong("the number of seeds", "0".to_owned(), "at least 1");
        }
        Question::new(self.loss, self.target, self.height.unwrap_or(1.0)).map(|_| ())
    }

    /// True if the gradients are scaled as factors and not as products.
    pub(crate) fn scales_factors(&self) -> bool {
        self.rank.is_some() || self.reads == Reads::Activations
    }

    /// That no network would be absurdly large.
    pub(crate) fn check_size(&self, features: usize, stages: usize, classes: usize) -> Result<()> {
        let parameters =
            parameters(self, features, stages, classes).filter(|&count| count <= LARGEST);
        if parameters.is_some() {
            return Ok(());
        }
        Err(ReflectError::Setting {
            what: "the number of H's parameters",
            found: format!(
                "too large, with hidden layers of {:?} units on {classes} classes x {features} features",
                self.hidden
            ),
            expected: "at most 2^32; a low rank of the first layer (--rank 4, say) or fewer hidden units take fewer",
        })
    }

    pub(crate) fn methods(&self) -> &'static [Method] {
        if self.controls { &Method::ALL } else { &[Method::Reflection] }
    }
}

/// Parameters of H, at most: with their velocities 32 GiB.
const LARGEST: usize = 1 << 32;

/// Of H, if they can be counted.
fn parameters(
    options: &FitOptions,
    features: usize,
    stages: usize,
    classes: usize,
) -> Option<usize> {
    let mut outputs = options.hidden.iter().copied().chain([classes]);
    let units = outputs.next()?;
    let read = match options.rank {
        Some(rank) => classes.checked_add(features)?.checked_mul(rank)?,
        None if options.reads == Reads::Activations => features.checked_add(stages)?,
        None => classes.checked_mul(features)?,
    };
    let first = read.checked_add(1)?.checked_mul(units)?;
    let (total, _) = outputs.try_fold((first, units), |(total, inputs), outputs| {
        let layer = inputs.checked_add(1)?.checked_mul(outputs)?;
        Some((total.checked_add(layer)?, outputs))
    })?;
    Some(total)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{FitOptions, Reads, parameters};
    use crate::sgd::Schedule;

    #[test]
    fn parameters_are_counted_or_refused() {
        let options = FitOptions { hidden: vec![7, 5], ..FitOptions::default() };
        // (12 + 1) 7 + (7 + 1) 5 + (5 + 1) 4
        assert_eq!(parameters(&options, 3, 9, 4), Some(155));
        // (3 + 9 + 1) 7
        let activations = FitOptions { reads: Reads::Activations, ..options.clone() };
        assert_eq!(parameters(&activations, 3, 9, 4), Some(91 + 64));
        let low = FitOptions { rank: Some(2), ..options.clone() };
        // ((3 + 4) 2 + 1) 7
        assert_eq!(parameters(&low, 3, 9, 4), Some(105 + 64));
        options.check_size(3, 0, 4).unwrap();
        let huge = FitOptions { hidden: vec![usize::MAX / 2], ..options.clone() };
        assert!(huge.check_size(3, 0, 4).is_err());
        // 614 million are not too many, 6 billion are
        let wide = |hidden| FitOptions { hidden: vec![hidden, 100], ..options.clone() };
        wide(300).check_size(2048, 0, 1000).unwrap();
        assert!(wide(3000).check_size(2048, 0, 1000).is_err());
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let with = |change: fn(&mut FitOptions)| {
            let mut options = FitOptions::default();
            change(&mut options);
            options.check()
        };
        with(|_| ()).unwrap();
        let changes: [fn(&mut FitOptions); 14] = [
            |o| o.schedule.epochs = 0,
            |o| o.schedule.batch = 0,
            |o| o.schedule.learning_rate = f64::NAN,
            |o| o.schedule.learning_rate = -0.1,
            |o| o.schedule.momentum = 1.0,
            |o| o.schedule.weight_decay = -1.0,
            |o| o.schedule.decay = 0.0,
            |o| o.schedule.milestones = vec![0.5, 1.0],
            |o| o.schedule.milestones = vec![f64::NAN],
            |o| o.hidden = vec![3, 0],
            |o| o.rank = Some(0),
            |o| o.seeds = 0,
            |o| o.height = Some(f32::INFINITY),
            |o| o.schedule = Schedule { learning_rate: 0.0, ..Schedule::default() },
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert!(with(change).is_err(), "change {index}");
        }
    }
}

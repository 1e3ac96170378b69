//! Ways to fit a second stage, each a set of defaults for the flags of `introspect fit`.

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use introspective_reflect::{Activation, FitOptions, Reads, Scaler};

use super::named;
use crate::args::FitArgs;

/// Share of a picture's own statistics in the second pass: chosen on corrupted pictures kept aside from training, see
/// docs/results/recognition.md.
const OWN_SHARE: f32 = 0.1;

/// A set of defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Recipe {
    /// The paper's: H reads gradients, and is trained on the pictures as they are.
    Paper,
    /// H reads activations of all stages and a second pass, is trained on mildly corrupted copies too, and is averaged with
    /// the second pass's own prediction.
    Robust,
}

/// What flags and recipe come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub reads: Reads,
    /// Share of own statistics in the second pass, if there is to be one.
    pub own: Option<f32>,
    /// H is averaged with the second pass, where there is one.
    pub average: bool,
    pub scaler: Scaler,
    pub hidden: Vec<usize>,
    pub activation: Activation,
    pub epochs: usize,
    pub learning_rate: f64,
    pub corruption: Vec<String>,
    pub severity: Vec<u8>,
    pub copies: usize,
}

impl Recipe {
    /// The one that the flags name. Without a name the robust one, unless the flags want the paper's gradients (`--rank` and `--height` too), or there are no
    /// pooled activations of stages, S of them, for it to read; then a note says so.
    pub fn of(args: &FitArgs, stages: usize) -> Self {
        if let Some(recipe) = args.recipe {
            return recipe;
        }
        // what has a meaning for gradients alone
        let gradients = args.rank.is_some() || args.height.is_some();
        match args.reads.as_deref() {
            Some(reads) if reads == Reads::Gradients.name() => return Self::Paper,
            None if gradients => return Self::Paper,
            _ => {}
        }
        if stages == 0 && args.reads.is_none() {
            eprintln!(
                "note: no pooled activations of stages are here, which the robust recipe reads; H is fitted by the paper's \
                 (--recipe paper)"
            );
            return Self::Paper;
        }
        Self::Robust
    }

    fn settings(self) -> Settings {
        let paper = FitOptions::default();
        let paper = Settings {
            reads: paper.reads,
            own: None,
            average: false,
            scaler: paper.scaler,
            hidden: paper.hidden,
            activation: paper.activation,
            epochs: paper.schedule.epochs,
            learning_rate: paper.schedule.learning_rate,
            corruption: Vec::new(),
            severity: vec![1],
            copies: 1,
        };
        match self {
            Self::Paper => paper,
            Self::Robust => Settings {
                reads: Reads::Activations,
                own: Some(OWN_SHARE),
                average: true,
                scaler: Scaler::ZScore,
                hidden: vec![128],
                activation: Activation::Relu,
                epochs: 15,
                learning_rate: 0.02,
                corruption: vec!["all".to_owned()],
                severity: vec![1, 2],
                copies: 4,
            },
        }
    }
}

impl Settings {
    /// The recipe's, but for what the flags say.
    ///
    /// # Errors
    /// A flag cannot be read.
    pub fn of(args: &FitArgs, recipe: Recipe) -> Result<Self> {
        let mut settings = recipe.settings();
        if let Some(name) = &args.reads {
            settings.reads = named(&Reads::ALL, Reads::name, name)?;
            // the paper's form has no second pass
            if settings.reads == Reads::Gradients {
                (settings.own, settings.average) = (None, false);
            }
        }
        if let Some(name) = &args.scaler {
            settings.scaler = named(&Scaler::ALL, Scaler::name, name)?;
        }
        if let Some(name) = &args.activation {
            settings.activation = named(&Activation::ALL, Activation::name, name)?;
        }
        if let Some(sizes) = &args.hidden {
            settings.hidden = hidden(sizes)?;
        }
        if let Some(share) = args.own_statistics {
            if !(0.0..=1.0).contains(&share) {
                bail!("--own-statistics {share}: expected a share from 0 to 1, such as 0.1");
            }
            if share > 0.0 && settings.reads == Reads::Gradients && args.save_features.is_none() {
                bail!(
                    "--own-statistics {share}: an H that reads gradients reads no second pass; add --reads activations, or \
                     --save-features to keep it"
                );
            }
            settings.own = (share > 0.0).then_some(share);
            settings.average &= settings.own.is_some();
        }
        if !args.corruption.is_empty() {
            settings.corruption.clone_from(&args.corruption);
            if args.corruption == ["none"] {
                settings.corruption.clear();
            }
        }
        if !args.severity.is_empty() {
            settings.severity.clone_from(&args.severity);
        }
        settings.average = args.average.unwrap_or(settings.average);
        settings.epochs = args.epochs.map_or(settings.epochs, |epochs| epochs as usize);
        settings.learning_rate = args.lr.unwrap_or(settings.learning_rate);
        settings.copies = args.copies.map_or(settings.copies, usize::from);
        Ok(settings)
    }
}

/// Sizes of hidden layers, separated by commas; `none` for none.
fn hidden(text: &str) -> Result<Vec<usize>> {
    if text == "none" {
        return Ok(Vec::new());
    }
    text.split(',')
        .map(|size| size.trim().parse().ok().filter(|&size| size > 0))
        .collect::<Option<_>>()
        .with_context(|| format!("--hidden {text}: expected sizes such as 300,100, or none"))
}

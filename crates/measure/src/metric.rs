//! The metrics by name.

/// A metric of a [`Comparison`](crate::Comparison).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// [`accuracy`](crate::accuracy).
    Accuracy,
    /// [`top_k_accuracy`](crate::top_k_accuracy) with k = 5.
    Top5,
    /// [`nll`](crate::nll).
    Nll,
    /// [`brier`](crate::brier).
    Brier,
    /// [`ece`](crate::ece).
    Ece,
    /// [`adaptive_ece`](crate::adaptive_ece).
    AdaptiveEce,
    /// [`classwise_ece`](crate::classwise_ece).
    ClasswiseEce,
    /// [`mce`](crate::mce).
    Mce,
    /// [`aurc`](crate::aurc).
    Aurc,
}

impl Metric {
    /// All of them, in the order of the output.
    pub const ALL: [Self; 9] = [
        Self::Accuracy,
        Self::Top5,
        Self::Nll,
        Self::Brier,
        Self::Ece,
        Self::AdaptiveEce,
        Self::ClasswiseEce,
        Self::Mce,
        Self::Aurc,
    ];

    /// Its key in JSON and CSV: `accuracy`, `top5`, `nll`, ...
    pub fn key(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Top5 => "top5",
            Self::Nll => "nll",
            Self::Brier => "brier",
            Self::Ece => "ece",
            Self::AdaptiveEce => "adaptive_ece",
            Self::ClasswiseEce => "classwise_ece",
            Self::Mce => "mce",
            Self::Aurc => "aurc",
        }
    }

    /// True for accuracies; all other metrics are better when smaller.
    pub fn higher_is_better(self) -> bool {
        matches!(self, Self::Accuracy | Self::Top5)
    }
}

//! What a program should know about an explanation without looking at it: verdicts as data.

use introspective_network::Redraw;
use serde::Serialize;

use crate::answer::{Answer, Evidence, Explanation};
use crate::faithfulness::{MapCheck, RedrawnMap};
use crate::questions::{Asked, Question};

/// A statement that holds or does not, with the number that decides it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Its short name; one of the constants of this type.
    pub name: &'static str,
    /// The map that it is about ([`Asked::map_name`]), if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// True if it holds.
    pub holds: bool,
    /// The number that decides; finite.
    pub value: f64,
    /// Where it decides; finite.
    pub threshold: f64,
    /// What is found, in a plain sentence.
    pub says: String,
}

impl Verdict {
    /// Nothing at the layer speaks for the class: the [share](Evidence::share) of *Why P?* is less than
    /// [`Evidence::NEARLY_EMPTY`].
    pub const NO_POSITIVE_EVIDENCE: &'static str = "no-positive-evidence";
    /// No region tells the class from the other one: the share of the contrast's map is less than [`Evidence::NEARLY_EMPTY`]
    /// (0 for a map that is the same everywhere).
    pub const CONTRAST_WITHOUT_REGION: &'static str = "contrast-without-region";
    /// The class that a contrast would be held against is the class asked about: there is nothing to contrast. The value is by
    /// how much more probable it is than any other, the threshold 0.
    pub const SAME_CLASS: &'static str = "same-class";
    /// The explanation is uncertain: VOICE's number is above [`Verdict::VOICE_LIMIT`].
    pub const UNCERTAIN_EXPLANATION: &'static str = "uncertain-explanation";
    /// The picture is unlike those that the second stage was fitted on: a score is under the quantile stored with it.
    pub const OUT_OF_DISTRIBUTION: &'static str = "out-of-distribution";
    /// The map stays as it is when the network, or its last layer, forgets what it has learned: the largest rank correlation of
    /// those that were checked is at least [`RedrawnMap::UNCHANGED`].
    pub const UNCHANGED_MAP: &'static str = "unchanged-map";

    /// Above this an explanation is called uncertain. VOICE's intersection over union of where the explanation is and where it is
    /// uncertain lies in [0, 1], and is small where the uncertainty lies beside the explanation. 5 % of 300 photographs of ImageNet
    /// lie above it with SqueezeNet 1.1 at its default layer (docs/atlas.md): it says that a picture is unusual, not that the
    /// prediction is wrong.
    pub const VOICE_LIMIT: f64 = 0.9;

    /// Whether nothing speaks for the class; `answer` is that of *Why P?*.
    pub fn no_positive_evidence(answer: &Answer, short: &dyn Fn(usize) -> String) -> Self {
        let (value, threshold) = (answer.evidence().share, Evidence::NEARLY_EMPTY);
        let holds = value < threshold;
        let class = short(answer.asked.class);
        let says = if holds {
            format!("At this layer next to nothing speaks for {class}.")
        } else {
            format!("Something at this layer speaks for {class}.")
        };
        let map = Some(answer.asked.map_name());
        Self { name: Self::NO_POSITIVE_EVIDENCE, map, holds, value, threshold, says }
    }

    /// Whether no region tells the two classes of a contrast apart; `None` for other questions.
    pub fn contrast_without_region(
        answer: &Answer,
        short: &dyn Fn(usize) -> String,
    ) -> Option<Self> {
        let Asked { class, contrast, .. } = answer.asked;
        let (class, other) = (short(class), short(contrast?));
        let value = if answer.is_empty() { 0.0 } else { answer.evidence().share };
        let threshold = Evidence::NEARLY_EMPTY;
        let holds = value < threshold;
        let says = if holds {
            format!("No region tells {class} from {other} at this layer.")
        } else {
            format!("There is a region that tells {class} from {other}.")
        };
        let map = Some(answer.asked.map_name());
        let name = Self::CONTRAST_WITHOUT_REGION;
        Some(Self { name, map, holds, value, threshold, says })
    }

    /// Whether the class asked about is itself what it would be contrasted with: the class of the largest of another
    /// opinion's probabilities, such as a second stage's, N of them. (To ask for that contrast is an error,
    /// [`QuestionError::SameClass`](crate::QuestionError::SameClass).) `None` for a single class, which has no other.
    pub fn same_class(
        class: usize,
        probabilities: &[f64],
        short: &dyn Fn(usize) -> String,
    ) -> Option<Self> {
        let own = *probabilities.get(class)?;
        let others = probabilities.iter().enumerate().filter(|&(other, _)| other != class);
        let (other, most) =
            others.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        let value = own - most;
        // among equals the first is predicted
        let holds = value > 0.0 || value == 0.0 && class < other;
        let name = short(class);
        let says = if holds {
            format!("The second stage says {name} too: it offers no class to contrast it with.")
        } else {
            format!("The second stage says {} instead of {name}.", short(other))
        };
        Some(Self { name: Self::SAME_CLASS, map: None, holds, value, threshold: 0.0, says })
    }

    /// Whether an explanation is uncertain, by VOICE's intersection over union, in [0, 1]: of {uncertainty > 0.1} and
    /// {explanation > 0.1}.
    pub fn uncertain_explanation(asked: &Asked, iou: f64) -> Self {
        let holds = iou > Self::VOICE_LIMIT;
        let says = if holds {
            "The explanation is uncertain where it is strong: contrasts with other classes disagree there."
        } else {
            "The contrasts with other classes agree where the explanation is strong."
        };
        let (map, says) = (Some(asked.map_name()), says.to_owned());
        let (name, threshold) = (Self::UNCERTAIN_EXPLANATION, Self::VOICE_LIMIT);
        Self { name, map, holds, value: iou, threshold, says }
    }

    /// Whether a picture is unlike those that a second stage was fitted on: `score` (larger means more like them) is under the
    /// quantile `threshold`, which the share `expected` of such pictures is under, too.
    pub fn out_of_distribution(what: &str, score: f64, threshold: f64, expected: f64) -> Self {
        let holds = score < threshold;
        let share = 100.0 * expected;
        let says = if holds {
            format!(
                "The picture looks unlike those that the network was trained for: of those only {share:.0} % have so low a score ({what})."
            )
        } else {
            format!(
                "The score ({what}) is not unusual for pictures that the network was trained for."
            )
        };
        let name = Self::OUT_OF_DISTRIBUTION;
        Self { name, map: None, holds, value: score, threshold, says }
    }

    /// Whether a map stays as it is when the network forgets what it has learned; `None` where that was not checked, or nothing
    /// could be compared.
    pub fn unchanged_map(check: &MapCheck) -> Option<Self> {
        let known = check.redrawn.iter().filter_map(|map| Some((map.which, map.correlation()?)));
        let (which, value) =
            known.reduce(|most, next| if next.1 > most.1 { next } else { most })?;
        let holds = check.is_unchanged();
        let (weights, learned) = match which {
            Redraw::Head => ("the weights of the last layer are", "that layer has"),
            Redraw::Last(_) => ("the weights of the last layers are", "those layers have"),
            Redraw::All => ("all weights are", "the network has"),
        };
        let says = if holds {
            format!(
                "The map stays the same when {weights} re-drawn: it does not show what {learned} learned."
            )
        } else {
            "The map changes when weights are re-drawn.".to_owned()
        };
        let map = Some(check.asked.map_name());
        let (name, threshold) = (Self::UNCHANGED_MAP, RedrawnMap::UNCHANGED);
        Some(Self { name, map, holds, value, threshold, says })
    }
}

impl Explanation {
    /// The verdicts that its maps allow: [`Verdict::no_positive_evidence`] and, for each contrast,
    /// [`Verdict::contrast_without_region`]. `short` gives a class's name for people.
    pub fn verdicts(&self, short: &dyn Fn(usize) -> String) -> Vec<Verdict> {
        let verdict = |answer: &Answer| match answer.asked.question {
            Question::Why => Some(Verdict::no_positive_evidence(answer, short)),
            Question::WhatIfNot => None,
            Question::RatherThan => Verdict::contrast_without_region(answer, short),
        };
        self.answers.iter().filter_map(verdict).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::questions::Questions;

    fn short(class: usize) -> String {
        ["cat", "dog", "owl"][class].to_owned()
    }

    /// What the questions about these logits found, with these maps.
    fn explanation(maps: [Array2<f32>; 3]) -> Explanation {
        let logits = array![2.0, 1.0, 0.0];
        let asked = Questions::default().about(logits.view()).unwrap();
        let answers =
            asked.into_iter().zip(maps).map(|(asked, raw)| Answer { asked, raw }).collect();
        let probabilities = crate::softmax(logits.view());
        Explanation { logits, probabilities, predicted: 0, answers }
    }

    #[test]
    fn maps_without_a_positive_part_are_told() {
        let (full, faint) = (array![[1.0, -1.0]], array![[0.01, -1.0]]);
        let good = explanation([full.clone(), full.clone(), full.clone()]).verdicts(&short);
        let names: Vec<&str> = good.iter().map(|verdict| verdict.name).collect();
        assert_eq!(names, [Verdict::NO_POSITIVE_EVIDENCE, Verdict::CONTRAST_WITHOUT_REGION]);
        assert!(good.iter().all(|verdict| !verdict.holds && verdict.value == 0.5));
        assert_eq!(good[1].map.as_deref(), Some("rather_than_1"));

        let bad = explanation([faint.clone(), full.clone(), faint]).verdicts(&short);
        assert!(bad.iter().all(|verdict| verdict.holds && verdict.value < verdict.threshold));
        assert_eq!(bad[0].says, "At this layer next to nothing speaks for cat.");
        assert_eq!(bad[1].says, "No region tells cat from dog at this layer.");

        // evidence everywhere is evidence, but it is no region
        let same = Array2::from_elem((2, 2), 0.5);
        let flat = explanation([same.clone(), full, same]).verdicts(&short);
        assert_eq!((flat[0].holds, flat[1].holds), (false, true));
        assert_eq!(flat[1].value, 0.0);
    }

    #[test]
    fn the_same_class_is_told_from_the_second_opinion() {
        let verdict = |p: &[f64]| Verdict::same_class(0, p, &short);
        let agrees = verdict(&[0.6, 0.3, 0.1]).unwrap();
        assert!(agrees.holds && (agrees.value - 0.3).abs() < 1e-12, "{agrees:?}");
        let differs = verdict(&[0.2, 0.1, 0.7]).unwrap();
        assert!(!differs.holds && differs.says.contains("owl instead of cat"), "{differs:?}");
        assert!(verdict(&[0.5, 0.5]).unwrap().holds, "the first of equals is predicted");
        assert!(!Verdict::same_class(1, &[0.5, 0.5], &short).unwrap().holds);
        assert_eq!(verdict(&[1.0]), None);
        assert_eq!(Verdict::same_class(3, &[0.5, 0.5], &short), None);
    }

    #[test]
    fn scores_under_their_quantile_are_out_of_distribution() {
        let verdict = |score| Verdict::out_of_distribution("energy", score, 3.0, 0.05);
        assert!(verdict(2.9).holds && !verdict(3.0).holds);
        assert!(verdict(2.9).says.contains("only 5 % have so low a score (energy)"));
    }

    #[test]
    fn uncertain_explanations_are_told() {
        let asked = explanation([array![[1.0]], array![[1.0]], array![[1.0]]]).answers[0].asked;
        assert!(Verdict::uncertain_explanation(&asked, 0.91).holds);
        assert!(!Verdict::uncertain_explanation(&asked, 0.9).holds);
    }
}

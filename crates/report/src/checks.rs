//! Checks of maps as data: for the manifest, as a table of curves, and in words.

mod curves;
mod set;

use introspective_explain::faithfulness::{
    Against, CAVEAT, CheckOptions, Faded, MapCheck, RedrawnMap, Score, ScoreCheck,
};
use serde::Serialize;

use crate::words::percent;
pub(crate) use curves::{curves_csv, curves_plot};
pub use set::{CheckedSet, SetArea};

/// Name of the table of curves.
pub(crate) const CURVES: &str = "checks.csv";
/// Name of the plot of curves.
pub(crate) const PLOT: &str = "checks.svg";

/// How good the maps of a picture are, in the manifest.
#[derive(Clone, Debug, Serialize)]
pub struct Checks {
    /// [`CAVEAT`]: what these numbers do not say.
    pub caveat: &'static str,
    /// Steps of each curve.
    pub steps: usize,
    /// Number of random maps that curves are held against.
    pub random_maps: usize,
    /// Number of networks with re-drawn weights, for each choice of layers.
    pub draws: usize,
    /// Seed of the first random map and of the first draw.
    pub seed: u64,
    /// The table of curves.
    pub curves: &'static str,
    /// The plot of curves.
    pub plot: &'static str,
    /// One entry a map, in the order of the questions.
    pub maps: Vec<CheckedMap>,
}

/// How good a map is.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedMap {
    /// The map's name in `maps.npz`.
    pub map: String,
    /// `for`: without what it shows the class should lose; `against`: it should gain.
    pub reads: &'static str,
    /// The map is empty, so that there is nothing to check and all that follows is empty, too.
    pub empty: bool,
    /// Deletion and insertion; for a contrast looked at in two ways.
    pub scores: Vec<CheckedScore>,
    /// The picture times the map.
    pub faded: Option<FadedNumbers>,
    /// The map when the network forgets what it has learned.
    pub redrawn: Vec<RedrawnNumbers>,
}

/// Deletion and insertion, looked at with one score.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedScore {
    /// `probability` of the class asked about, or `pair`: `p_C / (p_C + p_Q)`.
    pub score: &'static str,
    /// Pixels become each channel's mean.
    pub deletion: AreaNumbers,
    /// Pixels are put into a blurred picture.
    pub insertion: AreaNumbers,
}

/// An area under a curve, and those of random maps.
#[derive(Clone, Debug, Serialize)]
pub struct AreaNumbers {
    /// The map's, in [0, 1].
    pub area: f64,
    /// Mean of the random maps'.
    pub random: Option<f64>,
    /// Each of the random maps'.
    pub random_areas: Vec<f64>,
    /// `small` or `large`.
    pub good: &'static str,
    /// The map's is better than each of the random maps'.
    pub beats_random: bool,
    /// The score before anything is changed.
    pub start: f64,
    /// The score when all pixels are changed.
    pub end: f64,
}

/// The picture times the map (of a map that reads `against`, times the rest).
#[derive(Clone, Debug, Serialize)]
pub struct FadedNumbers {
    /// Probability of the class for the picture.
    pub before: f64,
    /// And for the faded picture.
    pub after: f64,
    /// `max(0, before - after) / before`.
    pub drop: f64,
    /// `after > before`.
    pub increases: bool,
}

/// A map held against those of networks with re-drawn weights.
#[derive(Clone, Debug, Serialize)]
pub struct RedrawnNumbers {
    /// Which layers were re-drawn: `head`, `last-N` (the last N), `all`.
    pub layers: String,
    /// Mean rank correlation of the raw maps, if there is any.
    pub correlation: Option<f64>,
    /// Each draw's.
    pub correlations: Vec<Option<f64>>,
    /// The map does not change.
    pub unchanged: bool,
}

impl Checks {
    pub(crate) fn new(maps: &[MapCheck], options: &CheckOptions) -> Self {
        Self {
            caveat: CAVEAT,
            steps: options.steps,
            random_maps: options.random,
            draws: options.draws,
            seed: options.seed,
            curves: CURVES,
            plot: PLOT,
            maps: maps.iter().map(CheckedMap::from).collect(),
        }
    }
}

impl From<&MapCheck> for CheckedMap {
    fn from(check: &MapCheck) -> Self {
        Self {
            map: check.asked.map_name(),
            reads: check.reads.name(),
            empty: check.scores.is_empty(),
            scores: check.scores.iter().map(CheckedScore::from).collect(),
            faded: check.faded.as_ref().map(FadedNumbers::from),
            redrawn: check.redrawn.iter().map(RedrawnNumbers::from).collect(),
        }
    }
}

impl From<&ScoreCheck> for CheckedScore {
    fn from(check: &ScoreCheck) -> Self {
        Self {
            score: score_name(check.score),
            deletion: (&check.deletion).into(),
            insertion: (&check.insertion).into(),
        }
    }
}

impl From<&Against> for AreaNumbers {
    fn from(against: &Against) -> Self {
        Self {
            area: against.curve.area(),
            random: against.random_area(),
            random_areas: against.random.iter().map(|curve| curve.area()).collect(),
            good: if against.small_is_good { "small" } else { "large" },
            beats_random: against.beats_random(),
            start: against.curve.start(),
            end: against.curve.end(),
        }
    }
}

impl From<&Faded> for FadedNumbers {
    fn from(faded: &Faded) -> Self {
        let Faded { before, after } = *faded;
        Self { before, after, drop: faded.drop(), increases: faded.increases() }
    }
}

impl From<&RedrawnMap> for RedrawnNumbers {
    fn from(map: &RedrawnMap) -> Self {
        Self {
            layers: map.which.name(),
            correlation: map.correlation(),
            correlations: map.correlations.clone(),
            unchanged: map.is_unchanged(),
        }
    }
}

fn score_name(score: Score) -> &'static str {
    match score {
        Score::Class(_) => "probability",
        Score::Pair { .. } => "pair",
    }
}

impl CheckedMap {
    /// The numbers in a line: areas with those of chance, what is left when only the map's part is left, and how alike the map is
    /// to those of networks that forgot what they had learned.
    pub fn line(&self) -> String {
        // of a contrast: the class against the other one
        let Some(CheckedScore { score, deletion, insertion }) = self.scores.last() else {
            return "empty: nothing to check".to_owned();
        };
        let area = |numbers: &AreaNumbers| match numbers.random {
            Some(random) => format!("{:.3} (random: {random:.3})", numbers.area),
            None => format!("{:.3}", numbers.area),
        };
        let mut text = format!("deletion {}, insertion {}", area(deletion), area(insertion));
        if *score == "pair" {
            text += " of the pair";
        }
        if let Some(FadedNumbers { drop, increases, .. }) = &self.faded {
            let gains = || "increase".to_owned();
            let change = if *increases { gains() } else { format!("drop {}", percent(*drop)) };
            text += &format!("; {change}");
        }
        let like = |drawn: &RedrawnNumbers| {
            let flag = if drawn.unchanged { " (unchanged)" } else { "" };
            Some(format!("{} {:.2}{flag}", drawn.layers, drawn.correlation?))
        };
        let likeness: Vec<String> = self.redrawn.iter().filter_map(like).collect();
        if !likeness.is_empty() {
            text += &format!("; re-drawn: {}", likeness.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use introspective_explain::Questions;
    use introspective_explain::faithfulness::{Curve, Reads};
    use introspective_network::Redraw;
    use ndarray::array;

    use super::*;

    fn against(scores: [f64; 3], random: [f64; 3], small_is_good: bool) -> Against {
        let curve =
            |scores: [f64; 3]| Curve { shares: vec![0.0, 0.5, 1.0], scores: scores.to_vec() };
        let random = vec![curve(random), curve([0.5; 3])];
        Against { curve: curve(scores), random, small_is_good }
    }

    /// The checks of three maps, of which the second is empty.
    fn checks() -> Vec<MapCheck> {
        let asked = Questions::default().about(array![2.0, 1.0].view()).unwrap();
        let score = |score| ScoreCheck {
            score,
            deletion: against([0.9, 0.1, 0.0], [0.9, 0.5, 0.0], true),
            insertion: against([0.1, 0.8, 0.9], [0.1, 0.2, 0.9], false),
        };
        let scores = [
            vec![score(Score::Class(0))],
            Vec::new(),
            vec![score(Score::Class(0)), score(Score::Pair { class: 0, contrast: 1 })],
        ];
        let drawn = |which, correlations: &[Option<f64>]| RedrawnMap {
            which,
            correlations: correlations.to_vec(),
        };
        let check = |(asked, scores): (_, Vec<ScoreCheck>)| MapCheck {
            asked,
            reads: Reads::For,
            faded: (!scores.is_empty()).then_some(Faded { before: 0.8, after: 0.6 }),
            redrawn: match scores.is_empty() {
                true => Vec::new(),
                false => vec![drawn(Redraw::Head, &[Some(0.95)]), drawn(Redraw::All, &[None])],
            },
            scores,
        };
        asked.into_iter().zip(scores).map(check).collect()
    }

    #[test]
    fn numbers_become_json_without_gaps_and_lines_for_people() {
        let checks = Checks::new(&checks(), &CheckOptions::default());
        let json = serde_json::to_value(&checks).unwrap();
        assert_eq!(json["maps"][0]["map"], "why");
        let deletion = &json["maps"][0]["scores"][0]["deletion"];
        assert!((deletion["area"].as_f64().unwrap() - 0.275).abs() < 1e-12);
        assert!((deletion["random"].as_f64().unwrap() - (0.475 + 0.5) / 2.0).abs() < 1e-12);
        assert_eq!((&deletion["good"], &deletion["beats_random"]), (&"small".into(), &true.into()));
        assert_eq!(json["maps"][1]["empty"], true);
        assert_eq!(json["maps"][1]["faded"], serde_json::Value::Null);
        assert_eq!(json["maps"][2]["scores"][1]["score"], "pair");
        assert_eq!(json["maps"][0]["redrawn"][1]["correlation"], serde_json::Value::Null);
        let lines: Vec<String> = checks.maps.iter().map(CheckedMap::line).collect();
        assert_eq!(
            lines[0],
            "deletion 0.275 (random: 0.487), insertion 0.650 (random: 0.425); drop 25\u{a0}%; re-drawn: head 0.95 (unchanged)"
        );
        assert_eq!(lines[1], "empty: nothing to check");
        assert!(lines[2].contains("of the pair"), "{}", lines[2]);
    }

    #[test]
    fn a_set_is_the_mean_of_its_maps() {
        let maps: Vec<CheckedMap> = checks().iter().map(CheckedMap::from).collect();
        let names = ["why", "what-if-not", "rather-than"];
        let twice = || names.into_iter().zip(&maps).chain(names.into_iter().zip(&maps));
        let sets = CheckedSet::of(twice());
        let of: Vec<_> = sets.iter().map(|set| (set.question, set.maps, set.score)).collect();
        assert_eq!(of, [("why", 2, "probability"), ("rather-than", 2, "pair")]);
        assert!((sets[0].deletion.area - 0.275).abs() < 1e-12);
        assert_eq!((sets[0].deletion.beats_random, sets[0].insertion.beats_random), (1.0, 1.0));
        assert!((sets[0].average_drop - 0.25).abs() < 1e-12);
        assert_eq!((sets[0].increase, sets[0].unchanged), (0.0, 2));
        assert!(sets[0].line().starts_with("why of 2 maps: deletion 0.275 (random: 0.48"));
    }

    #[test]
    fn all_curves_are_in_the_table_and_in_the_plot() {
        let table = String::from_utf8(curves_csv(&checks()).unwrap()).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        // three scores, two curves each, three orders, three points
        assert_eq!(lines.len(), 1 + 3 * 2 * 3 * 3);
        assert_eq!(lines[0], "map,score,curve,order,share,value");
        assert_eq!(lines[2], "why,probability,deletion,map,0.5,0.1");
        assert_eq!(lines[5], "why,probability,deletion,random-1,0.5,0.5");

        let plot = curves_plot(&checks(), &|check| format!("Why <{}>?", check.asked.class));
        let document = roxmltree::Document::parse(&plot).unwrap();
        let texts = |text: &str| {
            let found = document
                .descendants()
                .filter(|node| node.is_text() && node.text().is_some_and(|t| t.trim() == text));
            found.count()
        };
        assert_eq!((texts("Why <0>?"), texts("random maps")), (3, 3));
        let empty = curves_plot(&checks()[1..2], &|_| String::new());
        assert!(roxmltree::Document::parse(&empty).is_ok() && empty.contains("all maps are empty"));
    }
}

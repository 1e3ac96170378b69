//! Checks of maps as data: for the manifest, as a table of curves, and in words.

use introspective_explain::faithfulness::{
    Against, CAVEAT, CheckOptions, Curve, Faded, FadedSet, MapCheck, RedrawnMap, Score, ScoreCheck,
};
use serde::Serialize;

use crate::evaluation::{Panel, PanelLine, curve_panels};
use crate::explanation::percent;

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

/// How good the maps that answer one question are, over many pictures.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedSet {
    /// `why`, `what-if-not`, `rather-than`.
    pub question: &'static str,
    /// `for` or `against`, as for a single map.
    pub reads: &'static str,
    /// Number of maps that were checked; those that are empty are not.
    pub maps: usize,
    /// What was looked at: `probability`, or `pair` for contrasts.
    pub score: &'static str,
    /// Means of the areas at deletion.
    pub deletion: SetArea,
    /// Means of the areas at insertion.
    pub insertion: SetArea,
    /// Average drop, in [0, 1].
    pub average_drop: f64,
    /// Share of the maps of which the class gains, in [0, 1].
    pub increase: f64,
    /// Number of maps that do not change when weights are re-drawn.
    pub unchanged: usize,
}

/// Areas of many maps.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SetArea {
    /// Mean area.
    pub area: f64,
    /// Mean area of the random maps.
    pub random: Option<f64>,
    /// Share of the maps that are better than each of their random maps, in [0, 1].
    pub beats_random: f64,
}

impl CheckedSet {
    /// Over the checked maps of many pictures, one set a question; questions whose maps are all empty have none. Each map comes
    /// with the name of its question.
    pub fn of<'a>(maps: impl IntoIterator<Item = (&'static str, &'a CheckedMap)>) -> Vec<Self> {
        let mut sets: Vec<(&'static str, Vec<&CheckedMap>)> = Vec::new();
        for (question, map) in maps.into_iter().filter(|(_, map)| !map.empty) {
            match sets.iter_mut().find(|(name, _)| *name == question) {
                Some((_, set)) => set.push(map),
                None => sets.push((question, vec![map])),
            }
        }
        sets.iter().filter_map(|(question, maps)| Self::of_one(question, maps)).collect()
    }

    fn of_one(question: &'static str, maps: &[&CheckedMap]) -> Option<Self> {
        // of a contrast: the class against the other one
        let scores: Vec<&CheckedScore> = maps.iter().filter_map(|map| map.scores.last()).collect();
        let numbers = maps.iter().filter_map(|map| map.faded.as_ref());
        let faded = numbers.map(|numbers| Faded { before: numbers.before, after: numbers.after });
        let FadedSet { drop, increase, .. } = FadedSet::of(&faded.collect::<Vec<_>>())?;
        let unchanged = |map: &&&CheckedMap| map.redrawn.iter().any(|drawn| drawn.unchanged);
        Some(Self {
            question,
            reads: maps.first()?.reads,
            maps: maps.len(),
            score: scores.first()?.score,
            deletion: SetArea::of(scores.iter().map(|score| &score.deletion)),
            insertion: SetArea::of(scores.iter().map(|score| &score.insertion)),
            average_drop: drop,
            increase,
            unchanged: maps.iter().filter(unchanged).count(),
        })
    }

    /// The numbers in a line.
    pub fn line(&self) -> String {
        let area = |SetArea { area, random, beats_random }: SetArea| {
            let random = random.map_or(String::new(), |random| format!(" (random: {random:.3})"));
            format!("{area:.3}{random}, better in {}", percent(beats_random))
        };
        format!(
            "{} of {} maps: deletion {}; insertion {}; average drop {}, increase {}; unchanged: {}",
            self.question,
            self.maps,
            area(self.deletion),
            area(self.insertion),
            percent(self.average_drop),
            percent(self.increase),
            self.unchanged
        )
    }
}

impl SetArea {
    /// Of at least one.
    fn of<'a>(areas: impl Iterator<Item = &'a AreaNumbers> + Clone) -> Self {
        let count = areas.clone().count().max(1) as f64;
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count;
        let random: Option<Vec<f64>> = areas.clone().map(|numbers| numbers.random).collect();
        Self {
            area: mean(&mut areas.clone().map(|numbers| numbers.area)),
            random: random.map(|random| mean(&mut random.into_iter())),
            beats_random: areas.filter(|numbers| numbers.beats_random).count() as f64 / count,
        }
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

/// All curves, one row a point: map, score, curve (`deletion` or `insertion`), order (`map` or `random-<number>`), share of the
/// pixels, score's value.
pub(crate) fn curves_csv(maps: &[MapCheck]) -> Result<Vec<u8>, csv::Error> {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    writer.write_record(["map", "score", "curve", "order", "share", "value"])?;
    for check in maps {
        let map = check.asked.map_name();
        for ScoreCheck { score, deletion, insertion } in &check.scores {
            for (name, against) in [("deletion", deletion), ("insertion", insertion)] {
                let random = (1..).map(|number| format!("random-{number}"));
                let orders = std::iter::once("map".to_owned()).chain(random);
                let curves = std::iter::once(&against.curve).chain(&against.random);
                for (order, curve) in orders.zip(curves) {
                    for (share, value) in curve.shares.iter().zip(&curve.scores) {
                        let (share, value) = (share.to_string(), value.to_string());
                        let cells = [&map, score_name(*score), name, &order, &share, &value];
                        writer.write_record(cells)?;
                    }
                }
            }
        }
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// All curves as an SVG picture: a row for each map and score, deletion left, insertion right. `title` says what a map answers.
pub(crate) fn curves_plot(maps: &[MapCheck], title: &dyn Fn(&MapCheck) -> String) -> String {
    let panel = |title: &str, what: &str, unit: &str, against: &Against| {
        let points = |curve: &Curve| {
            curve.shares.iter().copied().zip(curve.scores.iter().copied()).collect()
        };
        let good = if against.small_is_good { "small is good" } else { "large is good" };
        let random =
            against.random_area().map_or(String::new(), |area| format!(", random {area:.3}"));
        Panel {
            title: title.to_owned(),
            subtitle: format!("{what}: area {:.3}{random}; {good}", against.curve.area()),
            x: format!(
                "share of the pixels {}",
                if what == "deletion" { "taken away" } else { "put in" }
            ),
            y: unit.to_owned(),
            lines: std::iter::once(PanelLine {
                name: "map",
                points: points(&against.curve),
                pale: false,
            })
            .chain(against.random.iter().map(|curve| PanelLine {
                name: "random maps",
                points: points(curve),
                pale: true,
            }))
            .collect(),
        }
    };
    let mut rows = Vec::new();
    for check in maps {
        for ScoreCheck { score, deletion, insertion } in &check.scores {
            let unit = match score {
                Score::Class(_) => "probability",
                Score::Pair { .. } => "share of the pair",
            };
            let title = title(check);
            rows.push([
                panel(&title, "deletion", unit, deletion),
                panel("", "insertion", unit, insertion),
            ]);
        }
    }
    curve_panels("Deletion and insertion curves of the maps", &rows)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use introspective_explain::Questions;
    use introspective_explain::faithfulness::Reads;
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

//! Checks of the maps of many pictures: means a question.

use introspective_explain::faithfulness::{Faded, FadedSet};
use serde::Serialize;

use super::{AreaNumbers, CheckedMap, CheckedScore};
use crate::words::percent;

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

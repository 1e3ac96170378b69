//! All checks of all maps of an explanation.

use introspective_network::{Redraw, Session};
use ndarray::ArrayView3;

use super::blur::Blur;
use super::curve::{Curve, Score, Trace};
use super::masking::{Faded, Logits, Masking};
use super::order::{PixelOrder, random_map};
use super::redrawn::{RedrawnMap, redrawn_maps};
use super::{CheckError, Reads};
use crate::answer::{Answer, Explanation};
use crate::questions::Asked;

/// Settings of [`check`].
#[derive(Clone, Debug, PartialEq)]
pub struct CheckOptions {
    /// Steps S of each curve, at least 1; S - 1 forward passes for each of them.
    pub steps: usize,
    /// How many random maps the curves are held against.
    pub random: usize,
    /// Which layers lose what they have learned; none for no such check.
    pub redraw: Vec<Redraw>,
    /// How many times each of those is drawn.
    pub draws: usize,
    /// Seed of the first random map and of the first draw; the others follow it.
    pub seed: u64,
    /// The blur from which insertion starts; `None` for [`Blur::of_side`] of the picture's longer side.
    pub blur: Option<Blur>,
}

impl Default for CheckOptions {
    /// 20 steps, 3 random maps, the head alone and all layers re-drawn, 3 draws each, seed 0, RISE's blur.
    fn default() -> Self {
        let redraw = vec![Redraw::Head, Redraw::All];
        Self { steps: 20, random: 3, redraw, draws: 3, seed: 0, blur: None }
    }
}

/// A map's curve and those of random maps.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// The map's.
    pub curve: Curve,
    /// Those of the random maps.
    pub random: Vec<Curve>,
    /// True if a small area is good.
    pub small_is_good: bool,
}

impl Against {
    /// Mean area under the random maps' curves; `None` without any.
    pub fn random_area(&self) -> Option<f64> {
        let sum: f64 = self.random.iter().map(Curve::area).sum();
        (!self.random.is_empty()).then(|| sum / self.random.len() as f64)
    }

    /// True if the map's area is better than that of each random map; false without any.
    pub fn beats_random(&self) -> bool {
        let own = self.curve.area();
        let better = |area: f64| if self.small_is_good { own < area } else { own > area };
        !self.random.is_empty() && self.random.iter().all(|curve| better(curve.area()))
    }
}

/// Deletion and insertion, looked at with one score.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreCheck {
    /// What is looked at.
    pub score: Score,
    /// Pixels taken away.
    pub deletion: Against,
    /// Pixels put in.
    pub insertion: Against,
}

/// What was found of one map.
#[derive(Clone, Debug, PartialEq)]
pub struct MapCheck {
    /// The question that it answers.
    pub asked: Asked,
    /// How it is read.
    pub reads: Reads,
    /// The probability of the class asked about; for a contrast also the class against the other one. None of an empty map,
    /// which puts the pixels in no order.
    pub scores: Vec<ScoreCheck>,
    /// The picture times the map; `None` of an empty map.
    pub faded: Option<Faded>,
    /// The map when the network forgets, from the logits down; none of an empty map.
    pub redrawn: Vec<RedrawnMap>,
}

impl MapCheck {
    /// True if the map stays as it is without what the network, or its head, has learned.
    pub fn is_unchanged(&self) -> bool {
        self.redrawn.iter().any(RedrawnMap::is_unchanged)
    }
}

/// Checks the maps of an explanation, as they are displayed at the size of `input`, the preprocessed picture C x H x W that was
/// explained. One check an answer, in their order.
///
/// `network` runs the masked pictures: an [`Extractor`](introspective_network::Extractor) of the session's classifier. It is
/// asked for about `2 (S - 1) (maps + random maps) + maps + 3` of them; then `draws` networks are made, loaded and run for
/// each of `redraw`. Ties of a map, such as all that ReLU made zero, are put in the order of the first random map.
///
/// # Errors
/// [`CheckError::Steps`], and those of the network.
pub fn check<L: Logits + ?Sized>(
    session: &Session<'_>,
    network: &L,
    input: ArrayView3<'_, f32>,
    explanation: &Explanation,
    options: &CheckOptions,
) -> Result<Vec<MapCheck>, CheckError> {
    let (_, height, width) = input.dim();
    let shown: Vec<_> =
        explanation.answers.iter().map(|answer| answer.display(height, width)).collect();
    let mut checks: Vec<MapCheck> = explanation.answers.iter().map(unchecked).collect();
    if shown.iter().all(|display| display.empty) {
        return Ok(checks);
    }
    let blur = options.blur.unwrap_or_else(|| Blur::of_side(height.max(width)));
    let masking = Masking::new(network, input, options.steps, blur)?;
    let grid = explanation.answers.first().map_or((1, 1), |answer| answer.raw.dim());
    let random = |draw: usize| {
        let seed = options.seed.wrapping_add(draw as u64);
        PixelOrder::of(random_map([grid.0, grid.1], [height, width], seed).view())
    };
    let ties = random(0);
    let mut chance = Vec::with_capacity(options.random);
    for draw in 0..options.random {
        chance.push(Traces::of(&masking, &random(draw))?);
    }
    let redrawn =
        redrawn_maps(session, input, explanation, &options.redraw, options.draws, options.seed)?;
    for ((check, display), redrawn) in checks.iter_mut().zip(shown).zip(redrawn) {
        if display.empty {
            continue;
        }
        let traces = Traces::of(&masking, &PixelOrder::with_ties(display.map.view(), &ties)?)?;
        let scores = scores(&check.asked).into_iter();
        check.scores = scores.map(|score| traces.check(score, check.reads, &chance)).collect();
        check.faded = Some(masking.faded(display.map.view(), check.reads, check.asked.class)?);
        check.redrawn = redrawn;
    }
    Ok(checks)
}

fn unchecked(answer: &Answer) -> MapCheck {
    let asked = answer.asked;
    let reads = Reads::of(asked.question);
    MapCheck { asked, reads, scores: Vec::new(), faded: None, redrawn: Vec::new() }
}

/// What a question's map is looked at with.
fn scores(asked: &Asked) -> Vec<Score> {
    let class = asked.class;
    let pair = asked.contrast.map(|contrast| Score::Pair { class, contrast });
    std::iter::once(Score::Class(class)).chain(pair).collect()
}

/// Both ways through a picture in one order.
struct Traces {
    deletion: Trace,
    insertion: Trace,
}

impl Traces {
    fn of<L: Logits + ?Sized>(
        masking: &Masking<'_, L>,
        order: &PixelOrder,
    ) -> Result<Self, CheckError> {
        Ok(Self { deletion: masking.deletion(order)?, insertion: masking.insertion(order)? })
    }

    fn check(&self, score: Score, reads: Reads, chance: &[Self]) -> ScoreCheck {
        let against = |pick: fn(&Self) -> &Trace, small_is_good| Against {
            curve: pick(self).curve(score),
            random: chance.iter().map(|traces| pick(traces).curve(score)).collect(),
            small_is_good,
        };
        let supports = reads == Reads::For;
        ScoreCheck {
            score,
            deletion: against(|traces| &traces.deletion, supports),
            insertion: against(|traces| &traces.insertion, !supports),
        }
    }
}

//! Answers that the second stage changed: counted under every corrupted condition, a few of them drawn by lot and explained.

use anyhow::Result;
use introspective_explain::{Explanation, Questions, explain};
use introspective_measure::{Condition, Group};
use introspective_network::{ClassNames, Prepared, Session, SessionOptions, Threads};
use introspective_reflect::{Features, Method, largest, probabilities};
use introspective_report::{ChangedAnswers, ChangedExample, ChangedIn, Said, draw_answers};
use introspective_study::Scored;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::conditions::Runs;
use crate::output;

/// The method that answers second: H of the first head, with training statistics.
const METHOD: Method = Method::Reflection;

/// Examples of each kind.
const SHOWN: usize = 4;

/// Longest side of an example's pictures.
const SIDE: usize = 128;

/// Sets the lot apart from other draws of the same seed.
const LOT: u64 = 0x6578_616d_706c_6573;

/// What is known of changed answers before they are explained.
pub struct Changed {
    counts: Vec<(Condition, ChangedIn)>,
    mended: Lot,
    spoiled: Lot,
}

/// A changed answer.
#[derive(Clone)]
struct Found {
    /// Place of the condition among those that were seen.
    condition: usize,
    image: usize,
    truth: usize,
    /// Class and probability.
    first: (usize, f64),
    second: (usize, f64),
}

/// Some of many, each with the same chance (Vitter's algorithm R), and how many there were.
struct Lot {
    random: ChaCha8Rng,
    seen: usize,
    drawn: Vec<Found>,
}

impl Lot {
    fn new(seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ LOT);
        random.set_stream(stream);
        Self { random, seen: 0, drawn: Vec::new() }
    }

    fn see(&mut self, found: impl FnOnce() -> Found) {
        self.seen += 1;
        if self.drawn.len() < SHOWN {
            self.drawn.push(found());
            return;
        }
        let place = self.random.random_range(0..self.seen);
        if let Some(old) = self.drawn.get_mut(place) {
            *old = found();
        }
    }

    /// In order of conditions and images.
    fn sorted(mut self) -> Vec<Found> {
        self.drawn.sort_by_key(|found| (found.condition, found.image));
        self.drawn
    }
}

impl Changed {
    pub fn new(seed: u64) -> Self {
        Self { counts: Vec::new(), mended: Lot::new(seed, 0), spoiled: Lot::new(seed, 1) }
    }

    /// Counts the answers under a condition; clean images and studies without the method have none.
    pub fn see(&mut self, condition: &Condition, features: &Features, methods: &[Scored]) {
        let Some(second) = methods.iter().find(|scored| scored.name == METHOD.name()) else {
            return;
        };
        let (Some(second), Some(_)) = (second.seeds.first(), &condition.corruption) else { return };
        let place = self.counts.len();
        let mut counts = none(condition.name());
        let rows = features.z.outer_iter().zip(second.outer_iter()).zip(&features.labels);
        for (image, ((z, w), &truth)) in rows.enumerate() {
            let (first, second) = (largest(z), largest(w));
            counts.answers += 1;
            if first == second {
                continue;
            }
            counts.changed += 1;
            let found = || Found {
                condition: place,
                image,
                truth,
                first: (first, probabilities(z)[first]),
                second: (second, probabilities(w)[second]),
            };
            if second == truth {
                counts.mended += 1;
                self.mended.see(found);
            } else if first == truth {
                counts.spoiled += 1;
                self.spoiled.see(found);
            }
        }
        self.counts.push((condition.clone(), counts));
    }

    /// Reads the examples again, asks the three questions of them, and sums the counts of each group.
    ///
    /// # Errors
    /// A picture cannot be read again. What cannot be explained is shown without maps.
    pub fn explained(self, runs: &Runs<'_>, groups: &[Group]) -> Result<Option<ChangedAnswers>> {
        if self.counts.is_empty() {
            return Ok(None);
        }
        let sums = groups.iter().map(|group| self.sum(group)).filter(|sum| sum.answers > 0);
        let mut changed = ChangedAnswers {
            method: METHOD.name().to_owned(),
            groups: sums.collect(),
            examples: Vec::new(),
            without_maps: None,
        };
        let classifier = &runs.network.opened.classifier;
        let threads = (runs.network.threads > 0).then(|| Threads::new(runs.network.threads));
        let session =
            Session::new(classifier, &SessionOptions { threads, ..SessionOptions::default() });
        let session = session.map_err(|error| output::chain(&error.into()));
        let classes = runs.network.class_names();
        let Self { counts, mended, spoiled } = self;
        for (found, mended) in [(mended.sorted(), true), (spoiled.sorted(), false)]
            .into_iter()
            .flat_map(|(all, mended)| all.into_iter().map(move |found| (found, mended)))
        {
            let condition = &counts[found.condition].0;
            let picture = runs.reader(condition)?(found.image)?;
            let prepared = runs.network.preprocessing.apply(picture.pixels.view())?;
            let explanation = match &session {
                Ok(session) => asked(session, &prepared, &found),
                Err(why) => Err(why.clone()),
            };
            if let (Err(why), None) = (&explanation, &changed.without_maps) {
                changed.without_maps = Some(why.clone());
            }
            let explanation = explanation.ok();
            let pixels = picture.pixels.view();
            changed.examples.push(ChangedExample {
                mended,
                image: runs.labelled.set.name(found.image),
                condition: condition.clone(),
                truth: classes.short(found.truth),
                first: said(&classes, found.first),
                second: said(&classes, found.second),
                drawn: draw_answers(pixels, &prepared, explanation.as_ref(), &classes, SIDE)?,
            });
        }
        Ok(Some(changed))
    }

    fn sum(&self, group: &Group) -> ChangedIn {
        let mut sum = none(group.name.clone());
        for (_, counts) in self.counts.iter().filter(|(condition, _)| group.has(condition)) {
            sum.answers += counts.answers;
            sum.changed += counts.changed;
            sum.mended += counts.mended;
            sum.spoiled += counts.spoiled;
        }
        sum
    }
}

fn none(group: String) -> ChangedIn {
    ChangedIn { group, answers: 0, changed: 0, mended: 0, spoiled: 0 }
}

fn said(classes: &ClassNames, (class, probability): (usize, f64)) -> Said {
    Said { class: classes.short(class), probability }
}

/// Why f's answer, what if not, and why that rather than the second one; or why there is no telling.
fn asked(session: &Session<'_>, prepared: &Prepared, found: &Found) -> Result<Explanation, String> {
    let told = |error: anyhow::Error| output::chain(&error);
    let observation = session.observe(prepared.input.view()).map_err(|e| told(e.into()))?;
    let questions = Questions { class: Some(found.first.0), rather_than: vec![found.second.0] };
    explain(session, &observation, &questions).map_err(|e| told(e.into()))
}

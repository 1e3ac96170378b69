//! The methods that an evaluation compares, by the names of its output.

use anyhow::Result;
use introspective_measure::Method as Compared;
use introspective_reflect::{Features, Head, Method, Scaling};
use introspective_report::Skipped;
use ndarray::Array2;

/// A method's logits, of each seed.
pub struct Scored {
    pub name: String,
    pub seeds: Vec<Array2<f32>>,
}

impl Scored {
    /// As the comparison reads it.
    pub fn compared(&self) -> Compared<'_> {
        Compared {
            name: self.name.clone(),
            seeds: self.seeds.iter().map(|seed| seed.view()).collect(),
        }
    }
}

/// A method that cannot be had, and why.
pub fn reason(name: &str, why: &str) -> Skipped {
    Skipped { name: name.to_owned(), reason: why.to_owned() }
}

/// Without a head there is the classifier alone.
pub fn of_features(features: &Features) -> (Vec<Scored>, Vec<Skipped>) {
    let why = "no head is given (--head); `introspect fit` makes one";
    let names =
        ["f+temperature", "linear-h", "mlp-h", "mlp-hz", "reflection", "reflection+temperature"];
    let f = Scored { name: "f".to_owned(), seeds: vec![features.z.clone()] };
    (vec![f], names.map(|name| reason(name, why)).to_vec())
}

/// All that a head gives: with training statistics always, with others as asked for.
pub fn of_head(
    head: &Head,
    features: &Features,
    scalings: &[Scaling],
) -> Result<(Vec<Scored>, Vec<Skipped>)> {
    let mut all = Methods { head, features, scored: Vec::new(), skipped: Vec::new() };
    let f = features.z.clone();
    all.push("f", vec![f.clone()]);
    all.push("f+temperature", vec![f / head.about.temperature]);
    all.trained(Scaling::Train)?;
    all.tempered()?;
    for scaling in [Scaling::Batch, Scaling::Stream, Scaling::None] {
        if scalings.contains(&scaling) {
            all.trained(scaling)?;
            all.matched(scaling)?;
        }
    }
    Ok((all.scored, all.skipped))
}

struct Methods<'a> {
    head: &'a Head,
    features: &'a Features,
    scored: Vec<Scored>,
    skipped: Vec<Skipped>,
}

impl Methods<'_> {
    fn push(&mut self, name: &str, seeds: Vec<Array2<f32>>) {
        self.scored.push(Scored { name: name.to_owned(), seeds });
    }

    fn skip(&mut self, name: &str, why: &str) {
        self.skipped.push(reason(name, why));
    }

    /// The controls and H with one scaling.
    fn trained(&mut self, scaling: Scaling) -> Result<()> {
        for method in Method::ALL {
            let name = named(method.name(), scaling);
            match self.logits(method, scaling) {
                Ok(Some(seeds)) => self.push(&name, seeds),
                Ok(None) => self.skip(&name, "the head was fitted --without-controls"),
                Err(error) if scaling == Scaling::Stream => {
                    self.skip(&name, &error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn logits(&self, method: Method, scaling: Scaling) -> Result<Option<Vec<Array2<f32>>>> {
        let (h, z) = (self.features.h.view(), self.features.z.view());
        let seeds = 0..self.head.about.seeds.len();
        if scaling == Scaling::Stream {
            let seeds = seeds.map(|seed| self.head.logits_of_stream(method, seed, h, z));
            return Ok(seeds.collect::<Result<Option<_>, _>>()?);
        }
        let statistics = self.head.statistics_for(scaling, h, z)?;
        Ok(seeds.map(|seed| self.head.logits(method, seed, &statistics, h, z)).collect())
    }

    fn tempered(&mut self) -> Result<()> {
        let (head, name) = (self.head, "reflection+temperature");
        let Some(seeds) = self.logits(Method::Reflection, Scaling::Train)? else { return Ok(()) };
        let tempered = seeds.into_iter().zip(&head.about.seeds).map(|(logits, record)| {
            logits / record.temperatures.get(&Method::Reflection).copied().unwrap_or(1.0)
        });
        let tempered = tempered.collect();
        self.push(name, tempered);
        Ok(())
    }

    /// The classifier's own last layer on h with the training set's statistics.
    fn matched(&mut self, scaling: Scaling) -> Result<()> {
        let name = named("f-matched", scaling);
        // the name for the usual one
        let name = if scaling == Scaling::Batch { "f-matched".to_owned() } else { name };
        if scaling == Scaling::None {
            return Ok(());
        }
        let Some(last) = &self.features.last_layer else {
            self.skip(
                &name,
                "the last layer (weight, bias) is not known, or the logits are not linear in h",
            );
            return Ok(());
        };
        let (h, z) = (self.features.h.view(), self.features.z.view());
        if scaling == Scaling::Stream {
            match self.head.matched_stream(last, h, z) {
                Ok(logits) => self.push(&name, vec![logits]),
                Err(error) => self.skip(&name, &error.to_string()),
            }
            return Ok(());
        }
        let statistics = self.head.statistics_for(scaling, h, z)?;
        let logits = self.head.matched(last, &statistics, h);
        self.push(&name, vec![logits]);
        Ok(())
    }
}

fn named(method: &str, scaling: Scaling) -> String {
    match scaling {
        Scaling::Train => method.to_owned(),
        other => format!("{method}-{}", other.name()),
    }
}

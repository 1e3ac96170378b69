//! The methods that an evaluation compares, by the names of its output.

use introspective_measure::Method as Compared;
use introspective_reflect::{
    Features, Head, Method, Result, Scaling, Statistics, Streamed, Verdict, probabilities,
};
use introspective_report::Skipped;
use ndarray::{Array2, ArrayView2, Axis, s};

/// A method's logits, of each seed.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Its name in the output: `f`, `reflection-batch`, ...
    pub name: String,
    /// Logits of each seed, n x N.
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

/// The names of methods.
pub fn names(methods: &[Scored]) -> Vec<&str> {
    methods.iter().map(|method| method.name.as_str()).collect()
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
    let all = [f].into_iter().chain(own_norm(features)).collect();
    (all, names.map(|name| reason(name, why)).to_vec())
}

/// f's own prediction from the second pass, with a share of each picture's own statistics in its batch normalisations: the
/// control that tells what the pass gives from what a second stage makes of it. `None` without such a pass, or if the last layer
/// is not known.
fn own_norm(features: &Features) -> Option<Scored> {
    let logits = features.last_layer.as_ref()?.logits(features.own_h()?);
    Some(Scored { name: "f-own-norm".to_owned(), seeds: vec![logits] })
}

/// Networks of all seeds together: `ln mean_s softmax(z_s / T_s)`, each at its temperature. `None` for a single one.
fn ensemble(head: &Head, scored: &Scored) -> Option<Scored> {
    if scored.seeds.len() < 2 {
        return None;
    }
    let cooler = tempered(head, scored)?;
    let mut mean = Array2::<f32>::zeros(cooler.seeds.first()?.dim());
    for seed in &cooler.seeds {
        for (mut mean, row) in mean.rows_mut().into_iter().zip(seed.rows()) {
            let p = probabilities(row);
            mean.iter_mut().zip(p).for_each(|(mean, p)| *mean += p as f32);
        }
    }
    let count = cooler.seeds.len() as f32;
    let logits = mean.mapv(|sum| (sum / count).max(f32::MIN_POSITIVE).ln());
    Some(Scored { name: format!("{}-ensemble", scored.name), seeds: vec![logits] })
}

/// All that a head gives for some images: f, f at its temperature, H and its controls with training statistics, and with
/// others as asked for, along with f's own last layer on matched h; then what cannot be had.
///
/// # Errors
/// The features do not fit the head.
pub fn of_head(
    head: &Head,
    features: &Features,
    scalings: &[Scaling],
) -> Result<(Vec<Scored>, Vec<Skipped>)> {
    let scored = |name: &str, seeds| Scored { name: name.to_owned(), seeds };
    let f = features.z.clone();
    let f = scored("f", vec![f]);
    let own = own_norm(features).filter(|_| head.about.own_share.is_some());
    let cooler = [Some(&f), own.as_ref()].into_iter().flatten().filter_map(|f| tempered(head, f));
    let cooler: Vec<Scored> = cooler.collect();
    let mut all: Vec<Scored> = [f].into_iter().chain(own).chain(cooler).collect();
    let mut skipped = Vec::new();
    for scaling in Scaling::ALL {
        if scaling != Scaling::Train && !scalings.contains(&scaling) {
            continue;
        }
        let logits = match Logits::of(head, features, scaling) {
            Ok(logits) => logits,
            // min-max heads have no stream
            Err(error) if scaling.is_stream() => {
                let methods = Method::ALL.map(|method| named(method.name(), scaling));
                let names = methods.into_iter().chain([named("f-matched", scaling)]);
                skipped.extend(names.map(|name| reason(&name, &error.to_string())));
                continue;
            }
            Err(error) => return Err(error),
        };
        for (method, seeds) in Method::ALL.into_iter().zip(logits.networks) {
            let name = named(method.name(), scaling);
            match seeds {
                Some(seeds) => all.push(scored(&name, seeds)),
                None => skipped.push(reason(&name, "the head was fitted --without-controls")),
            }
        }
        match scaling {
            Scaling::Train => {
                let own = all.iter().find(|scored| scored.name == Method::Reflection.name());
                let more = own.map(|own| [tempered(head, own), ensemble(head, own)]);
                all.extend(more.into_iter().flatten().flatten());
            }
            Scaling::None => {}
            Scaling::Batch | Scaling::Stream | Scaling::StreamUnguarded => match logits.matched {
                Some(matched) => all.push(scored(&named("f-matched", scaling), vec![matched])),
                None => skipped.push(reason(
                    &named("f-matched", scaling),
                    "the last layer (weight, bias) is not known, or the logits are not linear in h",
                )),
            },
        }
    }
    Ok((all, skipped))
}

/// H against every control of the same scaling: whether the gradients add anything is a question of these pairs, not of
/// those with f.
pub fn against_controls(methods: &[&str]) -> Vec<(String, String)> {
    let there = |name: &String| methods.contains(&name.as_str());
    let pairs = Scaling::ALL.into_iter().flat_map(|scaling| {
        let own = named(Method::Reflection.name(), scaling);
        let controls = Method::ALL.into_iter().filter(|&method| method != Method::Reflection);
        let controls = controls.map(|method| named(method.name(), scaling));
        let simple = match scaling {
            Scaling::Train => {
                vec!["f+temperature".to_owned(), "f-own-norm+temperature".to_owned()]
            }
            Scaling::Batch | Scaling::Stream | Scaling::StreamUnguarded => {
                vec![named("f-matched", scaling)]
            }
            Scaling::None => Vec::new(),
        };
        controls.chain(simple).map(move |minus| (own.clone(), minus)).collect::<Vec<_>>()
    });
    pairs.filter(|(own, minus)| there(own) && there(minus)).collect()
}

/// What the guard of a head's stream says of each image, in the order given ([`Scaling::Stream`]); `None` for a head without
/// streams.
pub fn verdicts(head: &Head, features: &Features) -> Option<Vec<Verdict>> {
    let last = features.last_layer.as_ref();
    head.stream(Scaling::Stream, last).ok()?;
    let mut guard = head.guard(last);
    let rows = features.h.rows().into_iter().zip(features.z.rows());
    Some(rows.map(|(h, z)| guard.next(h.insert_axis(Axis(0)), z.insert_axis(Axis(0)))).collect())
}

/// A method at its temperature, `NAME+temperature`: that of the training scaling, because images to be scored have no
/// labels to fit one on. `None` for a method that the head does not know.
pub fn tempered(head: &Head, scored: &Scored) -> Option<Scored> {
    let name = format!("{}+temperature", scored.name);
    if scored.name == "f" || scored.name.starts_with("f-") {
        let own = head.blend.as_ref().filter(|_| scored.name == "f-own-norm");
        let temperature = own.map_or(head.about.temperature, |blend| blend.temperature);
        let seeds = scored.seeds.iter().map(|logits| logits / temperature).collect();
        return Some(Scored { name, seeds });
    }
    let of_scaling =
        |method: &Method| Scaling::ALL.iter().any(|&s| named(method.name(), s) == scored.name);
    let method = Method::ALL.into_iter().find(of_scaling)?;
    let records = head.about.seeds.iter();
    let seeds =
        scored.seeds.iter().zip(records).map(|(logits, record)| {
            logits / record.temperatures.get(&method).copied().unwrap_or(1.0)
        });
    Some(Scored { name, seeds: seeds.collect() })
}

/// True for a method whose prediction of an image depends on the other images: its statistics are those of the batch
/// or of the stream.
pub fn is_transductive(name: &str) -> bool {
    ["-batch", "-stream", "f-matched"].iter().any(|part| name.contains(part))
}

/// What all networks of a head make of the features with one scaling, whose statistics are taken once.
struct Logits {
    /// Of each of [`Method::ALL`] those of each seed; `None` for a method that the head lacks.
    networks: Vec<Option<Vec<Array2<f32>>>>,
    /// Of the classifier's own last layer on h with the training set's statistics, if the layer is known.
    matched: Option<Array2<f32>>,
}

impl Logits {
    fn of(head: &Head, features: &Features, scaling: Scaling) -> Result<Self> {
        let activations = head.activations(features);
        let (a, z) = (activations.view(), features.z.view());
        if !scaling.is_stream() {
            let statistics = head.statistics_for(scaling, a, z)?;
            return Ok(Self::with(head, features, &statistics, a, z));
        }
        let mut stream = head.stream(scaling, features.last_layer.as_ref())?;
        let mut rows = Vec::with_capacity(features.len());
        for row in 0..features.len() {
            let (a, z) = (a.slice(s![row..=row, ..]), z.slice(s![row..=row, ..]));
            let Streamed { statistics, verdict } = stream.next(a, z);
            let mut one = Self::with(head, features, &statistics, a, z);
            if verdict != Verdict::Mixed && one.matched.is_some() {
                // nothing to match: f itself, to the last bit
                one.matched = Some(z.to_owned());
            }
            rows.push(one);
        }
        Ok(Self::joined(&rows, z.dim()))
    }

    fn with(
        head: &Head,
        features: &Features,
        statistics: &Statistics,
        activations: ArrayView2<'_, f32>,
        z: ArrayView2<'_, f32>,
    ) -> Self {
        let seeds = 0..head.about.seeds.len();
        let of = |method: &Method| {
            seeds
                .clone()
                .map(|seed| head.logits(*method, seed, statistics, activations, z))
                .collect()
        };
        let last = features.last_layer.as_ref();
        Self {
            networks: Method::ALL.iter().map(of).collect(),
            matched: last.map(|last| head.matched(last, statistics, activations)),
        }
    }

    /// Rows one below the other.
    fn joined(rows: &[Self], shape: (usize, usize)) -> Self {
        let stacked = |of: &dyn Fn(&Self) -> Option<&Array2<f32>>| {
            let mut all = Array2::zeros(shape);
            for (mut place, row) in all.rows_mut().into_iter().zip(rows) {
                place.assign(&of(row)?.row(0));
            }
            Some(all)
        };
        let seeds = |method: usize| {
            let count = rows.first()?.networks[method].as_ref()?.len();
            (0..count)
                .map(|seed| stacked(&|row: &Self| row.networks[method].as_ref()?.get(seed)))
                .collect()
        };
        Self {
            networks: (0..Method::ALL.len()).map(seeds).collect(),
            matched: stacked(&|row: &Self| row.matched.as_ref()),
        }
    }
}

/// `reflection` with training statistics, `reflection-batch` with the set's; `f-matched` has no training form, and its
/// name alone means the set's.
fn named(method: &str, scaling: Scaling) -> String {
    match scaling {
        Scaling::Train => method.to_owned(),
        Scaling::Batch if method == "f-matched" => method.to_owned(),
        other => format!("{method}-{}", other.name()),
    }
}

//! The same images under many conditions: each method's metrics averaged over them.

mod table;

use crate::curves::{merged, reliability_of_seeds};
use crate::{
    CompareOptions, Estimate, MeasureError, Method, Metric, ReliabilityBin, Resampling, Sampled,
};

pub use table::{Cell, CellMethod, Condition, Contrasted, Group, Row, Table};

type Result<T> = std::result::Result<T, MeasureError>;

/// Gathers conditions, one after the other; only what the table needs of each is kept (72 bytes a resample and method).
pub struct Conditions {
    resampling: Resampling,
    labels: Vec<usize>,
    names: Vec<String>,
    conditions: Vec<(Condition, Vec<Sampled>)>,
    /// Of each condition and method.
    diagrams: Vec<Vec<Vec<ReliabilityBin>>>,
    options: CompareOptions,
}

impl Conditions {
    /// A study of images with these labels.
    ///
    /// # Errors
    /// Options out of range.
    pub fn new(labels: Vec<usize>, options: &CompareOptions) -> Result<Self> {
        Ok(Self {
            resampling: Resampling::new(labels.len(), options)?,
            labels,
            names: Vec::new(),
            conditions: Vec::new(),
            diagrams: Vec::new(),
            options: options.clone(),
        })
    }

    /// Adds what the methods said of the images under a condition; the first method is what the others are held
    /// against.
    ///
    /// # Errors
    /// Other methods than before, or unusable outputs.
    pub fn add(&mut self, condition: Condition, methods: &[Method<'_>]) -> Result<()> {
        let names: Vec<String> = methods.iter().map(|method| method.name.clone()).collect();
        if self.conditions.is_empty() {
            self.names = names;
        } else if names != self.names {
            return Err(self.other_methods(&condition, &names));
        }
        let sample = |method: &Method<'_>| {
            let seeds = method.checked(&self.labels)?;
            let diagram = reliability_of_seeds(&seeds, &self.labels, self.options.bins);
            Ok((self.resampling.sampled(&seeds, &self.labels), diagram))
        };
        let sampled = methods.iter().map(sample).collect::<Result<Vec<_>>>();
        let (sampled, diagrams) = sampled
            .map_err(|source| MeasureError::Condition {
                condition: condition.name(),
                source: Box::new(source),
            })?
            .into_iter()
            .unzip();
        self.conditions.push((condition, sampled));
        self.diagrams.push(diagrams);
        Ok(())
    }

    fn other_methods(&self, condition: &Condition, found: &[String]) -> MeasureError {
        MeasureError::OtherMethods {
            condition: condition.name(),
            found: found.join(", "),
            expected: self.names.join(", "),
        }
    }

    /// The table: `clean`, then each group that has conditions, averaged over them, with intervals; the pairs in each
    /// group; and every condition by itself.
    ///
    /// The mean corruption error of a method is `mean_c (sum_s E_cs / sum_s E_cs(f))`, with E the share of wrong
    /// predictions under corruption c at severity s (Hendrycks and Dietterich 2019, with f in AlexNet's place).
    ///
    /// # Errors
    /// No images as they are, or a method with other numbers of seeds than in the first condition.
    pub fn table(&self, groups: &[Group]) -> Result<Table> {
        let clean = self.indices(|condition| condition.corruption.is_none());
        if clean.is_empty() {
            return Err(MeasureError::NoClean);
        }
        let (mut rows, mut contrasts) = (Vec::new(), Vec::new());
        let clean = ("clean".to_owned(), clean);
        let others = groups
            .iter()
            .map(|group| (group.name.clone(), self.indices(|condition| group.has(condition))));
        for (name, indices) in [clean].into_iter().chain(others) {
            if !indices.is_empty() {
                let means = self.means(&indices)?;
                rows.extend(self.rows(&name, &indices, &means));
                contrasts.extend(self.pairs(&name, &means)?);
            }
        }
        Ok(Table {
            n: self.labels.len(),
            resamples: self.options.resamples,
            level: self.options.level,
            seed: self.options.seed,
            interval: crate::INTERVAL.to_owned(),
            rows,
            contrasts,
            cells: self.cells(),
        })
    }

    fn indices(&self, belongs: impl Fn(&Condition) -> bool) -> Vec<usize> {
        let all = self.conditions.iter().enumerate();
        all.filter(|(_, (condition, _))| belongs(condition)).map(|(index, _)| index).collect()
    }

    /// Each method's mean over conditions.
    fn means(&self, indices: &[usize]) -> Result<Vec<Sampled>> {
        let mean = |method: usize| {
            let parts: Vec<&Sampled> =
                indices.iter().map(|&index| &self.conditions[index].1[method]).collect();
            Sampled::mean(&parts).ok_or_else(|| {
                let condition = &self.conditions[indices[0]].0;
                self.other_methods(condition, &[self.names[method].clone()])
            })
        };
        (0..self.names.len()).map(mean).collect()
    }

    fn rows(&self, group: &str, indices: &[usize], means: &[Sampled]) -> Vec<Row> {
        let row = |(method, mean): (usize, &Sampled)| {
            let first = (method > 0).then(|| &means[0]);
            Row {
                group: group.to_owned(),
                method: self.names[method].clone(),
                metrics: mean.metrics(&self.resampling),
                minus_f: first.map(|first| mean.minus(first, &self.resampling)),
                mean_corruption_error: self.corruption_error(indices, method),
                relative_ece: first.and_then(|first| self.relative(mean, first)),
                accuracy_of_seeds: mean.of_seeds(Metric::Accuracy).collect(),
                ece_of_seeds: mean.of_seeds(Metric::Ece).collect(),
                reliability: self.diagram(indices, method),
            }
        };
        means.iter().enumerate().map(row).collect()
    }

    fn diagram(&self, indices: &[usize], method: usize) -> Vec<ReliabilityBin> {
        let diagrams: Vec<&[ReliabilityBin]> =
            indices.iter().map(|&index| &self.diagrams[index][method][..]).collect();
        merged(&diagrams)
    }

    /// None for the images as they are, and where the first method makes no mistakes to divide by.
    fn corruption_error(&self, indices: &[usize], method: usize) -> Option<Estimate> {
        let mut corruptions: Vec<&String> = Vec::new();
        for &index in indices {
            let name = self.conditions[index].0.corruption.as_ref()?;
            if !corruptions.contains(&name) {
                corruptions.push(name);
            }
        }
        let mut total = vec![0.0; 1 + self.options.resamples];
        for name in &corruptions {
            let of = |index: &&usize| self.conditions[**index].0.corruption.as_ref() == Some(name);
            let severities: Vec<usize> = indices.iter().filter(of).copied().collect();
            let pairs = self.errors(&severities, method).into_iter();
            let pairs = pairs.zip(self.errors(&severities, 0));
            total.iter_mut().zip(pairs).for_each(|(sum, (own, first))| *sum += own / first);
        }
        let share = 1.0 / corruptions.len() as f64;
        total.iter_mut().for_each(|sum| *sum *= share);
        if total.iter().any(|ratio| !ratio.is_finite()) {
            return None;
        }
        let value = total.remove(0);
        Some(self.resampling.estimate(value, total))
    }

    /// Errors summed over conditions: on the images as they are, then on each resample.
    fn errors(&self, indices: &[usize], method: usize) -> Vec<f64> {
        let mut sums: Vec<f64> = Vec::new();
        for &index in indices {
            let sampled = &self.conditions[index].1[method];
            let own = [sampled.value(Metric::Accuracy)].into_iter();
            let errors = own.chain(sampled.resampled(Metric::Accuracy)).map(|right| 1.0 - right);
            if sums.is_empty() {
                sums = errors.collect();
            } else {
                sums.iter_mut().zip(errors).for_each(|(sum, error)| *sum += error);
            }
        }
        sums
    }

    /// None where f's own ECE is zero.
    fn relative(&self, mean: &Sampled, first: &Sampled) -> Option<Estimate> {
        let ratio = |own: f64, first: f64| own / first - 1.0;
        let value = ratio(mean.value(Metric::Ece), first.value(Metric::Ece));
        let pairs = mean.resampled(Metric::Ece).zip(first.resampled(Metric::Ece));
        let resampled: Vec<f64> = pairs.map(|(own, first)| ratio(own, first)).collect();
        let finite = value.is_finite() && resampled.iter().all(|ratio| ratio.is_finite());
        finite.then(|| self.resampling.estimate(value, resampled))
    }

    fn pairs(&self, group: &str, means: &[Sampled]) -> Result<Vec<Contrasted>> {
        let place = |name: &String| {
            let found = self.names.iter().position(|other| other == name);
            found.ok_or_else(|| MeasureError::NoSuchMethod { method: name.clone() })
        };
        let pair = |(method, minus): &(String, String)| {
            let (own, other) = (&means[place(method)?], &means[place(minus)?]);
            Ok(Contrasted {
                group: group.to_owned(),
                method: method.clone(),
                minus: minus.clone(),
                difference: own.minus(other, &self.resampling),
            })
        };
        self.options.contrasts.iter().map(pair).collect()
    }

    fn cells(&self) -> Vec<Cell> {
        let cell = |(condition, sampled): &(Condition, Vec<Sampled>)| Cell {
            condition: condition.clone(),
            methods: (self.names.iter().zip(sampled))
                .map(|(name, sampled)| CellMethod {
                    name: name.clone(),
                    metrics: sampled.metrics(&self.resampling),
                })
                .collect(),
        };
        self.conditions.iter().map(cell).collect()
    }
}

//! A head's file: safetensors with the head's description in its metadata.
//!
//! | tensor | shape | what |
//! |---|---|---|
//! | `{seed}.{method}.layers.0.weight`, `.bias`, `layers.1`, ... | out x in, out | layers in PyTorch's layout; method is `reflection`, `linear-h`, `mlp-h` or `mlp-hz` |
//! | `{seed}.reflection.layers.0.gradient_weight`, `.feature_weight` | (units R) x (N + 1), (units R) x (d + 1) | instead of a weight, with a low-rank first layer; the last column multiplies 1 |
//! | `statistics.r.low`, `.high` | N d | minimum and maximum, or mean and deviation, of the products, class-major |
//! | `statistics.g.low`, `.high` | N | instead, with a low-rank first layer, or if the head reads activations |
//! | `statistics.h.low`, `.high`, `statistics.z.low`, `.high` | d, N | the same of h and z |
//! | `blend.weight`, `blend.bias`, `blend.temperature`, `blend.weight_of_own` | N x d, N, 1, 1 | last layer, T_f and w of what H is averaged with, if it is |
//! | `statistics.stages.low`, `.high` | S | the same of the stages, for a head that reads activations |
//!
//! The metadata's key `introspective_head` is [`About`] as JSON.

use std::path::Path;

use ndarray::Array1;

use crate::blend::Blend;
use crate::columns::Columns;
use crate::error::{ReflectError, Result};
use crate::features::LastLayer;
use crate::head::{About, EnergyQuantile, Head, Method};
use crate::mlp::First;
use crate::options::Reads;
use crate::question::Question;
use crate::statistics::{OfGradients, Statistics};
use crate::tensors::Tensors;

const KEY: &str = "introspective_head";

/// The format that is written, and the only one that is read.
pub(crate) const FORMAT: u32 = 1;

impl Head {
    /// Writes the head into a file, whole or not at all.
    ///
    /// # Errors
    /// [`ReflectError::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut tensors = Tensors::default();
        let about = serde_json::to_string(&self.about).map_err(|error| ReflectError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        tensors.metadata.insert(KEY.to_owned(), about);
        let Statistics { gradients, h, stages, z } = &self.statistics;
        match gradients {
            OfGradients::Products(r) => put(&mut tensors, "r", r),
            OfGradients::Pair(g, _) => put(&mut tensors, "g", g),
        }
        put(&mut tensors, "h", h);
        put(&mut tensors, "z", z);
        if !stages.is_empty() {
            put(&mut tensors, "stages", stages);
        }
        if let Some(Blend { last, temperature, weight }) = &self.blend {
            tensors.vector("blend.weight_of_own", &Array1::from_elem(1, *weight));
            tensors.matrix("blend.weight", &last.weight);
            tensors.vector("blend.bias", &last.bias);
            tensors.vector("blend.temperature", &Array1::from_elem(1, *temperature));
        }
        for (record, networks) in self.about.seeds.iter().zip(&self.networks) {
            for (method, network) in networks {
                tensors.network(&format!("{}.{}", record.seed, method.name()), network);
            }
        }
        tensors.write(path)
    }

    /// Reads a head.
    ///
    /// # Errors
    /// [`ReflectError::Io`]; [`ReflectError::File`] for a file that is damaged or no head.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| ReflectError::Io {
            path: path.to_owned(),
            doing: "read",
            source,
        })?;
        Self::from_bytes(&bytes, path)
    }

    /// Reads a head from the bytes of its file; `origin` is what an error calls it.
    ///
    /// # Errors
    /// [`ReflectError::File`] for bytes that are damaged or no head.
    pub fn from_bytes(bytes: &[u8], origin: &Path) -> Result<Self> {
        Tensors::from_bytes(bytes)
            .and_then(Self::from_tensors)
            .map_err(|reason| ReflectError::File { path: origin.to_owned(), reason })
    }

    fn from_tensors(mut tensors: Tensors) -> Result<Self, String> {
        let about = tensors.metadata.remove(KEY).ok_or(
            "no head of a second stage (its metadata lack introspective_head); `introspect fit` makes one",
        )?;
        let version: serde_json::Value = serde_json::from_str(&about)
            .map_err(|error| format!("its metadata cannot be read ({error})"))?;
        if version["format"] != FORMAT {
            let found = &version["format"];
            return Err(format!("a head of format {found}; this version reads format {FORMAT}"));
        }
        let about: About = serde_json::from_value(version)
            .map_err(|error| format!("its metadata cannot be read ({error})"))?;
        let mut take = |what: &str| -> Result<Columns, String> {
            let low = tensors.take_vector(&format!("statistics.{what}.low"))?;
            let high = tensors.take_vector(&format!("statistics.{what}.high"))?;
            if low.len() != high.len() {
                return Err(format!("statistics.{what} has two lengths"));
            }
            Ok(Columns { low, high, scaler: about.scaler })
        };
        let (h, z) = (take("h")?, take("z")?);
        let stages = match about.stages {
            0 => Columns { low: Array1::zeros(0), high: Array1::zeros(0), scaler: about.scaler },
            _ => take("stages")?,
        };
        let gradients = if about.scales_factors() {
            OfGradients::Pair(take("g")?, h.clone())
        } else {
            OfGradients::Products(take("r")?)
        };
        let mut networks = Vec::with_capacity(about.seeds.len());
        for record in &about.seeds {
            let mut own = std::collections::BTreeMap::new();
            for method in
                Method::ALL.iter().filter(|method| record.temperatures.contains_key(method))
            {
                let prefix = format!("{}.{}", record.seed, method.name());
                own.insert(*method, tensors.take_network(&prefix, about.activation)?);
            }
            networks.push(own);
        }
        let blend = if tensors.arrays.contains_key("blend.weight") {
            let weight = tensors.take_matrix("blend.weight")?;
            let bias = tensors.take_vector("blend.bias")?;
            let mut number = |name: &str| match tensors.take_vector(name)?.to_vec()[..] {
                [number] => Ok(number),
                _ => Err(format!("{name} is not one number")),
            };
            let temperature = number("blend.temperature")?;
            let share = number("blend.weight_of_own")?;
            Some(Blend { last: LastLayer { weight, bias }, temperature, weight: share })
        } else {
            None
        };
        let statistics = Statistics { gradients, h, stages, z };
        let head = Self { about, statistics, networks, blend };
        head.check()?;
        Ok(head)
    }

    /// That all parts fit each other, for a head from a file.
    fn check(&self) -> Result<(), String> {
        let About { features: d, classes: n, names, seeds, .. } = &self.about;
        let (d, n) = (*d, *n);
        let products = n.checked_mul(d).filter(|&products| products > 0);
        let of_gradients = match &self.statistics.gradients {
            OfGradients::Products(r) => Some(r.len()) == products,
            OfGradients::Pair(g, h) => g.len() == n && h.len() == d,
        };
        let Statistics { h, stages, z, .. } = &self.statistics;
        if products.is_none() || !of_gradients || h.len() != d || z.len() != n {
            return Err(format!("its statistics are not those of {n} classes and {d} features"));
        }
        let proper =
            |mean: &Vec<f32>| mean.len() == n && mean.iter().all(|p| (0.0..=1.0).contains(p));
        if !self.about.mean_probabilities.as_ref().is_none_or(proper) {
            return Err(format!("its mean probabilities are not {n} numbers from 0 to 1"));
        }
        let reads_stages = self.about.reads == Reads::Activations;
        if stages.len() != self.about.stages || reads_stages == stages.is_empty() {
            return Err(format!(
                "its statistics are of {} pooled activations; expected {}",
                stages.len(),
                self.about.stages
            ));
        }
        if let Some(names) = names.as_ref().filter(|names| names.len() != n) {
            return Err(format!("it has {} names for {n} classes", names.len()));
        }
        if let Some(Blend { last, temperature, weight }) = &self.blend {
            let fits =
                last.weight.dim() == (n, d) && last.bias.len() == n && (0.0..=1.0).contains(weight);
            let second_pass = self.about.own_share.is_some() && self.about.stages >= d;
            if !(fits && second_pass && temperature.is_finite() && *temperature > 0.0) {
                return Err(format!(
                    "what it averages with is no last layer of {n} classes and {d} features of a second pass, at a \
                     temperature above 0 and with a weight of 0 to 1"
                ));
            }
        }
        let Question { loss, target, height } = self.about.question;
        Question::new(loss, target, height).map_err(|error| error.to_string())?;
        let fitted = seeds
            .iter()
            .flat_map(|seed| seed.temperatures.values().chain(seed.before_blend.as_ref()));
        for temperature in fitted.chain([&self.about.temperature]) {
            if !(temperature.is_finite() && *temperature > 0.0) {
                return Err(format!("a temperature is {temperature}; expected a number above 0"));
            }
        }
        if let Some(EnergyQuantile { share, value, .. }) = self.about.energy_quantile
            && !(share > 0.0 && share < 1.0 && value.is_finite())
        {
            return Err(format!(
                "its quantile of the energy is {value} for a share of {share}; expected a number, and a share between 0 and 1"
            ));
        }
        if self.networks.is_empty() || self.networks.iter().any(|own| own.is_empty()) {
            return Err("it has a seed without networks, or no seed".to_owned());
        }
        for (method, network) in self.networks.iter().flatten() {
            if !self.reads(*method, &network.first) || network.classes() != n {
                return Err(format!(
                    "its network {} does not fit {n} classes and {d} features",
                    method.name()
                ));
            }
        }
        Ok(())
    }

    /// That a method's first layer is of the kind and the width that the method asks for.
    fn reads(&self, method: Method, first: &First) -> bool {
        let About { features: d, classes: n, rank, .. } = &self.about;
        match (method, first) {
            (Method::LinearH | Method::MlpH, First::Full(layer)) => layer.weight.nrows() == *d,
            (Method::MlpHz, First::Full(layer)) => layer.weight.nrows() == d + n,
            (Method::Reflection, First::Full(layer)) if self.about.reads == Reads::Activations => {
                Some(layer.weight.nrows()) == d.checked_add(self.about.stages)
            }
            (Method::Reflection, First::Full(layer)) => {
                rank.is_none() && layer.weight.nrows() == n * d
            }
            (Method::Reflection, First::LowRank { a, b, bias }) => {
                let columns = rank.and_then(|rank| rank.checked_mul(bias.len()));
                Some(a.ncols()) == columns && a.nrows() == n + 1 && b.nrows() == d + 1
            }
            (_, First::LowRank { .. }) => false,
        }
    }
}

fn put(tensors: &mut Tensors, what: &str, columns: &Columns) {
    tensors.vector(&format!("statistics.{what}.low"), &columns.low);
    tensors.vector(&format!("statistics.{what}.high"), &columns.high);
}

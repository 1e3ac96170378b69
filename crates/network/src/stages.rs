//! The stages of a network, and what is kept of each: mean and deviation of every channel over its positions.
//!
//! A stage ends at the last value of one spatial size that everything behind it depends on: in a ResNet what enters
//! `layer2`, `layer3`, `layer4` and the final average, in a VGG what enters each pooling. Before the first of them comes the
//! stem, the first activation function's output. The forward pass computes these values anyway; pooling them costs a
//! pass over each.

use std::collections::HashMap;

use ndarray::{Array2, ArrayD, ArrayViewD, Axis, s};

use crate::classifier::Classifier;
use crate::graph::Graph;
use crate::layers::Layers;
use crate::penultimate::USUAL_SIZE;

/// Values are added up in so many sums side by side, which the compiler turns into vectors.
const LANES: usize = 16;

/// A stage whose pooled activations can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The layer that ends it, by its dotted name, or the name of the value.
    pub name: String,
    /// Number of channels K.
    pub channels: usize,
    pub(crate) value: String,
}

/// The first of these ends the stem.
const ACTIVATIONS: [&str; 12] = [
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Clip",
    "Elu",
    "Selu",
    "Gelu",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "Mish",
    "Mul",
];

/// The stages of a graph in the order of computation; `shapes` are those for one picture of `size`.
pub(crate) fn stages(
    graph: &Graph,
    layers: &Layers,
    logits: &str,
    size: [usize; 2],
    shapes: &HashMap<String, Vec<usize>>,
) -> Vec<Stage> {
    let Some(input) = graph.inputs.first().and_then(|input| input.name.as_deref()) else {
        return Vec::new();
    };
    // [channels, height, width] of a value with positions, which are those of the picture, only fewer
    let maps = |value: &str| match shapes.get(value).map(Vec::as_slice) {
        Some(&[_, channels, height, width]) if !layers.is_channels_last(value) => {
            let (down, across) = (height * size[1], width * size[0]);
            let alike = down.abs_diff(across) <= size[0].max(size[1]);
            (alike && height * width > 1).then_some((channels, [height, width]))
        }
        _ => None,
    };
    let mut found: Vec<(Stage, [usize; 2])> = Vec::new();
    let mut stem = None;
    for (value, operator) in bottlenecks(graph, input, logits) {
        let Some((channels, positions)) = maps(value) else { continue };
        let name = layers.name_of(value).to_owned();
        let stage = Stage { name, channels, value: value.to_owned() };
        if stem.is_none() && ACTIVATIONS.contains(&operator) {
            stem = Some(stage.clone());
        }
        match found.last_mut() {
            Some((last, same)) if *same == positions => *last = stage,
            _ => found.push((stage, positions)),
        }
    }
    let ends = found.into_iter().map(|(stage, _)| stage);
    let mut all: Vec<Stage> = stem.into_iter().chain(ends).collect();
    all.dedup();
    all
}

/// The values that every path from the input to the logits leads through, in order, each with the operator that
/// computes it.
fn bottlenecks<'g>(graph: &'g Graph, input: &str, logits: &str) -> Vec<(&'g str, &'g str)> {
    let path = graph.between(input, logits);
    let mut last_read: HashMap<&str, usize> = HashMap::new();
    for (position, &index) in path.iter().enumerate() {
        for read in &graph.nodes[index].inputs {
            last_read.insert(read, position);
        }
    }
    // where the values computed so far, the last aside, are read for the last time
    let mut open_until = last_read.get(input).copied().unwrap_or(0);
    let mut found = Vec::new();
    for (position, &index) in path.iter().enumerate() {
        let node = &graph.nodes[index];
        if let ([output], true) = (&node.outputs[..], open_until <= position) {
            found.push((output.as_str(), node.operator.as_str()));
        }
        let reads = node.outputs.iter().filter_map(|output| last_read.get(output.as_str()));
        open_until = reads.copied().max().unwrap_or(0).max(open_until);
    }
    found
}

/// Pooled activations of all stages, B x S, from their values, B x K x u x v each.
///
/// # Errors
/// A value has another shape; in words.
pub(crate) fn pooled<'v>(
    stages: &[Stage],
    pictures: usize,
    value: impl Fn(usize, &Stage) -> Option<&'v ArrayD<f32>>,
) -> Result<Array2<f32>, String> {
    let mut rows = Array2::zeros((pictures, width(stages)));
    let mut start = 0;
    for (index, stage) in stages.iter().enumerate() {
        let columns = start..start + 2 * stage.channels;
        start = columns.end;
        let found = value(index, stage);
        let fits = |value: &&ArrayD<f32>| matches!(value.shape(), &[n, k, _, _] if n == pictures && k == stage.channels);
        let Some(value) = found.filter(fits) else {
            let found = found.map(ArrayD::shape).unwrap_or_default();
            return Err(format!(
                "{} of {pictures} pictures has shape {found:?}; expected {pictures} x {} x height x width",
                stage.name, stage.channels
            ));
        };
        for (of, mut row) in value.outer_iter().zip(rows.rows_mut()) {
            if let Some(row) = row.slice_mut(s![columns.clone()]).into_slice() {
                pool(of, row);
            }
        }
    }
    Ok(rows)
}

/// Number S of pooled activations: two a channel.
pub(crate) fn width(stages: &[Stage]) -> usize {
    stages.iter().map(|stage| 2 * stage.channels).sum()
}

/// Mean and standard deviation (of the population) over positions, of every channel of one picture's value K x u x v:
/// K means, then K deviations, into `row`.
fn pool(value: ArrayViewD<'_, f32>, row: &mut [f32]) {
    let channels = row.len() / 2;
    let (means, deviations) = row.split_at_mut(channels);
    let planes = value.axis_iter(Axis(0));
    for ((plane, mean), deviation) in planes.zip(means).zip(deviations) {
        let copied;
        let values = match plane.as_slice() {
            Some(values) => values,
            None => {
                copied = plane.iter().copied().collect::<Vec<f32>>();
                &copied
            }
        };
        let count = values.len().max(1) as f32;
        *mean = sum(values, |v| v) / count;
        let center = *mean;
        *deviation = (sum(values, |v| (v - center) * (v - center)) / count).sqrt();
    }
}

fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|&v| of(v)).sum();
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += of(value);
        }
    }
    sums.iter().sum::<f32>() + rest
}

impl Classifier {
    /// The stages whose pooled activations an [`Extractor`](crate::Extractor) gives, in the order of computation: the stem
    /// (the first activation function's output), then for each spatial size the last value that everything behind it
    /// depends on. None for a network without positions. (Derived.)
    pub fn stages(&self) -> Vec<Stage> {
        let size = self.input_size().unwrap_or(USUAL_SIZE);
        stages(&self.graph, &self.layers, &self.logits, size, &self.shapes(size))
    }

    /// Number S of pooled activations: a mean and a deviation for each channel of each of [`Classifier::stages`].
    pub fn stages_width(&self) -> usize {
        width(&self.stages())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ndarray::Array3;

    use super::{Stage, pool};
    use crate::{Architecture, Classifier};

    fn named(architecture: Architecture) -> Vec<(String, usize)> {
        let classifier = Classifier::untrained(architecture, 5, 3).unwrap();
        let stages = classifier.stages().into_iter();
        stages.map(|Stage { name, channels, .. }| (name, channels)).collect()
    }

    fn expected(names: &[(&str, usize)]) -> Vec<(String, usize)> {
        names.iter().map(|&(name, channels)| (name.to_owned(), channels)).collect()
    }

    #[test]
    fn stages_end_where_the_positions_become_fewer() {
        assert_eq!(
            named(Architecture::CifarResNet18),
            expected(&[("relu", 16), ("layer1", 16), ("layer2", 32), ("layer3", 64)])
        );
        assert_eq!(
            named(Architecture::ResNet50),
            expected(&[
                ("relu", 64),
                ("layer1", 256),
                ("layer2", 512),
                ("layer3", 1024),
                ("layer4", 2048)
            ])
        );
        let vgg: Vec<usize> = named(Architecture::VGG16).into_iter().map(|(_, k)| k).collect();
        assert_eq!(vgg, [64, 64, 128, 256, 512, 512, 512]);
    }

    #[test]
    fn means_and_deviations_are_those_of_the_definition() {
        for (height, width) in [(1, 2), (7, 7), (5, 9), (32, 32)] {
            let value = Array3::from_shape_fn((3, height, width), |(k, i, j)| {
                100.0 * k as f32 + ((7 * i + 3 * j) % 11) as f32
            });
            let mut row = [0.0; 6];
            pool(value.view().into_dyn(), &mut row);
            for (k, plane) in value.outer_iter().enumerate() {
                let n = (height * width) as f64;
                let mean = plane.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
                let square = plane.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
                assert!((f64::from(row[k]) - mean).abs() < 1e-4, "{row:?}");
                assert!((f64::from(row[3 + k]) - square.sqrt()).abs() < 1e-4, "{row:?}");
            }
        }
    }
}

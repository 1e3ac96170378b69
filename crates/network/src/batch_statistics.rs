//! Batch normalisation with other statistics than the stored ones: those of the batch being run, or stored ones that each
//! picture's own are mixed into.

use std::collections::{HashMap, HashSet};

use crate::classifier::Classifier;
use crate::graph::{Graph, Node, int, signed};

/// From this operator set on, the axes of a mean are an input.
const AXES_ARE_AN_INPUT: i64 = 18;
const OPERATOR: &str = "BatchNormalization";

/// A batch normalisation: its name, and what it reads.
pub(crate) fn batch_norms(graph: &Graph) -> impl Iterator<Item = (&str, &str)> {
    let norms = graph.nodes.iter().filter(|node| node.operator == OPERATOR);
    norms.filter_map(|node| Some((node.name.as_str(), node.inputs.first()?.as_str())))
}

impl Classifier {
    /// How many batch normalisations the graph has, whose statistics [`Statistics::Batch`] replaces. None in an ONNX
    /// file whose exporter folded them into convolutions, as exporters do where they can: what is folded is not counted
    /// and keeps its stored statistics.
    ///
    /// [`Statistics::Batch`]: crate::Statistics::Batch
    pub fn batch_norms(&self) -> usize {
        batch_norms(&self.graph).count()
    }
}

/// Replaces every batch normalisation by nodes that compute, per channel,
///
/// `y = (x - m) s / sqrt(v + epsilon) + b`, `m = mean(x)`, `v = mean((x - m)^2)`,
///
/// means over pictures and positions, with the stored scale s and shift b. (Two passes: the difference of the mean of
/// squares and the square of the mean would cancel.) A mean over the positions of each picture first, then over the
/// pictures, is the same, and runs along memory.
///
/// `shapes` are those for one picture; a value of unknown shape is taken for maps.
pub(crate) fn normalise_by_batch(graph: &mut Graph, shapes: &HashMap<String, Vec<usize>>) {
    replace(graph, shapes, |norm| norm.by_batch());
}

/// Replaces every batch normalisation that sees several positions by nodes that compute, per picture and channel,
///
/// `y = (x - m) s / sqrt(v + epsilon) + b`, `m = (1 - a) M + a mean(x)`, `v = (1 - a) V + a var(x)`,
///
/// mean and biased variance over the picture's positions, M and V the stored ones, a `share`. (After Schneider et al. 2020, arXiv
/// 2006.16971, with one picture for the batch; there a is 1 / (N + 1) for a prior that counts for N pictures.) What
/// a picture gives does not depend on others.
pub(crate) fn normalise_by_own(
    graph: &mut Graph,
    shapes: &HashMap<String, Vec<usize>>,
    share: f32,
) {
    replace(graph, shapes, |norm| norm.by_own(share));
}

/// Replaces the batch normalisations for which `emit` finds other nodes.
fn replace(
    graph: &mut Graph,
    shapes: &HashMap<String, Vec<usize>>,
    emit: impl Fn(&mut Norm<'_>) -> Option<()>,
) {
    let nodes = std::mem::take(&mut graph.nodes);
    for node in nodes {
        let shape = node.inputs.first().and_then(|x| shapes.get(x));
        let rank = shape.map_or(4, Vec::len);
        let positions = shape.map_or(usize::MAX, |shape| shape.iter().skip(2).product());
        let replaced = node.operator == OPERATOR
            && emit(&mut Norm { graph, node: &node, rank, positions }).is_some();
        if !replaced {
            graph.nodes.push(node);
        }
    }
    // the stored statistics: ONNX Runtime refuses constants that nothing reads
    let read: HashSet<&str> =
        graph.nodes.iter().flat_map(|node| node.inputs.iter().map(String::as_str)).collect();
    graph.initializers.retain(|tensor| read.contains(tensor.name.as_str()));
}

struct Norm<'g> {
    graph: &'g mut Graph,
    node: &'g Node,
    /// Axes of the input: pictures, channels, positions.
    rank: usize,
    /// Number of positions; one for rows.
    positions: usize,
}

impl Norm<'_> {
    fn by_batch(&mut self) -> Option<()> {
        let [x, ..] = &self.node.inputs[..] else { return None };
        let shape = self.broadcast();
        let mean = self.mean("mean", x);
        let centred = self.node("Sub", "centred", &[x, &mean]);
        let squared = self.node("Mul", "squared", &[&centred, &centred]);
        let variance = self.mean("variance", &squared);
        self.scaled(&centred, &variance, &shape)
    }

    fn by_own(&mut self, share: f32) -> Option<()> {
        let [x, _, _, stored_mean, stored_variance] = &self.node.inputs[..] else { return None };
        if self.positions <= 1 {
            return None;
        }
        let shape = self.broadcast();
        let [own, rest] =
            [("own_share", share), ("stored_share", 1.0 - share)].map(|(what, value)| {
                let name = self.part(what);
                self.graph.floats(&name, &[], &[value]);
                name
            });
        let axes: Vec<i64> = (2..self.rank as i64).collect();
        let [stored_mean, stored_variance] = [("mean", stored_mean), ("variance", stored_variance)]
            .map(|(what, stored)| {
                let shaped = self.node("Reshape", &format!("stored_{what}"), &[stored, &shape]);
                self.node("Mul", &format!("stored_part_of_{what}"), &[&shaped, &rest])
            });
        let own_mean = self.reduce("own_mean", x, &axes);
        let part = self.node("Mul", "own_part_of_mean", &[&own_mean, &own]);
        let mean = self.node("Add", "mean", &[&part, &stored_mean]);
        let centred = self.node("Sub", "centred", &[x, &mean]);
        // the variance is about the own mean: what the mixed one is off by is taken away again
        let squared = self.node("Mul", "squared", &[&centred, &centred]);
        let about_mixed = self.reduce("about_mixed", &squared, &axes);
        let off = self.node("Sub", "off", &[&own_mean, &mean]);
        let square_off = self.node("Mul", "square_off", &[&off, &off]);
        let difference = self.node("Sub", "difference", &[&about_mixed, &square_off]);
        let own_variance = self.node("Relu", "own_variance", &[&difference]);
        let part = self.node("Mul", "own_part_of_variance", &[&own_variance, &own]);
        let variance = self.node("Add", "variance", &[&part, &stored_variance]);
        self.scaled(&centred, &variance, &shape)
    }

    /// The shape that spreads a number a channel over all positions.
    fn broadcast(&mut self) -> String {
        let mut broadcast = vec![1; self.rank];
        if let Some(channels) = broadcast.get_mut(1) {
            *channels = -1;
        }
        let shape = self.part("shape");
        self.graph.integers(&shape, &[self.rank], &broadcast);
        shape
    }

    /// `centred s / sqrt(variance + epsilon) + b`.
    fn scaled(&mut self, centred: &str, variance: &str, shape: &str) -> Option<()> {
        let ([_, scale, shift, ..], [y, ..]) = (&self.node.inputs[..], &self.node.outputs[..])
        else {
            return None;
        };
        let epsilon = self.part("epsilon");
        self.graph.floats(&epsilon, &[], &[self.node.float("epsilon", 1e-5)]);
        let raised = self.node("Add", "raised", &[variance, &epsilon]);
        let deviation = self.node("Sqrt", "deviation", &[&raised]);
        let scale = self.node("Reshape", "scale", &[scale, shape]);
        let shift = self.node("Reshape", "shift", &[shift, shape]);
        let slope = self.node("Div", "slope", &[&scale, &deviation]);
        let scaled = self.node("Mul", "scaled", &[centred, &slope]);
        self.graph.node("Add", &self.node.name, &[&scaled, &shift], &[y], Vec::new());
        Some(())
    }

    /// Over positions, then over pictures.
    fn mean(&mut self, what: &str, x: &str) -> String {
        let positions: Vec<i64> = (2..self.rank as i64).collect();
        let mut value = x.to_owned();
        if !positions.is_empty() {
            value = self.reduce(&format!("{what}_of_each"), &value, &positions);
        }
        self.reduce(what, &value, &[0])
    }

    fn reduce(&mut self, what: &str, x: &str, axes: &[i64]) -> String {
        let out = self.part(what);
        let (mut inputs, mut attributes) = (vec![x], vec![int("keepdims", 1)]);
        let stored = format!("{out}/axes");
        if self.graph.opset >= AXES_ARE_AN_INPUT {
            self.graph.integers(&stored, &[axes.len()], axes);
            inputs.push(&stored);
        } else {
            attributes.push(signed("axes", axes));
        }
        self.graph.node("ReduceMean", &out, &inputs, &[&out], attributes);
        out
    }

    fn node(&mut self, operator: &str, what: &str, inputs: &[&str]) -> String {
        let out = self.part(what);
        self.graph.node(operator, &out, inputs, &[&out], Vec::new());
        out
    }

    /// A name that no other node's parts have: outputs are unique in a graph.
    fn part(&self, what: &str) -> String {
        let output = self.node.outputs.first().map_or("", String::as_str);
        format!("{output}/batch_statistics/{what}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::{ArrayD, Axis as Along, IxDyn};

    use super::*;
    use crate::common::uniform;
    use crate::graph::{Axis, float};
    use crate::runtime::{LoadOptions, Runtime};

    const EPSILON: f32 = 1e-3;
    const SCALE: [f32; 3] = [0.5, -2.0, 1.0];
    const SHIFT: [f32; 3] = [0.1, 0.0, -3.0];
    const MEAN: [f32; 3] = [1.0, 2.0, 0.5];
    const VARIANCE: [f32; 3] = [0.5, 1.5, 1.0];

    fn expected(x: &ArrayD<f32>) -> ArrayD<f32> {
        let mut y = x.clone();
        for (channel, mut values) in y.axis_iter_mut(Along(1)).enumerate() {
            let count = values.len() as f64;
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
            let squares = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>();
            let slope = f64::from(SCALE[channel]) / (squares / count + f64::from(EPSILON)).sqrt();
            values.mapv_inplace(|v| {
                ((f64::from(v) - mean) * slope + f64::from(SHIFT[channel])) as f32
            });
        }
        y
    }

    /// Holds `y` of a graph against what is expected, on every engine, fused and not.
    fn check(graph: &Graph, x: &ArrayD<f32>, expected: &ArrayD<f32>, allowed: f32) {
        for runtime in Runtime::each() {
            for optimise in [false, true] {
                let options = LoadOptions { optimise, threads: None };
                let engine = runtime.load(graph, &["y"], options).unwrap();
                let y = engine.run(&[x.view()]).unwrap().remove(0);
                let worst = (&y - expected).fold(0_f32, |m, v| m.max(v.abs()));
                let (shape, opset) = (x.shape(), graph.opset);
                assert!(worst < allowed, "{shape:?} of set {opset}: off by {worst}");
            }
        }
    }

    /// What stands in the documentation of [`normalise_by_own`], in f64.
    fn expected_by_own(x: &ArrayD<f32>, share: f64) -> ArrayD<f32> {
        let mut y = x.clone();
        for mut picture in y.axis_iter_mut(Along(0)) {
            for (channel, mut values) in picture.axis_iter_mut(Along(0)).enumerate() {
                let count = values.len() as f64;
                let own = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
                let squares = values.iter().map(|&v| (f64::from(v) - own).powi(2)).sum::<f64>();
                let mean = (1.0 - share) * f64::from(MEAN[channel]) + share * own;
                let variance =
                    (1.0 - share) * f64::from(VARIANCE[channel]) + share * squares / count;
                let slope = f64::from(SCALE[channel]) / (variance + f64::from(EPSILON)).sqrt();
                values.mapv_inplace(|v| {
                    ((f64::from(v) - mean) * slope + f64::from(SHIFT[channel])) as f32
                });
            }
        }
        y
    }

    #[test]
    fn mixes_each_pictures_own_statistics_in() {
        for (opset, share, shape) in [
            (18, 0.1, &[4, 3, 5, 6][..]),
            (13, 0.5, &[2, 3, 7, 7]),
            (17, 1.0, &[2, 3, 2, 4, 3]),
            (18, 0.0, &[2, 3, 4, 4]),
        ] {
            let mut graph = Graph { opset, ..Graph::default() };
            graph.input("x", &vec![Axis::Free("axis"); shape.len()]);
            for (name, values) in [("s", SCALE), ("b", SHIFT), ("m", MEAN), ("v", VARIANCE)] {
                graph.floats(name, &[3], &values);
            }
            let inputs = ["x", "s", "b", "m", "v"];
            graph.node("BatchNormalization", "n", &inputs, &["y"], vec![float("epsilon", EPSILON)]);
            let shapes = HashMap::from([("x".to_owned(), shape.to_vec())]);
            normalise_by_own(&mut graph, &shapes, share);
            assert_eq!(batch_norms(&graph).count(), 0);
            let mut noise = uniform("values");
            let x =
                ArrayD::from_shape_simple_fn(IxDyn(shape), || 3.0 * noise.next().unwrap() as f32);
            let expected = expected_by_own(&x, f64::from(share));
            check(&graph, &x, &expected, 1e-5);
        }
        // one position has no statistics
        let mut graph = Graph::default();
        graph.node("BatchNormalization", "n", &["x", "s", "b", "m", "v"], &["y"], Vec::new());
        normalise_by_own(&mut graph, &HashMap::from([("x".to_owned(), vec![1, 3])]), 0.1);
        assert_eq!(batch_norms(&graph).count(), 1);
    }

    /// Maps, rows and volumes, in operator sets with both forms of a mean, far from zero too.
    #[test]
    fn normalises_by_the_batch_in_every_form() {
        for (opset, offset, shape) in [
            (18, 0.0, &[4, 3, 5, 6][..]),
            (13, 0.0, &[4, 3, 5, 6]),
            (9, 0.0, &[2, 3]),
            (20, 1000.0, &[6, 3, 8, 8]),
            (17, -1000.0, &[2, 3, 2, 4, 3]),
        ] {
            let mut graph = Graph { opset, ..Graph::default() };
            graph.input("x", &vec![Axis::Free("axis"); shape.len()]);
            for (name, values) in [("s", SCALE), ("b", SHIFT), ("m", [0.0; 3]), ("v", [1.0; 3])] {
                graph.floats(name, &[3], &values);
            }
            let inputs = ["x", "s", "b", "m", "v"];
            graph.node("BatchNormalization", "n", &inputs, &["y"], vec![float("epsilon", EPSILON)]);
            let shapes = HashMap::from([("x".to_owned(), shape.to_vec())]);
            normalise_by_batch(&mut graph, &shapes);
            assert_eq!(batch_norms(&graph).count(), 0);
            assert!(graph.initializer("m").is_none() && graph.initializer("s").is_some());

            let mut noise = uniform("values");
            let x = ArrayD::from_shape_simple_fn(IxDyn(shape), || {
                offset + noise.next().unwrap() as f32 - 0.3
            });
            let expected = expected(&x);
            // the values have six bits fewer behind the point there
            check(&graph, &x, &expected, if offset == 0.0 { 1e-5 } else { 2e-3 });
        }
    }
}

//! A closed form as a graph that the runtime runs.

use std::sync::OnceLock;

use ndarray::ArrayD;

use super::{Head, Inputs, Linear, Step};
use crate::graph::{Axis, Graph, Initializer, int};
use crate::runtime::{Engine, LoadOptions, Runtime, Threads};

const UPSTREAM: &str = "adjoint/upstream";
pub(super) const SUMMED: &str = "adjoint/summed";
pub(super) const TOTAL: &str = "adjoint/total";

/// A closed form, loaded.
pub(crate) struct Closed {
    /// Reads the saved values, the summed weight if there is one, and the upstream rows.
    pub engine: Engine,
    /// The weight of the first linear layer behind the flattening, summed over positions.
    pub summed: Option<ArrayD<f32>>,
    /// The longest row of a gradient on the way.
    pub elements_per_row: usize,
    /// Multiplications of one row of the upstream, and of one column of the activations.
    pub multiplications: usize,
    /// The same form from the other end ([`Closed::maps`](super::maps)), loaded when it is first asked for.
    pub(super) maps: OnceLock<Result<Engine, String>>,
}

impl Closed {
    /// Loads the form for a target layer with so many channels.
    ///
    /// Where maps are flattened, this reads the weight behind the flattening once, to sum it over
    /// positions.
    ///
    /// # Errors
    /// What the runtime says, or that the weights do not fit the layer.
    pub fn load(
        head: &Head,
        forward: &Graph,
        runtime: &Runtime,
        channels: usize,
        threads: Option<&Threads>,
    ) -> Result<Self, String> {
        let mut emitter = Emitter::new(forward, channels);
        let mut gradient = UPSTREAM.to_owned();
        for (index, step) in head.steps.iter().enumerate() {
            gradient = emitter.step(index, step, &gradient)?;
        }
        let Emitter { mut graph, summed, longest, multiplications, .. } = emitter;
        let options = LoadOptions { optimise: false, threads };
        let summed = match summed {
            Some(sum) => runtime.load(&sum, &[SUMMED], options)?.run(&[])?.pop(),
            None => None,
        };
        if summed.is_some() {
            graph.input(SUMMED, &[Axis::Free("out"), Axis::Free("in")]);
        }
        graph.input(UPSTREAM, &[Axis::Free("questions"), Axis::Free("classes")]);
        graph.node("Identity", TOTAL, &[&gradient], &[TOTAL], Vec::new());
        let engine = runtime.load(&graph, &[TOTAL], options)?;
        let maps = OnceLock::new();
        Ok(Self { engine, summed, elements_per_row: longest, multiplications, maps })
    }
}

pub(super) struct Emitter<'g> {
    forward: &'g Graph,
    pub graph: Graph,
    channels: usize,
    /// The graph that sums a weight over positions.
    summed: Option<Graph>,
    longest: usize,
    multiplications: usize,
}

impl<'g> Emitter<'g> {
    pub fn new(forward: &'g Graph, channels: usize) -> Self {
        let graph = Graph::default();
        Self { forward, graph, channels, summed: None, longest: 1, multiplications: 0 }
    }

    /// The gradient behind a step, given the one before it (questions x channels).
    fn step(&mut self, index: usize, step: &Step, g: &str) -> Result<String, String> {
        let part = |what: &str| format!("{index}/{what}");
        let out = part("gradient");
        match step {
            Step::Linear(linear) => {
                let (weight, out_first) = self.weight(index, linear)?;
                let flip = int("transB", i64::from(!out_first));
                self.graph.node("Gemm", &out, &[g, &weight], &[&out], vec![flip]);
            }
            Step::Mask { value } => {
                self.graph.input(value, &[Axis::Free("one"), Axis::Free("features")]);
                let (zero, open) = (part("zero"), part("open"));
                self.graph.floats(&zero, &[], &[0.0]);
                self.graph.node("Greater", &open, &[value, &zero], &[&open], Vec::new());
                self.graph.node("Where", &out, &[&open, g, &zero], &[&out], Vec::new());
            }
            Step::Share { value } => {
                let axes = ["one", "channels", "height", "width"].map(Axis::Free);
                self.graph.input(value, &axes);
                let (zero, open, axes) = (part("zero"), part("open"), part("axes"));
                let (counted, share) = (part("counted"), part("share"));
                self.graph.floats(&zero, &[], &[0.0]);
                self.graph.integers(&axes, &[2], &[2, 3]);
                self.graph.node("Greater", &open, &[value, &zero], &[&open], Vec::new());
                self.graph.node("Cast", &counted, &[&open], &[&counted], vec![int("to", 1)]);
                let flat = vec![int("keepdims", 0)];
                self.graph.node("ReduceMean", &share, &[&counted, &axes], &[&share], flat);
                self.graph.node("Mul", &out, &[g, &share], &[&out], Vec::new());
            }
        }
        Ok(out)
    }

    /// Two layers may share one weight.
    fn store(&mut self, tensor: Initializer) {
        if self.graph.initializer(&tensor.name).is_none() {
            self.graph.initializers.push(tensor);
        }
    }

    /// The weight as a matrix in the graph, and whether it is out x in.
    pub fn weight(&mut self, index: usize, linear: &Linear) -> Result<(String, bool), String> {
        let Linear { weight, out_first, inputs } = linear;
        let stored = self.forward.initializer(weight);
        let stored = stored.ok_or_else(|| format!("the weight {weight} is not stored"))?;
        // a 1x1 convolution's kernel has two axes more
        let [first, second, ..] = stored.dims[..] else {
            return Err(format!("the weight {weight} is no matrix"));
        };
        let (from, to) = if *out_first { (second, first) } else { (first, second) };
        self.longest = self.longest.max(from.min(to));
        // where the weight is summed over positions, or only some of its columns count, it is this much smaller
        let width = match *inputs {
            Inputs::All => from,
            Inputs::From(_) => self.channels,
            Inputs::Positions(of) => of.unwrap_or(self.channels),
        };
        self.multiplications = self.multiplications.saturating_add(width.saturating_mul(to));
        let as_shape = |dims: Vec<usize>| Initializer { dims, ..stored.clone() };
        let refused = |channels: usize| {
            format!("the weight {weight} has {from} inputs, which do not fit {channels} channels")
        };
        match *inputs {
            Inputs::Positions(of) if of.unwrap_or(self.channels) != from => {
                let channels = of.unwrap_or(self.channels);
                if channels == 0 || from % channels != 0 {
                    return Err(refused(channels));
                }
                let positions = from / channels;
                // the same bytes, read as a stack: nothing is copied
                let (dims, axis) = if *out_first {
                    (vec![to, channels, positions], 2)
                } else {
                    (vec![channels, positions, to], 1)
                };
                let mut sum = Graph::default();
                sum.initializers.push(as_shape(dims));
                sum.integers("adjoint/axes", &[1], &[axis]);
                let flat = vec![int("keepdims", 0)];
                sum.node("ReduceSum", SUMMED, &[weight, "adjoint/axes"], &[SUMMED], flat);
                self.summed = Some(sum);
                Ok((SUMMED.to_owned(), *out_first))
            }
            Inputs::From(offset) => {
                let end = offset + self.channels;
                if end > from {
                    return Err(refused(end));
                }
                self.store(as_shape(vec![to, from]));
                if self.channels == from {
                    return Ok((weight.clone(), *out_first));
                }
                let [start, stop, axis, columns] =
                    ["start", "stop", "axis", "columns"].map(|what| format!("{index}/{what}"));
                self.graph.integers(&start, &[1], &[offset as i64]);
                self.graph.integers(&stop, &[1], &[end as i64]);
                self.graph.integers(&axis, &[1], &[1]);
                let operands = [weight, &start, &stop, &axis];
                self.graph.node(
                    "Slice",
                    &columns,
                    &operands.map(String::as_str),
                    &[&columns],
                    Vec::new(),
                );
                Ok((columns, *out_first))
            }
            Inputs::All | Inputs::Positions(_) => {
                self.store(as_shape(vec![first, second]));
                Ok((weight.clone(), *out_first))
            }
        }
    }
}

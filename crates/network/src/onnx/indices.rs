//! Integers that follow from sizes and constants alone: computed, where a graph must be understood and not only run.

use std::collections::HashMap;

use ndarray::{ArrayD, IxDyn};

use crate::graph::{Graph, Node, Setting};

/// Indices of more elements than this are not computed.
const MAX_ELEMENTS: usize = 1 << 20;
/// Longest chain of nodes from a size to an index.
const MAX_DEPTH: usize = 32;

/// The value, for the picture's size that `shapes` are of; `None` if it depends on the picture itself, is large, or
/// takes an operator that indices are not made with.
pub(super) fn evaluate(
    graph: &Graph,
    value: &str,
    shapes: &HashMap<String, Vec<usize>>,
) -> Option<ArrayD<i64>> {
    let mut budget = MAX_ELEMENTS;
    Evaluation { graph, shapes }.value(value, MAX_DEPTH, &mut budget)
}

struct Evaluation<'g> {
    graph: &'g Graph,
    shapes: &'g HashMap<String, Vec<usize>>,
}

impl Evaluation<'_> {
    fn value(&self, value: &str, depth: usize, budget: &mut usize) -> Option<ArrayD<i64>> {
        // charged before anything is made
        let shape = self.shapes.get(value)?;
        let elements = shape.iter().try_fold(1_usize, |n, &size| n.checked_mul(size))?;
        *budget = budget.checked_sub(elements.max(1))?;
        if let Some(tensor) = self.graph.initializer(value) {
            return ArrayD::from_shape_vec(IxDyn(&tensor.dims), tensor.integers()?).ok();
        }
        let node = self.graph.producer(value)?;
        let depth = depth.checked_sub(1)?;
        let mut input = |position: usize| self.value(node.inputs.get(position)?, depth, budget);
        let found = match node.operator.as_str() {
            "Shape" => self.shape(node)?,
            "Identity" | "Cast" => input(0)?,
            "Squeeze" | "Unsqueeze" | "Reshape" => {
                let values = input(0)?.into_iter().collect();
                ArrayD::from_shape_vec(IxDyn(shape), values).ok()?
            }
            "Range" => {
                let [start, limit, step] = [input(0)?, input(1)?, input(2)?].map(scalar);
                range(start?, limit?, step?, elements)?
            }
            "Add" => combine(&input(0)?, &input(1)?, shape, i64::checked_add)?,
            "Sub" => combine(&input(0)?, &input(1)?, shape, i64::checked_sub)?,
            "Mul" => combine(&input(0)?, &input(1)?, shape, i64::checked_mul)?,
            _ => return None,
        };
        (found.shape() == shape.as_slice()).then_some(found)
    }

    fn shape(&self, node: &Node) -> Option<ArrayD<i64>> {
        let sizes = self.shapes.get(node.inputs.first()?)?;
        let bound = |name: &str, default: usize| match node.setting(name) {
            Some(Setting::Int(v)) if *v < 0 => {
                sizes.len().saturating_sub(usize::try_from(v.unsigned_abs()).unwrap_or(usize::MAX))
            }
            Some(Setting::Int(v)) => usize::try_from(*v).unwrap_or(usize::MAX).min(sizes.len()),
            _ => default,
        };
        let part = sizes.get(bound("start", 0)..bound("end", sizes.len()))?;
        let part: Vec<i64> = part.iter().map(|&size| size as i64).collect();
        ArrayD::from_shape_vec(IxDyn(&[part.len()]), part).ok()
    }
}

fn scalar(values: ArrayD<i64>) -> Option<i64> {
    (values.len() == 1).then(|| values.first().copied())?
}

/// `start`, `start + step`, ...: as many as the shape says, if the next would not lie before `limit`.
fn range(start: i64, limit: i64, step: i64, count: usize) -> Option<ArrayD<i64>> {
    let at = |i: usize| start.checked_add(step.checked_mul(i64::try_from(i).ok()?)?);
    let values: Option<Vec<i64>> = (0..count).map(at).collect();
    let ends = step > 0 && at(count)? >= limit;
    ends.then(|| ArrayD::from_shape_vec(IxDyn(&[count]), values?).ok())?
}

/// Element by element, both broadcast to `shape`.
fn combine(
    a: &ArrayD<i64>,
    b: &ArrayD<i64>,
    shape: &[usize],
    rule: impl Fn(i64, i64) -> Option<i64>,
) -> Option<ArrayD<i64>> {
    let (a, b) = (a.broadcast(shape)?, b.broadcast(shape)?);
    let values: Option<Vec<i64>> = a.iter().zip(&b).map(|(&a, &b)| rule(a, b)).collect();
    ArrayD::from_shape_vec(IxDyn(shape), values?).ok()
}

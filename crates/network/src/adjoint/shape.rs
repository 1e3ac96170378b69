//! Operators that move values without changing them.

use super::{Tape, unsupported};
use crate::error::Result;
use crate::graph::Node;

impl Tape<'_> {
    /// Any change of shape that keeps the order of the elements.
    pub(super) fn reshaped(&mut self, node: &Node, g: &str) -> Result<()> {
        let input = self.input(node, 0)?;
        let shape = self.shape(node, input)?;
        let gradient = self.reshape(g, shape);
        self.contribute(input, gradient);
        Ok(())
    }

    /// Each operand of a concatenation gets its own slice of the gradient.
    pub(super) fn concat(&mut self, node: &Node, g: &str) -> Result<()> {
        let axis = self.axis(node, node.int("axis", 1))?;
        let mut start = 0;
        for operand in &node.inputs {
            let size = self.shape(node, operand)?.get(axis).copied().unwrap_or(0) as i64;
            if self.is_active(operand) {
                let from = self.integers(&[start]);
                let to = self.integers(&[start + size]);
                let axis = self.integers(&[axis as i64]);
                let slice = self.emit("Slice", &[g, &from, &to, &axis]);
                self.contribute(operand, slice);
            }
            start += size;
        }
        Ok(())
    }

    /// An axis of a node's output, counted from the front; the batch axis is refused.
    pub(super) fn axis(&self, node: &Node, axis: i64) -> Result<usize> {
        let rank = self.shape(node, &node.outputs[0])?.len();
        axis_of(node, axis, rank)
    }
}

/// `axis` counted from the front, for a value of this rank; the batch axis is refused.
pub(super) fn axis_of(node: &Node, axis: i64, rank: usize) -> Result<usize> {
    let from_front = if axis < 0 { axis + rank as i64 } else { axis };
    match usize::try_from(from_front) {
        Ok(0) => Err(unsupported(node, "it works along the batch axis")),
        Ok(known) if known < rank => Ok(known),
        _ => Err(unsupported(node, format!("its axis {axis} is none of the {rank} it has"))),
    }
}

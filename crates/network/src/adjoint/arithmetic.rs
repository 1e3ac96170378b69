//! Sums and products, with numpy's broadcasting.

use super::{Tape, unsupported};
use crate::error::Result;
use crate::graph::Node;

impl Tape<'_> {
    /// y = sum of the operands  =>  each gets g.
    pub(super) fn add(&mut self, node: &Node, g: &str) -> Result<()> {
        for operand in &node.inputs {
            self.contribute_broadcast(node, operand, g.to_owned())?;
        }
        Ok(())
    }

    /// y = a b  =>  da = g b, db = g a.
    pub(super) fn mul(&mut self, node: &Node, g: &str) -> Result<()> {
        for (position, other) in [(0, 1), (1, 0)] {
            let operand = self.input(node, position)?;
            if self.is_active(operand) {
                let other = self.operand(node, other)?;
                let gradient = self.emit("Mul", &[g, &other]);
                self.contribute_broadcast(node, operand, gradient)?;
            }
        }
        Ok(())
    }

    /// Passes `gradient`, which has the shape of the node's output, on to an operand that was broadcast
    /// to that shape: summed over the axes along which it was repeated.
    pub(super) fn contribute_broadcast(
        &mut self,
        node: &Node,
        operand: &str,
        gradient: String,
    ) -> Result<()> {
        if !self.is_active(operand) {
            return Ok(());
        }
        let (from, to) = (self.shape(node, &node.outputs[0])?, self.shape(node, operand)?);
        if from.len() != to.len() {
            let detail = format!(
                "broadcasting {operand} from {to:?} to {from:?} moves the batch from the first axis"
            );
            return Err(unsupported(node, detail));
        }
        let repeated: Vec<usize> =
            (1..to.len()).filter(|&axis| to[axis] == 1 && from[axis] != 1).collect();
        let gradient = if repeated.is_empty() { gradient } else { self.sum(&gradient, &repeated) };
        self.contribute(operand, gradient);
        Ok(())
    }
}

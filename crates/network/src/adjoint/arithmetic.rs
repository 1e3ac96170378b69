//! Sums, products and powers, with numpy's broadcasting.

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

    /// y = a - b  =>  da = g, db = -g.
    pub(super) fn sub(&mut self, node: &Node, g: &str) -> Result<()> {
        let (a, b) = (self.input(node, 0)?, self.input(node, 1)?);
        self.contribute_broadcast(node, a, g.to_owned())?;
        if self.is_active(b) {
            let gradient = self.emit("Neg", &[g]);
            self.contribute_broadcast(node, b, gradient)?;
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

    /// y = a / b  =>  da = g / b, db = -g y / b.
    pub(super) fn div(&mut self, node: &Node, g: &str) -> Result<()> {
        let (a, b) = (self.input(node, 0)?, self.input(node, 1)?);
        let divisor = self.operand(node, 1)?;
        if self.is_active(a) {
            let gradient = self.emit("Div", &[g, &divisor]);
            self.contribute_broadcast(node, a, gradient)?;
        }
        if self.is_active(b) {
            let y = self.y(node);
            let ratio = self.emit("Div", &[&y, &divisor]);
            let slope = self.emit("Neg", &[&ratio]);
            let gradient = self.emit("Mul", &[g, &slope]);
            self.contribute_broadcast(node, b, gradient)?;
        }
        Ok(())
    }

    /// y = x^c with a stored number c  =>  dx = g c x^(c - 1).
    pub(super) fn pow(&mut self, node: &Node, g: &str) -> Result<()> {
        let (x, exponent) = (self.input(node, 0)?, self.input(node, 1)?);
        let power = self
            .number(exponent)
            .ok_or_else(|| unsupported(node, "its exponent is not one stored number"))?;
        let x = self.save(x);
        let factor = self.scalar(power);
        let slope = if power == 2.0 {
            self.emit("Mul", &[&x, &factor])
        } else {
            let less = self.scalar(power - 1.0);
            let rest = self.emit("Pow", &[&x, &less]);
            self.emit("Mul", &[&rest, &factor])
        };
        let gradient = self.emit("Mul", &[g, &slope]);
        self.contribute_broadcast(node, &x, gradient)
    }

    /// y = the largest (or smallest) operand  =>  that one gets g; equals share it, as in PyTorch.
    pub(super) fn extreme(&mut self, node: &Node, g: &str) -> Result<()> {
        let y = self.y(node);
        let (zero, one) = (self.scalar(0.0), self.scalar(1.0));
        let mut wins = Vec::new();
        for position in 0..node.inputs.len() {
            let operand = self.operand(node, position)?;
            let equal = self.emit("Equal", &[&operand, &y]);
            wins.push(self.emit("Where", &[&equal, &one, &zero]));
        }
        let names: Vec<&str> = wins.iter().map(String::as_str).collect();
        let count = self.emit("Sum", &names);
        for (operand, win) in node.inputs.iter().zip(&wins) {
            if self.is_active(operand) {
                let share = self.emit("Div", &[win, &count]);
                let gradient = self.emit("Mul", &[g, &share]);
                self.contribute_broadcast(node, operand, gradient)?;
            }
        }
        Ok(())
    }

    /// y = a where a stored condition holds, else b.
    pub(super) fn choose(&mut self, node: &Node, g: &str) -> Result<()> {
        let condition = self
            .constant(node, 0)?
            .ok_or_else(|| unsupported(node, "its condition is computed from the picture"))?;
        let zero = self.scalar(0.0);
        let (a, b) = (self.input(node, 1)?, self.input(node, 2)?);
        if self.is_active(a) {
            let gradient = self.emit("Where", &[&condition, g, &zero]);
            self.contribute_broadcast(node, a, gradient)?;
        }
        if self.is_active(b) {
            let gradient = self.emit("Where", &[&condition, &zero, g]);
            self.contribute_broadcast(node, b, gradient)?;
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
        let gradient = if repeated.is_empty() {
            gradient
        } else {
            self.largest = self.largest.max(from.iter().product());
            self.sum(&gradient, &repeated)
        };
        self.contribute(operand, gradient);
        Ok(())
    }
}

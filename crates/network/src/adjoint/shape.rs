//! Operators that move values without changing them.

use super::{Tape, unsupported};
use crate::error::Result;
use crate::graph::{Node, signed};

impl Tape<'_> {
    /// Any change of shape that keeps the order of the elements.
    pub(super) fn reshaped(&mut self, node: &Node, g: &str) -> Result<()> {
        let input = self.input(node, 0)?;
        let shape = self.shape(node, input)?;
        let gradient = self.reshape(g, shape);
        self.contribute(input, gradient);
        Ok(())
    }

    /// Only a cast to 32-bit floating point keeps what gradients here are.
    pub(super) fn cast(&mut self, node: &Node, g: &str) -> Result<()> {
        let to = node.int("to", 0);
        if to != i64::from(rten_onnx::onnx::DataType::FLOAT.0) {
            return Err(unsupported(
                node,
                format!("it casts to ONNX's data type {to}, not float32"),
            ));
        }
        self.contribute(self.input(node, 0)?, g);
        Ok(())
    }

    /// The inverse permutation.
    pub(super) fn transpose(&mut self, node: &Node, g: &str) -> Result<()> {
        let rank = self.shape(node, &node.outputs[0])?.len();
        let reversed: Vec<i64> = (0..rank as i64).rev().collect();
        let order = node.signed("perm").unwrap_or(&reversed);
        if order.first() != Some(&0) {
            return Err(unsupported(node, format!("its order {order:?} moves the batch axis")));
        }
        let place = |axis: i64| order.iter().position(|&from| from == axis).map(|p| p as i64);
        let inverse: Option<Vec<i64>> = (0..rank as i64).map(place).collect();
        let inverse = inverse
            .ok_or_else(|| unsupported(node, format!("its order {order:?} is no permutation")))?;
        let gradient = self.emit_with("Transpose", &[g], vec![signed("perm", &inverse)]);
        self.contribute(self.input(node, 0)?, gradient);
        Ok(())
    }

    /// Each operand of a concatenation gets its own slice of the gradient.
    pub(super) fn concat(&mut self, node: &Node, g: &str) -> Result<()> {
        let rank = self.shape(node, &node.outputs[0])?.len();
        let axis = axis_of(node, node.int("axis", 1), rank)?;
        let mut start = 0;
        for operand in &node.inputs {
            let size = self.shape(node, operand)?.get(axis).copied().unwrap_or(0);
            if self.is_active(operand) {
                let slice = self.slice(g, axis, start, start + size);
                self.contribute(operand, slice);
            }
            start += size;
        }
        Ok(())
    }

    /// The gradients of the parts side by side; a part that nothing reads has none.
    pub(super) fn split(&mut self, node: &Node) -> Result<()> {
        let input = self.input(node, 0)?;
        let shape = self.shape(node, input)?;
        let axis = axis_of(node, node.int("axis", 0), shape.len())?;
        let size = shape[axis];
        let sizes: Vec<usize> = match self.setting(node, "split", 1)? {
            Some(sizes) => sizes.iter().map(|&s| usize::try_from(s).unwrap_or(0)).collect(),
            None => vec![size.div_ceil(node.outputs.len()); node.outputs.len()],
        };
        let mut start = 0;
        for (output, part) in node.outputs.iter().zip(sizes) {
            let end = (start + part).min(size);
            if let Some(g) = self.total(output) {
                let padded = self.pad(&g, shape.len(), axis, start, size - end);
                self.contribute(input, padded);
            }
            start = end;
        }
        Ok(())
    }

    /// What a slice left out gets zeros.
    pub(super) fn sliced(&mut self, node: &Node, g: &str) -> Result<()> {
        let input = self.input(node, 0)?;
        let (shape, taken) = (self.shape(node, input)?, self.shape(node, &node.outputs[0])?);
        let starts = self.setting(node, "starts", 1)?.unwrap_or_default();
        let axes = self.setting(node, "axes", 3)?;
        let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self.setting(node, "steps", 4)?.unwrap_or_default();
        if steps.iter().any(|&step| step != 1) {
            return Err(unsupported(node, format!("its steps are {steps:?}, not one")));
        }
        let mut gradient = g.to_owned();
        for (&start, &axis) in starts.iter().zip(&axes) {
            if axis == 0 || axis == -(shape.len() as i64) {
                continue; // the batch of one is taken whole: its output still has it
            }
            let axis = axis_of(node, axis, shape.len())?;
            let size = shape[axis] as i64;
            let start = if start < 0 { start + size } else { start }.clamp(0, size) as usize;
            let after = shape[axis]
                .saturating_sub(start.saturating_add(taken.get(axis).copied().unwrap_or(0)));
            gradient = self.pad(&gradient, shape.len(), axis, start, after);
        }
        self.contribute(input, gradient);
        Ok(())
    }

    /// One place along an axis, as class tokens are read.
    pub(super) fn gather(&mut self, node: &Node, g: &str) -> Result<()> {
        let input = self.input(node, 0)?;
        let shape = self.shape(node, input)?;
        let axis = axis_of(node, node.int("axis", 0), shape.len())?;
        let Some(index) = self.number(self.input(node, 1)?) else {
            return Err(unsupported(node, "its index is not one stored number"));
        };
        let size = shape[axis];
        let index = if index < 0.0 { index + size as f32 } else { index } as usize;
        let mut one = shape.to_vec();
        one[axis] = 1;
        let g = self.reshape(g, &one);
        let gradient = self.pad(&g, shape.len(), axis, index, size.saturating_sub(index + 1));
        self.contribute(input, gradient);
        Ok(())
    }

    /// What padding added is dropped, and what negative padding dropped gets zeros.
    pub(super) fn padded(&mut self, node: &Node, g: &str) -> Result<()> {
        let mode = node.text("mode").unwrap_or("constant");
        if mode != "constant" {
            return Err(unsupported(node, format!("its mode is {mode}, not constant")));
        }
        let input = self.input(node, 0)?;
        let shape = self.shape(node, input)?;
        let amounts = self.setting(node, "pads", 1)?.unwrap_or_default();
        let axes = self.setting(node, "axes", 3)?;
        let axes = axes.unwrap_or_else(|| (0..amounts.len() as i64 / 2).collect());
        if amounts.len() != 2 * axes.len() {
            return Err(unsupported(node, format!("its pads are {amounts:?} for axes {axes:?}")));
        }
        let mut gradient = g.to_owned();
        for (position, &axis) in axes.iter().enumerate() {
            let (before, after) = (amounts[position], amounts[position + axes.len()]);
            if (before, after) == (0, 0) {
                continue;
            }
            let axis = axis_of(node, axis, shape.len())?;
            let size = shape[axis];
            // how much a negative amount dropped
            let dropped = |amount: i64| usize::try_from(amount.saturating_neg()).unwrap_or(0);
            let (cut, missing) = (before.max(0) as usize, dropped(before).min(size));
            let kept = size.saturating_sub(missing.saturating_add(dropped(after)));
            gradient = self.slice(&gradient, axis, cut, cut + kept);
            gradient = self.pad(&gradient, shape.len(), axis, missing, size - missing - kept);
        }
        self.contribute(input, gradient);
        Ok(())
    }

    /// Repetition along axes of size one.
    pub(super) fn expand(&mut self, node: &Node, g: &str) -> Result<()> {
        self.contribute_broadcast(node, self.input(node, 0)?, g.to_owned())
    }

    /// A part of a gradient along one axis.
    pub(super) fn slice(&mut self, g: &str, axis: usize, start: usize, end: usize) -> String {
        let from = self.integers(&[start as i64]);
        let to = self.integers(&[end as i64]);
        let axis = self.integers(&[axis as i64]);
        self.emit("Slice", &[g, &from, &to, &axis])
    }

    /// A gradient with zeros before and after it along one axis.
    pub(super) fn pad(
        &mut self,
        g: &str,
        rank: usize,
        axis: usize,
        before: usize,
        after: usize,
    ) -> String {
        if (before, after) == (0, 0) {
            return g.to_owned();
        }
        let mut amounts = vec![0; 2 * rank];
        amounts[axis] = before as i64;
        amounts[rank + axis] = after as i64;
        let amounts = self.integers(&amounts);
        self.emit("Pad", &[g, &amounts])
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

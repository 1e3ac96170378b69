//! Normalisations.

use super::shape::axis_of;
use super::{Tape, unsupported};
use crate::error::Result;
use crate::graph::Node;

impl Tape<'_> {
    /// y = (x - mean) s + bias with s = scale / sqrt(var + eps) per channel  =>  dx = g s.
    pub(super) fn batch_norm(&mut self, node: &Node, g: &str) -> Result<()> {
        if node.int("training_mode", 0) != 0 {
            return Err(unsupported(node, "it is in training mode"));
        }
        let input = self.input(node, 0)?;
        let (scale, variance) = (self.operand(node, 1)?, self.operand(node, 4)?);
        let epsilon = self.scalar(node.float("epsilon", 1e-5));
        let sum = self.emit("Add", &[&variance, &epsilon]);
        let deviation = self.emit("Sqrt", &[&sum]);
        let slope = self.emit("Div", &[&scale, &deviation]);
        let slope = self.per_channel(node, &slope)?;
        let gradient = self.emit("Mul", &[g, &slope]);
        self.contribute(input, gradient);
        Ok(())
    }

    /// Over the axes from `axis` on, then times a scale that has those axes.
    pub(super) fn layer_norm(&mut self, node: &Node, g: &str) -> Result<()> {
        let rank = self.shape(node, self.input(node, 0)?)?.len();
        let first = axis_of(node, node.int("axis", -1), rank)?;
        let scale = self.operand(node, 1)?;
        self.normalised(node, g, &(first..rank).collect::<Vec<_>>(), &scale)
    }

    /// Over all axes behind the channels, then times a scale per channel.
    pub(super) fn instance_norm(&mut self, node: &Node, g: &str) -> Result<()> {
        let rank = self.shape(node, self.input(node, 0)?)?.len();
        let scale = self.operand(node, 1)?;
        let scale = self.per_channel(node, &scale)?;
        self.normalised(node, g, &(2..rank).collect::<Vec<_>>(), &scale)
    }

    /// y = scale n + bias with n = (x - mean) / sqrt(var + eps), mean and variance over `axes`
    /// =>  dx = (h - mean(h) - n mean(h n)) / sqrt(var + eps) with h = g scale.
    fn normalised(&mut self, node: &Node, g: &str, axes: &[usize], scale: &str) -> Result<()> {
        if node.inputs.iter().skip(1).any(|input| self.is_active(input)) {
            return Err(unsupported(node, "its scale or bias depends on the layer"));
        }
        let x = self.x(node)?;
        let mean = self.mean(&x, axes);
        let centred = self.emit("Sub", &[&x, &mean]);
        let squares = self.emit("Mul", &[&centred, &centred]);
        let variance = self.mean(&squares, axes);
        let epsilon = self.scalar(node.float("epsilon", 1e-5));
        let sum = self.emit("Add", &[&variance, &epsilon]);
        let deviation = self.emit("Sqrt", &[&sum]);
        let inverse = self.emit("Reciprocal", &[&deviation]);
        let n = self.emit("Mul", &[&centred, &inverse]);

        let h = self.emit("Mul", &[g, scale]);
        let mean = self.mean(&h, axes);
        let products = self.emit("Mul", &[&h, &n]);
        let along = self.mean(&products, axes);
        let along = self.emit("Mul", &[&n, &along]);
        let rest = self.emit("Sub", &[&h, &mean]);
        let rest = self.emit("Sub", &[&rest, &along]);
        let gradient = self.emit("Mul", &[&rest, &inverse]);
        self.contribute(&x, gradient);
        Ok(())
    }

    /// y = softmax(x)  =>  dx = y (g - sum(g y)).
    pub(super) fn softmax(&mut self, node: &Node, g: &str) -> Result<()> {
        let axes = self.softmax_axes(node)?;
        let y = self.y(node);
        let products = self.emit("Mul", &[g, &y]);
        let sum = self.sum(&products, &axes);
        let rest = self.emit("Sub", &[g, &sum]);
        let gradient = self.emit("Mul", &[&y, &rest]);
        self.contribute(self.input(node, 0)?, gradient);
        Ok(())
    }

    /// y = ln softmax(x)  =>  dx = g - e^y sum(g).
    pub(super) fn log_softmax(&mut self, node: &Node, g: &str) -> Result<()> {
        let axes = self.softmax_axes(node)?;
        let y = self.y(node);
        let share = self.emit("Exp", &[&y]);
        let sum = self.sum(g, &axes);
        let part = self.emit("Mul", &[&share, &sum]);
        let gradient = self.emit("Sub", &[g, &part]);
        self.contribute(self.input(node, 0)?, gradient);
        Ok(())
    }

    /// One axis since operator set 13; before, all from the given one (by default the second) on.
    fn softmax_axes(&self, node: &Node) -> Result<Vec<usize>> {
        let rank = self.shape(node, &node.outputs[0])?.len();
        if self.plan.forward.opset >= 13 {
            return Ok(vec![axis_of(node, node.int("axis", -1), rank)?]);
        }
        Ok((axis_of(node, node.int("axis", 1), rank)?..rank).collect())
    }

    /// A vector with one entry a channel, shaped to broadcast against the node's input.
    fn per_channel(&mut self, node: &Node, vector: &str) -> Result<String> {
        let shape = self.shape(node, self.input(node, 0)?)?;
        let Some(&channels) = shape.get(1) else {
            return Err(unsupported(node, format!("its input, {shape:?}, has no channels")));
        };
        let mut dims = vec![1; shape.len()];
        dims[1] = channels as i64;
        let dims = self.integers(&dims);
        Ok(self.emit("Reshape", &[vector, &dims]))
    }
}

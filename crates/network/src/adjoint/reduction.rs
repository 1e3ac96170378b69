//! Sums, means and maxima over axes.

use super::shape::axis_of;
use super::{Tape, unsupported};
use crate::error::Result;
use crate::graph::Node;

impl Tape<'_> {
    /// Means over all axes behind the channels.
    pub(super) fn global_average_pool(&mut self, node: &Node, g: &str) -> Result<()> {
        let rank = self.shape(node, self.input(node, 0)?)?.len();
        self.spread(node, g, &(2..rank).collect::<Vec<_>>(), true)
    }

    pub(super) fn reduce(&mut self, node: &Node, g: &str) -> Result<()> {
        let input = self.input(node, 0)?;
        let shape = self.shape(node, input)?;
        let Some(axes) = self.reduced_axes(node, shape.len())? else {
            self.contribute(input, g); // nothing is reduced
            return Ok(());
        };
        let g = if node.int("keepdims", 1) == 0 {
            let kept: Vec<usize> = (0..shape.len())
                .map(|axis| if axes.contains(&axis) { 1 } else { shape[axis] })
                .collect();
            self.reshape(g, &kept)
        } else {
            g.to_owned()
        };
        let (zero, one) = (self.scalar(0.0), self.scalar(1.0));
        let slope = match node.operator.as_str() {
            "ReduceMean" => return self.spread(node, &g, &axes, true),
            "ReduceSum" => return self.spread(node, &g, &axes, false),
            "ReduceSumSquare" => {
                let (x, two) = (self.x(node)?, self.scalar(2.0));
                self.emit("Mul", &[&x, &two])
            }
            // x / y, and nothing where all is zero, as in PyTorch
            "ReduceL2" => {
                let x = self.x(node)?;
                let length = self.over("ReduceL2", &x, &axes);
                let some = self.emit("Greater", &[&length, &zero]);
                let divisor = self.emit("Where", &[&some, &length, &one]);
                self.emit("Div", &[&x, &divisor])
            }
            // equals share
            "ReduceMax" | "ReduceMin" => {
                let x = self.x(node)?;
                let best = self.over(&node.operator, &x, &axes);
                let equal = self.emit("Equal", &[&x, &best]);
                let wins = self.emit("Where", &[&equal, &one, &zero]);
                let count = self.sum(&wins, &axes);
                self.emit("Div", &[&wins, &count])
            }
            _ => return Err(unsupported(node, "no rule for this operator")),
        };
        let gradient = self.emit("Mul", &[&g, &slope]);
        self.contribute(input, gradient);
        Ok(())
    }

    /// All of a channel's gradient to the first position that holds its maximum.
    pub(super) fn global_max_pool(&mut self, node: &Node, g: &str) -> Result<()> {
        let input = self.input(node, 0)?;
        let shape = self.shape(node, input)?;
        let channels = shape.get(1).copied().unwrap_or(1);
        let area: usize = shape.iter().skip(2).product();
        let x = self.x(node)?;
        let flat = self.reshape(&x, &[1, channels, area]);
        let mask = self.first_largest(&flat, 2, &[1, 1, area]);
        let g = self.reshape(g, &[1, channels, 1]);
        let zero = self.scalar(0.0);
        let routed = self.emit("Where", &[&mask, &g, &zero]);
        let gradient = self.reshape(&routed, shape);
        self.contribute(input, gradient);
        Ok(())
    }

    /// Every element gets its output's gradient, or its share of it. `g` has size one along `axes`.
    fn spread(&mut self, node: &Node, g: &str, axes: &[usize], shared: bool) -> Result<()> {
        let input = self.input(node, 0)?;
        let shape = self.shape(node, input)?;
        let dims: Vec<usize> = (0..shape.len())
            .map(|axis| if axes.contains(&axis) { shape[axis] } else { 1 })
            .collect();
        let count = dims.iter().product();
        let value = if shared { 1.0 / count as f32 } else { 1.0 };
        let share = self.floats("share", &dims, &vec![value; count]);
        let gradient = self.emit("Mul", &[g, &share]);
        self.contribute(input, gradient);
        Ok(())
    }

    /// The axes that a node reduces, or `None` if it leaves its input as it is.
    fn reduced_axes(&self, node: &Node, rank: usize) -> Result<Option<Vec<usize>>> {
        let axes = self.setting(node, "axes", 1)?.unwrap_or_default();
        if axes.is_empty() {
            return if node.int("noop_with_empty_axes", 0) != 0 {
                Ok(None)
            } else {
                Err(unsupported(node, "it reduces all axes, that of the batch as well"))
            };
        }
        axes.iter().map(|&axis| axis_of(node, axis, rank)).collect::<Result<_>>().map(Some)
    }
}

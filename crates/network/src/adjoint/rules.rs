//! The adjoint of each operator: from the gradient of its output to those of its inputs.

use super::{Tape, unsupported};
use crate::error::Result;
use crate::graph::Node;

impl<'g> Tape<'g> {
    /// Emits the gradients that `node` passes on to its inputs, given that of its output.
    pub fn differentiate(&mut self, node: &'g Node) -> Result<()> {
        for output in node.outputs.iter().filter(|output| self.is_active(output)) {
            let shape = self.shape(node, output)?;
            if shape.first() != Some(&1) {
                let detail =
                    format!("its output, {shape:?}, does not keep the batch as its first axis");
                return Err(unsupported(node, detail));
            }
        }
        let Some(output) = node.outputs.first() else { return Ok(()) };
        let Some(g) = self.total(output) else { return Ok(()) };
        if node.outputs.iter().skip(1).any(|output| self.is_active(output)) {
            return Err(unsupported(node, "the logits depend on its further outputs"));
        }
        let g = g.as_str();
        match node.operator.as_str() {
            "Identity" | "Dropout" => {
                self.contribute(self.input(node, 0)?, g);
                Ok(())
            }
            "Add" | "Sum" => self.add(node, g),
            "Mul" => self.mul(node, g),
            "Relu" => self.relu(node, g),
            "Concat" => self.concat(node, g),
            "Flatten" | "Reshape" => self.reshaped(node, g),
            "Gemm" => self.gemm(node, g),
            "MatMul" => self.mat_mul(node, g),
            "GlobalAveragePool" => self.global_average_pool(node, g),
            "AveragePool" => self.average_pool(node, g),
            "MaxPool" => self.max_pool(node, g),
            "BatchNormalization" => self.batch_norm(node, g),
            "Conv" => self.conv(node, g),
            _ => Err(unsupported(node, "no rule for this operator")),
        }
    }

    /// y = max(x, 0)  =>  dx = g where y > 0.
    fn relu(&mut self, node: &Node, g: &str) -> Result<()> {
        let y = self.save(&node.outputs[0]);
        let zero = self.scalar(0.0);
        let open = self.emit("Greater", &[&y, &zero]);
        let masked = self.emit("Where", &[&open, g, &zero]);
        self.contribute(self.input(node, 0)?, masked);
        Ok(())
    }

    /// y = (x - mean) s + bias with s = scale / sqrt(var + eps) per channel  =>  dx = g s.
    fn batch_norm(&mut self, node: &Node, g: &str) -> Result<()> {
        let input = self.input(node, 0)?;
        let shape = self.shape(node, input)?;
        let (scale, variance) = (self.operand(node, 1)?, self.operand(node, 4)?);
        let epsilon = self.scalar(node.float("epsilon", 1e-5));
        let sum = self.emit("Add", &[&variance, &epsilon]);
        let deviation = self.emit("Sqrt", &[&sum]);
        let slope = self.emit("Div", &[&scale, &deviation]);
        let mut dims = vec![1; shape.len()];
        if let (Some(dim), Some(&channels)) = (dims.get_mut(1), shape.get(1)) {
            *dim = channels as i64;
        }
        let dims = self.integers(&dims);
        let slope = self.emit("Reshape", &[&slope, &dims]);
        let gradient = self.emit("Mul", &[g, &slope]);
        self.contribute(input, gradient);
        Ok(())
    }
}

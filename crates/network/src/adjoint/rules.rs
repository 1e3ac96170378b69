//! Which rule is whose: from the gradient of a node's output to those of its inputs.

use super::{Tape, unsupported};
use crate::error::Result;
use crate::graph::Node;

impl Tape<'_> {
    /// Emits the gradients that `node` passes on to its inputs, given those of its outputs.
    pub(super) fn differentiate(&mut self, node: &Node) -> Result<()> {
        for output in node.outputs.iter().filter(|output| self.is_active(output)) {
            let shape = self.shape(node, output)?;
            if shape.first() != Some(&1) {
                return Err(unsupported(
                    node,
                    format!("its output, {shape:?}, does not keep the batch of one as first axis"),
                ));
            }
        }
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            return Err(unsupported(node, format!("it is of {}", node.domain)));
        }
        if node.operator == "Split" {
            return self.split(node);
        }
        let Some(output) = node.outputs.first() else { return Ok(()) };
        if node.outputs.iter().skip(1).any(|output| self.is_active(output)) {
            return Err(unsupported(node, "the logits depend on its further outputs"));
        }
        let Some(g) = self.total(output) else { return Ok(()) };
        let g = g.as_str();
        match node.operator.as_str() {
            "Identity" | "Dropout" => {
                self.contribute(self.input(node, 0)?, g);
                Ok(())
            }
            "Relu" => self.relu(node, g),
            "Clip" => self.clip(node, g),
            "Add" | "Sum" => self.add(node, g),
            "Sub" => self.sub(node, g),
            "Mul" => self.mul(node, g),
            "Div" => self.div(node, g),
            "Pow" => self.pow(node, g),
            "Max" | "Min" => self.extreme(node, g),
            "Where" => self.choose(node, g),
            "Neg" => {
                let gradient = self.emit("Neg", &[g]);
                self.contribute(self.input(node, 0)?, gradient);
                Ok(())
            }
            "Conv" => self.conv(node, g),
            "ConvTranspose" => self.conv_transpose(node, g),
            "Gemm" => self.gemm(node, g),
            "MatMul" => self.mat_mul(node, g),
            "BatchNormalization" => self.batch_norm(node, g),
            "LayerNormalization" => self.layer_norm(node, g),
            "InstanceNormalization" => self.instance_norm(node, g),
            "Softmax" => self.softmax(node, g),
            "LogSoftmax" => self.log_softmax(node, g),
            "MaxPool" => self.max_pool(node, g),
            "AveragePool" => self.average_pool(node, g),
            "GlobalAveragePool" => self.global_average_pool(node, g),
            "GlobalMaxPool" => self.global_max_pool(node, g),
            "ReduceMean" | "ReduceSum" | "ReduceSumSquare" | "ReduceL2" | "ReduceMax"
            | "ReduceMin" => self.reduce(node, g),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => self.reshaped(node, g),
            "Transpose" => self.transpose(node, g),
            "Concat" => self.concat(node, g),
            "Slice" => self.sliced(node, g),
            "Gather" => self.gather(node, g),
            "Pad" => self.padded(node, g),
            "Expand" => self.expand(node, g),
            "Cast" => self.cast(node, g),
            _ if self.activation(node, g)? => Ok(()),
            _ => Err(unsupported(node, "no rule for this operator")),
        }
    }
}

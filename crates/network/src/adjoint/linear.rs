//! Matrix products.

use super::{Tape, unsupported};
use crate::error::Result;
use crate::graph::{Node, float, int, signed};

impl Tape<'_> {
    /// y = alpha x W + beta c, W perhaps transposed  =>  dx = alpha g W^T.
    pub(super) fn gemm(&mut self, node: &Node, g: &str) -> Result<()> {
        if node.int("transA", 0) != 0 {
            return Err(unsupported(node, "transA is set: its first operand is transposed"));
        }
        if node.inputs.iter().skip(1).any(|input| self.is_active(input)) {
            return Err(unsupported(node, "its weight or bias depends on the layer"));
        }
        let weight = self.operand(node, 1)?;
        let flip = i64::from(node.int("transB", 0) == 0);
        let mut settings = vec![int("transB", flip)];
        let alpha = node.float("alpha", 1.0);
        if alpha != 1.0 {
            settings.push(float("alpha", alpha));
        }
        let gradient = self.emit_with("Gemm", &[g, &weight], settings);
        self.contribute(self.input(node, 0)?, gradient);
        Ok(())
    }

    /// y = a b  =>  da = g b^T, db = a^T g, in matrices of the last two axes.
    pub(super) fn mat_mul(&mut self, node: &Node, g: &str) -> Result<()> {
        let (a, b) = (self.input(node, 0)?, self.input(node, 1)?);
        let (a_shape, b_shape) = (self.shape(node, a)?, self.shape(node, b)?);
        if a_shape.len() < 2 || b_shape.len() < 2 {
            return Err(unsupported(node, "one of its operands is a vector"));
        }
        if self.is_active(a) {
            let other = self.operand(node, 1)?;
            let gradient = if let [_, columns] = *b_shape {
                // one product for all rows; the engine reads a transposed weight in place
                let rows = self.matrix(g, a_shape, columns);
                let flip = vec![int("transB", 1)];
                let product = self.emit_with("Gemm", &[&rows, &other], flip);
                if a_shape.len() == 2 { product } else { self.reshape(&product, a_shape) }
            } else {
                let flipped = self.transposed(&other, b_shape.len());
                self.emit("MatMul", &[g, &flipped])
            };
            self.contribute_broadcast(node, a, gradient)?;
        }
        if self.is_active(b) {
            let other = self.operand(node, 0)?;
            let flipped = self.transposed(&other, a_shape.len());
            let gradient = self.emit("MatMul", &[&flipped, g]);
            self.contribute_broadcast(node, b, gradient)?;
        }
        Ok(())
    }

    /// A gradient of an operand of this shape as a matrix with so many columns.
    fn matrix(&mut self, g: &str, shape: &[usize], columns: usize) -> String {
        if shape.len() == 2 {
            return g.to_owned();
        }
        let dims = self.integers(&[-1, columns as i64]);
        self.emit("Reshape", &[g, &dims])
    }

    fn transposed(&mut self, value: &str, rank: usize) -> String {
        let mut order: Vec<i64> = (0..rank as i64).collect();
        order.swap(rank - 2, rank - 1);
        self.emit_with("Transpose", &[value], vec![signed("perm", &order)])
    }
}

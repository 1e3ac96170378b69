//! Functions of one value, element by element: y = f(x)  =>  dx = g f'(x).
//!
//! The slope f'(x) is computed once for all questions, from the input or from the output, whichever
//! gives the shorter formula. Where f has a kink the slope is the one that PyTorch takes.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

use super::{Tape, unsupported};
use crate::error::Result;
use crate::graph::{Node, Setting};

impl Tape<'_> {
    /// Multiplies the gradient by the slope of the node's function; false if it is not one of these.
    pub(super) fn activation(&mut self, node: &Node, g: &str) -> Result<bool> {
        let Some(slope) = self.slope(node)? else { return Ok(false) };
        let gradient = self.emit("Mul", &[g, &slope]);
        self.contribute(self.input(node, 0)?, gradient);
        Ok(true)
    }

    fn slope(&mut self, node: &Node) -> Result<Option<String>> {
        let one = self.scalar(1.0);
        let slope = match node.operator.as_str() {
            "LeakyRelu" => {
                let x = self.x(node)?;
                let low = self.scalar(node.float("alpha", 0.01));
                self.where_positive(&x, &one, &low)
            }
            "PRelu" => {
                if self.is_active(self.input(node, 1)?) {
                    return Err(unsupported(node, "its slope depends on the layer"));
                }
                let (x, low) = (self.x(node)?, self.operand(node, 1)?);
                self.where_positive(&x, &one, &low)
            }
            // f'(x) = alpha e^x = y + alpha below zero
            "Elu" => {
                let y = self.y(node);
                let alpha = self.scalar(node.float("alpha", 1.0));
                let low = self.emit("Add", &[&y, &alpha]);
                self.where_positive(&y, &one, &low)
            }
            "Selu" => {
                let y = self.y(node);
                let (alpha, gamma) =
                    (node.float("alpha", 1.673_263_2), node.float("gamma", 1.050_701));
                let (scaled, gamma) = (self.scalar(alpha * gamma), self.scalar(gamma));
                let low = self.emit("Add", &[&y, &scaled]);
                self.where_positive(&y, &gamma, &low)
            }
            "Sigmoid" => {
                let y = self.y(node);
                self.sigmoid_slope(&y)
            }
            "Tanh" => {
                let y = self.y(node);
                self.tanh_slope(&y)
            }
            "Softplus" => {
                let x = self.x(node)?;
                self.emit("Sigmoid", &[&x])
            }
            "Softsign" => {
                let x = self.x(node)?;
                let size = self.emit("Abs", &[&x]);
                let sum = self.emit("Add", &[&size, &one]);
                let square = self.emit("Mul", &[&sum, &sum]);
                self.emit("Reciprocal", &[&square])
            }
            // y = x tanh(ln(1 + e^x))
            "Mish" => {
                let x = self.x(node)?;
                let soft = self.emit("Softplus", &[&x]);
                let t = self.emit("Tanh", &[&soft]);
                let rise = self.tanh_slope(&t);
                let s = self.emit("Sigmoid", &[&x]);
                let rise = self.emit("Mul", &[&rise, &s]);
                let rise = self.emit("Mul", &[&x, &rise]);
                self.emit("Add", &[&t, &rise])
            }
            // y = x s with s = sigmoid(alpha x)
            "Swish" => {
                let x = self.x(node)?;
                let alpha = self.scalar(node.float("alpha", 1.0));
                let scaled = self.emit("Mul", &[&x, &alpha]);
                let s = self.emit("Sigmoid", &[&scaled]);
                let rise = self.sigmoid_slope(&s);
                let rise = self.emit("Mul", &[&scaled, &rise]);
                self.emit("Add", &[&s, &rise])
            }
            "HardSigmoid" => {
                let y = self.y(node);
                let (zero, alpha) = (self.scalar(0.0), self.scalar(node.float("alpha", 0.2)));
                let above = self.emit("Greater", &[&y, &zero]);
                let below = self.emit("Less", &[&y, &one]);
                let between = self.emit("And", &[&above, &below]);
                self.emit("Where", &[&between, &alpha, &zero])
            }
            // x / 3 + 1 / 2 between -3 and 3
            "HardSwish" => {
                let x = self.x(node)?;
                let (zero, low, high) = (self.scalar(0.0), self.scalar(-3.0), self.scalar(3.0));
                let (third, half) = (self.scalar(1.0 / 3.0), self.scalar(0.5));
                let line = self.emit("Mul", &[&x, &third]);
                let line = self.emit("Add", &[&line, &half]);
                let above = self.emit("Greater", &[&x, &low]);
                let line = self.emit("Where", &[&above, &line, &zero]);
                let below = self.emit("Less", &[&x, &high]);
                self.emit("Where", &[&below, &line, &one])
            }
            "Gelu" if node.text("approximate") == Some("tanh") => self.tanh_gelu_slope(node)?,
            "Gelu" => self.gelu_slope(node)?,
            "Erf" => {
                let x = self.x(node)?;
                let square = self.emit("Mul", &[&x, &x]);
                let bell = self.emit("Neg", &[&square]);
                let bell = self.emit("Exp", &[&bell]);
                let factor = self.scalar(FRAC_2_SQRT_PI);
                self.emit("Mul", &[&bell, &factor])
            }
            "Exp" => self.y(node),
            "Log" => {
                let x = self.x(node)?;
                self.emit("Reciprocal", &[&x])
            }
            "Sqrt" => {
                let y = self.y(node);
                let half = self.scalar(0.5);
                self.emit("Div", &[&half, &y])
            }
            "Reciprocal" => {
                let y = self.y(node);
                let square = self.emit("Mul", &[&y, &y]);
                self.emit("Neg", &[&square])
            }
            "Abs" => {
                // engines disagree on the sign of zero
                let x = self.x(node)?;
                let (zero, minus) = (self.scalar(0.0), self.scalar(-1.0));
                let negative = self.emit("Less", &[&x, &zero]);
                let low = self.emit("Where", &[&negative, &minus, &zero]);
                self.where_positive(&x, &one, &low)
            }
            _ => return Ok(None),
        };
        Ok(Some(slope))
    }

    /// y = max(x, 0)  =>  dx = g where y > 0.
    pub(super) fn relu(&mut self, node: &Node, g: &str) -> Result<()> {
        let y = self.y(node);
        let zero = self.scalar(0.0);
        let open = self.emit("Greater", &[&y, &zero]);
        let open = self.ones_where(&open);
        let masked = self.emit("Mul", &[g, &open]);
        self.contribute(self.input(node, 0)?, masked);
        Ok(())
    }

    /// y = min(max(x, low), high)  =>  dx = g where low < y < high. (At the bounds themselves PyTorch's
    /// ReLU6 has slope zero and its clamp slope one; ONNX writes both as Clip.)
    pub(super) fn clip(&mut self, node: &Node, g: &str) -> Result<()> {
        let y = self.y(node);
        let mut open: Option<String> = None;
        for (position, name, comparison) in [(1, "min", "Greater"), (2, "max", "Less")] {
            let bound = if let Some(Setting::Float(value)) = node.setting(name) {
                self.scalar(*value)
            } else if let Ok(input) = self.input(node, position) {
                if self.is_active(input) {
                    return Err(unsupported(node, format!("its {name} depends on the layer")));
                }
                self.operand(node, position)?
            } else {
                continue;
            };
            let inside = self.emit(comparison, &[&y, &bound]);
            open = Some(match open {
                Some(other) => self.emit("And", &[&other, &inside]),
                None => inside,
            });
        }
        let masked = match open {
            Some(open) => {
                let open = self.ones_where(&open);
                self.emit("Mul", &[g, &open])
            }
            None => g.to_owned(),
        };
        self.contribute(self.input(node, 0)?, masked);
        Ok(())
    }

    /// y = x F(x), F the normal distribution and f its density  =>  slope F + x f.
    fn gelu_slope(&mut self, node: &Node) -> Result<String> {
        let x = self.x(node)?;
        let (half, one, root) = (self.scalar(0.5), self.scalar(1.0), self.scalar(FRAC_1_SQRT_2));
        let scaled = self.emit("Mul", &[&x, &root]);
        let erf = self.emit("Erf", &[&scaled]);
        let sum = self.emit("Add", &[&erf, &one]);
        let distribution = self.emit("Mul", &[&sum, &half]);
        let square = self.emit("Mul", &[&scaled, &scaled]);
        let density = self.emit("Neg", &[&square]);
        let density = self.emit("Exp", &[&density]);
        let norm = self.scalar(1.0 / (2.0 * PI).sqrt());
        let density = self.emit("Mul", &[&density, &norm]);
        let rise = self.emit("Mul", &[&x, &density]);
        Ok(self.emit("Add", &[&distribution, &rise]))
    }

    /// y = x (1 + t) / 2, t = tanh(k (x + c x^3))  =>  slope (1 + t) / 2 + x (1 - t^2) k (1 + 3 c x^2) / 2.
    fn tanh_gelu_slope(&mut self, node: &Node) -> Result<String> {
        const C: f32 = 0.044_715;
        let x = self.x(node)?;
        let (one, half) = (self.scalar(1.0), self.scalar(0.5));
        let (k, c, c3) = (self.scalar((2.0 / PI).sqrt()), self.scalar(C), self.scalar(3.0 * C));
        let square = self.emit("Mul", &[&x, &x]);
        let inner = self.emit("Mul", &[&square, &c]);
        let inner = self.emit("Add", &[&inner, &one]);
        let inner = self.emit("Mul", &[&inner, &x]);
        let inner = self.emit("Mul", &[&inner, &k]);
        let t = self.emit("Tanh", &[&inner]);
        let sum = self.emit("Add", &[&t, &one]);
        let rise = self.emit("Mul", &[&square, &c3]);
        let rise = self.emit("Add", &[&rise, &one]);
        let rise = self.emit("Mul", &[&rise, &k]);
        let rise = self.emit("Mul", &[&rise, &x]);
        let steep = self.tanh_slope(&t);
        let rise = self.emit("Mul", &[&rise, &steep]);
        let sum = self.emit("Add", &[&sum, &rise]);
        Ok(self.emit("Mul", &[&sum, &half]))
    }

    /// y (1 - y)
    fn sigmoid_slope(&mut self, y: &str) -> String {
        let one = self.scalar(1.0);
        let rest = self.emit("Sub", &[&one, y]);
        self.emit("Mul", &[y, &rest])
    }

    /// 1 - y^2
    fn tanh_slope(&mut self, y: &str) -> String {
        let one = self.scalar(1.0);
        let square = self.emit("Mul", &[y, y]);
        self.emit("Sub", &[&one, &square])
    }

    fn where_positive(&mut self, value: &str, then: &str, otherwise: &str) -> String {
        let zero = self.scalar(0.0);
        let positive = self.emit("Greater", &[value, &zero]);
        self.emit("Where", &[&positive, then, otherwise])
    }

    /// The node's input, saved.
    pub(super) fn x(&mut self, node: &Node) -> Result<String> {
        let input = self.input(node, 0)?;
        Ok(self.save(input))
    }

    /// The node's output, saved.
    pub(super) fn y(&mut self, node: &Node) -> String {
        self.save(&node.outputs[0])
    }
}

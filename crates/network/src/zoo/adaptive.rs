//! Adaptive average pooling, for which ONNX has no operator.

use super::builder::Builder;
use crate::graph::int;

impl Builder<'_> {
    /// Average pooling to `size` x `size` whatever the input's height H and width W, as PyTorch's
    /// `AdaptiveAvgPool2d`: window i of `n` reaches from `floor(i H / n)` to `ceil((i + 1) H / n)`
    /// (end excluded). Windows overlap where n does not divide H, and repeat where H is smaller.
    ///
    /// A window's mean is linear along each axis, so the whole is `P_H x P_W^T` for every channel, with
    /// averaging matrices P (n x H, every row sums to one) that are computed from the value's shape
    /// when the graph runs. For H = n they are the identity, and the product is exact.
    pub fn adaptive_average_pool(&mut self, module: &str, x: &str, size: usize) -> String {
        let part = |name: &str| format!("{module}/{name}");
        let integers = |b: &mut Self, name: &str, dims: &[usize], values: &[i64]| {
            let name = part(name);
            b.graph.integers(&name, dims, values);
            name
        };
        let n = size as i64;
        let index: Vec<i64> = (0..n).collect();
        let next: Vec<i64> = (1..=n).collect();
        let index = integers(self, "index", &[size, 1], &index);
        let next = integers(self, "next", &[size, 1], &next);
        let count = integers(self, "count", &[], &[n]);
        let round_up = integers(self, "round_up", &[], &[n - 1]);
        let zero = integers(self, "zero", &[], &[0]);
        let one = integers(self, "one", &[], &[1]);
        let last = integers(self, "last", &[1], &[-1]);

        let shape = self.value("Shape", &part("shape"), &[x], Vec::new());
        let mut averages = Vec::new();
        for (axis, name) in [(2, "height"), (3, "width")] {
            let part = |what: &str| format!("{module}/{name}/{what}");
            let which = integers(self, &format!("{name}/axis"), &[], &[axis]);
            let mut emit = |operator: &str, what: &str, inputs: &[&str], attributes| {
                self.value(operator, &part(what), inputs, attributes)
            };
            let length = emit("Gather", "length", &[&shape, &which], vec![int("axis", 0)]);
            let places = emit("Range", "places", &[&zero, &length, &one], Vec::new());
            let start = emit("Mul", "start", &[&index, &length], Vec::new());
            let start = emit("Div", "first", &[&start, &count], Vec::new());
            let end = emit("Mul", "end", &[&next, &length], Vec::new());
            let end = emit("Add", "end_up", &[&end, &round_up], Vec::new());
            let end = emit("Div", "past", &[&end, &count], Vec::new());
            let begun = emit("GreaterOrEqual", "begun", &[&places, &start], Vec::new());
            let open = emit("Less", "open", &[&places, &end], Vec::new());
            let within = emit("And", "within", &[&begun, &open], Vec::new());
            let window = emit("Cast", "window", &[&within], vec![int("to", FLOAT)]);
            let area = emit("ReduceSum", "area", &[&window, &last], vec![int("keepdims", 1)]);
            averages.push(emit("Div", "average", &[&window, &area], Vec::new()));
        }
        let transposed = self.value("Transpose", &part("columns"), &[&averages[1]], Vec::new());
        let rows = self.value("MatMul", &part("rows"), &[x, &transposed], Vec::new());
        self.module("MatMul", module, &[&averages[0], &rows], Vec::new())
    }
}

/// ONNX's number for the element type float32.
const FLOAT: i64 = 1;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::borrow::Cow;

    use ndarray::{Array4, s};

    use super::super::builder::{Builder, Source};
    use crate::common::uniform;
    use crate::runtime::{Engine, LoadOptions, Runtime};

    fn pooling(channels: usize, size: usize) -> Engine {
        let mut b = Builder::new("test", Source::Shapes { classes: 1, channels });
        let x = b.input(channels);
        let y = b.adaptive_average_pool("avgpool", &x, size);
        Runtime::new(Cow::Borrowed(&[])).load(&b.graph, &[&y], LoadOptions::default()).unwrap()
    }

    fn run(engine: &Engine, x: &Array4<f32>) -> Array4<f32> {
        let y = engine.run(&[x.view().into_dyn()]).unwrap().remove(0);
        y.into_dimensionality().unwrap()
    }

    fn values(shape: (usize, usize, usize, usize)) -> Array4<f32> {
        let mut noise = uniform("adaptive");
        Array4::from_shape_simple_fn(shape, || noise.next().unwrap() as f32 - 0.5)
    }

    #[test]
    fn every_window_is_a_mean_at_any_size() {
        let engine = pooling(3, 7);
        let sizes = [(1, 1), (3, 5), (6, 8), (7, 13), (10, 9), (14, 21), (40, 2)];
        for (height, width) in sizes {
            let x = values((2, 3, height, width));
            let y = run(&engine, &x);
            assert_eq!(y.dim(), (2, 3, 7, 7));
            let window = |i: usize, length: usize| i * length / 7..((i + 1) * length).div_ceil(7);
            for ((n, c, i, j), &found) in y.indexed_iter() {
                let part = x.slice(s![n, c, window(i, height), window(j, width)]);
                let expected = part.mean().unwrap();
                assert!((found - expected).abs() < 1e-6, "{height} x {width}: {found}, {expected}");
            }
        }
    }

    #[test]
    fn nothing_changes_where_the_size_is_right() {
        let x = values((1, 512, 7, 7));
        assert_eq!(run(&pooling(512, 7), &x), x);
    }
}

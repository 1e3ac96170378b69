//! The few operators on shapes and indices that graphs of the zoo compute with, before anything runs.

use burn_tensor::{Device, Tensor, TensorData};
use introspective_network::Operation;

/// Numbers that do not depend on the pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    dims: Vec<usize>,
    values: Vec<f64>,
    whole: bool,
}

impl Constant {
    /// Integers of this shape.
    pub fn integers(dims: &[usize], values: &[i64]) -> Self {
        let values = values.iter().map(|&v| v as f64).collect();
        Self { dims: dims.to_vec(), values, whole: true }
    }

    /// Its shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// A matrix to multiply feature maps with.
    pub fn tensor(&self, device: &Device) -> Tensor<4> {
        let values: Vec<f32> = self.values.iter().map(|&v| v as f32).collect();
        let [a, b] = self.dims[..] else {
            unreachable!("the writer made sure that it is a matrix")
        };
        Tensor::from_data(TensorData::new(values, [1, 1, a, b]), device)
    }

    /// What an operator makes of constants; `None` for one that is not known, or wrong inputs.
    pub fn compute(node: Operation<'_>, inputs: &[Self]) -> Option<Self> {
        let first = inputs.first()?;
        let boolean = |yes: bool| f64::from(u8::from(yes));
        match (node.operator(), inputs) {
            ("Gather", [values, index]) => {
                let index = *index.values.first()? as usize;
                Some(Self {
                    dims: Vec::new(),
                    values: vec![*values.values.get(index)?],
                    whole: values.whole,
                })
            }
            ("Range", [start, end, step]) => {
                let (start, end, step) =
                    (start.values.first()?, end.values.first()?, step.values.first()?);
                let count = ((end - start) / step).ceil().max(0.0) as usize;
                let values = (0..count).map(|i| start + step * i as f64).collect();
                Some(Self { dims: vec![count], values, whole: first.whole })
            }
            ("Add", [a, b]) => a.each(b, |a, b| a + b),
            ("Mul", [a, b]) => a.each(b, |a, b| a * b),
            ("Div", [a, b]) if a.whole && b.whole => a.each(b, |a, b| (a / b).trunc()),
            ("Div", [a, b]) => a.each(b, |a, b| a / b),
            ("GreaterOrEqual", [a, b]) => a.each(b, |a, b| boolean(a >= b)),
            ("Less", [a, b]) => a.each(b, |a, b| boolean(a < b)),
            ("And", [a, b]) => a.each(b, |a, b| boolean(a != 0.0 && b != 0.0)),
            // the one conversion that occurs: to float32
            ("Cast", [x]) => Some(Self { whole: false, ..x.clone() }),
            ("ReduceSum", [x, _]) => {
                let (&last, rest) = x.dims.split_last()?;
                let values = x.values.chunks(last.max(1)).map(|row| row.iter().sum()).collect();
                let dims = rest.iter().copied().chain([1]).collect();
                Some(Self { dims, values, whole: x.whole })
            }
            ("Transpose", [x]) => {
                let [rows, columns] = x.dims[..] else { return None };
                let values = (0..columns)
                    .flat_map(|column| (0..rows).map(move |row| x.values[row * columns + column]))
                    .collect();
                Some(Self { dims: vec![columns, rows], values, whole: x.whole })
            }
            _ => None,
        }
    }

    /// An operation on each pair of numbers, axes of length 1 repeated.
    fn each(&self, other: &Self, operation: impl Fn(f64, f64) -> f64) -> Option<Self> {
        let rank = self.dims.len().max(other.dims.len());
        let padded = |dims: &[usize]| {
            let mut all = vec![1; rank - dims.len()];
            all.extend(dims);
            all
        };
        let (a, b) = (padded(&self.dims), padded(&other.dims));
        let dims: Option<Vec<usize>> = a
            .iter()
            .zip(&b)
            .map(|(&a, &b)| {
                if a == b || b == 1 {
                    Some(a)
                } else if a == 1 {
                    Some(b)
                } else {
                    None
                }
            })
            .collect();
        let dims = dims?;
        let total: usize = dims.iter().product();
        let place = |index: usize, own: &[usize]| {
            let (mut rest, mut place, mut step) = (index, 0, 1);
            for (&length, &own) in dims.iter().zip(own).rev() {
                if own > 1 {
                    place += rest % length * step;
                }
                step *= own;
                rest /= length;
            }
            place
        };
        let values = (0..total)
            .map(|i| {
                Some(operation(*self.values.get(place(i, &a))?, *other.values.get(place(i, &b))?))
            })
            .collect::<Option<_>>()?;
        Some(Self { dims, values, whole: self.whole && other.whole })
    }
}

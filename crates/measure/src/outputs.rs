//! What a classifier said, checked once: probabilities, their logarithms, predictions.

use ndarray::{Array2, ArrayView1, ArrayView2};

use crate::MeasureError;

/// What a classifier said about n images, n x N.
///
/// All metrics of this crate take either form. Nothing is guessed from the values: softmax outputs that are passed as
/// logits would be pressed flat by a second softmax.
#[derive(Clone, Copy, Debug)]
pub enum Outputs<'a> {
    /// Logits z: any finite values. `p_c = exp(z_c) / sum_i exp(z_i)`, so log-probabilities are logits, too.
    Logits(ArrayView2<'a, f32>),
    /// Probabilities p: from 0 to 1, summing to 1 within 0.001 in each row; used as they are.
    Probabilities(ArrayView2<'a, f32>),
}

/// `p_ic = exp(z_ic) / sum_j exp(z_ij)` in double precision, n x N; finite for all finite logits.
///
/// # Errors
/// No images or classes, or a value that is not finite.
///
/// ```
/// let p = introspective_measure::softmax(ndarray::array![[1000.0, 1000.0, -1000.0]].view())?;
/// assert_eq!(p, ndarray::array![[0.5, 0.5, 0.0]]);
/// # Ok::<(), introspective_measure::MeasureError>(())
/// ```
pub fn softmax(logits: ArrayView2<'_, f32>) -> Result<Array2<f64>, MeasureError> {
    let checked = Checked::new(Outputs::Logits(logits))?;
    Ok(Array2::from_shape_fn(logits.dim(), |(row, class)| checked.probability(row, class)))
}

/// Outputs that were looked at once: finite, and with what softmax needs of every row.
pub(crate) struct Checked<'a> {
    values: ArrayView2<'a, f32>,
    /// Largest logit and `sum exp(z - largest)` of each row; empty if the values are probabilities.
    normalisers: Vec<(f64, f64)>,
}

impl<'a> Checked<'a> {
    pub(crate) fn new(outputs: Outputs<'a>) -> Result<Self, MeasureError> {
        let (values, what) = match outputs {
            Outputs::Logits(values) => (values, "logit"),
            Outputs::Probabilities(values) => (values, "probability"),
        };
        let (rows, classes) = values.dim();
        if rows == 0 || classes == 0 {
            return Err(MeasureError::Empty { rows, classes });
        }
        for (row, line) in values.outer_iter().enumerate() {
            if let Some(column) = line.iter().position(|value| !value.is_finite()) {
                let value = f64::from(line[column]);
                return Err(MeasureError::NotFinite { what, row, column, value });
            }
        }
        let normalisers = match outputs {
            Outputs::Logits(_) => values.outer_iter().map(normaliser).collect(),
            Outputs::Probabilities(_) => {
                for (row, line) in values.outer_iter().enumerate() {
                    check_distribution(row, line)?;
                }
                Vec::new()
            }
        };
        Ok(Self { values, normalisers })
    }

    /// The outputs and the labels that belong to them.
    pub(crate) fn with_labels(
        outputs: Outputs<'a>,
        labels: &[usize],
    ) -> Result<Self, MeasureError> {
        let checked = Self::new(outputs)?;
        let (expected, classes) = checked.values.dim();
        if labels.len() != expected {
            return Err(MeasureError::Lengths { what: "labels", found: labels.len(), expected });
        }
        if let Some(row) = labels.iter().position(|label| *label >= classes) {
            return Err(MeasureError::Label { row, label: labels[row], classes });
        }
        Ok(checked)
    }

    pub(crate) fn images(&self) -> usize {
        self.values.nrows()
    }

    pub(crate) fn classes(&self) -> usize {
        self.values.ncols()
    }

    pub(crate) fn row(&self, row: usize) -> ArrayView1<'_, f32> {
        self.values.row(row)
    }

    pub(crate) fn probability(&self, row: usize, class: usize) -> f64 {
        let value = f64::from(self.values[(row, class)]);
        match self.normalisers.get(row) {
            Some((highest, sum)) => (value - highest).exp() / sum,
            None => value,
        }
    }

    /// `-ln p`; infinite only if a probability was given as zero.
    pub(crate) fn surprise(&self, row: usize, class: usize) -> f64 {
        let value = f64::from(self.values[(row, class)]);
        match self.normalisers.get(row) {
            Some((highest, sum)) => (highest - value) + sum.ln(),
            None => -value.ln(),
        }
    }

    /// The class with the largest value; the first among equals.
    pub(crate) fn prediction(&self, row: usize) -> usize {
        let mut best = 0;
        let line = self.row(row);
        for (class, value) in line.iter().enumerate() {
            if *value > line[best] {
                best = class;
            }
        }
        best
    }

    /// How many classes stand before `class`: those with a larger value, and those before it with the same.
    pub(crate) fn rank(&self, row: usize, class: usize) -> usize {
        let line = self.row(row);
        let value = line[class];
        let before = |(other, v): (usize, &f32)| *v > value || (*v == value && other < class);
        line.iter().enumerate().filter(|entry| before(*entry)).count()
    }
}

fn normaliser(line: ArrayView1<'_, f32>) -> (f64, f64) {
    let highest = f64::from(line.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    (highest, line.iter().map(|z| (f64::from(*z) - highest).exp()).sum())
}

fn check_distribution(row: usize, line: ArrayView1<'_, f32>) -> Result<(), MeasureError> {
    if let Some(column) = line.iter().position(|p| !(0.0..=1.0).contains(p)) {
        return Err(MeasureError::NotAProbability { row, column, value: line[column] });
    }
    let sum: f64 = line.iter().map(|p| f64::from(*p)).sum();
    if (sum - 1.0).abs() > 1e-3 {
        return Err(MeasureError::NotADistribution { row, sum });
    }
    Ok(())
}

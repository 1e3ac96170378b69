//! What the second stage reads of a classifier: penultimate features and logits of many images.

mod file;

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::error::{ReflectError, Result};

/// The classifier's last linear layer: `z = W h + b`.
#[derive(Clone, Debug, PartialEq)]
pub struct LastLayer {
    /// W, N x d.
    pub weight: Array2<f32>,
    /// b, N.
    pub bias: Array1<f32>,
}

/// h and z of n images, and what is known about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// Penultimate features, n x d.
    pub h: Array2<f32>,
    /// Logits, n x N.
    pub z: Array2<f32>,
    /// True classes, n; empty if they are not known.
    pub labels: Vec<usize>,
    /// Images that neither the classifier nor the head was trained on, n; empty if that is not known.
    pub held_out: Vec<bool>,
    /// The last layer, if it is known and linear.
    pub last_layer: Option<LastLayer>,
    /// Names of the classes, N.
    pub names: Option<Vec<String>>,
}

impl LastLayer {
    /// `z = h W' + b`, n x N.
    pub fn logits(&self, h: ArrayView2<'_, f32>) -> Array2<f32> {
        crate::gemm::product(h, self.weight.t()) + &self.bias
    }
}

impl Features {
    /// Features with nothing but h and z known, checked.
    ///
    /// # Errors
    /// As [`Features::check`].
    pub fn new(h: Array2<f32>, z: Array2<f32>) -> Result<Self> {
        let features =
            Self { h, z, labels: Vec::new(), held_out: Vec::new(), last_layer: None, names: None };
        features.check()?;
        Ok(features)
    }

    /// Number of images n.
    pub fn len(&self) -> usize {
        self.h.nrows()
    }

    /// True without images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Width d of h.
    pub fn width(&self) -> usize {
        self.h.ncols()
    }

    /// Number of classes N.
    pub fn classes(&self) -> usize {
        self.z.ncols()
    }

    /// That all parts fit each other and all values are finite.
    ///
    /// # Errors
    /// [`ReflectError::Shape`], [`ReflectError::NotFinite`], [`ReflectError::Label`].
    pub fn check(&self) -> Result<()> {
        let (n, d, classes) = (self.len(), self.width(), self.classes());
        let shape = |what, found: &[usize], expected: String| {
            Err(ReflectError::Shape { what, found: found.to_vec(), expected })
        };
        if d == 0 {
            return shape(
                "h",
                self.h.shape(),
                "images x features, at least one feature".to_owned(),
            );
        }
        if classes == 0 || self.z.nrows() != n {
            return shape("z", self.z.shape(), format!("{n} x classes, as many rows as h"));
        }
        if !self.labels.is_empty() && self.labels.len() != n {
            return shape("labels", &[self.labels.len()], format!("{n}, as many as h has rows"));
        }
        if !self.held_out.is_empty() && self.held_out.len() != n {
            return shape(
                "held_out",
                &[self.held_out.len()],
                format!("{n}, as many as h has rows"),
            );
        }
        if let Some(last) = &self.last_layer {
            if last.weight.dim() != (classes, d) {
                return shape(
                    "weight",
                    last.weight.shape(),
                    format!("{classes} x {d}, classes x features"),
                );
            }
            if last.bias.len() != classes {
                return shape("bias", &[last.bias.len()], format!("{classes}, one a class"));
            }
            finite("weight", last.weight.view())?;
            finite("bias", last.bias.view().insert_axis(Axis(0)))?;
        }
        if let Some(names) = self.names.as_ref().filter(|names| names.len() != classes) {
            return shape("names", &[names.len()], format!("{classes}, one a class"));
        }
        if let Some(row) = self.labels.iter().position(|&label| label >= classes) {
            return Err(ReflectError::Label { row, label: self.labels[row] as i64, classes });
        }
        finite("h", self.h.view())?;
        finite("z", self.z.view())
    }

    /// Those of some images.
    pub fn select(&self, rows: &[usize]) -> Self {
        let pick = |values: &[usize]| -> Vec<usize> {
            rows.iter().filter_map(|&row| values.get(row).copied()).collect()
        };
        Self {
            h: self.h.select(Axis(0), rows),
            z: self.z.select(Axis(0), rows),
            labels: pick(&self.labels),
            held_out: rows.iter().filter_map(|&row| self.held_out.get(row).copied()).collect(),
            last_layer: self.last_layer.clone(),
            names: self.names.clone(),
        }
    }
}

fn finite(what: &'static str, values: ArrayView2<'_, f32>) -> Result<()> {
    // a sum is finite only if all its values are: the search is for the rare case
    if values.rows().into_iter().all(|row| row.iter().map(|v| v.abs()).sum::<f32>().is_finite()) {
        return Ok(());
    }
    match values.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, column), &value)) => Err(ReflectError::NotFinite { what, row, column, value }),
        None => Ok(()),
    }
}

//! What the second stage reads of a classifier: penultimate features and logits of many images.

mod file;

use ndarray::{Array1, Array2, ArrayView2, Axis, s};

use crate::error::{ReflectError, Result};

/// The classifier's last linear layer: `z = W h + b`.
#[derive(Clone, Debug, PartialEq)]
pub struct LastLayer {
    /// W, N x d.
    pub weight: Array2<f32>,
    /// b, N.
    pub bias: Array1<f32>,
}

/// The classifier that features and heads belong to, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owner {
    /// SHA-256 of the classifier's file.
    pub sha256: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

/// h and z of n images, and what is known about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// Penultimate features, n x d.
    pub h: Array2<f32>,
    /// Logits, n x N.
    pub z: Array2<f32>,
    /// Pooled activations of the classifier's stages, n x S: means and standard deviations of channels over positions.
    /// n x 0 if they are not known; only [`Reads::Activations`](crate::Reads::Activations) needs them.
    ///
    /// With [`Features::own_share`] they are of two passes: pooled activations of the first, then h of the second.
    pub stages: Array2<f32>,
    /// Share of each picture's own statistics in the batch normalisations of the second pass, if there was one.
    pub own_share: Option<f32>,
    /// True classes, n; empty if they are not known.
    pub labels: Vec<usize>,
    /// Images that neither the classifier nor the head was trained on, n; empty if that is not known.
    pub held_out: Vec<bool>,
    /// Which image each row is of, n: changed copies of an image share its number. Empty if every row is an image of its own.
    pub images: Vec<usize>,
    /// What was done to each row's image, n: the name of a corruption, another word, or nothing for an image as it is. Empty
    /// if no row is a changed copy.
    pub changes: Vec<String>,
    /// The last layer, if it is known and linear.
    pub last_layer: Option<LastLayer>,
    /// Names of the classes, N.
    pub names: Option<Vec<String>>,
    /// Whose they are.
    pub owner: Owner,
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
        let features = Self {
            stages: Array2::zeros((h.nrows(), 0)),
            own_share: None,
            h,
            z,
            labels: Vec::new(),
            held_out: Vec::new(),
            images: Vec::new(),
            changes: Vec::new(),
            last_layer: None,
            names: None,
            owner: Owner::default(),
        };
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

    /// h and the pooled activations side by side, n x (d + S): what a head reads of the activations.
    pub fn activations(&self) -> Array2<f32> {
        crate::statistics::side_by_side(self.h.view(), self.stages.view())
    }

    /// Pooled activations of the first pass alone.
    pub fn first_pass(&self) -> ArrayView2<'_, f32> {
        self.stages.slice(s![.., ..self.pooled()])
    }

    /// h of the second pass, n x d, if there was one.
    pub fn own_h(&self) -> Option<ArrayView2<'_, f32>> {
        self.own_share?;
        Some(self.stages.slice(s![.., self.pooled()..]))
    }

    /// Number of pooled activations of one pass.
    fn pooled(&self) -> usize {
        match self.own_share {
            Some(_) => self.stages.ncols().saturating_sub(self.width()),
            None => self.stages.ncols(),
        }
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
        if self.stages.nrows() != n {
            return shape("stages", self.stages.shape(), format!("{n} rows, as many as h has"));
        }
        if let Some(share) = self.own_share
            && !((0.0..=1.0).contains(&share) && self.stages.ncols() >= d)
        {
            return shape(
                "stages",
                self.stages.shape(),
                format!(
                    "pooled activations and {d} features of a second pass, with a share of 0 to 1 ({share})"
                ),
            );
        }
        let lengths = [
            ("labels", self.labels.len()),
            ("held_out", self.held_out.len()),
            ("images", self.images.len()),
            ("changes", self.changes.len()),
        ];
        if let Some((what, length)) = lengths.into_iter().find(|&(_, l)| l != 0 && l != n) {
            return shape(what, &[length], format!("{n}, as many as h has rows"));
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
        finite("stages", self.stages.view())?;
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
            stages: self.stages.select(Axis(0), rows),
            own_share: self.own_share,
            labels: pick(&self.labels),
            held_out: rows.iter().filter_map(|&row| self.held_out.get(row).copied()).collect(),
            images: pick(&self.images),
            changes: rows.iter().filter_map(|&row| self.changes.get(row).cloned()).collect(),
            last_layer: self.last_layer.clone(),
            names: self.names.clone(),
            owner: self.owner.clone(),
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

//! A file of features: what other software hands to the second stage, and what this one hands on.

use std::path::Path;

use introspective_data::arrays::{Arrays, Values, write_npz, write_safetensors};
use ndarray::{Array1, Array2};

use super::{Features, LastLayer, Owner};
use crate::error::{ReflectError, Result};

impl Features {
    /// Reads a `.npz` or safetensors file, told by its content:
    ///
    /// | array | shape and type | |
    /// |---|---|---|
    /// | `h` | (n, d) floats | penultimate features; needed |
    /// | `z` | (n, N) floats | logits; may be absent if `weight` and `bias` are there: z = W h + b |
    /// | `labels` | (n) integers | true classes, 0 to N-1; needed to fit and to evaluate |
    /// | `weight`, `bias` | (N, d), (N) floats | the last linear layer |
    /// | `names` | (N) strings | names of the classes |
    /// | `held_out` | (n) integers, 0 or 1 | 1 for images the classifier was not trained on |
    /// | `stages` | (n, S) floats | pooled activations of the stages, for heads that read them |
    /// | `own_share` | (1) floats | if `stages` are of two passes: the share of own statistics in the second |
    /// | `images` | (n) integers | which image each row is of, where some are changed copies |
    /// | `changes` | (n) strings | what was done to it: a corruption's name, or nothing |
    /// | `classifier` | (2) strings | SHA-256 and name of the network's file |
    ///
    /// Other arrays are passed over.
    ///
    /// # Errors
    /// [`ReflectError::Arrays`] for what cannot be read, and those of [`Features::check`].
    pub fn read(path: &Path) -> Result<Self> {
        let file = Arrays::read(path)?;
        let unfit =
            |reason: &str| ReflectError::File { path: path.to_owned(), reason: reason.to_owned() };
        let h = file.matrix("h")?;
        let last_layer = match (file.contains("weight"), file.contains("bias")) {
            (true, true) => {
                Some(LastLayer { weight: file.matrix("weight")?, bias: file.vector("bias")? })
            }
            (false, false) => None,
            (true, false) => {
                return Err(unfit("it has `weight` but no `bias`; both or neither are needed"));
            }
            (false, true) => {
                return Err(unfit("it has `bias` but no `weight`; both or neither are needed"));
            }
        };
        let z = match &last_layer {
            _ if file.contains("z") => file.matrix("z")?,
            Some(last)
                if last.weight.ncols() == h.ncols() && last.weight.nrows() == last.bias.len() =>
            {
                last.logits(h.view())
            }
            Some(last) => {
                let expected =
                    format!("classes x {}, as many columns as h, and a bias a class", h.ncols());
                let found = last.weight.shape().to_vec();
                return Err(ReflectError::Shape { what: "weight", found, expected });
            }
            None => {
                return Err(unfit(
                    "it has no `z`, the logits (n, N); they may be left away only if `weight` (N, d) and `bias` (N) \
                     of the last layer are there",
                ));
            }
        };
        let classes = z.ncols();
        let labels =
            if file.contains("labels") { file.integers("labels")?.to_vec() } else { Vec::new() };
        let labels = labels
            .into_iter()
            .enumerate()
            .map(|(row, label)| {
                usize::try_from(label).map_err(|_| ReflectError::Label { row, label, classes })
            })
            .collect::<Result<_>>()?;
        let held_out = if file.contains("held_out") {
            file.integers("held_out")?.to_vec()
        } else {
            Vec::new()
        };
        let names = if file.contains("names") { Some(file.strings("names")?) } else { None };
        let held_out = held_out.into_iter().map(|held| held != 0).collect();
        let stages = if file.contains("stages") {
            file.matrix("stages")?
        } else {
            Array2::zeros((h.nrows(), 0))
        };
        let own_share = match file.contains("own_share") {
            true => file.vector("own_share")?.first().copied(),
            false => None,
        };
        let images =
            if file.contains("images") { file.integers("images")?.to_vec() } else { Vec::new() };
        let images = images
            .into_iter()
            .map(|image| {
                usize::try_from(image).map_err(|_| {
                    unfit(&format!("its `images` has the number {image}; expected 0 or more"))
                })
            })
            .collect::<Result<_>>()?;
        let changes = if file.contains("changes") { file.strings("changes")? } else { Vec::new() };
        let owner = match file.contains("classifier") {
            true => {
                let known = |text: &String| (!text.is_empty()).then(|| text.clone());
                let strings = file.strings("classifier")?;
                let part = |place: usize| strings.get(place).and_then(known);
                Owner { sha256: part(0), name: part(1) }
            }
            false => Owner::default(),
        };
        let features = Self {
            h,
            z,
            stages,
            own_share,
            labels,
            held_out,
            images,
            changes,
            last_layer,
            names,
            owner,
        };
        features.check()?;
        Ok(features)
    }

    /// Writes such a file: safetensors if that is its extension, else `.npz`. It appears whole or not at all.
    ///
    /// # Errors
    /// [`ReflectError::Arrays`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let labels: Array1<i64> = self.labels.iter().map(|&label| label as i64).collect();
        let held_out: Array1<i64> = self.held_out.iter().map(|&held| i64::from(held)).collect();
        let own_share: Array1<f32> = self.own_share.into_iter().collect();
        let images: Array1<i64> = self.images.iter().map(|&image| image as i64).collect();
        let mut arrays = vec![("h", Values::from(&self.h)), ("z", Values::from(&self.z))];
        if !self.labels.is_empty() {
            arrays.push(("labels", Values::from(&labels)));
        }
        if !self.held_out.is_empty() {
            arrays.push(("held_out", Values::from(&held_out)));
        }
        if self.stages.ncols() > 0 {
            arrays.push(("stages", Values::from(&self.stages)));
        }
        if self.own_share.is_some() {
            arrays.push(("own_share", Values::from(&own_share)));
        }
        if !self.images.is_empty() {
            arrays.push(("images", Values::from(&images)));
        }
        if !self.changes.is_empty() {
            arrays.push(("changes", Values::from(&self.changes[..])));
        }
        if let Some(last) = &self.last_layer {
            arrays.push(("weight", Values::from(&last.weight)));
            arrays.push(("bias", Values::from(&last.bias)));
        }
        if let Some(names) = &self.names {
            arrays.push(("names", Values::from(&names[..])));
        }
        let owner =
            [&self.owner.sha256, &self.owner.name].map(|part| part.clone().unwrap_or_default());
        if self.owner != Owner::default() {
            arrays.push(("classifier", Values::from(&owner[..])));
        }
        let safetensors = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"));
        if safetensors {
            write_safetensors(path, &arrays)?
        } else {
            write_npz(path, &arrays)?
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ndarray::array;

    use super::{Features, LastLayer, Owner};

    fn features() -> Features {
        let last = LastLayer {
            weight: array![[1.0, 0.5], [-1.0, 2.0], [0.0, 1.0]],
            bias: array![0.1, 0.2, 0.3],
        };
        let h = array![[1.0, 2.0], [0.5, -1.0]];
        Features {
            z: last.logits(h.view()),
            h,
            labels: vec![2, 0],
            held_out: vec![false, true],
            stages: array![[0.5, 0.25, 1.0, 3.0], [1.5, 0.0, 2.0, 4.0]],
            own_share: Some(0.25),
            images: vec![4, 4],
            changes: vec![String::new(), "fog".to_owned()],
            owner: Owner { sha256: Some("ab".to_owned()), name: None },
            last_layer: Some(last),
            names: Some(vec!["a".to_owned(), "b".to_owned(), "č".to_owned()]),
        }
    }

    #[test]
    fn both_formats_give_back_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["features.npz", "features.safetensors"] {
            let path = folder.path().join(name);
            features().write(&path).unwrap();
            assert_eq!(Features::read(&path).unwrap(), features(), "{name}");
        }
    }

    #[test]
    fn logits_come_from_the_last_layer_where_they_are_absent() {
        use introspective_data::arrays::{Values, write_npz};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.npz");
        let Features { h, z, last_layer: Some(last), .. } = features() else { unreachable!() };
        let arrays = [
            ("h", Values::from(&h)),
            ("weight", Values::from(&last.weight)),
            ("bias", Values::from(&last.bias)),
        ];
        write_npz(&path, &arrays).unwrap();
        assert_eq!(Features::read(&path).unwrap().z, z);
        write_npz(&path, &arrays[..2]).unwrap();
        let error = Features::read(&path).unwrap_err().to_string();
        assert!(error.contains("`weight` but no `bias`"), "{error}");
        write_npz(&path, &arrays[..1]).unwrap();
        let error = Features::read(&path).unwrap_err().to_string();
        assert!(error.contains("no `z`"), "{error}");
        let wide = array![[1.0_f32, 2.0, 3.0], [0.5, -1.0, 0.0]];
        let arrays = [("h", Values::from(&wide)), arrays[1].clone(), arrays[2].clone()];
        write_npz(&path, &arrays).unwrap();
        let error = Features::read(&path).unwrap_err().to_string();
        assert!(error.contains("weight has shape [3, 2]; expected classes x 3"), "{error}");
    }

    #[test]
    fn labels_must_be_classes_and_values_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.npz");
        let wrong = Features { labels: vec![0, 3], ..features() };
        wrong.write(&path).unwrap();
        let error = Features::read(&path).unwrap_err().to_string();
        assert_eq!(error, "label 3 of example 1 is no class: there are 3, 0 to 2");
        let mut wrong = features();
        wrong.h[[1, 0]] = f32::NAN;
        wrong.write(&path).unwrap();
        let error = Features::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("h has a value that is not finite (NaN) in row 1, column 0"),
            "{error}"
        );
    }
}

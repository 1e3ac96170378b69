//! Named arrays in a safetensors file: weights in PyTorch's layout, so that a head can be read anywhere.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use ndarray::{Array1, Array2};
use safetensors::{Dtype, SafeTensors, View};

use crate::error::{ReflectError, Result};
use crate::mlp::{Activation, First, Linear, Mlp};

/// Arrays of float32 by name, and strings beside them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tensors {
    pub arrays: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    pub metadata: BTreeMap<String, String>,
}

struct Stored<'a>(&'a [usize], &'a [f32]);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.0
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.1.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.1)
    }
}

impl Tensors {
    pub fn vector(&mut self, name: &str, values: &Array1<f32>) {
        self.arrays.insert(name.to_owned(), (vec![values.len()], values.to_vec()));
    }

    pub fn matrix(&mut self, name: &str, values: &Array2<f32>) {
        let (rows, columns) = values.dim();
        self.arrays
            .insert(name.to_owned(), (vec![rows, columns], values.iter().copied().collect()));
    }

    fn transposed(&mut self, name: &str, values: &Array2<f32>) {
        let (rows, columns) = values.dim();
        let data = values.t().iter().copied().collect();
        self.arrays.insert(name.to_owned(), (vec![columns, rows], data));
    }

    /// The layers of a network under a prefix, as PyTorch names and stores those of an `nn.Sequential`.
    pub fn network(&mut self, prefix: &str, network: &Mlp) {
        match &network.first {
            First::Full(layer) => self.linear(&format!("{prefix}.layers.0"), layer),
            First::LowRank { a, b, bias } => {
                self.transposed(&format!("{prefix}.layers.0.gradient_weight"), a);
                self.transposed(&format!("{prefix}.layers.0.feature_weight"), b);
                self.vector(&format!("{prefix}.layers.0.bias"), bias);
            }
        }
        for (index, layer) in network.rest.iter().enumerate() {
            self.linear(&format!("{prefix}.layers.{}", index + 1), layer);
        }
    }

    fn linear(&mut self, name: &str, layer: &Linear) {
        self.transposed(&format!("{name}.weight"), &layer.weight);
        self.vector(&format!("{name}.bias"), &layer.bias);
    }

    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// [`ReflectError::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let io = |source| ReflectError::Io { path: path.to_owned(), doing: "written", source };
        let metadata: HashMap<String, String> =
            self.metadata.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let views = self.arrays.iter().map(|(name, (shape, data))| (name, Stored(shape, data)));
        // one entry only: the order of several would change from run to run
        let bytes = safetensors::serialize(views, Some(metadata))
            .map_err(|error| io(std::io::Error::other(error)))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::Builder::new()
            .prefix(".head-")
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(io)?;
        file.write_all(&bytes).map_err(io)?;
        share(file.as_file()).map_err(io)?;
        file.persist(path).map_err(|error| io(error.error))?;
        Ok(())
    }

    /// Reads a file of float32 arrays.
    ///
    /// # Errors
    /// [`ReflectError::Io`]; [`ReflectError::File`] for one that is damaged or has other arrays.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| ReflectError::Io {
            path: path.to_owned(),
            doing: "read",
            source,
        })?;
        Self::from_bytes(&bytes)
            .map_err(|reason| ReflectError::File { path: path.to_owned(), reason })
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let wrong = |error: safetensors::SafeTensorError| format!("no safetensors file ({error})");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let tensors = SafeTensors::deserialize(bytes).map_err(wrong)?;
        let mut arrays = BTreeMap::new();
        for (name, tensor) in tensors.iter() {
            if tensor.dtype() != Dtype::F32 {
                return Err(format!("tensor {name} is {:?}; expected F32", tensor.dtype()));
            }
            let values: Vec<f32> = tensor
                .data()
                .chunks_exact(4)
                .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                .collect();
            if values.iter().any(|value| !value.is_finite()) {
                return Err(format!("tensor {name} has values that are not finite"));
            }
            arrays.insert(name.to_owned(), (tensor.shape().to_vec(), values));
        }
        Ok(Self { arrays, metadata })
    }

    pub fn take_vector(&mut self, name: &str) -> Result<Array1<f32>, String> {
        let (shape, data) = self.take(name)?;
        match shape[..] {
            [_] => Ok(Array1::from(data)),
            _ => Err(format!("tensor {name} has shape {shape:?}; expected one axis")),
        }
    }

    pub fn take_matrix(&mut self, name: &str) -> Result<Array2<f32>, String> {
        let (shape, data) = self.take(name)?;
        let wrong = format!("tensor {name} has shape {shape:?}; expected two axes");
        match shape[..] {
            [rows, columns] => Array2::from_shape_vec((rows, columns), data).map_err(|_| wrong),
            _ => Err(wrong),
        }
    }

    fn take(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>), String> {
        self.arrays.remove(name).ok_or_else(|| format!("tensor {name} is missing"))
    }

    fn take_transposed(&mut self, name: &str) -> Result<Array2<f32>, String> {
        Ok(self.take_matrix(name)?.t().as_standard_layout().into_owned())
    }

    fn take_linear(&mut self, name: &str) -> Result<Linear, String> {
        let weight = self.take_transposed(&format!("{name}.weight"))?;
        let bias = self.take_vector(&format!("{name}.bias"))?;
        if weight.ncols() != bias.len() {
            return Err(format!("{name} has {} outputs but {} biases", weight.ncols(), bias.len()));
        }
        Ok(Linear { weight, bias })
    }

    /// The network under a prefix, of layers that fit each other.
    pub fn take_network(&mut self, prefix: &str, activation: Activation) -> Result<Mlp, String> {
        let first = format!("{prefix}.layers.0");
        let (first, mut width) = if self.arrays.contains_key(&format!("{first}.weight")) {
            let layer = self.take_linear(&first)?;
            let width = layer.bias.len();
            (First::Full(layer), width)
        } else {
            let a = self.take_transposed(&format!("{first}.gradient_weight"))?;
            let b = self.take_transposed(&format!("{first}.feature_weight"))?;
            let bias = self.take_vector(&format!("{first}.bias"))?;
            let width = bias.len();
            if width == 0 || a.ncols() != b.ncols() || a.ncols() == 0 || a.ncols() % width != 0 {
                let (a, b) = (a.ncols(), b.ncols());
                return Err(format!("{first} has factors of {a} and {b} ranks for {width} units"));
            }
            (First::LowRank { a, b, bias }, width)
        };
        let mut rest = Vec::new();
        loop {
            let name = format!("{prefix}.layers.{}", rest.len() + 1);
            if !self.arrays.contains_key(&format!("{name}.weight")) {
                break;
            }
            let layer = self.take_linear(&name)?;
            if layer.weight.nrows() != width {
                let found = layer.weight.nrows();
                return Err(format!(
                    "{name} reads {found} values, but the layer before gives {width}"
                ));
            }
            width = layer.bias.len();
            rest.push(layer);
        }
        Ok(Mlp { first, rest, activation })
    }
}

/// A temporary file is its owner's alone; one that stays is for whoever the folder is for.
#[cfg(unix)]
fn share(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn share(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

//! ONNX Runtime as the engine.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorRef};

use super::{LoadOptions, library};
use crate::graph::{Axis, Data, Graph, Initializer};

/// Tensors of so many bytes are worth a thought about copies.
const LARGE: usize = 1 << 20;

/// The weights as the library's own values, which all graphs share without a copy; each under the place
/// in the weights' buffer that it had.
pub(super) struct Loader {
    values: HashMap<(usize, usize), Arc<DynValue>>,
}

impl Loader {
    /// Turns the buffer into values of float32, one after the other from its end, and gives the memory
    /// of each back: so at most one tensor is there twice.
    pub fn new(mut weights: Cow<'static, [u8]>, graph: &Graph) -> Result<Self, String> {
        let mut tensors: Vec<(&Initializer, usize, usize)> = graph
            .initializers
            .iter()
            .filter_map(|tensor| match tensor.data {
                Data::External { offset, length } => Some((tensor, offset, length)),
                Data::Inline(_) => None,
            })
            .collect();
        tensors.sort_by_key(|&(_, offset, length)| std::cmp::Reverse(offset + length));
        let mut values = HashMap::with_capacity(tensors.len());
        for (tensor, offset, length) in tensors {
            if let Cow::Owned(bytes) = &mut weights {
                // everything behind this tensor's end is done
                bytes.truncate(offset + length);
                bytes.shrink_to_fit();
            }
            if values.contains_key(&(offset, length)) {
                continue;
            }
            let floats = tensor.floats(&weights).ok_or_else(|| {
                format!("tensor {} has an element type it is not given", tensor.name)
            })?;
            values.insert((offset, length), Arc::new(value(&tensor.dims, floats)?));
        }
        Ok(Self { values })
    }

    /// The value of an initialiser that lay in the buffer.
    fn get(&self, tensor: &Initializer) -> Result<&Arc<DynValue>, String> {
        let place = match tensor.data {
            Data::External { offset, length } => self.values.get(&(offset, length)),
            Data::Inline(_) => None,
        };
        place.ok_or_else(|| format!("tensor {} is not among the weights", tensor.name))
    }

    /// The values of an initialiser that lay in the buffer.
    pub fn values(&self, tensor: &Initializer) -> Result<&[f32], String> {
        let (_, values) = self.get(tensor)?.try_extract_tensor().map_err(words)?;
        Ok(values)
    }

    pub fn load(
        &self,
        graph: &Graph,
        outputs: &[&str],
        LoadOptions { optimise, threads }: LoadOptions<'_>,
    ) -> Result<Engine, String> {
        let (environment, _) = library::environment().map_err(|error| error.to_string())?;
        let mut graph = graph.strict();
        let fed = self.feed_large_tensors(&mut graph)?;
        let onnx = graph.to_onnx(outputs)?;
        let level =
            if optimise { GraphOptimizationLevel::All } else { GraphOptimizationLevel::Level1 };
        let mut builder = Session::builder(environment)
            .map_err(words)?
            .with_optimization_level(level)
            .map_err(words)?
            // 0 means one per physical core
            .with_intra_threads(threads.map_or(0, super::Threads::count))
            .map_err(words)?
            .with_intra_op_spinning(false)
            .map_err(words)?;
        for tensor in &graph.initializers {
            if let Data::External { .. } = tensor.data {
                let value = self.shaped(tensor)?;
                builder = builder.with_external_initializer(&tensor.name, value).map_err(words)?;
            }
        }
        let session = builder.commit_from_memory(&onnx).map_err(words)?;
        let outputs = outputs.iter().map(|&name| name.to_owned()).collect();
        Ok(Engine { session: Mutex::new(session), fed, outputs })
    }

    /// The value of an initialiser in the shape that this graph gives it.
    fn shaped(&self, tensor: &Initializer) -> Result<Arc<DynValue>, String> {
        let shared = self.get(tensor)?;
        let shape = shared.shape().iter().copied();
        if shape.eq(tensor.dims.iter().map(|&size| size as i64)) {
            return Ok(Arc::clone(shared));
        }
        // small, or the kernel of a convolution that is one in no other shape
        Ok(Arc::new(value(&tensor.dims, self.values(tensor)?.to_vec())?))
    }

    /// Makes inputs of large tensors and returns their values: the library copies an initialiser twice
    /// when it loads a graph, but an input never. Kernels of convolutions stay, since it is faster on
    /// those after it has reordered them.
    fn feed_large_tensors(&self, graph: &mut Graph) -> Result<Vec<Fed>, String> {
        let kernels: HashSet<&str> = graph
            .nodes
            .iter()
            .filter(|node| node.operator == "Conv")
            .flat_map(|node| node.inputs.iter().map(String::as_str))
            .collect();
        let is_fed = |tensor: &Initializer| match tensor.data {
            Data::External { length, .. } => {
                length >= LARGE && !kernels.contains(tensor.name.as_str())
            }
            Data::Inline(_) => false,
        };
        let (large, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut graph.initializers).into_iter().partition(is_fed);
        graph.initializers = kept;
        large
            .iter()
            .map(|tensor| {
                let axes: Vec<Axis> = tensor.dims.iter().map(|&size| Axis::Fixed(size)).collect();
                graph.input(&tensor.name, &axes);
                Ok(Fed { dims: tensor.dims.clone(), value: Arc::clone(self.get(tensor)?) })
            })
            .collect()
    }
}

fn value(dims: &[usize], floats: Vec<f32>) -> Result<DynValue, String> {
    Ok(Tensor::from_array((dims, floats)).map_err(words)?.into_dyn())
}

/// A weight that is an input of a graph, in the shape that the graph gives it.
struct Fed {
    dims: Vec<usize>,
    value: Arc<DynValue>,
}

/// A loaded graph. The library's sessions run one picture at a time.
pub(crate) struct Engine {
    session: Mutex<Session>,
    /// Weights that are inputs, the last ones.
    fed: Vec<Fed>,
    outputs: Vec<String>,
}

impl Engine {
    pub fn run(&self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>, String> {
        let dense: Vec<CowArray<'_, f32, IxDyn>> =
            inputs.iter().map(|view| view.as_standard_layout()).collect();
        let mut feeds: Vec<SessionInputValue<'_>> =
            Vec::with_capacity(dense.len() + self.fed.len());
        for array in &dense {
            let data = array.as_slice().ok_or("an input array is not contiguous")?;
            let tensor = TensorRef::from_array_view((array.shape(), data)).map_err(words)?;
            feeds.push(tensor.into());
        }
        for Fed { dims, value } in &self.fed {
            let (_, data) = value.try_extract_tensor::<f32>().map_err(words)?;
            let tensor = TensorRef::from_array_view((dims.as_slice(), data)).map_err(words)?;
            feeds.push(tensor.into());
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let values = session.run(feeds.as_slice()).map_err(words)?;
        self.outputs
            .iter()
            .map(|name| {
                let value = values.get(name).ok_or_else(|| format!("no output {name}"))?;
                let (shape, data) = value.try_extract_tensor::<f32>().map_err(words)?;
                let shape: Vec<usize> =
                    shape.iter().map(|&size| usize::try_from(size).unwrap_or(0)).collect();
                ArrayD::from_shape_vec(shape, data.to_vec()).map_err(|e| e.to_string())
            })
            .collect()
    }
}

fn words<R>(error: ort::Error<R>) -> String {
    error.to_string()
}

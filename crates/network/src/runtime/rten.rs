//! The engine that is built in.

use std::borrow::Cow;
use std::sync::{Arc, mpsc};

use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, ValueView};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use super::{LoadOptions, RuntimeInfo};
use crate::graph::{Graph, Initializer, WEIGHTS_FILE};

/// Name and version. (Cargo does not say which version it took; a test compares with the lock file.)
pub(super) fn info() -> RuntimeInfo {
    RuntimeInfo { name: "rten", version: "0.27".to_owned(), library: None }
}

/// How many threads the engine takes where nobody says.
pub(super) fn usual_threads() -> usize {
    rten::thread_pool().run(rayon::current_num_threads)
}

/// The weights, and what loads graphs over them.
///
/// The engine's loading options hold the weights, and are bound to the thread that made them. So a
/// thread of its own keeps them and loads graphs on request; loaded graphs may be used anywhere.
pub(super) struct Loader {
    requests: mpsc::Sender<Request>,
}

struct Request {
    onnx: Vec<u8>,
    optimise: bool,
    reply: mpsc::Sender<Result<Model, String>>,
}

impl Loader {
    /// Takes the weights' bytes over. The thread ends when the loader is dropped.
    pub fn new(weights: Cow<'static, [u8]>) -> Result<Self, String> {
        let (requests, inbox) = mpsc::channel::<Request>();
        let serve = move || {
            let mut options = ModelOptions::with_all_ops();
            match weights {
                Cow::Borrowed(bytes) => options.external_data_static(WEIGHTS_FILE, bytes),
                Cow::Owned(bytes) => options.external_data(WEIGHTS_FILE, bytes),
            };
            for Request { onnx, optimise, reply } in inbox {
                let mut options = options.clone();
                options.enable_optimization(optimise);
                // whoever asked may have gone
                let _ = reply.send(options.load(onnx).map_err(|error| error.to_string()));
            }
        };
        let builder = std::thread::Builder::new().name("graph-loader".to_owned());
        builder.spawn(serve).map_err(|error| error.to_string())?;
        Ok(Self { requests })
    }

    pub fn load(
        &self,
        graph: &Graph,
        outputs: &[&str],
        LoadOptions { optimise, threads }: LoadOptions<'_>,
    ) -> Result<Engine, String> {
        let onnx = graph.to_onnx(outputs)?;
        let (reply, answer) = mpsc::channel();
        let gone = "the engine failed while loading a graph";
        self.requests.send(Request { onnx, optimise, reply }).map_err(|_| gone)?;
        let model = answer.recv().map_err(|_| gone)??;
        let inputs = model.input_ids().to_vec();
        let outputs = outputs
            .iter()
            .map(|name| model.node_id(name))
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        Ok(Engine { model, inputs, outputs, threads: threads.map(super::Threads::pool) })
    }

    /// The values of an initialiser. The engine does not hand its weights out again, but a graph that
    /// gives one of them back can be run.
    pub fn values(&self, tensor: &Initializer) -> Result<Vec<f32>, String> {
        let mut graph = Graph { initializers: vec![tensor.clone()], ..Graph::default() };
        let output = "value";
        graph.node("Identity", output, &[&tensor.name], &[output], Vec::new());
        let mut values = self.load(&graph, &[output], LoadOptions::default())?.run(&[])?;
        let value = values.pop().ok_or("the engine gave no value")?;
        Ok(value.into_raw_vec_and_offset().0)
    }
}

/// A loaded graph.
pub(crate) struct Engine {
    model: Model,
    inputs: Vec<NodeId>,
    outputs: Vec<NodeId>,
    threads: Option<Arc<ThreadPool>>,
}

impl Engine {
    pub fn run(&self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>, String> {
        self.run_in(self.threads.as_ref(), inputs)
    }

    /// In a pool of threads of one's own; `None` is the engine's.
    pub fn run_in(
        &self,
        threads: Option<&Arc<ThreadPool>>,
        inputs: &[ArrayViewD<'_, f32>],
    ) -> Result<Vec<ArrayD<f32>>, String> {
        // the engine reads slices, so a view with gaps is copied first
        let dense: Vec<CowArray<'_, f32, IxDyn>> =
            inputs.iter().map(|view| view.as_standard_layout()).collect();
        let mut feeds = Vec::with_capacity(dense.len());
        for (&id, array) in self.inputs.iter().zip(&dense) {
            let data = array.as_slice().ok_or("an input array is not contiguous")?;
            let value = ValueView::from_shape(array.shape(), data).map_err(|e| e.to_string())?;
            feeds.push((id, value.into()));
        }
        let mut options = RunOptions::default();
        if let Some(threads) = threads {
            options = options.with_thread_pool(Some(Arc::clone(threads)));
        }
        let values = self
            .model
            .run(feeds, &self.outputs, Some(options))
            .map_err(|error| error.to_string())?;
        values
            .into_iter()
            .map(|value| {
                let tensor: Tensor<f32> =
                    value.into_tensor().ok_or("an output is not of type float32")?;
                let shape = tensor.shape().to_vec();
                ArrayD::from_shape_vec(shape, tensor.into_data()).map_err(|e| e.to_string())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    /// The version told is the one that is built in.
    #[test]
    fn the_version_is_that_of_the_lock_file() {
        let lock = include_str!("../../../../Cargo.lock");
        let (_, package) = lock.split_once("name = \"rten\"\n").unwrap();
        let version = super::info().version;
        assert!(package.starts_with(&format!("version = \"{version}.")), "{version}");
    }
}

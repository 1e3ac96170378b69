//! Runs graphs. The engines' own types do not leave this room.
//!
//! [`rten`] is always there; [`onnxruntime`] is a feature of the build and a library found at run time.
//! Both run the same graphs, the forward one and the adjoint ones, on the same weights.

#[cfg(feature = "onnxruntime")]
mod library;
#[cfg(feature = "onnxruntime")]
mod onnxruntime;
mod rten;
mod workers;

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ::rten::ThreadPool;
use ndarray::{ArrayD, ArrayViewD};
use serde::{Serialize, Serializer};

pub(crate) use self::workers::Workers;
use crate::error::{NetworkError, Result};
use crate::graph::{Data, Graph, Initializer};

/// Which engine runs a classifier's graphs. Their results agree to 1e-4 and better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuntimeChoice {
    /// [`OnnxRuntime`](RuntimeChoice::OnnxRuntime) if it can be had, else [`Rten`](RuntimeChoice::Rten).
    Auto,
    /// The engine that is built in: starts at once, needs nothing.
    #[default]
    Rten,
    /// Microsoft's ONNX Runtime, a library found at run time: faster on large networks, and slower to start.
    OnnxRuntime,
}

impl RuntimeChoice {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Rten, Self::OnnxRuntime];

    /// `auto`, `rten`, `onnxruntime`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Rten => "rten",
            Self::OnnxRuntime => "onnxruntime",
        }
    }

    /// True if this build can use ONNX Runtime (feature `onnxruntime`) where its library is found.
    pub fn has_onnxruntime() -> bool {
        cfg!(feature = "onnxruntime")
    }
}

impl FromStr for RuntimeChoice {
    type Err = NetworkError;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|choice| choice.name() == name);
        known.ok_or_else(|| NetworkError::UnknownRuntime { name: name.to_owned() })
    }
}

/// The engine that runs a classifier's graphs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuntimeInfo {
    /// `rten` or `onnxruntime`.
    pub name: &'static str,
    /// Its version.
    pub version: String,
    /// The library that was loaded, for one that is not built in.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "lossy")]
    pub library: Option<PathBuf>,
}

/// A path need not be UTF-8, JSON must.
fn lossy<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(serializer)
}

impl fmt::Display for RuntimeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, library } = self;
        write!(f, "{name} {version}")?;
        match library {
            Some(library) => write!(f, " ({})", library.display()),
            None => Ok(()),
        }
    }
}

/// How a graph is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LoadOptions<'a> {
    /// Lets the engine fuse nodes: better for many runs, slower to load.
    pub optimise: bool,
    /// Worker threads; `None` takes one per physical core.
    pub threads: Option<&'a Threads>,
}

/// Weights that all graphs of one classifier share, and the engine that holds them.
pub(crate) struct Runtime {
    info: RuntimeInfo,
    state: Mutex<State>,
}

enum State {
    /// Nobody has loaded a graph: the weights as they were read.
    Waiting(Cow<'static, [u8]>),
    Rten(rten::Loader),
    #[cfg(feature = "onnxruntime")]
    OnnxRuntime(onnxruntime::Loader),
}

impl Runtime {
    /// Takes the weights' bytes over; rten unless another engine is chosen.
    pub fn new(weights: Cow<'static, [u8]>) -> Self {
        Self { info: rten::info(), state: Mutex::new(State::Waiting(weights)) }
    }

    /// One without weights on each engine that is at hand.
    #[cfg(test)]
    #[allow(clippy::panic)]
    pub fn each() -> Vec<Self> {
        let empty = || Self::new(Cow::Borrowed(&[]));
        let mut other = empty();
        match other.choose(RuntimeChoice::OnnxRuntime, &Graph::default()) {
            Ok(_) => vec![empty(), other],
            Err(NetworkError::RuntimeNotBuilt | NetworkError::RuntimeNotFound { .. }) => {
                vec![empty()]
            }
            // a library that is there and does not work must not pass for one that is absent
            Err(error) => panic!("{error}"),
        }
    }

    /// The engine.
    pub fn info(&self) -> &RuntimeInfo {
        &self.info
    }

    /// Chooses the engine; `graph` has all initialisers that lie in the weights. If `auto` passes over a
    /// library that was found, the answer says why.
    ///
    /// # Errors
    /// ONNX Runtime is not built in, or not found, or cannot be loaded; or another engine has the weights.
    pub fn choose(&mut self, choice: RuntimeChoice, graph: &Graph) -> Result<Option<String>> {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        match (choice, &*state) {
            (RuntimeChoice::Rten, State::Waiting(_) | State::Rten(_)) => return Ok(None),
            #[cfg(feature = "onnxruntime")]
            (RuntimeChoice::Auto | RuntimeChoice::OnnxRuntime, State::OnnxRuntime(_)) => {
                return Ok(None);
            }
            (RuntimeChoice::Auto | RuntimeChoice::OnnxRuntime, State::Waiting(_)) => {}
            _ => return Err(NetworkError::RuntimeStarted { running: self.info.name }),
        }
        match start(state, graph) {
            Ok(info) => {
                self.info = info;
                Ok(None)
            }
            Err(error) if choice == RuntimeChoice::OnnxRuntime => Err(error),
            Err(error @ NetworkError::RuntimeUnusable { .. }) => Ok(Some(error.to_string())),
            Err(_) => Ok(None),
        }
    }

    /// Loads a graph whose outputs are `outputs`: a value that was fused away cannot be asked for, hence
    /// they are declared here.
    pub fn load(
        &self,
        graph: &Graph,
        outputs: &[&str],
        options: LoadOptions<'_>,
    ) -> Result<Engine, String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Waiting(weights) = &mut *state {
            let loader = rten::Loader::new(std::mem::take(weights))?;
            *state = State::Rten(loader);
        }
        match &*state {
            State::Waiting(_) => Err("the weights are gone".to_owned()),
            State::Rten(loader) => {
                Ok(Engine::Rten(Box::new(loader.load(graph, outputs, options)?)))
            }
            #[cfg(feature = "onnxruntime")]
            State::OnnxRuntime(loader) => {
                Ok(Engine::OnnxRuntime(loader.load(graph, outputs, options)?))
            }
        }
    }

    /// Writes an initialiser's values as little-endian bytes, wherever the weights are now; float16 ones
    /// as float32.
    pub fn write_widened(&self, tensor: &Initializer, out: &mut dyn Write) -> io::Result<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = |reason: String| io::Error::other(format!("tensor {}: {reason}", tensor.name));
        match (&tensor.data, &*state) {
            (Data::Inline(_), _) => tensor.write_widened(&[], out),
            (Data::External { .. }, State::Waiting(weights)) => tensor.write_widened(weights, out),
            (Data::External { .. }, State::Rten(loader)) => {
                write_floats(&loader.values(tensor).map_err(gone)?, out)
            }
            #[cfg(feature = "onnxruntime")]
            (Data::External { .. }, State::OnnxRuntime(loader)) => {
                write_floats(loader.values(tensor).map_err(gone)?, out)
            }
        }
    }
}

/// In pieces, so that no second copy of a large tensor is made.
fn write_floats(values: &[f32], out: &mut dyn Write) -> io::Result<()> {
    for part in values.chunks(1 << 14) {
        let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.write_all(&bytes)?;
    }
    Ok(())
}

/// Gives the weights to ONNX Runtime.
#[cfg(feature = "onnxruntime")]
fn start(state: &mut State, graph: &Graph) -> Result<RuntimeInfo> {
    let (_, info) = library::environment()?;
    if let State::Waiting(weights) = state {
        let loader = onnxruntime::Loader::new(std::mem::take(weights), graph)
            .map_err(|reason| NetworkError::RuntimeUnusable { reason })?;
        *state = State::OnnxRuntime(loader);
    }
    Ok(info.clone())
}

#[cfg(not(feature = "onnxruntime"))]
fn start(_: &mut State, _: &Graph) -> Result<RuntimeInfo> {
    Err(NetworkError::RuntimeNotBuilt)
}

/// A loaded graph.
pub(crate) enum Engine {
    Rten(Box<rten::Engine>),
    #[cfg(feature = "onnxruntime")]
    OnnxRuntime(onnxruntime::Engine),
}

impl Engine {
    /// Values of all outputs, in the order they were declared in; `inputs` in the graph's order.
    pub fn run(&self, inputs: &[ArrayViewD<'_, f32>]) -> Result<Vec<ArrayD<f32>>, String> {
        match self {
            Self::Rten(engine) => engine.run(inputs),
            #[cfg(feature = "onnxruntime")]
            Self::OnnxRuntime(engine) => engine.run(inputs),
        }
    }
}

/// A fixed number of worker threads for running graphs.
#[derive(Clone, Debug)]
pub struct Threads {
    count: usize,
    /// Made when rten first needs it; ONNX Runtime has its own.
    pool: Arc<OnceLock<Arc<ThreadPool>>>,
}

impl Threads {
    /// A pool of `count` threads (at least one).
    pub fn new(count: usize) -> Self {
        Self { count: count.max(1), pool: Arc::default() }
    }

    /// How many threads.
    pub fn count(&self) -> usize {
        self.count
    }

    fn pool(&self) -> Arc<ThreadPool> {
        let make = || Arc::new(ThreadPool::with_num_threads(self.count));
        Arc::clone(self.pool.get_or_init(make))
    }
}

//! A classifier as an ONNX file that any runtime can run, and that opens here again.
//!
//! # What is in the file
//!
//! The graph as it is computed here, in float32: input `input`, output `logits` (no softmax), and in between
//! values named after the modules that compute them. The batch is free, height and width are where the network
//! takes any. Weights lie in the file as `raw_data`, or in `FILE.data` beside it where asked for, or where the
//! file would exceed the 2 GiB that the format allows.
//!
//! Metadata (`metadata_props`), of which a reader that knows them needs nothing else:
//!
//! | key | value |
//! |---|---|
//! | `architecture` | the network's name, such as `resnet50` |
//! | `weights_sha256` | hash of the file that the weights came from |
//! | `layers` | JSON object: for each module's dotted name the value that it computes, in order |
//! | `default_layer` | the module that maps are drawn at |
//! | `classes` | JSON list of the classes' names, if known |
//! | `preprocessing` | JSON object as in a manifest, if known |

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::classes::ClassNames;
use crate::classifier::Classifier;
use crate::error::{NetworkError, Result};
use crate::graph::encode::{self, Frame, Place};
use crate::graph::{Axis, Graph, declared};
use crate::preprocess::Preprocessing;

/// The picture in an exported graph.
const INPUT: &str = "input";
/// The answer of an exported graph.
const LOGITS: &str = "logits";
/// Readers refuse larger files; some of it is for the graph.
const LARGEST: usize = (1 << 31) - (1 << 24);
/// Tensors beside the file begin at memory pages, so that they can be mapped.
const PAGE: u64 = 4096;
/// Smaller tensors stay in the file.
const SMALL: usize = 1024;

/// What goes into an exported file besides the network, and where.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions<'a> {
    /// Names of the classes.
    pub classes: Option<&'a ClassNames>,
    /// What is done to a picture before the network sees it.
    pub preprocessing: Option<&'a Preprocessing>,
    /// Puts the weights beside the file, into `FILE.data`, though they would fit into it.
    pub external_data: bool,
    /// Replaces files that are there already.
    pub overwrite: bool,
}

impl Classifier {
    /// Writes the classifier as an ONNX file and returns the files written: it, and the one with its weights
    /// if there is one. They appear whole or not at all. No second copy of the weights is made.
    ///
    /// # Errors
    /// [`NetworkError::Exists`] without `overwrite`; [`NetworkError::Write`]; names of another number of
    /// classes ([`NetworkError::Shape`]).
    pub fn export(&self, path: &Path, options: &ExportOptions<'_>) -> Result<Vec<PathBuf>> {
        if let Some(names) = options.classes.filter(|names| names.len() != self.classes()) {
            return Err(NetworkError::Shape {
                what: "the list of class names",
                found: vec![names.len()],
                expected: format!("{} names", self.classes()),
            });
        }
        let (graph, names) = self.exported_graph();
        let total: usize = graph.initializers.iter().map(encode::length).sum();
        let beside = (options.external_data || total > LARGEST).then(|| data_path(path));
        let written: Vec<PathBuf> =
            std::iter::once(path.to_owned()).chain(beside.clone()).collect();
        if let Some(path) = written.iter().find(|path| !options.overwrite && path.exists()) {
            return Err(NetworkError::Exists { path: path.clone() });
        }

        let name = beside.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
        let places = places(&graph, name.as_deref());
        let metadata = self.metadata(&names, options);
        let batch = Axis::Free("batch");
        let outputs = [declared(LOGITS, &[batch, Axis::Fixed(self.classes())])];
        let frame = Frame { name: self.name(), outputs: &outputs, metadata: &metadata };

        let write_error = |path: &Path| {
            let path = path.to_owned();
            move |source| NetworkError::Write { path, source }
        };
        let data = match &beside {
            Some(path) => Some(
                Draft::write(path, |out| self.write_beside(&graph, &places, out))
                    .map_err(write_error(path))?,
            ),
            None => None,
        };
        let model = Draft::write(path, |out| {
            encode::write(&graph, &frame, &places, out, |index, out| self.write_tensor(index, out))
        })
        .map_err(write_error(path))?;
        // the weights first: a model whose weights are not there yet would be broken
        if let Some(data) = data {
            let path = data.path.clone();
            data.publish().map_err(write_error(&path))?;
        }
        model.publish().map_err(write_error(path))?;
        Ok(written)
    }

    /// The graph with its ends renamed, and each module's value in it.
    fn exported_graph(&self) -> (Graph, Vec<(String, String)>) {
        let mut graph = self.graph.strict();
        let mut values: Vec<(String, String)> = self
            .layers
            .iter()
            .map(|(module, value)| (module.to_owned(), value.to_owned()))
            .collect();
        let input = graph.inputs.first().and_then(|input| input.name.clone()).unwrap_or_default();
        // one of them may bear the other's name
        let mut ends = [input, self.logits.clone()];
        for (index, new) in [INPUT, LOGITS].into_iter().enumerate() {
            for (given, other) in graph.rename(&ends[index].clone(), new) {
                let named = values.iter_mut().map(|(_, value)| value).chain(&mut ends);
                named.filter(|value| **value == given).for_each(|value| other.clone_into(value));
            }
        }
        let axis = |index: usize, symbol| {
            self.input_size().map_or(Axis::Free(symbol), |size| Axis::Fixed(size[index]))
        };
        let channels = Axis::Fixed(self.channels());
        let axes = [Axis::Free("batch"), channels, axis(0, "height"), axis(1, "width")];
        graph.inputs = vec![declared(INPUT, &axes)];
        (graph, values)
    }

    fn metadata(
        &self,
        layers: &[(String, String)],
        options: &ExportOptions<'_>,
    ) -> Vec<(String, String)> {
        let layers: Map<String, Value> = layers
            .iter()
            .map(|(module, value)| (module.clone(), Value::String(value.clone())))
            .collect();
        let names = options.classes.map(|names| {
            (0..names.len()).map(|index| Value::from(names.name(index))).collect::<Value>()
        });
        let preprocessing =
            options.preprocessing.and_then(|steps| serde_json::to_value(steps).ok());
        let mut metadata = vec![
            ("architecture".to_owned(), self.name().to_owned()),
            ("weights_sha256".to_owned(), self.sha256().to_owned()),
            ("layers".to_owned(), Value::Object(layers).to_string()),
            ("default_layer".to_owned(), self.default_layer().to_owned()),
        ];
        let known = [("classes", names), ("preprocessing", preprocessing)];
        metadata.extend(
            known.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_string()))),
        );
        metadata
    }

    /// The tensors that lie beside the file, each at its offset.
    fn write_beside(
        &self,
        graph: &Graph,
        places: &[Place<'_>],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut at = 0;
        for (index, (tensor, place)) in graph.initializers.iter().zip(places).enumerate() {
            let Place::Beside { offset, .. } = place else { continue };
            io::copy(&mut io::Read::take(io::repeat(0), offset - at), out)?;
            self.write_tensor(index, out)?;
            at = offset + encode::length(tensor) as u64;
        }
        Ok(())
    }

    /// The values of an initialiser: of the graph as it was read, which knows what type they have.
    fn write_tensor(&self, index: usize, out: &mut dyn Write) -> io::Result<()> {
        match self.graph.initializers.get(index) {
            Some(tensor) => self.runtime.write_widened(tensor, out),
            None => Err(io::Error::other("a tensor is missing")),
        }
    }
}

/// `model.onnx` -> `model.onnx.data`.
fn data_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".data");
    PathBuf::from(name)
}

fn places<'f>(graph: &Graph, beside: Option<&'f str>) -> Vec<Place<'f>> {
    let mut end: u64 = 0;
    graph
        .initializers
        .iter()
        .map(|tensor| match (beside, encode::length(tensor)) {
            (Some(file), length) if length >= SMALL => {
                let offset = end.next_multiple_of(PAGE);
                end = offset + length as u64;
                Place::Beside { file, offset }
            }
            _ => Place::Inside,
        })
        .collect()
}

/// A file on its way: under a name of its own until it is complete, gone if it is not published.
struct Draft {
    path: PathBuf,
    draft: PathBuf,
}

impl Draft {
    fn write(
        path: &Path,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::other("it has no file name"))?;
        if path.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        let hidden = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
        let draft = path.with_file_name(hidden);
        let mut out = BufWriter::with_capacity(1 << 16, File::create_new(&draft)?);
        // from here on the file is taken away again if anything fails
        let this = Self { path: path.to_owned(), draft };
        write(&mut out)?;
        out.flush()?;
        Ok(this)
    }

    fn publish(self) -> io::Result<()> {
        fs::rename(&self.draft, &self.path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // there is none once it was published
        let _ = fs::remove_file(&self.draft);
    }
}

//! The messages of ONNX (`onnx.proto`), as far as a classifier needs them.

use rten_onnx::onnx::DataType;
use std::collections::BTreeMap;

use super::tensor::{ParsedTensor, Payload, tensor};
use super::wire::{Field, Message, WireError};
use crate::graph::{Attribute, Data, Initializer, Node, Setting};

/// A parsed file.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub opsets: Vec<(String, i64)>,
    pub nodes: Vec<ParsedNode>,
    pub tensors: Vec<ParsedTensor>,
    pub inputs: Vec<Value>,
    pub outputs: Vec<Value>,
    /// True if there is a graph at all.
    pub has_graph: bool,
    pub functions: usize,
    pub sparse: usize,
    /// Who wrote the file.
    pub producer: String,
    /// `metadata_props`.
    pub metadata: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(super) struct ParsedNode {
    pub node: Node,
    /// Names of the modules that the node stands in, outermost first, where the exporter wrote them down.
    pub scopes: Option<String>,
    /// True if an attribute holds a graph of its own (If, Loop).
    pub subgraph: bool,
}

/// A graph's input or output.
#[derive(Clone, Debug, Default)]
pub(super) struct Value {
    pub name: String,
    pub element: Option<DataType>,
    /// `None` without a shape; in it, `None` for an axis without a fixed size.
    pub shape: Option<Vec<Option<usize>>>,
}

/// Why a file cannot be read as ONNX.
#[derive(Debug, thiserror::Error)]
pub(super) enum ModelError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("tensor {name} has a negative or absurd size {dims:?}")]
    Dims { name: String, dims: Vec<i64> },
    #[error("tensor {name} has element type {element}, which no classifier here uses")]
    Element { name: String, element: i32 },
    #[error("tensor {name} has {found} bytes of data; its shape {dims:?} asks for {expected}")]
    Length { name: String, dims: Vec<usize>, found: usize, expected: usize },
    #[error("tensor {name}: its external data has no valid location, offset or length")]
    External { name: String },
}

pub(super) type Result<T, E = ModelError> = std::result::Result<T, E>;

impl Model {
    pub fn parse(file: &[u8]) -> Result<Self> {
        let mut model = Self::default();
        let mut message = Message::new(file);
        while let Some(field) = message.next()? {
            match field.number {
                2 => model.producer = field.text()?,
                7 => {
                    model.has_graph = true;
                    model.graph(field.message()?)?;
                }
                8 => model.opsets.push(opset(field.message()?)?),
                14 => model.metadata.extend([entry(field.message()?)?]),
                25 => model.functions += 1,
                _ => {}
            }
        }
        Ok(model)
    }

    fn graph(&mut self, mut graph: Message<'_>) -> Result<()> {
        while let Some(field) = graph.next()? {
            match field.number {
                1 => self.nodes.push(node(field.message()?)?),
                5 => self.tensors.push(tensor(field.message()?)?),
                11 => self.inputs.push(value(field.message()?)?),
                12 => self.outputs.push(value(field.message()?)?),
                15 => self.sparse += 1,
                _ => {}
            }
        }
        Ok(())
    }
}

fn opset(mut message: Message<'_>) -> Result<(String, i64)> {
    let (mut domain, mut version) = (String::new(), 1);
    while let Some(field) = message.next()? {
        match field.number {
            1 => domain = field.text()?,
            2 => version = field.int()?,
            _ => {}
        }
    }
    Ok((domain, version))
}

fn node(mut message: Message<'_>) -> Result<ParsedNode> {
    let mut node = Node {
        domain: String::new(),
        operator: String::new(),
        name: String::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        attributes: Vec::new(),
    };
    let (mut scopes, mut subgraph) = (None, false);
    while let Some(field) = message.next()? {
        match field.number {
            1 => node.inputs.push(field.text()?),
            2 => node.outputs.push(field.text()?),
            3 => node.name = field.text()?,
            4 => node.operator = field.text()?,
            5 => match attribute(field.message()?)? {
                Some(attribute) => node.attributes.push(attribute),
                None => subgraph = true,
            },
            7 => node.domain = field.text()?,
            9 => {
                let (key, text) = entry(field.message()?)?;
                if key == "pkg.torch.onnx.name_scopes" {
                    scopes = Some(text);
                }
            }
            _ => {}
        }
    }
    if node.domain == "ai.onnx" {
        node.domain.clear();
    }
    // optional outputs that nobody wants have no name
    while node.outputs.last().is_some_and(String::is_empty) {
        node.outputs.pop();
    }
    Ok(ParsedNode { node, scopes, subgraph })
}

/// An attribute, or `None` if it holds graphs.
fn attribute(mut message: Message<'_>) -> Result<Option<Attribute>> {
    let mut name = String::new();
    let (mut single, mut ints, mut floats) = (None, Vec::new(), Vec::new());
    let (mut texts, mut kind, mut graphs) = (Vec::new(), 0, false);
    while let Some(field) = message.next()? {
        match field.number {
            1 => name = field.text()?,
            2 => single = Some(Setting::Float(field.float()?)),
            3 => single = Some(Setting::Int(field.int()?)),
            4 => single = Some(Setting::Text(field.text()?)),
            5 => single = Some(Setting::Tensor(Box::new(inline(&field)?))),
            6 | 11 => graphs = true,
            7 => field.floats(&mut floats)?,
            8 => field.ints(&mut ints)?,
            9 => texts.push(field.text()?),
            20 => kind = field.int()?,
            _ => {}
        }
    }
    if graphs {
        return Ok(None);
    }
    // the type tells empty lists apart, and zeros that proto3 leaves out
    let value = match (single, kind) {
        (_, 6) => Setting::Floats(floats),
        (_, 7) => Setting::Ints(ints),
        (_, 8) => Setting::Texts(texts),
        (Some(single), _) => single,
        (None, 1) => Setting::Float(0.0),
        (None, 2) => Setting::Int(0),
        (None, 3) => Setting::Text(String::new()),
        (None, _) if !floats.is_empty() => Setting::Floats(floats),
        (None, _) if !texts.is_empty() => Setting::Texts(texts),
        (None, _) => Setting::Ints(ints),
    };
    Ok(Some(Attribute { name, value }))
}

/// A tensor in an attribute: small, so its bytes are copied.
fn inline(field: &Field<'_>) -> Result<Initializer> {
    let ParsedTensor { name, dims, element, payload } = tensor(field.message()?)?;
    let raw = match payload {
        Payload::Raw(span) => field.bytes_at(span),
        Payload::Inline(raw) => raw,
        Payload::External { .. } => return Err(ModelError::External { name }),
    };
    Ok(Initializer { name, dims, element, data: Data::Inline(raw) })
}

pub(super) fn entry(mut message: Message<'_>) -> Result<(String, String)> {
    let (mut key, mut text) = (String::new(), String::new());
    while let Some(field) = message.next()? {
        match field.number {
            1 => key = field.text()?,
            2 => text = field.text()?,
            _ => {}
        }
    }
    Ok((key, text))
}

fn value(mut message: Message<'_>) -> Result<Value> {
    let mut value = Value::default();
    while let Some(field) = message.next()? {
        match field.number {
            1 => value.name = field.text()?,
            2 => {
                let mut kind = field.message()?;
                while let Some(field) = kind.next()? {
                    if field.number == 1 {
                        tensor_type(field.message()?, &mut value)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(value)
}

fn tensor_type(mut message: Message<'_>, value: &mut Value) -> Result<()> {
    while let Some(field) = message.next()? {
        match field.number {
            1 => value.element = i32::try_from(field.int()?).ok().map(DataType),
            2 => {
                let mut shape = Vec::new();
                let mut dims = field.message()?;
                while let Some(field) = dims.next()? {
                    if field.number == 1 {
                        shape.push(dimension(field.message()?)?);
                    }
                }
                value.shape = Some(shape);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The size of an axis, if it is fixed. (Some exporters write free axes as 0 or -1.)
fn dimension(mut message: Message<'_>) -> Result<Option<usize>> {
    let mut size = None;
    while let Some(field) = message.next()? {
        if field.number == 1 {
            size = usize::try_from(field.int()?).ok().filter(|&size| size > 0);
        }
    }
    Ok(size)
}

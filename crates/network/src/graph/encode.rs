//! A graph as the bytes of an ONNX file, its weights streamed through.
//!
//! `rten_onnx` writes ONNX too, but wants all weights in its structures and then writes them into a second
//! buffer, and its graphs have no name, which the format asks for.

use std::io::{self, Write};

use rten_onnx::onnx::{AttributeType, DataLocation, DataType, ValueInfoProto};

use super::{Attribute, Data, Graph, IR_VERSION, Initializer, Node, Setting};

/// Bytes of a message of protocol buffers.
#[derive(Debug, Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// The start of a field of so many bytes.
    fn header(&mut self, field: u64, length: usize) {
        self.varint(field << 3 | 2);
        self.varint(length as u64);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.header(field, bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn int(&mut self, field: u64, value: i64) {
        self.varint(field << 3);
        self.varint(value.cast_unsigned());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn message(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn entry(&mut self, field: u64, key: &str, value: &str) {
        self.message(field, |entry| {
            entry.text(1, key);
            entry.text(2, value);
        });
    }
}

/// Where the values of an initialiser are to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// In the file itself.
    Inside,
    /// In a file beside it, at an offset.
    Beside { file: &'a str, offset: u64 },
}

/// What a file holds besides the graph.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    /// The graph's name.
    pub name: &'a str,
    /// The graph's outputs.
    pub outputs: &'a [ValueInfoProto],
    pub metadata: &'a [(String, String)],
}

/// An initialiser's length in bytes.
pub(crate) fn length(tensor: &Initializer) -> usize {
    match &tensor.data {
        Data::Inline(raw) => raw.len(),
        // widening changes the type, and not the place in the weights' buffer
        Data::External { .. } if tensor.element == DataType::FLOAT => {
            tensor.dims.iter().product::<usize>() * size_of::<f32>()
        }
        Data::External { length, .. } => *length,
    }
}

/// Writes a `ModelProto`. `places` has an entry an initialiser; `values` writes the bytes of the initialiser
/// at an index, exactly [`length`] of them.
///
/// # Errors
/// Those of `out` and of `values`.
pub(crate) fn write(
    graph: &Graph,
    frame: &Frame<'_>,
    places: &[Place<'_>],
    out: &mut dyn Write,
    mut values: impl FnMut(usize, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    // ModelProto: 1 ir_version, 2 and 3 producer, 7 graph, 8 opset_import, 14 metadata_props
    let mut model = Bytes::default();
    model.int(1, IR_VERSION);
    model.text(2, super::PRODUCER);
    model.text(3, env!("CARGO_PKG_VERSION"));
    let opsets = std::iter::once(("", graph.opset))
        .chain(graph.domains.iter().map(|(domain, version)| (domain.as_str(), *version)));
    for (domain, version) in opsets {
        model.message(8, |opset| {
            opset.text(1, domain);
            opset.int(2, version);
        });
    }
    for (key, value) in frame.metadata {
        model.entry(14, key, value);
    }

    // GraphProto: 1 node, 2 name, 5 initializer, 11 input, 12 output
    let mut body = Bytes::default();
    for node in &graph.nodes {
        body.message(1, |message| encode_node(node, message));
    }
    body.text(2, frame.name);
    for (field, declared) in [(11, graph.inputs.as_slice()), (12, frame.outputs)] {
        for value in declared {
            body.message(field, |message| encode_value(value, message));
        }
    }
    // each initialiser's field up to its raw bytes, and how many of those follow
    let tensors: Vec<(Bytes, usize)> = graph
        .initializers
        .iter()
        .zip(places)
        .map(|(tensor, &place)| {
            let mut inner = Bytes::default();
            encode_tensor(tensor, place, &mut inner);
            let raw = if place == Place::Inside { length(tensor) } else { 0 };
            let mut field = Bytes::default();
            field.header(5, inner.0.len() + raw);
            field.0.append(&mut inner.0);
            (field, raw)
        })
        .collect();
    let total: usize = tensors.iter().map(|(field, raw)| field.0.len() + raw).sum();
    model.header(7, body.0.len() + total);
    out.write_all(&model.0)?;
    out.write_all(&body.0)?;
    for (index, (field, raw)) in tensors.iter().enumerate() {
        out.write_all(&field.0)?;
        if *raw > 0 {
            values(index, out)?;
        }
    }
    Ok(())
}

/// TensorProto: 1 dims, 2 data_type, 8 name, 9 raw_data, 13 external_data, 14 data_location. With the values
/// inside, it ends with the header of the raw bytes, which follow.
fn encode_tensor(tensor: &Initializer, place: Place<'_>, out: &mut Bytes) {
    for &size in &tensor.dims {
        out.int(1, size as i64);
    }
    out.int(2, tensor.element.0.into());
    out.text(8, &tensor.name);
    match place {
        Place::Inside => out.header(9, length(tensor)),
        Place::Beside { file, offset } => {
            out.entry(13, "location", file);
            out.entry(13, "offset", &offset.to_string());
            out.entry(13, "length", &length(tensor).to_string());
            out.int(14, DataLocation::EXTERNAL.0.into());
        }
    }
}

/// NodeProto: 1 input, 2 output, 3 name, 4 op_type, 5 attribute, 7 domain.
fn encode_node(node: &Node, out: &mut Bytes) {
    for input in &node.inputs {
        out.text(1, input);
    }
    for output in &node.outputs {
        out.text(2, output);
    }
    out.text(3, &node.name);
    out.text(4, &node.operator);
    for attribute in &node.attributes {
        out.message(5, |message| encode_attribute(attribute, message));
    }
    if !node.domain.is_empty() {
        out.text(7, &node.domain);
    }
}

/// AttributeProto: 1 name, 2 f, 3 i, 4 s, 5 t, 7 floats, 8 ints, 9 strings, 20 type.
fn encode_attribute(attribute: &Attribute, out: &mut Bytes) {
    out.text(1, &attribute.name);
    let kind = match &attribute.value {
        Setting::Float(value) => {
            out.float(2, *value);
            AttributeType::FLOAT
        }
        Setting::Int(value) => {
            out.int(3, *value);
            AttributeType::INT
        }
        Setting::Text(text) => {
            out.text(4, text);
            AttributeType::STRING
        }
        Setting::Tensor(tensor) => {
            out.message(5, |message| {
                encode_tensor(tensor, Place::Inside, message);
                // a tensor in an attribute has its bytes itself
                message.0.extend_from_slice(tensor.bytes(&[]).unwrap_or_default());
            });
            AttributeType::TENSOR
        }
        Setting::Floats(values) => {
            values.iter().for_each(|&value| out.float(7, value));
            AttributeType::FLOATS
        }
        Setting::Ints(values) => {
            values.iter().for_each(|&value| out.int(8, value));
            AttributeType::INTS
        }
        Setting::Texts(texts) => {
            texts.iter().for_each(|text| out.text(9, text));
            AttributeType::STRINGS
        }
    };
    out.int(20, kind.0.into());
}

/// ValueInfoProto: 1 name, 2 type; TypeProto: 1 tensor_type; its Tensor: 1 elem_type, 2 shape; the shape: 1 dim,
/// of which 1 is a size and 2 the name of a free one.
fn encode_value(value: &ValueInfoProto, out: &mut Bytes) {
    out.text(1, value.name.as_deref().unwrap_or_default());
    let Some(tensor) = value.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()) else {
        return;
    };
    out.message(2, |kind| {
        kind.message(1, |message| {
            message.int(1, tensor.elem_type.unwrap_or(DataType::FLOAT).0.into());
            let Some(shape) = &tensor.shape else { return };
            message.message(2, |message| {
                for axis in &shape.dim {
                    message.message(1, |message| match (axis.dim_value, &axis.dim_param) {
                        (Some(size), _) => message.int(1, size),
                        (None, Some(name)) => message.text(2, name),
                        (None, None) => {}
                    });
                }
            });
        });
    });
}

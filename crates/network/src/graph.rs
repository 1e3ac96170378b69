//! The one form every classifier takes inside: an ONNX graph whose values carry readable names.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use rten_onnx::onnx::{
    AttributeProto, AttributeType, DataLocation, DataType, Dimension, GraphProto, ModelProto,
    NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto,
    TypeProto, TypeProtoTensor, ValueInfoProto,
};

use crate::weights::{Element, Tensor};

/// rten wants external data in a bare file name whose extension starts with `data`.
pub(crate) const WEIGHTS_FILE: &str = "weights.data";

const OPSET: i64 = 18;
const IR_VERSION: i64 = 9;

/// An axis of a graph input: fixed, or free under a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Axis {
    Fixed(usize),
    Free(&'static str),
}

/// An operation of ONNX's default domain. (The protobuf types of `rten_onnx` cannot be shared among
/// threads; these can, and become those when a graph is written out.)
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub operator: String,
    pub name: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    attributes: Vec<Attribute>,
}

/// A named setting of a node.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    name: &'static str,
    value: Setting,
}

#[derive(Clone, Debug)]
enum Setting {
    Int(i64),
    Float(f32),
    Ints(Vec<usize>),
}

/// A constant of a graph.
#[derive(Clone, Debug)]
pub(crate) struct Initializer {
    pub name: String,
    pub dims: Vec<usize>,
    element: DataType,
    data: Data,
}

#[derive(Clone, Debug)]
enum Data {
    /// Bytes of the weights' buffer.
    External { offset: usize, length: usize },
    /// Bytes of its own.
    Inline(Vec<u8>),
}

/// Nodes in topological order, initialisers, inputs. Outputs are declared when it is written out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    pub nodes: Vec<Node>,
    pub inputs: Vec<ValueInfoProto>,
    pub initializers: Vec<Initializer>,
}

impl Graph {
    pub fn input(&mut self, name: &str, axes: &[Axis]) {
        let dim = axes
            .iter()
            .map(|axis| match *axis {
                Axis::Fixed(size) => Dimension { dim_value: Some(size as i64), dim_param: None },
                Axis::Free(symbol) => {
                    Dimension { dim_value: None, dim_param: Some(symbol.to_owned()) }
                }
            })
            .collect();
        self.inputs.push(value_info(name, Some(TensorShapeProto { dim })));
    }

    pub fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<Attribute>,
    ) {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        self.nodes.push(Node {
            operator: operator.to_owned(),
            name: name.to_owned(),
            inputs: owned(inputs),
            outputs: owned(outputs),
            attributes,
        });
    }

    /// An initialiser whose data lie in the weights' buffer.
    pub fn external(&mut self, name: &str, tensor: &Tensor) {
        self.initializers.push(Initializer {
            name: name.to_owned(),
            dims: tensor.shape.clone(),
            element: match tensor.dtype {
                Element::F32 => DataType::FLOAT,
                Element::F16 => DataType::FLOAT16,
                Element::Bf16 => DataType::BFLOAT16,
            },
            data: Data::External { offset: tensor.offset, length: tensor.length },
        });
    }

    pub fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.inline(name, dims, DataType::FLOAT, raw);
    }

    pub fn integers(&mut self, name: &str, dims: &[usize], values: &[i64]) {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.inline(name, dims, DataType::INT64, raw);
    }

    fn inline(&mut self, name: &str, dims: &[usize], element: DataType, raw: Vec<u8>) {
        let (name, dims) = (name.to_owned(), dims.to_vec());
        self.initializers.push(Initializer { name, dims, element, data: Data::Inline(raw) });
    }

    /// The serialised `ModelProto` with these values as its outputs.
    pub fn to_onnx(&self, outputs: &[&str]) -> Result<Vec<u8>, String> {
        let graph = GraphProto {
            node: self.nodes.iter().map(Node::to_proto).collect(),
            initializer: self.initializers.iter().map(Initializer::to_proto).collect(),
            input: self.inputs.clone(),
            output: outputs.iter().map(|name| value_info(name, None)).collect(),
            value_info: Vec::new(),
        };
        let model = ModelProto {
            ir_version: Some(IR_VERSION),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(OPSET),
            }],
            producer_name: Some("introspective".to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            metadata_props: Vec::new(),
        };
        model.write_buf().map_err(|error| error.to_string())
    }

    /// Every value that a node computes, in order.
    pub fn computed(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().flat_map(|node| node.outputs.iter().map(String::as_str))
    }

    /// For each value, the indices of the nodes that read it.
    pub fn consumers(&self) -> HashMap<&str, Vec<usize>> {
        let mut map: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                map.entry(input).or_default().push(index);
            }
        }
        map
    }

    /// Indices of the nodes on a path from `start` to `end`, in topological order.
    pub fn between(&self, start: &str, end: &str) -> Vec<usize> {
        let mut downstream = HashSet::from([start]);
        let mut after = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            // `start` itself may be computed by a node of this list: its inputs do not count
            if node.inputs.iter().any(|input| downstream.contains(input.as_str())) {
                downstream.extend(node.outputs.iter().map(String::as_str));
                after.push(index);
            }
        }
        let mut wanted = HashSet::from([end]);
        let mut path = Vec::new();
        for &index in after.iter().rev() {
            let node = &self.nodes[index];
            if node.outputs.iter().any(|output| wanted.contains(output.as_str())) {
                wanted.extend(
                    node.inputs
                        .iter()
                        .map(String::as_str)
                        .filter(|input| downstream.contains(input)),
                );
                path.push(index);
            }
        }
        path.reverse();
        path
    }

    /// Shape of an initialiser.
    pub fn initializer_shape(&self, name: &str) -> Option<Vec<usize>> {
        self.initializer(name).map(|tensor| tensor.dims.clone())
    }

    /// An initialiser.
    pub fn initializer(&self, name: &str) -> Option<&Initializer> {
        self.initializers.iter().find(|tensor| tensor.name == name)
    }
}

impl Initializer {
    fn to_proto(&self) -> TensorProto {
        let mut proto = TensorProto {
            name: Some(self.name.clone()),
            dims: self.dims.iter().map(|&d| d as i64).collect(),
            data_type: Some(self.element),
            ..TensorProto::default()
        };
        match &self.data {
            Data::Inline(raw) => proto.raw_data = Some(RefCell::new(raw.clone())),
            Data::External { offset, length } => {
                let entry = |key: &str, value: String| StringStringEntryProto {
                    key: Some(key.to_owned()),
                    value: Some(value),
                };
                proto.data_location = Some(DataLocation::EXTERNAL);
                proto.external_data = vec![
                    entry("location", WEIGHTS_FILE.to_owned()),
                    entry("offset", offset.to_string()),
                    entry("length", length.to_string()),
                ];
            }
        }
        proto
    }
}

fn value_info(name: &str, shape: Option<TensorShapeProto>) -> ValueInfoProto {
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            tensor_type: Some(TypeProtoTensor { elem_type: Some(DataType::FLOAT), shape }),
            sequence: None,
        }),
    }
}

pub(crate) fn int(name: &'static str, value: i64) -> Attribute {
    Attribute { name, value: Setting::Int(value) }
}

pub(crate) fn float(name: &'static str, value: f32) -> Attribute {
    Attribute { name, value: Setting::Float(value) }
}

pub(crate) fn ints(name: &'static str, values: &[usize]) -> Attribute {
    Attribute { name, value: Setting::Ints(values.to_vec()) }
}

impl Node {
    /// An integer attribute, or ONNX's default for it.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        match self.setting(name) {
            Some(Setting::Int(value)) => *value,
            _ => default,
        }
    }

    /// A float attribute, or ONNX's default for it.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        match self.setting(name) {
            Some(Setting::Float(value)) => *value,
            _ => default,
        }
    }

    /// An attribute of sizes, or ONNX's default for it.
    pub fn ints(&self, name: &str, default: &[usize]) -> Vec<usize> {
        match self.setting(name) {
            Some(Setting::Ints(values)) => values.clone(),
            _ => default.to_vec(),
        }
    }

    fn setting(&self, name: &str) -> Option<&Setting> {
        self.attributes.iter().find(|a| a.name == name).map(|a| &a.value)
    }

    fn to_proto(&self) -> NodeProto {
        NodeProto {
            domain: None,
            name: Some(self.name.clone()),
            input: self.inputs.clone(),
            output: self.outputs.clone(),
            op_type: Some(self.operator.clone()),
            attribute: self.attributes.iter().map(Attribute::to_proto).collect(),
        }
    }
}

impl Attribute {
    fn to_proto(&self) -> AttributeProto {
        let mut proto =
            AttributeProto { name: Some(self.name.to_owned()), ..AttributeProto::default() };
        proto.r#type = Some(match &self.value {
            Setting::Int(value) => {
                proto.i = Some(*value);
                AttributeType::INT
            }
            Setting::Float(value) => {
                proto.f = Some(*value);
                AttributeType::FLOAT
            }
            Setting::Ints(values) => {
                proto.ints = values.iter().map(|&v| v as i64).collect();
                AttributeType::INTS
            }
        });
        proto
    }
}

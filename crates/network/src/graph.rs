//! The one form every classifier takes inside: an ONNX graph whose values carry readable names.

pub(crate) mod encode;
mod initializer;
mod node;

use std::collections::{HashMap, HashSet};

use rten_onnx::onnx::{
    DataType, Dimension, GraphProto, ModelProto, OperatorSetIdProto, TensorShapeProto, TypeProto,
    TypeProtoTensor, ValueInfoProto,
};

pub(crate) use self::initializer::{Data, Initializer};
pub(crate) use self::node::{Attribute, Node, Setting, float, int, ints, signed};
use crate::weights::{Element, Tensor};

/// rten wants external data in a bare file name whose extension starts with `data`.
pub(crate) const WEIGHTS_FILE: &str = "weights.data";

/// The operator set that graphs written here use; a graph read from a file keeps its own.
pub(crate) const OPSET: i64 = 18;
const IR_VERSION: i64 = 9;
/// Who wrote a file.
pub(crate) const PRODUCER: &str = "introspective";

/// An axis of a graph input: fixed, or free under a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Axis {
    Fixed(usize),
    Free(&'static str),
}

/// Nodes in topological order, initialisers, inputs. Outputs are declared when it is written out.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub nodes: Vec<Node>,
    pub inputs: Vec<ValueInfoProto>,
    pub initializers: Vec<Initializer>,
    /// Version of ONNX's own operator set.
    pub opset: i64,
    /// Further operator sets: domain and version.
    pub domains: Vec<(String, i64)>,
}

impl Default for Graph {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            inputs: Vec::new(),
            initializers: Vec::new(),
            opset: OPSET,
            domains: Vec::new(),
        }
    }
}

impl Graph {
    pub fn input(&mut self, name: &str, axes: &[Axis]) {
        self.inputs.push(declared(name, axes));
    }

    /// Gives a value, which may be an input, another name; whoever has that name gets a new one. Returns
    /// what was renamed to what.
    pub fn rename(&mut self, old: &str, new: &str) -> Vec<(String, String)> {
        if old == new {
            return Vec::new();
        }
        let taken: HashSet<&str> = self
            .computed()
            .chain(self.initializers.iter().map(|tensor| tensor.name.as_str()))
            .chain(self.inputs.iter().filter_map(|input| input.name.as_deref()))
            .collect();
        let mut renamed = Vec::new();
        if taken.contains(new) {
            let free = (1..).map(|i| format!("{new}_{i}")).find(|name| !taken.contains(&**name));
            renamed.extend(free.map(|free| (new.to_owned(), free)));
        }
        renamed.push((old.to_owned(), new.to_owned()));
        for (old, new) in &renamed {
            self.replace(old, new);
        }
        renamed
    }

    fn replace(&mut self, old: &str, new: &str) {
        let values = self
            .nodes
            .iter_mut()
            .flat_map(|node| node.inputs.iter_mut().chain(&mut node.outputs))
            .chain(self.initializers.iter_mut().map(|tensor| &mut tensor.name))
            .chain(self.inputs.iter_mut().filter_map(|input| input.name.as_mut()));
        for value in values.filter(|value| *value == old) {
            new.clone_into(value);
        }
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
            domain: String::new(),
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

    /// The same graph as strict runtimes want it, and rten need not have it: constants of float16 and
    /// conversions to it become float32, since the operators of ONNX want all their inputs of one type; and
    /// of several nodes of one name only the first keeps it.
    pub fn strict(&self) -> Self {
        let mut strict = self.clone();
        for tensor in &mut strict.initializers {
            *tensor = tensor.widened();
        }
        let mut names = HashSet::new();
        for node in &mut strict.nodes {
            node.widen();
            if !names.insert(node.name.clone()) {
                node.name.clear();
            }
        }
        strict
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
            opset_import: std::iter::once((String::new(), self.opset))
                .chain(self.domains.iter().cloned())
                .map(|(domain, version)| OperatorSetIdProto {
                    domain: Some(domain),
                    version: Some(version),
                })
                .collect(),
            producer_name: Some(PRODUCER.to_owned()),
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

    /// The node that computes a value.
    pub fn producer(&self, value: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.outputs.iter().any(|output| output == value))
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

/// A value of float32 with these axes.
pub(crate) fn declared(name: &str, axes: &[Axis]) -> ValueInfoProto {
    let dim = axes
        .iter()
        .map(|axis| match *axis {
            Axis::Fixed(size) => Dimension { dim_value: Some(size as i64), dim_param: None },
            Axis::Free(symbol) => Dimension { dim_value: None, dim_param: Some(symbol.to_owned()) },
        })
        .collect();
    value_info(name, Some(TensorShapeProto { dim }))
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

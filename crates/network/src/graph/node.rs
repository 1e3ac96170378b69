//! Operations of a graph and their settings.

use rten_onnx::onnx::{AttributeProto, AttributeType, DataType, NodeProto};

use super::Initializer;

/// An operation. (The protobuf types of `rten_onnx` cannot be shared among
/// threads; these can, and become those when a graph is written out.)
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Empty for ONNX's own operators.
    pub domain: String,
    pub operator: String,
    pub name: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: Vec<Attribute>,
}

/// A named setting of a node.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub name: String,
    pub value: Setting,
}

#[derive(Clone, Debug)]
pub(crate) enum Setting {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<String>),
    Tensor(Box<Initializer>),
}

pub(crate) fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.to_owned(), value: Setting::Int(value) }
}

pub(crate) fn float(name: &str, value: f32) -> Attribute {
    Attribute { name: name.to_owned(), value: Setting::Float(value) }
}

pub(crate) fn ints(name: &str, values: &[usize]) -> Attribute {
    signed(name, &values.iter().map(|&v| v as i64).collect::<Vec<_>>())
}

pub(crate) fn signed(name: &str, values: &[i64]) -> Attribute {
    Attribute { name: name.to_owned(), value: Setting::Ints(values.to_vec()) }
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

    /// An attribute of sizes, or ONNX's default for it. (Reading a file refuses negative sizes.)
    pub fn ints(&self, name: &str, default: &[usize]) -> Vec<usize> {
        match self.setting(name) {
            Some(Setting::Ints(values)) => {
                values.iter().map(|&v| usize::try_from(v).unwrap_or(0)).collect()
            }
            _ => default.to_vec(),
        }
    }

    /// An attribute of integers that may be negative, such as axes.
    pub fn signed(&self, name: &str) -> Option<&[i64]> {
        match self.setting(name) {
            Some(Setting::Ints(values)) => Some(values),
            _ => None,
        }
    }

    /// A text attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.setting(name) {
            Some(Setting::Text(value)) => Some(value),
            _ => None,
        }
    }

    /// The attribute of this name.
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.attributes.iter().find(|a| a.name == name).map(|a| &a.value)
    }

    /// Float32 wherever it holds float16 or converts to it.
    pub(super) fn widen(&mut self) {
        let cast = self.operator == "Cast";
        for Attribute { name, value } in &mut self.attributes {
            match value {
                Setting::Int(to)
                    if cast && name == "to" && *to == i64::from(DataType::FLOAT16.0) =>
                {
                    *to = i64::from(DataType::FLOAT.0);
                }
                Setting::Tensor(tensor) => **tensor = tensor.widened(),
                _ => {}
            }
        }
    }

    pub(super) fn to_proto(&self) -> NodeProto {
        NodeProto {
            domain: Some(self.domain.clone()).filter(|domain| !domain.is_empty()),
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
            AttributeProto { name: Some(self.name.clone()), ..AttributeProto::default() };
        proto.r#type = Some(match &self.value {
            Setting::Int(value) => {
                proto.i = Some(*value);
                AttributeType::INT
            }
            Setting::Float(value) => {
                proto.f = Some(*value);
                AttributeType::FLOAT
            }
            Setting::Text(value) => {
                proto.s = Some(value.clone());
                AttributeType::STRING
            }
            Setting::Ints(values) => {
                proto.ints.clone_from(values);
                AttributeType::INTS
            }
            Setting::Floats(values) => {
                proto.floats.clone_from(values);
                AttributeType::FLOATS
            }
            Setting::Texts(values) => {
                proto.strings.clone_from(values);
                AttributeType::STRINGS
            }
            Setting::Tensor(tensor) => {
                proto.t = Some(tensor.to_proto());
                AttributeType::TENSOR
            }
        });
        proto
    }
}

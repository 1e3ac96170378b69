//! Constants of a graph.

use std::cell::RefCell;

use rten_onnx::onnx::{DataLocation, DataType, StringStringEntryProto, TensorProto};

use super::WEIGHTS_FILE;
use crate::weights::{Element, all_finite};

/// A constant of a graph.
#[derive(Clone, Debug)]
pub(crate) struct Initializer {
    pub name: String,
    pub dims: Vec<usize>,
    pub element: DataType,
    pub data: Data,
}

#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// Bytes of the weights' buffer.
    External { offset: usize, length: usize },
    /// Bytes of its own.
    Inline(Vec<u8>),
}

impl Initializer {
    /// Its bytes, little-endian; `buffer` is the weights'. `None` if they do not lie in it.
    pub fn bytes<'a>(&'a self, buffer: &'a [u8]) -> Option<&'a [u8]> {
        match &self.data {
            Data::Inline(raw) => Some(raw),
            Data::External { offset, length } => buffer.get(*offset..offset.checked_add(*length)?),
        }
    }

    /// False if it lies in the weights' buffer and has values that are infinite or not a number.
    pub fn is_finite(&self, buffer: &[u8]) -> bool {
        let element = match self.element {
            DataType::FLOAT => Element::F32,
            DataType::FLOAT16 => Element::F16,
            _ => return true,
        };
        match self.data {
            Data::External { .. } => self.bytes(buffer).is_none_or(|raw| all_finite(raw, element)),
            Data::Inline(_) => true,
        }
    }

    pub(super) fn to_proto(&self) -> TensorProto {
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

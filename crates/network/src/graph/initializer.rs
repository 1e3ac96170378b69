//! Constants of a graph.

use std::cell::RefCell;
use std::io::{self, Write};

use rten_onnx::onnx::{DataLocation, DataType, StringStringEntryProto, TensorProto};

use super::WEIGHTS_FILE;
use crate::weights::{Element, all_finite, to_f32};

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

    /// The values, if they are integers (INT64 or INT32) and stand in the graph itself, as axes, sizes and indices do.
    pub fn integers(&self) -> Option<Vec<i64>> {
        let Data::Inline(raw) = &self.data else { return None };
        match self.element {
            DataType::INT64 => {
                Some(raw.as_chunks::<8>().0.iter().map(|&word| i64::from_le_bytes(word)).collect())
            }
            DataType::INT32 => {
                let words = raw.as_chunks::<4>().0.iter();
                Some(words.map(|&word| i32::from_le_bytes(word).into()).collect())
            }
            _ => None,
        }
    }

    /// False if it has values that are infinite or not a number, and lies in the weights' buffer or `is_weight`.
    pub fn is_finite(&self, buffer: &[u8], is_weight: bool) -> bool {
        let element = match self.element {
            DataType::FLOAT => Element::F32,
            DataType::FLOAT16 => Element::F16,
            _ => return true,
        };
        let matters = is_weight || matches!(self.data, Data::External { .. });
        !matters || self.bytes(buffer).is_none_or(|raw| all_finite(raw, element))
    }

    /// The values as float32, if it is of a float type.
    #[cfg(feature = "onnxruntime")]
    pub fn floats(&self, buffer: &[u8]) -> Option<Vec<f32>> {
        let raw = self.bytes(buffer)?;
        match self.element {
            // as quick as a copy
            DataType::FLOAT => {
                Some(raw.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
            }
            DataType::FLOAT16 => Some(to_f32(raw, Element::F16).collect()),
            _ => None,
        }
    }

    /// True if it lies in the weights' buffer.
    pub fn is_external(&self) -> bool {
        matches!(self.data, Data::External { .. })
    }

    /// True for float16, which most engines' operators do not mix with float32.
    pub fn is_half(&self) -> bool {
        self.element == DataType::FLOAT16
    }

    /// Writes its bytes, float16 as float32; `buffer` is the weights'.
    pub fn write_widened(&self, buffer: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let outside = || io::Error::other(format!("tensor {} lies outside the weights", self.name));
        let raw = self.bytes(buffer).ok_or_else(outside)?;
        if !self.is_half() {
            return out.write_all(raw);
        }
        for part in raw.chunks(1 << 14) {
            let wide: Vec<u8> = to_f32(part, Element::F16).flat_map(f32::to_le_bytes).collect();
            out.write_all(&wide)?;
        }
        Ok(())
    }

    /// The same with float32 for float16. One in the weights' buffer keeps its place there.
    pub(super) fn widened(&self) -> Self {
        let mut wide = self.clone();
        if self.is_half() {
            wide.element = DataType::FLOAT;
            if let Data::Inline(raw) = &self.data {
                let raw = to_f32(raw, Element::F16).flat_map(f32::to_le_bytes).collect();
                wide.data = Data::Inline(raw);
            }
        }
        wide
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

//! Constants of an ONNX file: where their bytes lie, and whether there are as many as the shape asks for.

use std::ops::Range;

use rten_onnx::onnx::DataType;

use super::model::{ModelError, Result, entry};
use super::wire::Message;

/// Tensors have at most this many axes.
const MAX_AXES: usize = 16;

/// A constant; its bytes may lie in this file or another.
#[derive(Debug)]
pub(super) struct ParsedTensor {
    pub name: String,
    pub dims: Vec<usize>,
    pub element: DataType,
    pub payload: Payload,
}

#[derive(Clone, Debug)]
pub(super) enum Payload {
    /// Bytes of this file.
    Raw(Range<usize>),
    /// Values from fields of numbers, as little-endian bytes.
    Inline(Vec<u8>),
    External {
        location: String,
        offset: usize,
        length: usize,
    },
}

pub(super) fn tensor(mut message: Message<'_>) -> Result<ParsedTensor> {
    let (mut name, mut dims, mut element) = (String::new(), Vec::new(), 0);
    let (mut raw, mut ints, mut floats, mut doubles) = (None, Vec::new(), Vec::new(), Vec::new());
    let (mut external, mut elsewhere) = (Vec::new(), false);
    while let Some(field) = message.next()? {
        match field.number {
            1 => field.ints(&mut dims)?,
            2 => element = field.int()?,
            4 => field.floats(&mut floats)?,
            5 | 7 => field.ints(&mut ints)?,
            8 => name = field.text()?,
            9 => raw = Some(field.span()?),
            10 => field.doubles(&mut doubles)?,
            13 => external.push(entry(field.message()?)?),
            14 => elsewhere = field.int()? == 1,
            _ => {}
        }
    }
    let sizes: Option<Vec<usize>> = dims.iter().map(|&size| usize::try_from(size).ok()).collect();
    let element = DataType(i32::try_from(element).unwrap_or(0));
    let Some(width) = width(element) else {
        return Err(ModelError::Element { name, element: element.0 });
    };
    let sizes = sizes.filter(|sizes| sizes.len() <= MAX_AXES);
    let bytes = sizes
        .as_ref()
        .and_then(|sizes| sizes.iter().try_fold(width, |product, &size| product.checked_mul(size)));
    let (Some(dims), Some(expected)) = (sizes, bytes) else {
        return Err(ModelError::Dims { name, dims });
    };
    if elsewhere {
        let payload = location(&external, expected)
            .ok_or_else(|| ModelError::External { name: name.clone() })?;
        return Ok(ParsedTensor { name, dims, element, payload });
    }
    let payload = match raw {
        Some(span) => Payload::Raw(span),
        None => Payload::Inline(numbers(element, &ints, &floats, &doubles)),
    };
    let found = match &payload {
        Payload::Raw(span) => span.len(),
        Payload::Inline(bytes) => bytes.len(),
        Payload::External { .. } => expected,
    };
    if found != expected {
        return Err(ModelError::Length { name, dims, found, expected });
    }
    Ok(ParsedTensor { name, dims, element, payload })
}

/// Bytes an element takes, for the types that graphs of classifiers hold.
fn width(element: DataType) -> Option<usize> {
    Some(match element {
        DataType::FLOAT | DataType::INT32 | DataType::UINT32 => 4,
        DataType::DOUBLE | DataType::INT64 | DataType::UINT64 => 8,
        DataType::FLOAT16 | DataType::BFLOAT16 | DataType::INT16 | DataType::UINT16 => 2,
        DataType::BOOL | DataType::INT8 | DataType::UINT8 => 1,
        _ => return None,
    })
}

/// Fields of numbers as the bytes that `raw_data` would hold.
fn numbers(element: DataType, ints: &[i64], floats: &[f32], doubles: &[f64]) -> Vec<u8> {
    match element {
        DataType::FLOAT => floats.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DataType::DOUBLE => doubles.iter().flat_map(|v| v.to_le_bytes()).collect(),
        other => {
            // two's complement: the low bytes are the narrower number's
            let width = width(other).unwrap_or(size_of::<i64>());
            ints.iter().flat_map(|v| v.to_le_bytes().into_iter().take(width)).collect()
        }
    }
}

fn location(entries: &[(String, String)], expected: usize) -> Option<Payload> {
    let get = |key: &str| entries.iter().find(|(k, _)| k == key).map(|(_, text)| text.as_str());
    let location = get("location").filter(|text| !text.is_empty())?.to_owned();
    let offset = get("offset").map_or(Some(0), |text| text.parse().ok())?;
    let length = get("length").map_or(Some(expected), |text| text.parse().ok())?;
    (length == expected).then_some(Payload::External { location, offset, length: expected })
}

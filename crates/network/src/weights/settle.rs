//! From tensors as a file has them to tensors as the runtime wants them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use safetensors::Dtype;

use super::strided::Strided;
use super::{Element, Tensor};
use crate::error::{NetworkError, Result};

/// How many times larger than their file all tensors together may be, and this much more: names that
/// share a storage, and expanded axes, cost a file nothing.
const MAX_GROWTH: usize = 4;
const GROWTH_FREE: usize = 64 << 20;

/// A buffer, and where the tensors lie in it.
pub(super) type Settled = (Cow<'static, [u8]>, BTreeMap<String, Tensor>);

/// Brings the tensors into one buffer, each float32 or float16, dense and aligned.
///
/// What is so already stays where it is. The others are copied as float32: behind the file's bytes if
/// at least half of all stays there, otherwise all into a buffer of their own.
///
/// # Errors
/// A tensor is not of a float type or not finite, or all together are too large for their file.
pub(super) fn settle(
    bytes: Cow<'static, [u8]>,
    tensors: BTreeMap<String, Strided>,
    origin: &str,
) -> Result<Settled> {
    check_size(&tensors, bytes.len(), origin)?;
    let base = bytes.as_ptr().addr();
    let readable = |tensor: &Strided| {
        element(tensor.dtype).filter(|element| {
            let aligned = base.wrapping_add(tensor.offset).is_multiple_of(element.size());
            tensor.is_dense() && aligned
        })
    };
    // for the sake of a few tensors the file's bytes are not kept beside copies of all others
    let length = |tensors: &mut dyn Iterator<Item = &Strided>| -> usize {
        tensors.map(Strided::length).fold(0, usize::saturating_add)
    };
    let staying = length(&mut tensors.values().filter(|tensor| readable(tensor).is_some()));
    let any_stays = staying > 0 && staying >= length(&mut tensors.values()) / 2;
    let stays = |tensor: &Strided| readable(tensor).filter(|_| any_stays);
    let start = if any_stays { bytes.len().next_multiple_of(size_of::<f32>()) } else { 0 };

    let mut copies = Vec::new();
    let copied = tensors.values().filter(|tensor| stays(tensor).is_none());
    copies.reserve_exact(copied.map(|tensor| tensor.elements() * size_of::<f32>()).sum());
    let mut settled = BTreeMap::new();
    for (name, tensor) in tensors {
        let place = if let Some(dtype) = stays(&tensor) {
            let (offset, length) = (tensor.offset, tensor.length());
            let finite = all_finite(&bytes[offset..offset + length], dtype);
            finite.then_some((dtype, offset, length))
        } else {
            let from = copies.len();
            copy(&bytes, &tensor, &mut copies).map_err(|dtype| NetworkError::ElementType {
                origin: origin.to_owned(),
                name: name.clone(),
                dtype: dtype.to_string(),
            })?;
            let finite = all_finite(&copies[from..], Element::F32);
            let length = copies.len() - from;
            // without elements there may be nothing behind the file's bytes to point into
            let offset = if length == 0 { 0 } else { start + from };
            finite.then_some((Element::F32, offset, length))
        };
        // the engine's ReLU turns NaN into zero, so nothing would show later
        let Some((dtype, offset, length)) = place else {
            return Err(NetworkError::WeightNotFinite { origin: origin.to_owned(), name });
        };
        settled.insert(name, Tensor { dtype, shape: tensor.shape, offset, length });
    }
    if !any_stays {
        return Ok((Cow::Owned(copies), settled));
    }
    if copies.is_empty() {
        return Ok((bytes, settled));
    }
    let mut bytes = bytes.into_owned();
    bytes.reserve_exact(start + copies.len() - bytes.len());
    bytes.resize(start, 0);
    bytes.extend_from_slice(&copies);
    Ok((Cow::Owned(bytes), settled))
}

fn check_size(tensors: &BTreeMap<String, Strided>, file: usize, origin: &str) -> Result<()> {
    let limit = file.saturating_mul(MAX_GROWTH).saturating_add(GROWTH_FREE);
    let total = tensors.values().fold(0usize, |sum, tensor| sum.saturating_add(tensor.length()));
    if total > limit {
        return Err(NetworkError::TensorsTooLarge { origin: origin.to_owned(), total, limit });
    }
    Ok(())
}

/// The types that may stay as they are.
fn element(dtype: Dtype) -> Option<Element> {
    match dtype {
        Dtype::F32 => Some(Element::F32),
        Dtype::F16 => Some(Element::F16),
        _ => None,
    }
}

/// Appends the tensor's values as float32, or gives the type back that is none of numbers.
fn copy(bytes: &[u8], tensor: &Strided, out: &mut Vec<u8>) -> Result<(), Dtype> {
    match tensor.dtype {
        Dtype::F32 => convert(bytes, tensor, out, f32::from_le_bytes),
        Dtype::F16 => convert(bytes, tensor, out, |raw| half::f16::from_le_bytes(raw).to_f32()),
        Dtype::BF16 => convert(bytes, tensor, out, |raw| half::bf16::from_le_bytes(raw).to_f32()),
        Dtype::F64 => convert(bytes, tensor, out, |raw| f64::from_le_bytes(raw) as f32),
        other => return Err(other),
    }
    Ok(())
}

fn convert<const N: usize>(
    bytes: &[u8],
    tensor: &Strided,
    out: &mut Vec<u8>,
    to_f32: impl Fn([u8; N]) -> f32,
) {
    let mut push = |raw: [u8; N]| out.extend_from_slice(&to_f32(raw).to_le_bytes());
    if tensor.is_dense() {
        let raw = &bytes[tensor.offset..tensor.offset + tensor.length()];
        raw.as_chunks().0.iter().for_each(|&raw| push(raw));
    } else {
        for at in tensor.offsets() {
            let mut raw = [0; N];
            raw.copy_from_slice(&bytes[at..at + N]);
            push(raw);
        }
    }
}

/// An exponent of all ones means infinity or NaN, in each of the formats.
pub(crate) fn all_finite(raw: &[u8], dtype: Element) -> bool {
    let half = |mask: u16| {
        raw.as_chunks::<2>().0.iter().all(|&pair| u16::from_le_bytes(pair) & mask != mask)
    };
    match dtype {
        Element::F32 => raw
            .as_chunks::<4>()
            .0
            .iter()
            .all(|&word| u32::from_le_bytes(word) & 0x7f80_0000 != 0x7f80_0000),
        Element::F16 => half(0x7c00),
        Element::Bf16 => half(0x7f80),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn floats(bytes: &[u8], tensor: &Tensor) -> Vec<f32> {
        let raw = &bytes[tensor.offset..tensor.offset + tensor.length];
        raw.as_chunks().0.iter().map(|&raw| f32::from_le_bytes(raw)).collect()
    }

    fn numbers(count: u8) -> Vec<u8> {
        (0..count).flat_map(|i| f32::from(i).to_le_bytes()).collect()
    }

    #[test]
    fn dense_aligned_tensors_stay_and_others_are_copied_behind_them() {
        let bytes = numbers(6);
        let (address, length) = (bytes.as_ptr(), bytes.len());
        let dense = Strided::dense(Dtype::F32, vec![6], 0, length).unwrap();
        let only = BTreeMap::from([("a".to_owned(), dense.clone())]);
        let (same, places) = settle(bytes.into(), only, "w").unwrap();
        assert_eq!((same.as_ptr(), same.len()), (address, length));
        assert_eq!((places["a"].offset, places["a"].length), (0, 24));

        let transposed = Strided::within(Dtype::F32, vec![3, 2], vec![1, 3], 0, length).unwrap();
        let both = BTreeMap::from([("a".to_owned(), dense), ("t".to_owned(), transposed)]);
        let (grown, places) = settle(same, both, "w").unwrap();
        assert_eq!((places["a"].offset, places["t"].offset, grown.len()), (0, 24, 48));
        assert_eq!(floats(&grown, &places["t"]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }

    #[test]
    fn where_nothing_stays_the_file_is_let_go() {
        let bytes: Vec<u8> = [1.5f64, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensor = Strided::dense(Dtype::F64, vec![2], 0, 16).unwrap();
        let tensors = BTreeMap::from([("d".to_owned(), tensor)]);
        let (converted, places) = settle(bytes.into(), tensors, "w").unwrap();
        assert_eq!(converted.len(), 8);
        assert_eq!(floats(&converted, &places["d"]), [1.5, -2.0]);
    }

    #[test]
    fn doubles_beyond_float32_are_not_finite() {
        let tensor = Strided::dense(Dtype::F64, vec![1], 0, 8).unwrap();
        let tensors = BTreeMap::from([("d".to_owned(), tensor)]);
        let bytes = 1e300f64.to_le_bytes().to_vec();
        let error = settle(bytes.into(), tensors, "w").unwrap_err();
        assert!(matches!(error, NetworkError::WeightNotFinite { .. }), "{error}");
    }

    #[test]
    fn many_names_over_few_bytes_are_refused() {
        let expanded = |side| Strided::within(Dtype::F32, vec![side, side], vec![0, 0], 0, 4);
        let tensors = |side| {
            (0..20).map(|i| (i.to_string(), expanded(side).unwrap())).collect::<BTreeMap<_, _>>()
        };
        assert!(settle(numbers(1).into(), tensors(64), "w").is_ok());
        let error = settle(numbers(1).into(), tensors(1 << 14), "w").unwrap_err();
        assert!(matches!(error, NetworkError::TensorsTooLarge { .. }), "{error}");
    }
}

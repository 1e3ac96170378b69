//! Types of values as they lie in files, and as they are given out.

use std::fmt;

use half::{bf16, f16};

/// The type of an array's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    F16,
    Bf16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
    /// Texts of at most so many characters of 4 bytes.
    Unicode(usize),
    /// Texts of at most so many bytes.
    Bytes(usize),
}

impl Dtype {
    /// Bytes of one value; `None` beyond what can be counted.
    pub fn size(self) -> Option<usize> {
        Some(match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::Unicode(length) => length.checked_mul(4)?,
            Self::Bytes(length) => length,
        })
    }

    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16 | Self::F32 | Self::F64)
    }

    pub fn is_integer(self) -> bool {
        !self.is_float() && !self.is_text() && self != Self::Bool
    }

    pub fn is_text(self) -> bool {
        matches!(self, Self::Unicode(_) | Self::Bytes(_))
    }
}

/// As NumPy calls them.
impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::Bool => "bool",
            Self::Unicode(_) => "unicode strings",
            Self::Bytes(_) => "byte strings",
        })
    }
}

/// The values in `$bytes` as `$type`.
macro_rules! values {
    ($type:ty, $bytes:expr, $big:expr) => {
        $bytes.as_chunks::<{ size_of::<$type>() }>().0.iter().map(move |&value| {
            if $big { <$type>::from_be_bytes(value) } else { <$type>::from_le_bytes(value) }
        })
    };
}

/// Appends floating-point `bytes` (whole values) to `out` as f32, rounded to the nearest.
///
/// # Errors
/// A finite float64 beyond the range of f32; another type.
pub(super) fn floats(
    dtype: Dtype,
    big: bool,
    bytes: &[u8],
    out: &mut Vec<f32>,
) -> Result<(), String> {
    match dtype {
        Dtype::F32 => out.extend(values!(f32, bytes, big)),
        Dtype::F16 => out.extend(values!(f16, bytes, big).map(f16::to_f32)),
        Dtype::Bf16 => out.extend(values!(bf16, bytes, big).map(bf16::to_f32)),
        Dtype::F64 => {
            for value in values!(f64, bytes, big) {
                let single = value as f32;
                if value.is_finite() && !single.is_finite() {
                    return Err(format!("{value:e} is beyond the range of 32-bit floats"));
                }
                out.push(single);
            }
        }
        other => return Err(format!("{other} are no floating-point numbers")),
    }
    Ok(())
}

/// Appends integer `bytes` (whole values) to `out`.
///
/// # Errors
/// A value beyond the range of i64; another type.
pub(super) fn integers(
    dtype: Dtype,
    big: bool,
    bytes: &[u8],
    out: &mut Vec<i64>,
) -> Result<(), String> {
    match dtype {
        Dtype::I8 => out.extend(values!(i8, bytes, big).map(i64::from)),
        Dtype::I16 => out.extend(values!(i16, bytes, big).map(i64::from)),
        Dtype::I32 => out.extend(values!(i32, bytes, big).map(i64::from)),
        Dtype::I64 => out.extend(values!(i64, bytes, big)),
        Dtype::U8 => out.extend(bytes.iter().map(|&value| i64::from(value))),
        Dtype::U16 => out.extend(values!(u16, bytes, big).map(i64::from)),
        Dtype::U32 => out.extend(values!(u32, bytes, big).map(i64::from)),
        Dtype::U64 => {
            for value in values!(u64, bytes, big) {
                let signed = i64::try_from(value);
                out.push(signed.map_err(|_| format!("{value} is beyond the range of int64"))?);
            }
        }
        other => return Err(format!("{other} are no integers")),
    }
    Ok(())
}

/// One text of NumPy's: `bytes` without the zeros that fill it up.
///
/// # Errors
/// Something that is no text.
pub(super) fn text(dtype: Dtype, big: bool, bytes: &[u8]) -> Result<String, String> {
    if let Dtype::Bytes(_) = dtype {
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let text = std::str::from_utf8(&bytes[..end]);
        return text.map(str::to_owned).map_err(|_| "a byte string is not UTF-8".to_owned());
    }
    let codes: Vec<u32> = values!(u32, bytes, big).collect();
    let end = codes.iter().rposition(|&code| code != 0).map_or(0, |last| last + 1);
    let text: Option<String> = codes[..end].iter().map(|&code| char::from_u32(code)).collect();
    text.ok_or_else(|| "a string holds a number that is no Unicode character".to_owned())
}

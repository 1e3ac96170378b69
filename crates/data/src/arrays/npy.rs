//! The header of `.npy` data: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>
//!
//! `\x93NUMPY`, two bytes of version, the header's length (16 bits in version 1, 32 after it), and
//! the header: a Python dictionary with `descr`, `fortran_order` and `shape`. Only dictionaries as NumPy and
//! its imitators write them are read, without recursion, so that no header can exhaust the stack.

use std::io::{self, Read};

use super::dtype::Dtype;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The longest header; one of plain numbers has 128 bytes.
const MAX_HEADER: usize = 1 << 16;

/// The most dimensions, as in NumPy 2.
pub(super) const MAX_DIMENSIONS: usize = 64;

/// What is known of an array before its values are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub dtype: Dtype,
    pub big_endian: bool,
    pub fortran: bool,
    pub shape: Vec<usize>,
}

/// Reads the header at the beginning of `reader` and says how many bytes it took.
///
/// # Errors
/// What is wrong, to follow "array x is ".
pub(super) fn read(reader: &mut impl Read) -> Result<(Header, u64), String> {
    let cut = |error: io::Error| format!("damaged: its header cannot be read ({error})");
    let mut start = [0; 8];
    reader.read_exact(&mut start).map_err(cut)?;
    if start[..6] != *MAGIC {
        return Err("no array: it does not begin as .npy data do".to_owned());
    }
    let (length, before) = match start[6] {
        1 => {
            let mut length = [0; 2];
            reader.read_exact(&mut length).map_err(cut)?;
            (usize::from(u16::from_le_bytes(length)), 10)
        }
        2 | 3 => {
            let mut length = [0; 4];
            reader.read_exact(&mut length).map_err(cut)?;
            (u32::from_le_bytes(length) as usize, 12)
        }
        version => return Err(format!("of version {version} of the .npy format; 1 to 3 are read")),
    };
    if length > MAX_HEADER {
        return Err(format!(
            "described by a header of {length} bytes; at most {MAX_HEADER} are read"
        ));
    }
    let mut text = vec![0; length];
    reader.read_exact(&mut text).map_err(cut)?;
    let text = String::from_utf8_lossy(&text);
    Ok((parse(&text)?, (before + length) as u64))
}

/// The header and the bytes before it, filled up so that the values begin at a multiple of 64. There must be no more
/// than [`MAX_DIMENSIONS`] dimensions.
pub(super) fn write(descr: &str, shape: &[usize]) -> Vec<u8> {
    let mut sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    if sizes.len() == 1 {
        sizes.push(String::new());
    }
    let sizes = sizes.join(", ");
    let mut text = format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}",
        sizes.trim_end()
    );
    // 10 bytes before it and a newline after it
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    text.extend(std::iter::repeat_n(' ', length - text.len() - 1));
    text.push('\n');
    // 64 dimensions have less than 2^16 digits
    [MAGIC, &[1, 0][..], &(length as u16).to_le_bytes(), text.as_bytes()].concat()
}

/// Parses the dictionary.
fn parse(text: &str) -> Result<Header, String> {
    let damaged = || "damaged: its header is no description of an array".to_owned();
    let mut rest = Rest(text.trim());
    let (mut kind, mut fortran, mut shape) = (None, None, None);
    rest.take("{").ok_or_else(damaged)?;
    while rest.take("}").is_none() {
        let key = rest.quoted().ok_or_else(damaged)?;
        rest.take(":").ok_or_else(damaged)?;
        match key {
            "descr" if rest.0.starts_with('[') => {
                return Err("an array of records, which are not read; save its fields as arrays of their own".to_owned());
            }
            "descr" => kind = Some(dtype(rest.quoted().ok_or_else(damaged)?)?),
            "fortran_order" if rest.take("True").is_some() => fortran = Some(true),
            "fortran_order" if rest.take("False").is_some() => fortran = Some(false),
            "shape" => shape = Some(rest.sizes().ok_or_else(damaged)?),
            _ => return Err(damaged()),
        }
        if rest.take(",").is_none() && !rest.0.starts_with('}') {
            return Err(damaged());
        }
    }
    match (kind, fortran, shape, rest.0) {
        (Some((dtype, big_endian)), Some(fortran), Some(shape), "") => {
            Ok(Header { dtype, big_endian, fortran, shape })
        }
        _ => Err(damaged()),
    }
}

/// NumPy's short names of types: byte order, kind, size.
fn dtype(descr: &str) -> Result<(Dtype, bool), String> {
    let (order, kind) = match descr.split_at_checked(1) {
        Some((order @ ("<" | ">" | "|" | "="), kind)) => (order, kind),
        _ => ("|", descr),
    };
    let text = |length: &str| length.parse::<usize>().ok();
    let dtype = match kind {
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        "i1" => Dtype::I8,
        "i2" => Dtype::I16,
        "i4" => Dtype::I32,
        "i8" => Dtype::I64,
        "u1" => Dtype::U8,
        "u2" => Dtype::U16,
        "u4" => Dtype::U32,
        "u8" => Dtype::U64,
        "b1" => Dtype::Bool,
        _ => match kind.split_at_checked(1) {
            Some(("U", length)) if let Some(length) = text(length) => Dtype::Unicode(length),
            Some(("S" | "a", length)) if let Some(length) = text(length) => Dtype::Bytes(length),
            Some(("O", _)) => {
                return Err(
                    "an array of Python objects, stored as a pickle, which is never executed; \
                     save plain numbers or strings: np.asarray(list, dtype=np.float32), np.array(names, dtype=str)"
                        .to_owned(),
                );
            }
            _ => {
                return Err(format!(
                    "of type {descr:?}, which is not read; convert it with astype"
                ));
            }
        },
    };
    Ok((dtype, order == ">"))
}

/// What is left of a header. White space is skipped after each item.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(token)?.trim_start();
        Some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let quote = self.0.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (text, rest) = self.0[1..].split_once(quote)?;
        self.0 = rest.trim_start();
        Some(text)
    }

    fn sizes(&mut self) -> Option<Vec<usize>> {
        self.take("(")?;
        let (inside, rest) = self.0.split_once(')')?;
        self.0 = rest.trim_start();
        let inside = inside.trim();
        let inside = inside.strip_suffix(',').unwrap_or(inside);
        if inside.is_empty() {
            return Some(Vec::new());
        }
        let sizes: Option<Vec<usize>> = inside
            .split(',')
            .map(|size| {
                // Python 2 wrote long integers with an L
                let size = size.trim();
                size.strip_suffix('L').unwrap_or(size).parse().ok()
            })
            .collect();
        sizes.filter(|sizes| sizes.len() <= MAX_DIMENSIONS)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn headers_of_every_shape_read_back_and_fill_64_bytes() {
        for shape in [vec![], vec![3], vec![60_000, 512]] {
            let bytes = write("<f4", &shape);
            assert_eq!(bytes.len() % 64, 0);
            let (header, length) = read(&mut &bytes[..]).unwrap();
            assert_eq!(length, bytes.len() as u64);
            let expected = Header { dtype: Dtype::F32, big_endian: false, fortran: false, shape };
            assert_eq!(header, expected);
        }
    }

    #[test]
    fn other_writers_spacing_and_quotes_are_read() {
        let header =
            parse("{\"shape\":(2L,3),\"fortran_order\" : True,\"descr\":\">i2\"}\n").unwrap();
        let expected =
            Header { dtype: Dtype::I16, big_endian: true, fortran: true, shape: vec![2, 3] };
        assert_eq!(header, expected);
        for wrong in [
            "",
            "{",
            "{}",
            "((((((",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} and more",
            "{'descr': '<f4', 'fortran_order': False}",
        ] {
            assert!(parse(wrong).unwrap_err().starts_with("damaged"), "{wrong}");
        }
    }
}

//! The wire format of protocol buffers, read strictly and without copying.
//!
//! Written here because weights are to stay where they lie in the file (so spans are wanted, not copies),
//! names of modules stand in fields that `rten_onnx` skips, and its reader takes a truncated file for a
//! complete one.

use std::ops::Range;

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("it ends at byte {0} in the middle of a field")]
    Truncated(usize),
    #[error("a number at byte {0} is too long")]
    Varint(usize),
    #[error("byte {0} starts a field of an unknown kind")]
    Kind(usize),
    #[error("the text at byte {0} is not UTF-8")]
    Text(usize),
    #[error("the field at byte {0} is not of the type that ONNX gives it")]
    Type(usize),
}

/// The value of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    /// A text, packed numbers or a message: where its bytes lie in the file.
    Bytes(Range<usize>),
}

/// One field of a message.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pub number: u64,
    value: Value,
    file: &'a [u8],
    at: usize,
}

/// The fields of a message, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Message<'a> {
    file: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Message<'a> {
    /// The whole file as one message.
    pub fn new(file: &'a [u8]) -> Self {
        Self { file, at: 0, end: file.len() }
    }

    fn take(&mut self, count: usize) -> Result<Range<usize>, WireError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.end);
        let end = end.ok_or(WireError::Truncated(self.end))?;
        let span = self.at..end;
        self.at = end;
        Ok(span)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let span = self.take(N)?;
        self.file[span].try_into().map_err(|_| WireError::Truncated(self.end))
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let start = self.at;
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(WireError::Varint(start));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Varint(start))
    }

    /// The next field, or `None` at the end of the message.
    pub fn next(&mut self) -> Result<Option<Field<'a>>, WireError> {
        if self.at == self.end {
            return Ok(None);
        }
        let at = self.at;
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| WireError::Truncated(self.end))?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(WireError::Kind(at)),
        };
        Ok(Some(Field { number: tag >> 3, value, file: self.file, at }))
    }
}

impl<'a> Field<'a> {
    fn wrong(&self) -> WireError {
        WireError::Type(self.at)
    }

    /// Where the field's bytes lie in the file.
    pub fn span(&self) -> Result<Range<usize>, WireError> {
        match &self.value {
            Value::Bytes(span) => Ok(span.clone()),
            _ => Err(self.wrong()),
        }
    }

    pub fn message(&self) -> Result<Message<'a>, WireError> {
        let span = self.span()?;
        Ok(Message { file: self.file, at: span.start, end: span.end })
    }

    pub fn text(&self) -> Result<String, WireError> {
        let bytes = &self.file[self.span()?];
        let text = std::str::from_utf8(bytes).map_err(|_| WireError::Text(self.at))?;
        Ok(text.to_owned())
    }

    /// A copy of bytes that lie in the same file.
    pub fn bytes_at(&self, span: Range<usize>) -> Vec<u8> {
        self.file.get(span).unwrap_or_default().to_vec()
    }

    pub fn int(&self) -> Result<i64, WireError> {
        match self.value {
            Value::Varint(value) => Ok(value.cast_signed()),
            _ => Err(self.wrong()),
        }
    }

    pub fn float(&self) -> Result<f32, WireError> {
        match self.value {
            Value::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Err(self.wrong()),
        }
    }

    /// One integer, or packed ones.
    pub fn ints(&self, into: &mut Vec<i64>) -> Result<(), WireError> {
        if let Value::Varint(_) = self.value {
            into.push(self.int()?);
            return Ok(());
        }
        let mut packed = self.message()?;
        while packed.at < packed.end {
            into.push(packed.varint()?.cast_signed());
        }
        Ok(())
    }

    /// One float, or packed ones.
    pub fn floats(&self, into: &mut Vec<f32>) -> Result<(), WireError> {
        if let Value::Fixed32(_) = self.value {
            into.push(self.float()?);
            return Ok(());
        }
        let mut packed = self.message()?;
        while packed.at < packed.end {
            into.push(f32::from_le_bytes(packed.array()?));
        }
        Ok(())
    }

    /// One double, or packed ones.
    pub fn doubles(&self, into: &mut Vec<f64>) -> Result<(), WireError> {
        if let Value::Fixed64(bits) = self.value {
            into.push(f64::from_bits(bits));
            return Ok(());
        }
        let mut packed = self.message()?;
        while packed.at < packed.end {
            into.push(f64::from_le_bytes(packed.array()?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Field 1 = 300, field 2 = "ok", field 3 = packed 1, -1, field 4 = 1.5.
    const BYTES: &[u8] = &[
        0x08, 0xac, 0x02, 0x12, 0x02, b'o', b'k', 0x1a, 0x0b, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0x01, 0x25, 0x00, 0x00, 0xc0, 0x3f,
    ];

    #[test]
    fn fields_of_every_kind() {
        let mut message = Message::new(BYTES);
        let mut next = || message.next().unwrap().unwrap();
        assert_eq!(next().int(), Ok(300));
        let text = next();
        assert_eq!((text.number, text.text().unwrap().as_str(), text.span()), (2, "ok", Ok(5..7)));
        assert_eq!(text.int(), Err(WireError::Type(3)));
        let mut ints = Vec::new();
        next().ints(&mut ints).unwrap();
        assert_eq!(ints, [1, -1]);
        assert_eq!(next().float(), Ok(1.5));
        assert!(message.next().unwrap().is_none());
    }

    #[test]
    fn a_cut_file_is_an_error_wherever_no_field_ends() {
        let whole = |end: usize| {
            let mut message = Message::new(&BYTES[..end]);
            while message.next()?.is_some() {}
            Ok::<(), WireError>(())
        };
        let fine: Vec<usize> = (0..=BYTES.len()).filter(|&end| whole(end).is_ok()).collect();
        assert_eq!(fine, [0, 3, 7, 20, 25]);
    }

    #[test]
    fn numbers_that_do_not_fit_and_unknown_kinds() {
        let long = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(Message::new(&long).next().unwrap_err(), WireError::Varint(1));
        assert_eq!(Message::new(&[0x0b]).next().unwrap_err(), WireError::Kind(0));
        let huge = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(Message::new(&huge).next().unwrap_err(), WireError::Truncated(10));
    }
}

//! The numbers, lengths and names between a pickle's opcodes.

use std::borrow::Cow;

/// Longest name of a module or class in bytes.
pub(super) const MAX_GLOBAL: usize = 1 << 10;

/// A result, or what an opcode failed at.
pub(super) type Step<T> = Result<T, Cow<'static, str>>;

/// The bytes of a pickle, front to back.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes are read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Checks that as many bytes are left.
    pub fn expect(&self, length: usize) -> Step<()> {
        let left = self.bytes.len() - self.at;
        if length > left {
            return Err(format!("{length} bytes should follow, but {left} are left").into());
        }
        Ok(())
    }

    pub fn take(&mut self, length: usize) -> Step<&'a [u8]> {
        self.expect(length)?;
        let taken = &self.bytes[self.at..self.at + length];
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| "the pickle breaks off".into())
    }

    pub fn byte(&mut self) -> Step<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub fn short(&mut self) -> Step<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn word(&mut self) -> Step<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn word_length(&mut self) -> Step<usize> {
        length(self.word()?.into())
    }

    pub fn long_length(&mut self) -> Step<usize> {
        length(self.array().map(u64::from_le_bytes)?)
    }

    /// Up to the next line feed, which is skipped.
    pub fn line(&mut self) -> Step<&'a str> {
        let rest = &self.bytes[self.at..];
        let window = &rest[..rest.len().min(MAX_GLOBAL + 1)];
        let end = window.iter().position(|&byte| byte == b'\n').ok_or("a name without an end")?;
        self.at += end + 1;
        std::str::from_utf8(&window[..end]).map_err(|_| "a name that is no UTF-8".into())
    }
}

fn length(announced: u64) -> Step<usize> {
    usize::try_from(announced).map_err(|_| format!("a length of {announced} bytes").into())
}

//! A file or bytes in memory, read from any place.

use std::io;
use std::path::Path;

use rawzip::{FileReader, ReaderAt};

/// What arrays are read from.
pub(super) enum Source {
    File(FileReader, u64),
    Memory(Vec<u8>),
}

impl Source {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = std::fs::File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(Self::File(file.into(), metadata.len()))
    }

    pub fn length(&self) -> u64 {
        match self {
            Self::File(_, length) => *length,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// The first bytes, at most `count`.
    pub fn start(&self, count: usize) -> io::Result<Vec<u8>> {
        let count = usize::try_from(self.length()).unwrap_or(usize::MAX).min(count);
        let mut bytes = vec![0; count];
        self.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

impl ReaderAt for Source {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::File(file, _) => file.read_at(buffer, offset),
            Self::Memory(bytes) => bytes.read_at(buffer, offset),
        }
    }
}

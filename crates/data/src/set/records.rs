//! Pictures of one size that are kept in memory as they lie in their files.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use ndarray::Array3;

use super::MAX_SET_BYTES;
use super::error::SetError;
use crate::picture::{Picture, PictureInfo};
use crate::unpacked::{FIRST_BYTES, MAX_INFLATION};

/// Pictures without names: a picture is called by its file and its number in it.
pub(super) struct Records {
    /// Picture by picture, in it channel by channel (red, green, blue), in it row by row.
    pub pixels: Vec<u8>,
    pub height: usize,
    pub width: usize,
    /// 1 (grey) or 3.
    pub channels: usize,
    /// The files' names, each with the number of pictures in it and those before.
    pub files: Vec<(String, usize)>,
    /// What [`PictureInfo::format`] says.
    pub format: &'static str,
}

impl Records {
    /// Picture `index`; a grey one gets three equal channels.
    pub fn picture(&self, index: usize) -> Picture {
        let (height, width) = (self.height, self.width);
        let plane = height * width;
        let size = plane * self.channels;
        let stored = &self.pixels[index * size..(index + 1) * size];
        let pixels = Array3::from_shape_fn((height, width, 3), |(y, x, channel)| {
            let channel = if self.channels == 1 { 0 } else { channel };
            stored[channel * plane + y * width + x]
        });
        let colour = if self.channels == 1 { "l8" } else { "rgb8" };
        let (format, colour) = (self.format.to_owned(), colour.to_owned());
        Picture { pixels, info: PictureInfo { width, height, format, colour, orientation: 1 } }
    }

    /// `file#number`, the number counted from 0 in each file.
    pub fn name(&self, index: usize) -> String {
        let at = self.files.partition_point(|(_, end)| *end <= index);
        let start = if at == 0 { 0 } else { self.files[at - 1].1 };
        format!("{}#{}", self.files[at].0, index - start)
    }
}

/// A file that may be gzipped (its content says), read from its beginning.
pub(super) struct Input {
    reader: Box<dyn Read>,
    /// The most bytes that can be read.
    pub at_most: u64,
    /// Whether exactly `at_most` can be read.
    pub exact: bool,
}

impl Input {
    /// Opens `path`; only a file that is not a folder or a device will do.
    pub fn open(path: &Path) -> Result<Self, SetError> {
        let told = |source| SetError::io(path, source);
        let mut file = File::open(path).map_err(told)?;
        let metadata = file.metadata().map_err(told)?;
        if !metadata.is_file() {
            return Err(told(io::Error::other("it is not a regular file")));
        }
        let mut start = Vec::with_capacity(2);
        (&mut file).take(2).read_to_end(&mut start).map_err(told)?;
        let gzipped = start == [0x1f, 0x8b];
        let reader = BufReader::with_capacity(1 << 16, io::Cursor::new(start).chain(file));
        let length = metadata.len();
        Ok(if gzipped {
            let reader = Box::new(flate2::bufread::MultiGzDecoder::new(reader));
            Self { reader, at_most: length.saturating_mul(MAX_INFLATION), exact: false }
        } else {
            Self { reader: Box::new(reader), at_most: length, exact: true }
        })
    }

    /// Reads the next `count` bytes, or fewer where the data end before.
    ///
    /// # Errors
    /// [`SetError::TooLarge`] beyond [`MAX_SET_BYTES`], and what reading says.
    pub fn read(&mut self, count: u64, path: &Path) -> Result<Vec<u8>, SetError> {
        let told = |source| SetError::io(path, source);
        if count > MAX_SET_BYTES {
            let file = path.display().to_string();
            return Err(SetError::TooLarge { file, bytes: count, limit: MAX_SET_BYTES });
        }
        let mut bytes = Vec::new();
        let first = count.min(self.at_most).min(if self.exact { count } else { FIRST_BYTES });
        let first = usize::try_from(first).map_err(io::Error::other).map_err(told)?;
        bytes.try_reserve_exact(first).map_err(io::Error::other).map_err(told)?;
        (&mut self.reader).take(count).read_to_end(&mut bytes).map_err(told)?;
        Ok(bytes)
    }

    /// Whether the data are at their end.
    pub fn at_end(&mut self, path: &Path) -> Result<bool, SetError> {
        Ok(self.read(1, path)?.is_empty())
    }
}

//! A `.npy` file: one array without a name, of pictures or of labels.

use std::fmt::Write;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use ndarray::{Array1, Array3};
use rawzip::ReaderAt;
use sha2::{Digest, Sha256};

use super::dtype::{self, Dtype};
use super::entry::{Place, Stored};
use super::npy;
use super::source::Source;
use super::{ArraysError, CHUNK};
use crate::picture::{MAX_PIXELS, Picture, PictureInfo};

/// The array of a `.npy` file, of which no values are read before they are asked for.
struct Single {
    file: String,
    source: Source,
    stored: Stored,
    /// Where the values begin.
    start: u64,
}

impl Single {
    /// Reads the header, and holds it against the file's length.
    fn open(path: &Path) -> Result<Self, ArraysError> {
        let file = path.display().to_string();
        let source = match Source::open(path) {
            Ok(source) => source,
            Err(source) => return Err(ArraysError::Unreadable { file, source }),
        };
        let unfit = |problem| ArraysError::UnfitFile { file: file.clone(), problem };
        let (header, start) = npy::read(&mut At { source: &source, place: 0 }).map_err(unfit)?;
        let there = source.length() - start.min(source.length());
        let stored = Stored { header, place: Place::Range(start..source.length()) };
        if stored.bytes() != Some(there) {
            let described = stored.described();
            let takes = stored.bytes().map_or_else(|| "too many".to_owned(), |n| n.to_string());
            return Err(unfit(format!(
                "damaged: its values take {there} bytes, where {described} takes {takes}"
            )));
        }
        Ok(Self { file, source, stored, start })
    }

    fn unfit(&self, problem: String) -> ArraysError {
        ArraysError::UnfitFile { file: self.file.clone(), problem }
    }

    fn unreadable(&self, source: io::Error) -> ArraysError {
        ArraysError::Unreadable { file: self.file.clone(), source }
    }
}

/// Reads a source from a place on.
struct At<'a> {
    source: &'a Source,
    place: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read_at(buffer, self.place)?;
        self.place += count as u64;
        Ok(count)
    }
}

/// The integers of the `.npy` file at `path`, of one dimension and 8 to 64 bits.
///
/// # Errors
/// [`ArraysError`]: no such file, no `.npy` file, another type or number of dimensions, a length that contradicts the
/// header; a uint64 beyond the range of i64.
pub fn read_integers(path: impl AsRef<Path>) -> Result<Array1<i64>, ArraysError> {
    let single = Single::open(path.as_ref())?;
    let header = &single.stored.header;
    if !header.dtype.is_integer() || header.shape.len() != 1 {
        let found = single.stored.described();
        return Err(single.unfit(format!("{found}; expected integers of shape (n,)")));
    }
    let mut values = Vec::new();
    let room = values.try_reserve_exact(header.shape[0]);
    room.map_err(|error| single.unreadable(io::Error::other(error)))?;
    let mut reader = At { source: &single.source, place: single.start };
    let mut left = single.source.length() - single.start;
    let mut buffer = vec![0; CHUNK];
    while left > 0 {
        let chunk = &mut buffer[..left.min(CHUNK as u64) as usize];
        reader.read_exact(chunk).map_err(|error| single.unreadable(error))?;
        dtype::integers(header.dtype, header.big_endian, chunk, &mut values)
            .map_err(|problem| single.unfit(problem))?;
        left -= chunk.len() as u64;
    }
    Ok(values.into())
}

/// Pictures of one size in a `.npy` file, unsigned bytes of shape (n, height, width, 3), as those of CIFAR-10-C.
///
/// Of the file only the header is in memory: each picture is read when it is asked for, on any thread.
pub struct PictureArray {
    single: Single,
    /// n, height, width.
    shape: (usize, usize, usize),
}

impl PictureArray {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`ArraysError`]: no such file, no `.npy` file, another type, order or shape, a length that contradicts the header,
    /// pictures of no pixels or of more than [`MAX_PIXELS`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ArraysError> {
        let single = Single::open(path.as_ref())?;
        let (found, header) = (single.stored.described(), &single.stored.header);
        let shape = match (header.dtype, &header.shape[..]) {
            (Dtype::U8, &[count, height, width, 3]) => (count, height, width),
            _ => {
                return Err(single.unfit(format!(
                    "{found}; expected pictures, uint8 of shape (n, height, width, 3)"
                )));
            }
        };
        if header.fortran {
            return Err(single.unfit(
                "stored in Fortran's order; save it anew: np.save(file, np.ascontiguousarray(array))".to_owned(),
            ));
        }
        let pixels = (shape.1 as u64).saturating_mul(shape.2 as u64);
        if pixels == 0 || pixels > MAX_PIXELS {
            return Err(single.unfit(format!("{found}; a picture has 1 to {MAX_PIXELS} pixels")));
        }
        Ok(Self { single, shape })
    }

    /// The number of pictures.
    pub fn len(&self) -> usize {
        self.shape.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.shape.0 == 0
    }

    /// Picture `index`, counted from 0.
    ///
    /// # Errors
    /// There is none of that number, or it cannot be read.
    pub fn picture(&self, index: usize) -> Result<Picture, ArraysError> {
        let (_, height, width) = self.shape;
        let mut bytes = vec![0; height * width * 3];
        self.read(index, &mut bytes)?;
        let shaped = Array3::from_shape_vec((height, width, 3), bytes);
        let pixels = shaped.map_err(|error| self.single.unfit(error.to_string()))?;
        let (format, colour) = ("npy".to_owned(), "rgb8".to_owned());
        Ok(Picture { pixels, info: PictureInfo { width, height, format, colour, orientation: 1 } })
    }

    /// SHA-256 of the pictures of `range` and their size, as 64 hexadecimal digits: every byte counts.
    ///
    /// # Errors
    /// There are no such pictures, or they cannot be read.
    pub fn fingerprint(&self, range: Range<usize>) -> Result<String, ArraysError> {
        let (_, height, width) = self.shape;
        let mut hash = Sha256::new();
        for size in [range.len(), height, width] {
            hash.update((size as u64).to_le_bytes());
        }
        let mut bytes = vec![0; height * width * 3];
        for index in range {
            self.read(index, &mut bytes)?;
            hash.update(&bytes);
        }
        Ok(hash.finalize().iter().fold(String::with_capacity(64), |mut digits, byte| {
            // writing to a string cannot fail
            let _ = write!(digits, "{byte:02x}");
            digits
        }))
    }

    /// Reads picture `index` into as many bytes as it has.
    fn read(&self, index: usize, bytes: &mut [u8]) -> Result<(), ArraysError> {
        if index >= self.len() {
            let problem =
                format!("an array of {} pictures; there is no number {index}", self.len());
            return Err(self.single.unfit(problem));
        }
        let place = self.single.start + index as u64 * bytes.len() as u64;
        let read = self.single.source.read_exact_at(bytes, place);
        read.map_err(|error| self.single.unreadable(error))
    }
}

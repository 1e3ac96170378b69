//! Named arrays in and out of `.npz` and safetensors files; pictures and labels from `.npy` files.
//!
//! ```
//! use introspective_data::arrays::{Arrays, Values, write_npz};
//! use ndarray::array;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("features.npz");
//! let h = array![[1.0_f32, 2.0], [3.0, 4.0], [5.0, 6.0]];
//! let labels = array![0_i64, 1, 0];
//! write_npz(&path, &[("h", Values::from(&h)), ("labels", Values::from(&labels))])?;
//!
//! let file = Arrays::read(&path)?;
//! assert_eq!(file.matrix("h")?, h);
//! assert_eq!(file.integers("labels")?, labels);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dtype;
mod entry;
mod error;
mod npy;
mod npz;
mod single;
mod source;
mod tensors;
mod write;

use std::io::Read;
use std::path::Path;

use ndarray::{Array1, Array2, ShapeBuilder};

pub use error::ArraysError;
pub use single::{PictureArray, read_integers};
pub use write::{Values, write_npz, write_safetensors};

use crate::unpacked::FIRST_BYTES;

use entry::{Entry, Place, Stored, looks_like};
use source::Source;

/// How many bytes are read at a time; a multiple of every number's size.
const CHUNK: usize = 1 << 16;

/// A file of named arrays.
///
/// Of the file only names, types and shapes are in memory; an array's values are read when they
/// are asked for, once and straight into the array that is given.
pub struct Arrays {
    file: String,
    container: Container,
    entries: Vec<Entry>,
}

enum Container {
    Npz(npz::Npz),
    Tensors(tensors::Tensors),
}

/// Appends values of a type, whether big-endian, to others: [`dtype::floats`], [`dtype::integers`].
type Decode<T> = fn(dtype::Dtype, bool, &[u8], &mut Vec<T>) -> Result<(), String>;

impl Arrays {
    /// Reads what is in the file at `path`, which is told from its content: `.npz`, stored or
    /// compressed, or safetensors. No values are read yet, and arrays that could not be read do no harm
    /// unless they are asked for.
    ///
    /// # Errors
    /// [`ArraysError`]: no such file, not a file of arrays, a damaged directory.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ArraysError> {
        let file = path.as_ref().display().to_string();
        match Source::open(path.as_ref()) {
            Ok(source) => Self::open(source, file),
            Err(source) => Err(ArraysError::Unreadable { file, source }),
        }
    }

    /// The same from bytes in memory; `name` is what errors call them.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Self, ArraysError> {
        Self::open(Source::Memory(bytes), name.to_owned())
    }

    fn open(source: Source, file: String) -> Result<Self, ArraysError> {
        let start = match source.start(9) {
            Ok(start) => start,
            Err(source) => return Err(ArraysError::Unreadable { file, source }),
        };
        let damaged = |problem| ArraysError::Damaged { file: file.clone(), problem };
        let (container, entries) = if start.starts_with(b"PK") {
            let (npz, entries) = npz::Npz::open(source).map_err(damaged)?;
            (Container::Npz(npz), entries)
        } else if tensors::may_be(&start, source.length()) {
            let (tensors, entries) = tensors::Tensors::open(source).map_err(damaged)?;
            (Container::Tensors(tensors), entries)
        } else {
            let (found, way_out) = looks_like(&start);
            return Err(ArraysError::NotArrays { file, found: found.to_owned(), way_out });
        };
        let mut names: Vec<_> = entries.iter().map(|entry| &entry.name).collect();
        names.sort();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(damaged(format!("it holds array {:?} twice", twice[0])));
        }
        Ok(Self { file, container, entries })
    }

    /// Names of the arrays, in the file's order. Texts in a safetensors file's metadata are not
    /// among them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// Whether there is something of that name: an array, or texts in a safetensors file's metadata.
    pub fn contains(&self, name: &str) -> bool {
        let stored = self.names().any(|known| known == name);
        stored || self.metadata(name).is_some()
    }

    /// The sizes of array `name`; `None` if it is not there or cannot be read.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        entry.stored.as_ref().ok().map(|stored| &stored.header.shape[..])
    }

    /// Array `name` of two dimensions, n x d, as f32 in standard (C) layout.
    ///
    /// float16, bfloat16 and float64 become f32, the latter rounded. An array in Fortran's
    /// order is turned, for which it is in memory twice.
    ///
    /// # Errors
    /// [`ArraysError`]: not there; another type or number of dimensions; damaged values; a finite
    /// float64 beyond the range of f32.
    pub fn matrix(&self, name: &str) -> Result<Array2<f32>, ArraysError> {
        const EXPECTED: &str = "floating-point numbers of shape (n, d)";
        let stored = self.stored(name, EXPECTED, |dtype| dtype.is_float(), 2)?;
        let values = self.numbers(name, stored, dtype::floats)?;
        let shape = (stored.header.shape[0], stored.header.shape[1]);
        let array = Array2::from_shape_vec(shape.set_f(stored.header.fortran), values);
        let array = array.map_err(|error| self.values_error(name, error.to_string()))?;
        Ok(if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() })
    }

    /// Array `name` of one dimension as f32; types as in [`matrix`](Self::matrix).
    ///
    /// # Errors
    /// As [`matrix`](Self::matrix).
    pub fn vector(&self, name: &str) -> Result<Array1<f32>, ArraysError> {
        const EXPECTED: &str = "floating-point numbers of shape (n,)";
        let stored = self.stored(name, EXPECTED, |dtype| dtype.is_float(), 1)?;
        Ok(self.numbers(name, stored, dtype::floats)?.into())
    }

    /// Array `name` of one dimension as i64, from signed or unsigned integers of 8 to 64 bits.
    ///
    /// # Errors
    /// As [`matrix`](Self::matrix); a uint64 beyond the range of i64.
    pub fn integers(&self, name: &str) -> Result<Array1<i64>, ArraysError> {
        const EXPECTED: &str = "integers of shape (n,)";
        let stored = self.stored(name, EXPECTED, |dtype| dtype.is_integer(), 1)?;
        Ok(self.numbers(name, stored, dtype::integers)?.into())
    }

    /// Texts `name`: of an `.npz` an array of one dimension of NumPy's strings (`<U...`, or
    /// `|S...` in UTF-8), of a safetensors file a list in JSON in its metadata.
    ///
    /// # Errors
    /// As [`matrix`](Self::matrix); values that are no texts.
    pub fn strings(&self, name: &str) -> Result<Vec<String>, ArraysError> {
        if let Some(text) = self.metadata(name) {
            return serde_json::from_str(text).map_err(|error| {
                let problem =
                    format!("its text in the metadata is no JSON list of strings ({error})");
                self.values_error(name, problem)
            });
        }
        const EXPECTED: &str = "strings of shape (n,)";
        let stored = self.stored(name, EXPECTED, |dtype| dtype.is_text(), 1)?;
        let count = stored.header.shape[0];
        let size = stored.header.dtype.size().unwrap_or(0);
        if size == 0 && count > 0 {
            // nothing in the file would bound their number
            return Err(self.values_error(name, format!("it holds {count} strings of no length")));
        }
        let mut bytes = Vec::new();
        self.chunks(name, stored, |chunk| {
            bytes.try_reserve(chunk.len()).map_err(|error| error.to_string())?;
            bytes.extend_from_slice(chunk);
            Ok(())
        })?;
        let texts = bytes.chunks_exact(size.max(1));
        let texts =
            texts.map(|text| dtype::text(stored.header.dtype, stored.header.big_endian, text));
        texts.collect::<Result<_, _>>().map_err(|problem| self.values_error(name, problem))
    }

    fn metadata(&self, name: &str) -> Option<&str> {
        match &self.container {
            Container::Npz(_) => None,
            Container::Tensors(tensors) => tensors.metadata.get(name).map(String::as_str),
        }
    }

    /// Finds an array that `fits` and has so many dimensions.
    fn stored(
        &self,
        name: &str,
        expected: &'static str,
        fits: impl Fn(dtype::Dtype) -> bool,
        dimensions: usize,
    ) -> Result<&Stored, ArraysError> {
        let (file, array) = (self.file.clone(), name.to_owned());
        let Some(entry) = self.entries.iter().find(|entry| entry.name == name) else {
            let found = self.names().map(str::to_owned).collect();
            return Err(ArraysError::NoArray { file, array, found });
        };
        let stored = match &entry.stored {
            Ok(stored) => stored,
            Err(problem) => {
                return Err(ArraysError::Unfit { file, array, problem: problem.clone() });
            }
        };
        let found = stored.described();
        let way_out = if !fits(stored.header.dtype) {
            match expected {
                _ if stored.header.dtype.is_text() => String::new(),
                _ if expected.starts_with("floating") => {
                    "; convert it: array.astype(np.float32)".to_owned()
                }
                _ if expected.starts_with("integers") => {
                    "; convert it: array.astype(np.int64)".to_owned()
                }
                _ => "; convert it: array.astype(str)".to_owned(),
            }
        } else if stored.header.shape.len() != dimensions {
            let squeeze =
                stored.header.shape.iter().filter(|&&size| size != 1).count() == dimensions;
            if squeeze {
                "; take out the dimensions of size 1: array.squeeze()".to_owned()
            } else {
                String::new()
            }
        } else {
            return Ok(stored);
        };
        Err(ArraysError::Unexpected { file, array, found, expected, way_out })
    }

    /// Reads all values with `decode`.
    fn numbers<T>(
        &self,
        name: &str,
        stored: &Stored,
        decode: Decode<T>,
    ) -> Result<Vec<T>, ArraysError> {
        let count: usize = stored.header.shape.iter().product();
        // what is stored as it is was held against the file's length; what is compressed has yet to come
        let first = match &stored.place {
            Place::Member(member) if member.deflated() => {
                count.min(FIRST_BYTES as usize / size_of::<T>())
            }
            _ => count,
        };
        let mut values = Vec::new();
        let room = values.try_reserve_exact(first);
        room.map_err(|error| self.values_error(name, error.to_string()))?;
        self.chunks(name, stored, |chunk| {
            // a number takes a byte or more, so this is enough
            values.try_reserve(chunk.len().min(count - values.len())).map_err(|e| e.to_string())?;
            decode(stored.header.dtype, stored.header.big_endian, chunk, &mut values)
        })?;
        Ok(values)
    }

    /// Gives the bytes of all values, in pieces of whole numbers (texts may be cut anywhere).
    fn chunks(
        &self,
        name: &str,
        stored: &Stored,
        mut take: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), ArraysError> {
        let told = |problem: String| self.values_error(name, problem);
        let mut reader: Box<dyn Read + '_> = match (&self.container, &stored.place) {
            (Container::Npz(npz), Place::Member(member)) => {
                Box::new(npz.values(member).map_err(told)?)
            }
            (Container::Tensors(tensors), Place::Range(range)) => {
                Box::new(tensors.values(range.clone()))
            }
            _ => return Err(told("it is not in this file".to_owned())),
        };
        let mut left = stored.bytes().unwrap_or(0);
        let mut buffer = vec![0; CHUNK];
        while left > 0 {
            let size = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let chunk = &mut buffer[..size];
            reader
                .read_exact(chunk)
                .map_err(|error| told(format!("its values cannot be read: {error}")))?;
            take(chunk).map_err(told)?;
            left -= size as u64;
        }
        Ok(())
    }

    fn values_error(&self, name: &str, problem: String) -> ArraysError {
        ArraysError::Values { file: self.file.clone(), array: name.to_owned(), problem }
    }
}

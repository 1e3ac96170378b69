//! Running the classifier over many pictures, in order, a batch at a time.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use indicatif::ProgressBar;
use introspective_data::arrays::{Arrays, Values, write_safetensors};
use introspective_data::{Picture, in_batches};
use introspective_network::Preprocessing;
use ndarray::{Array1, Array2, Array3, Array4, ArrayView1, Axis, concatenate};

use super::sensing::Sensing;
use crate::interrupt::Interrupt;
use crate::output;

/// Pictures of a stored part: so many are run again at most after an interruption.
const PART: usize = 4096;

/// Where a picture comes from, by its number; called on several threads.
pub type Reader = dyn Fn(usize) -> Result<Picture> + Send + Sync;

/// How pictures are run.
pub struct Extraction<'a> {
    pub sensing: &'a Sensing<'a>,
    pub preprocessing: &'a Preprocessing,
    pub batch: usize,
    /// Threads that read pictures; 0 for as many as the machine offers.
    pub threads: usize,
    pub interrupt: &'a Interrupt,
    pub progress: &'a ProgressBar,
}

/// The user asked to stop.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// What the classifier made of a picture: activations (h, and the pooled stages where they are asked for) and z.
pub type Row<'a> = (ArrayView1<'a, f32>, ArrayView1<'a, f32>);

/// Activations and z, kept.
pub type Owned = (Array1<f32>, Array1<f32>);

/// Features of pictures that could be read.
pub struct Extracted {
    /// n x (d + S): h, and the pooled stages where they were asked for.
    pub activations: Array2<f32>,
    /// n x N.
    pub z: Array2<f32>,
    /// Numbers of the pictures, n, rising.
    pub rows: Vec<usize>,
}

impl Extraction<'_> {
    /// Gives `sink` each picture of `range` in order with what the classifier made of it, or why it made nothing.
    /// Memory does not grow with their number.
    ///
    /// # Errors
    /// What `sink` says, and [`Interrupted`].
    pub fn each(
        &self,
        range: Range<usize>,
        read: &Arc<Reader>,
        sink: &mut dyn FnMut(usize, Result<Row<'_>>) -> Result<()>,
    ) -> Result<()> {
        let (read, preprocessing, start) =
            (Arc::clone(read), self.preprocessing.clone(), range.start);
        let prepare = move |position: usize| -> Result<Array3<f32>> {
            let picture = read(start + position)?;
            Ok(preprocessing.apply(picture.pixels.view())?.input)
        };
        for batch in in_batches(range.len(), self.batch, self.threads, prepare) {
            let numbers = start + batch.start..;
            let count = batch.items.len();
            let inputs: Vec<&Array3<f32>> =
                batch.items.iter().filter_map(|item| item.as_ref().ok()).collect();
            let mut results = match inputs[..] {
                // all threads share a batch of one, and its last bits are their number's: beside itself it is no such batch
                [lone] if range.len() > 1 => self.run(&[lone, lone])?,
                _ => self.run(&inputs)?,
            }
            .into_iter();
            for (number, item) in numbers.zip(batch.items) {
                let result = match item {
                    Ok(_) => results.next().unwrap_or_else(|| Err(anyhow!("no result"))),
                    Err(error) => Err(error),
                };
                match result {
                    Ok((h, z)) => sink(number, Ok((h.view(), z.view())))?,
                    Err(error) => sink(number, Err(error))?,
                }
            }
            self.progress.inc(count as u64);
            if self.interrupt.came() {
                return Err(Interrupted.into());
            }
        }
        Ok(())
    }

    /// A result for each input. What fails as a batch is tried one by one, so that one bad picture costs no other.
    fn run(&self, inputs: &[&Array3<f32>]) -> Result<Vec<Result<Owned>>> {
        let Some(first) = inputs.first() else { return Ok(Vec::new()) };
        let (channels, height, width) = first.dim();
        let mut stacked = Array4::zeros((inputs.len(), channels, height, width));
        for (mut place, input) in stacked.outer_iter_mut().zip(inputs) {
            place.assign(input);
        }
        match self.sensing.extract(stacked.view()) {
            Ok((activations, z)) => {
                let rows = activations.outer_iter().zip(z.outer_iter());
                Ok(rows.map(|(a, z)| Ok((a.to_owned(), z.to_owned()))).collect())
            }
            Err(error) if inputs.len() == 1 => Ok(vec![Err(error)]),
            Err(_) => {
                let one = |input: &&Array3<f32>| self.run(&[input]).map(|mut rows| rows.pop());
                let rows = inputs.iter().filter_map(|input| one(input).transpose());
                rows.collect()
            }
        }
    }

    /// Features of the pictures `range`. Those that give none are named on stderr and left out.
    pub fn collect(
        &self,
        range: Range<usize>,
        read: &Arc<Reader>,
        name: &dyn Fn(usize) -> String,
    ) -> Result<Extracted> {
        let (mut activations, mut z, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        self.each(range, read, &mut |number, result| {
            match result {
                Ok((row, logits)) => {
                    activations.extend(row);
                    z.extend(logits);
                    rows.push(number);
                }
                Err(error) => {
                    let text = output::chain(&error);
                    self.progress.suspend(|| eprintln!("left out: {}: {text}", name(number)));
                }
            }
            Ok(())
        })?;
        let (width, classes) = widths(self.sensing);
        let activations = Array2::from_shape_vec((rows.len(), width), activations)?;
        let z = Array2::from_shape_vec((rows.len(), classes), z)?;
        Ok(Extracted { activations, z, rows })
    }

    /// As [`Extraction::collect`] of the first `count` pictures, keeping parts in a folder, where an interrupted run
    /// finds them again. `identity` says what the features depend on: parts of another are refused.
    pub fn collect_stored(
        &self,
        count: usize,
        read: &Arc<Reader>,
        name: &dyn Fn(usize) -> String,
        folder: &Path,
        identity: &str,
    ) -> Result<Extracted> {
        let mut parts = Vec::new();
        for start in (0..count).step_by(PART) {
            let range = start..(start + PART).min(count);
            let path = folder.join(format!("features-{start:09}.safetensors"));
            let part = if path.exists() {
                self.progress.inc(range.len() as u64);
                Extracted::load(&path, identity)?
            } else {
                let part = self.collect(range, read, name)?;
                part.store(&path, identity)?;
                part
            };
            parts.push(part);
        }
        Extracted::joined(parts, self.sensing)
    }
}

impl Extracted {
    fn joined(parts: Vec<Self>, sensing: &Sensing<'_>) -> Result<Self> {
        if parts.is_empty() {
            let (width, classes) = widths(sensing);
            return Ok(Self {
                activations: Array2::zeros((0, width)),
                z: Array2::zeros((0, classes)),
                rows: Vec::new(),
            });
        }
        let activations: Vec<_> = parts.iter().map(|part| part.activations.view()).collect();
        let z: Vec<_> = parts.iter().map(|part| part.z.view()).collect();
        Ok(Self {
            activations: concatenate(Axis(0), &activations)?,
            z: concatenate(Axis(0), &z)?,
            rows: parts.iter().flat_map(|part| part.rows.iter().copied()).collect(),
        })
    }

    /// Writes them, with what they depend on.
    pub fn store(&self, path: &Path, identity: &str) -> Result<()> {
        let rows: Array1<i64> = self.rows.iter().map(|&row| row as i64).collect();
        let identity = [identity.to_owned()];
        let arrays = [
            ("activations", Values::from(&self.activations)),
            ("z", Values::from(&self.z)),
            ("rows", Values::from(&rows)),
            ("identity", Values::from(&identity[..])),
        ];
        Ok(write_safetensors(path, &arrays)?)
    }

    /// Reads what [`Extracted::store`] wrote for the same `identity`.
    pub fn load(path: &Path, identity: &str) -> Result<Self> {
        let file = Arrays::read(path)?;
        if file.strings("identity")?.first().map(String::as_str) != Some(identity) {
            bail!(
                "{}: features of another network, other pictures or another preprocessing; run with what it began \
                 with, or begin anew with --force",
                path.display()
            );
        }
        let rows = file.integers("rows")?;
        let rows: Vec<usize> = rows.iter().filter_map(|&row| usize::try_from(row).ok()).collect();
        let (activations, z) = (file.matrix("activations")?, file.matrix("z")?);
        if activations.nrows() != rows.len() || z.nrows() != rows.len() {
            bail!("{}: its arrays have different lengths", path.display());
        }
        Ok(Self { activations, z, rows })
    }
}

/// Number of activations and of logits.
fn widths(sensing: &Sensing<'_>) -> (usize, usize) {
    (sensing.width(), sensing.classifier().classes())
}

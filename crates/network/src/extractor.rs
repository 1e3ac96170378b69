//! Running a classifier over batches for its penultimate features and logits.

use ndarray::{Array2, ArrayD, ArrayView4, ArrayViewD, Axis, concatenate};

use crate::classifier::Classifier;
use crate::error::{NetworkError, Result};
use crate::runtime::{Engine, LoadOptions, Threads};

/// Which mean and variance batch normalisations use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Statistics {
    /// Those of the training, stored with the weights.
    #[default]
    Stored,
    /// Those of the batch being run: per channel, the mean and the biased variance over pictures and positions,
    /// then the stored scale and shift. What PyTorch computes with its batch normalisations, and nothing else, in
    /// training mode. Every result depends on the other pictures of its batch.
    Batch,
}

/// Settings of an [`Extractor`].
#[derive(Clone, Debug)]
pub struct ExtractorOptions {
    /// Worker threads; `None` takes one per physical core.
    pub threads: Option<Threads>,
    /// Let the engine fuse operators (the default): pays off from a few pictures on.
    pub optimise: bool,
    /// Which statistics batch normalisations use.
    pub statistics: Statistics,
}

impl Default for ExtractorOptions {
    fn default() -> Self {
        Self { threads: None, optimise: true, statistics: Statistics::Stored }
    }
}

/// What a classifier made of a batch of B pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// Penultimate features h, B x d: what the last linear layer reads.
    pub h: Array2<f32>,
    /// Logits z, B x N.
    pub z: Array2<f32>,
}

/// Gives the penultimate features h and the logits z of batches of pictures, in one forward pass.
///
/// h is the input of the last linear layer, so that `z = W h + b` with the W and b of
/// [`Classifier::last_layer`]. Where the last layer is a 1x1 convolution with a ReLU and an average over positions
/// behind it (SqueezeNet), h is the average over positions of what the convolution reads, an approximation.
///
/// It may be shared among threads.
///
/// ```
/// use introspective_network::{Extractor, ExtractorOptions, embedded};
/// use ndarray::Array4;
///
/// let classifier = embedded::squeezenet()?;
/// let extractor = Extractor::new(&classifier, &ExtractorOptions::default())?;
/// let pictures = Array4::zeros((2, 3, 224, 224)); // preprocessed
/// let features = extractor.extract(pictures.view())?;
/// assert_eq!((features.h.dim(), features.z.dim()), ((2, 512), (2, 1000)));
/// # Ok::<(), introspective_network::NetworkError>(())
/// ```
pub struct Extractor<'c> {
    classifier: &'c Classifier,
    engine: Engine,
    width: usize,
    /// The graph takes one picture at a time.
    one_at_a_time: bool,
}

impl<'c> Extractor<'c> {
    /// Loads the classifier.
    ///
    /// # Errors
    /// [`NetworkError::NoPenultimate`], or the runtime refuses the graph.
    pub fn new(classifier: &'c Classifier, options: &ExtractorOptions) -> Result<Self> {
        let penultimate = classifier.penultimate()?;
        let mut graph = classifier.graph.clone();
        let features = penultimate.declare(&mut graph);
        let load = LoadOptions { optimise: options.optimise, threads: options.threads.as_ref() };
        let engine = classifier
            .runtime
            .load(&graph, &[&features, &classifier.logits], load)
            .map_err(|reason| NetworkError::Load { model: classifier.name.clone(), reason })?;
        Ok(Self {
            classifier,
            engine,
            width: penultimate.width,
            one_at_a_time: classifier.one_at_a_time(),
        })
    }

    /// The classifier.
    pub fn classifier(&self) -> &'c Classifier {
        self.classifier
    }

    /// Number of features d.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Runs the classifier on a batch of preprocessed pictures, B x C x H x W.
    ///
    /// An ONNX file that was written for one picture at a time is run on one after the other.
    ///
    /// # Errors
    /// The pictures have the wrong number of channels or the wrong size, or are too small; pixels, features or
    /// logits of one are not finite ([`NetworkError::NotFiniteInBatch`] says of which).
    pub fn extract(&self, batch: ArrayView4<'_, f32>) -> Result<Features> {
        let (pictures, channels, height, width) = batch.dim();
        if channels != self.classifier.channels() {
            return Err(NetworkError::Shape {
                what: "the batch",
                found: batch.shape().to_vec(),
                expected: format!("pictures x {} x height x width", self.classifier.channels()),
            });
        }
        if let Some(expected) = self.classifier.input_size().filter(|&e| e != [height, width]) {
            let (model, found) = (self.classifier.name.clone(), [height, width]);
            return Err(NetworkError::InputSize { model, found, expected });
        }
        // the engine's ReLU turns NaN into zero, so that nothing would show in the features
        self.check_finite("the pixels given", &[batch.view().into_dyn()])?;
        let features = match pictures {
            0 => Features {
                h: Array2::zeros((0, self.width)),
                z: Array2::zeros((0, self.classifier.classes())),
            },
            _ if self.one_at_a_time => {
                let parts: Vec<Features> = batch
                    .axis_chunks_iter(Axis(0), 1)
                    .map(|one| self.run(one))
                    .collect::<Result<_>>()?;
                let all = |of: fn(&Features) -> &Array2<f32>| {
                    let rows: Vec<_> = parts.iter().map(|part| of(part).view()).collect();
                    concatenate(Axis(0), &rows)
                };
                match (all(|part| &part.h), all(|part| &part.z)) {
                    (Ok(h), Ok(z)) => Features { h, z },
                    (Err(error), _) | (_, Err(error)) => {
                        return Err(self.classifier.run_error(height, width, error.to_string()));
                    }
                }
            }
            _ => self.run(batch)?,
        };
        self.check_finite(
            "its features and logits",
            &[features.h.view().into_dyn(), features.z.view().into_dyn()],
        )?;
        Ok(features)
    }

    fn run(&self, batch: ArrayView4<'_, f32>) -> Result<Features> {
        let (pictures, _, height, width) = batch.dim();
        let failed = |reason| self.classifier.run_error(height, width, reason);
        let mut values = self.engine.run(&[batch.into_dyn()]).map_err(failed)?.into_iter();
        let mut next = |what: &str, columns: usize| {
            let value = values.next().unwrap_or_default();
            rows(value, pictures, columns).map_err(|found| {
                failed(format!(
                    "the {what} of {pictures} pictures have shape {found:?}; expected {columns} numbers a picture"
                ))
            })
        };
        Ok(Features {
            h: next("features", self.width)?,
            z: next("logits", self.classifier.classes())?,
        })
    }

    /// Names the first picture with numbers that are none; the first axis of `values` is the pictures'.
    fn check_finite(&self, what: &'static str, values: &[ArrayViewD<'_, f32>]) -> Result<()> {
        let pictures = values.first().map_or(0, |value| value.shape()[0]);
        for index in 0..pictures {
            let rows = values.iter().map(|value| value.index_axis(Axis(0), index));
            let count = rows.map(|row| row.iter().filter(|v| !v.is_finite()).count()).sum();
            if count > 0 {
                let model = self.classifier.name.clone();
                return Err(NetworkError::NotFiniteInBatch { model, index, count, what });
            }
        }
        Ok(())
    }
}

/// A value as a matrix with a row a picture, or its shape.
fn rows(value: ArrayD<f32>, pictures: usize, columns: usize) -> Result<Array2<f32>, Vec<usize>> {
    let shape = value.shape().to_vec();
    if shape.first() != Some(&pictures) {
        return Err(shape);
    }
    value.into_shape_with_order((pictures, columns)).map_err(|_| shape)
}

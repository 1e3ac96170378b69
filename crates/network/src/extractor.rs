//! Running a classifier over batches for its penultimate features and logits.

use std::sync::{Mutex, PoisonError};

use ndarray::{Array2, ArrayD, ArrayView4, ArrayViewD, Axis, s};

use crate::batch_statistics::{batch_norms, normalise_by_batch, normalise_by_own};
use crate::classifier::Classifier;
use crate::error::{NetworkError, Result};
use crate::penultimate::{Penultimate, USUAL_SIZE};
use crate::runtime::{Engine, LoadOptions, Threads, Workers};
use crate::stages::{Stage, pooled, width};

/// A run's largest value stays below so many bytes where it can: what the caches hold. Larger runs were measured to
/// take up to a tenth more time a picture, smaller ones of a tiny network some hundredths.
const RUN_BYTES: usize = 1 << 18;
/// Runs of more pictures gain nothing.
const MOST_PICTURES: usize = 16;
/// With so many runs a thread, little time is lost while the last one is waited for.
const ROUNDS: usize = 2;

/// Which mean and variance batch normalisations use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Statistics {
    /// Those of the training, stored with the weights.
    #[default]
    Stored,
    /// Those of the batch being run: per channel, the mean and the biased variance over pictures and positions,
    /// then the stored scale and shift. What PyTorch computes with its batch normalisations, and nothing else, in
    /// training mode (running statistics are left alone). Every result depends on the other pictures of its batch.
    /// Normalisations that an exporter folded into convolutions keep their stored statistics; see
    /// [`Classifier::batch_norms`].
    Batch,
    /// The stored ones with a share a of each picture's own mixed in: `(1 - a) M + a mean`, `(1 - a) V + a variance`, mean and
    /// biased variance over the picture's positions, channel by channel (Schneider et al. 2020, arXiv 2006.16971, with one
    /// picture for the batch). No result depends on another picture. A share of 0 is [`Statistics::Stored`]; it must lie
    /// between 0 and 1.
    Own(f32),
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
    /// Give the pooled activations of the stages too.
    pub stages: bool,
}

impl Default for ExtractorOptions {
    fn default() -> Self {
        Self { threads: None, optimise: true, statistics: Statistics::Stored, stages: false }
    }
}

/// What a classifier made of a batch of B pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// Penultimate features h, B x d: what the last linear layer reads. No columns if only the logits are given.
    pub h: Array2<f32>,
    /// Logits z, B x N.
    pub z: Array2<f32>,
    /// Pooled activations of the stages, B x S: of each of [`Extractor::stages`], in order, the means over positions of
    /// its K channels, then their K standard deviations. S is 0 unless [`ExtractorOptions::stages`] asks for them.
    pub stages: Array2<f32>,
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
    workers: Workers,
    width: usize,
    /// The graph takes one picture at a time.
    one_at_a_time: bool,
    statistics: Statistics,
    stages: Vec<Stage>,
    /// Where the engine's outputs have their values.
    places: Vec<usize>,
    /// Pictures of the last size go through the graph so many at a time.
    piece: Mutex<Option<([usize; 2], usize)>>,
}

impl<'c> Extractor<'c> {
    /// Loads the classifier.
    ///
    /// # Errors
    /// [`NetworkError::NoPenultimate`], or the runtime refuses the graph. For [`Statistics::Batch`] and [`Statistics::Own`]:
    /// [`NetworkError::NoBatchNorms`], or [`NetworkError::BatchStatistics`] for a file that was written for one picture
    /// at a time.
    pub fn new(classifier: &'c Classifier, options: &ExtractorOptions) -> Result<Self> {
        Self::load(classifier, options, Some(&classifier.penultimate()?))
    }

    /// Loads the classifier for its logits alone: h has no columns. For networks whose features cannot be told, too.
    ///
    /// # Errors
    /// As [`Extractor::new`], but for [`NetworkError::NoPenultimate`].
    pub fn of_logits(classifier: &'c Classifier, options: &ExtractorOptions) -> Result<Self> {
        Self::load(classifier, options, None)
    }

    fn load(
        classifier: &'c Classifier,
        options: &ExtractorOptions,
        penultimate: Option<&Penultimate>,
    ) -> Result<Self> {
        let mut graph = classifier.graph.clone();
        let features = penultimate.map(|penultimate| penultimate.declare(&mut graph));
        let one_at_a_time = classifier.one_at_a_time() || !batches_pass(classifier);
        let model = || classifier.name.clone();
        if options.statistics != Statistics::Stored && classifier.batch_norms() == 0 {
            return Err(NetworkError::NoBatchNorms { model: model() });
        }
        let size = classifier.input_size().unwrap_or(USUAL_SIZE);
        if let Statistics::Own(share) = options.statistics {
            if !(0.0..=1.0).contains(&share) {
                let reason = format!("{share} is no share of a picture's own; expected 0 to 1");
                return Err(NetworkError::BatchStatistics { model: model(), reason });
            }
            normalise_by_own(&mut graph, &classifier.shapes(size), share);
        }
        if options.statistics == Statistics::Batch {
            if one_at_a_time {
                let reason =
                    "it was written for one picture at a time; export it with a free batch axis";
                return Err(NetworkError::BatchStatistics {
                    model: model(),
                    reason: reason.to_owned(),
                });
            }
            normalise_by_batch(&mut graph, &classifier.shapes(size));
        }
        let load = LoadOptions { optimise: options.optimise, threads: options.threads.as_ref() };
        let stages = if options.stages { classifier.stages() } else { Vec::new() };
        // the logits come first, then the features
        let mut outputs = vec![classifier.logits.as_str()];
        outputs.extend(features.as_deref());
        // the features may be a stage's value, and no engine gives a value twice
        let mut places = Vec::with_capacity(stages.len());
        for stage in &stages {
            let known = outputs.iter().position(|output| *output == stage.value);
            places.push(known.unwrap_or(outputs.len()));
            if known.is_none() {
                outputs.push(&stage.value);
            }
        }
        let engine = classifier
            .runtime
            .load(&graph, &outputs, load)
            .map_err(|reason| NetworkError::Load { model: classifier.name.clone(), reason })?;
        Ok(Self {
            classifier,
            workers: Workers::new(&engine, options.threads.as_ref()),
            engine,
            width: penultimate.map_or(0, |penultimate| penultimate.width),
            one_at_a_time,
            statistics: options.statistics,
            stages,
            places,
            piece: Mutex::new(None),
        })
    }

    /// The classifier.
    pub fn classifier(&self) -> &'c Classifier {
        self.classifier
    }

    /// Number of features d; 0 if only the logits are given.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The stages whose pooled activations are given, in order; none unless they were asked for.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Number S of pooled activations, two a channel of each stage.
    pub fn stages_width(&self) -> usize {
        width(&self.stages)
    }

    /// How many pictures of this size to hand to [`extract`](Extractor::extract) at a time: enough for every thread to
    /// have work, and no more memory than that takes. (With [`Statistics::Batch`] the batch is yours to choose: it is
    /// what the statistics are of.)
    pub fn preferred_batch(&self, height: usize, width: usize) -> usize {
        self.piece([height, width]) * ROUNDS * self.workers.count().max(1)
    }

    /// Runs the classifier on a batch of preprocessed pictures, B x C x H x W.
    ///
    /// The pictures go through the network a few at a time, as many as the processor's caches hold (one after the other
    /// through an ONNX file that was written for one picture), and on the built-in runtime each thread has its own. So
    /// the number of threads changes no bit of the result, and a batch smaller than [`preferred_batch`] leaves threads
    /// idle. A batch of one picture is for whoever waits for it: all threads share it, and the last bits of large linear
    /// layers depend on how many they are.
    ///
    /// What a picture gives depends on the others of its batch by rounding at most (for logits near 1, about 1e-6);
    /// with [`Statistics::Batch`] it depends on all of them, and they go through together.
    ///
    /// [`preferred_batch`]: Extractor::preferred_batch
    ///
    /// # Errors
    /// The pictures have the wrong number of channels or the wrong size, or are too small; pixels, features or
    /// logits of one are not finite ([`NetworkError::NotFiniteInBatch`] says of which); with [`Statistics::Batch`], a
    /// single picture of which a batch normalisation sees one value a channel ([`NetworkError::BatchStatistics`]).
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
        let piece = match self.statistics {
            Statistics::Stored | Statistics::Own(_) => self.piece([height, width]),
            Statistics::Batch => {
                self.check_counts(pictures, [height, width])?;
                pictures.max(1)
            }
        };
        let pieces: Vec<_> = batch.axis_chunks_iter(Axis(0), piece).collect();
        let parts =
            if self.workers.count() > 1 && self.statistics != Statistics::Batch && pictures > 1 {
                self.workers.each(pieces.len(), |index, worker| {
                    let piece = pieces[index];
                    self.features(piece, worker.run(&self.engine, &[piece.into_dyn()]))
                })
            } else {
                let all = |piece: &ArrayView4<'_, f32>| {
                    self.features(*piece, self.engine.run(&[piece.into_dyn()]))
                };
                pieces.iter().map(all).collect()
            };
        let (d, n) = (self.width, self.classifier.classes());
        let mut features = Features {
            h: Array2::zeros((pictures, d)),
            z: Array2::zeros((pictures, n)),
            stages: Array2::zeros((pictures, self.stages_width())),
        };
        for (index, part) in parts?.iter().enumerate() {
            let (start, end) = (index * piece, index * piece + part.h.nrows());
            features.h.slice_mut(s![start..end, ..]).assign(&part.h);
            features.z.slice_mut(s![start..end, ..]).assign(&part.z);
            features.stages.slice_mut(s![start..end, ..]).assign(&part.stages);
        }
        self.check_finite(
            "its features and logits",
            &[features.h.view().into_dyn(), features.z.view().into_dyn()],
        )?;
        self.check_finite(
            "the pooled activations of its stages",
            &[features.stages.view().into_dyn()],
        )?;
        Ok(features)
    }

    /// A mean of one value is that value, and its normalised form 0, whatever it was.
    fn check_counts(&self, pictures: usize, size: [usize; 2]) -> Result<()> {
        if pictures != 1 {
            return Ok(());
        }
        let shapes = self.classifier.shapes(size);
        let single = |value: &str| {
            shapes.get(value).is_some_and(|shape| shape.iter().skip(2).product::<usize>() == 1)
        };
        match batch_norms(&self.classifier.graph).find(|(_, value)| single(value)) {
            Some((norm, _)) => {
                let model = self.classifier.name.clone();
                let reason = format!(
                    "{norm} would see one value a channel; expected a batch of several pictures"
                );
                Err(NetworkError::BatchStatistics { model, reason })
            }
            None => Ok(()),
        }
    }

    /// How many pictures of this size go through the graph at a time.
    fn piece(&self, size: [usize; 2]) -> usize {
        if self.one_at_a_time {
            return 1;
        }
        let mut known = self.piece.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some((of, piece)) if of == size => piece,
            _ => {
                let shapes = self.classifier.shapes(size);
                let computed = self.classifier.graph.computed();
                let elements =
                    computed.filter_map(|value| Some(shapes.get(value)?.iter().product::<usize>()));
                let largest = elements.max().unwrap_or(RUN_BYTES).max(1) * size_of::<f32>();
                let piece = (RUN_BYTES / largest).clamp(1, MOST_PICTURES);
                *known = Some((size, piece));
                piece
            }
        }
    }

    /// What the engine made of some pictures.
    fn features(
        &self,
        pictures: ArrayView4<'_, f32>,
        values: Result<Vec<ArrayD<f32>>, String>,
    ) -> Result<Features> {
        let (count, _, height, width) = pictures.dim();
        let failed = |reason| self.classifier.run_error(height, width, reason);
        let values = values.map_err(failed)?;
        let matrix = |place: usize, what: &str, columns: usize| {
            let value = values.get(place).cloned().unwrap_or_default();
            rows(value, count, columns).map_err(|found| {
                failed(format!(
                    "the {what} of {count} pictures have shape {found:?}; expected {columns} numbers a picture"
                ))
            })
        };
        let value = |index: usize, _: &Stage| values.get(*self.places.get(index)?);
        let stages = pooled(&self.stages, count, value).map_err(failed)?;
        Ok(Features {
            h: match self.width {
                0 => Array2::zeros((count, 0)),
                width => matrix(1, "features", width)?,
            },
            z: matrix(0, "logits", self.classifier.classes())?,
            stages,
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

/// False if a batch would come out of the graph as something else than rows of logits: sizes for one picture stand in
/// it, though its input may be a batch.
fn batches_pass(classifier: &Classifier) -> bool {
    let size = classifier.input_size().unwrap_or(USUAL_SIZE);
    let [one, two] = [1, 2].map(|batch| {
        classifier.shapes_of_batch(batch, size).remove(&classifier.logits).unwrap_or_default()
    });
    one.is_empty() || two == [2, classifier.classes()]
}

/// A value as a matrix with a row a picture, or its shape.
fn rows(value: ArrayD<f32>, pictures: usize, columns: usize) -> Result<Array2<f32>, Vec<usize>> {
    let shape = value.shape().to_vec();
    if shape.first() != Some(&pictures) {
        return Err(shape);
    }
    value.into_shape_with_order((pictures, columns)).map_err(|_| shape)
}

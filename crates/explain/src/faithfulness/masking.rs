//! Pictures with pixels taken away, put in, or faded out.

use introspective_network::{Extractor, NetworkError};
use ndarray::{Array1, Array2, Array3, Array4, ArrayView2, ArrayView3, ArrayView4, Axis, s};

use super::blur::Blur;
use super::curve::{Score, Trace};
use super::order::PixelOrder;
use super::{CheckError, Reads};

/// What gives logits of pictures: an [`Extractor`], or anything else that is to be asked.
pub trait Logits {
    /// Logits, B x N, of preprocessed pictures, B x C x H x W.
    ///
    /// # Errors
    /// Of the network.
    fn logits(&self, pictures: ArrayView4<'_, f32>) -> Result<Array2<f32>, NetworkError>;

    /// How many pictures of this size to ask about at a time.
    fn batch(&self, height: usize, width: usize) -> usize;
}

/// Of a batch in pieces over the threads; [`Extractor::of_logits`] is enough.
impl Logits for Extractor<'_> {
    fn logits(&self, pictures: ArrayView4<'_, f32>) -> Result<Array2<f32>, NetworkError> {
        Ok(self.extract(pictures)?.z)
    }

    fn batch(&self, height: usize, width: usize) -> usize {
        self.preferred_batch(height, width)
    }
}

/// A picture to be changed step by step, and what the network says of its ends.
pub struct Masking<'a, L: ?Sized> {
    network: &'a L,
    picture: ArrayView3<'a, f32>,
    blurred: Array3<f32>,
    steps: usize,
    /// Logits of the picture, of the blank one, and of the blurred one, 3 x N.
    ends: Array2<f32>,
}

/// What is left of a class when only what a map shows is left of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faded {
    /// y, the probability of the class for the picture.
    pub before: f64,
    /// o, its probability for the faded picture.
    pub after: f64,
}

impl Faded {
    /// `max(0, y - o) / y`, in [0, 1]: the share of its probability that the class loses; 0 if it had none. Small is good.
    pub fn drop(&self) -> f64 {
        if self.before > 0.0 { (self.before - self.after).max(0.0) / self.before } else { 0.0 }
    }

    /// `o > y`: the class gains. Good.
    pub fn increases(&self) -> bool {
        self.after > self.before
    }
}

/// [`Faded`] over a set of pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FadedSet {
    /// How many pictures.
    pub pictures: usize,
    /// Average drop, the mean of [`Faded::drop`], in [0, 1]. (Published tables give it times 100.)
    pub drop: f64,
    /// Increase in confidence, the share of pictures with [`Faded::increases`], in [0, 1].
    pub increase: f64,
}

impl FadedSet {
    /// Over these; `None` if there are none.
    pub fn of(faded: &[Faded]) -> Option<Self> {
        let pictures = faded.len();
        let count = pictures as f64;
        (pictures > 0).then(|| Self {
            pictures,
            drop: faded.iter().map(Faded::drop).sum::<f64>() / count,
            increase: faded.iter().filter(|faded| faded.increases()).count() as f64 / count,
        })
    }
}

impl<'a, L: Logits + ?Sized> Masking<'a, L> {
    /// Prepares a preprocessed picture, C x H x W, to be changed in `steps` steps (or one a pixel, if it has fewer).
    ///
    /// # Errors
    /// [`CheckError::Steps`] for no steps, [`CheckError::Empty`] for no pixels, and those of the network.
    pub fn new(
        network: &'a L,
        picture: ArrayView3<'a, f32>,
        steps: usize,
        blur: Blur,
    ) -> Result<Self, CheckError> {
        let (_, height, width) = picture.dim();
        if steps == 0 {
            return Err(CheckError::Steps);
        }
        if picture.is_empty() {
            return Err(CheckError::Empty);
        }
        let blurred = blur.apply(picture);
        let blank = Array3::zeros(picture.dim());
        let ends = [picture, blank.view(), blurred.view()];
        let ends = ndarray::stack(Axis(0), &ends).map_err(|_| CheckError::Empty)?;
        let ends = network.logits(ends.view())?;
        let steps = steps.min(height * width);
        Ok(Self { network, picture, blurred, steps, ends })
    }

    /// Pixels set to zero in an order (after normalisation that is each channel's mean): from the picture to a blank one.
    ///
    /// # Errors
    /// [`CheckError::Size`] if the order is of another size, and those of the network.
    pub fn deletion(&self, order: &PixelOrder) -> Result<Trace, CheckError> {
        let blank = Array3::zeros(self.picture.dim());
        self.trace(order, self.picture, blank.view(), [0, 1])
    }

    /// Pixels of the picture put into its blurred form in an order: from that to the picture.
    ///
    /// # Errors
    /// [`CheckError::Size`] if the order is of another size, and those of the network.
    pub fn insertion(&self, order: &PixelOrder) -> Result<Trace, CheckError> {
        self.trace(order, self.blurred.view(), self.picture, [2, 0])
    }

    /// Step k has the first `round(k HW / S)` pixels of `to`, and the others of `from`; `ends` are their logits' rows.
    fn trace(
        &self,
        order: &PixelOrder,
        from: ArrayView3<'_, f32>,
        to: ArrayView3<'_, f32>,
        ends: [usize; 2],
    ) -> Result<Trace, CheckError> {
        let (channels, height, width) = self.picture.dim();
        self.check_size("the order of pixels", order.size())?;
        let pixels = height * width;
        let count = |step: usize| (2 * step * pixels + self.steps) / (2 * self.steps);
        let mut logits = Array2::zeros((self.steps + 1, self.ends.ncols()));
        for (row, end) in [(0, ends[0]), (self.steps, ends[1])] {
            logits.row_mut(row).assign(&self.ends.row(end));
        }
        let batch = self.network.batch(height, width).max(1);
        let mut picture = from.to_owned();
        let mut done = 0;
        let inner: Vec<usize> = (1..self.steps).collect();
        for steps in inner.chunks(batch) {
            let mut pictures = Array4::zeros((steps.len(), channels, height, width));
            for (&step, mut place) in steps.iter().zip(pictures.outer_iter_mut()) {
                for &pixel in &order.pixels()[done..count(step)] {
                    let (y, x) = (pixel / width, pixel % width);
                    picture.slice_mut(s![.., y, x]).assign(&to.slice(s![.., y, x]));
                }
                done = count(step);
                place.assign(&picture);
            }
            let first = steps[0];
            let rows = self.network.logits(pictures.view())?;
            logits.slice_mut(s![first..first + steps.len(), ..]).assign(&rows);
        }
        let shares = (0..=self.steps).map(|step| count(step) as f64 / pixels as f64).collect();
        Ok(Trace { shares, logits })
    }

    /// The picture times a map in [0, 1], H x W, pixel by pixel and after normalisation, so that what the map leaves out
    /// fades to each channel's mean; of a map of what speaks against the class ([`Reads::Against`]) its rest, `1 - map`. The
    /// probabilities are those of `class`.
    ///
    /// # Errors
    /// [`CheckError::Size`] if the map is of another size, and those of the network.
    pub fn faded(
        &self,
        map: ArrayView2<'_, f32>,
        reads: Reads,
        class: usize,
    ) -> Result<Faded, CheckError> {
        let (height, width) = map.dim();
        self.check_size("the map", [height, width])?;
        let kept = match reads {
            Reads::For => map.to_owned(),
            Reads::Against => map.mapv(|value| 1.0 - value),
        };
        let faded = &self.picture * &kept;
        let logits = self.network.logits(faded.insert_axis(Axis(0)).view())?;
        let score = Score::Class(class);
        Ok(Faded { before: score.of(self.ends.row(0)), after: score.of(logits.row(0)) })
    }

    /// Logits of the picture itself, N.
    pub fn logits(&self) -> Array1<f32> {
        self.ends.row(0).to_owned()
    }

    fn check_size(&self, what: &'static str, found: [usize; 2]) -> Result<(), CheckError> {
        let (_, height, width) = self.picture.dim();
        let expected = [height, width];
        if found != expected {
            return Err(CheckError::Size { what, found, expected });
        }
        Ok(())
    }
}

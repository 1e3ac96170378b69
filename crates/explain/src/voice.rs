//! How uncertain an explanation is: the variance of all contrasts.

use introspective_network::{Tap, bilinear_taps};
use ndarray::{Array2, ArrayView2, ArrayView3, Zip, s};

use crate::answer::is_constant;
use crate::atlas::Atlas;

/// The uncertainty of *Why P?*: where the answers to *Why P, rather than Q?* depend on Q.
///
/// VOICE, variance of induced contrastive explanations (Prabhushankar and AlRegib 2024, and their repository): the
/// variance at each pixel, over all Q other than P, of the displayed contrast maps.
#[derive(Clone, Debug)]
pub struct Voice {
    /// The variance, min-max scaled to [0, 1], H x W; all zero if it is constant.
    pub map: Array2<f32>,
    /// True if the variance is constant, so that there is no range to scale.
    pub empty: bool,
    /// How many contrasts it was taken over: N - 1, empty ones included.
    pub contrasts: usize,
    /// Mean of the variance over the pixels, before scaling; at most (N-1)/(4(N-2)), as displayed maps lie in [0, 1].
    pub mean_variance: f64,
    /// Largest variance of a pixel, before scaling.
    pub max_variance: f64,
    /// Mean over standard deviation (over n, not n - 1) of [`map`](Self::map): small where the uncertainty is gathered in
    /// few places. `None` if the map is empty.
    pub snr: Option<f64>,
    /// Intersection over union of {`map` > 0.1} and {explanation > 0.1}, the explanation being the displayed map of *Why P?*:
    /// small where the uncertainty lies beside the explanation. `None` if both are empty.
    pub iou: Option<f64>,
}

/// From here on a pixel counts for [`Voice::iou`].
const COUNTS: f32 = 0.1;

impl Atlas {
    /// VOICE at `height` x `width`, usually the input's size: each contrast map after ReLU, bilinear upsampling and
    /// min-max ([`Answer::display`](crate::Answer::display); an empty map is zero), then the variance of each pixel over
    /// all Q other than P (n - 1), then min-max. `None` for fewer than three classes, which have no two contrasts.
    ///
    /// No map is upsampled for it: a pixel is a weighted sum of four neighbouring positions, `x = w . m`, and so its
    /// variance is `w' C w` with C their 4 x 4 covariance over the classes (derived). Memory does not depend on N.
    pub fn voice(&self, height: usize, width: usize) -> Option<Voice> {
        let contrasts = self.classes().checked_sub(1).filter(|&contrasts| contrasts > 1)?;
        let variance = variance(self.rather_than.view(), self.predicted, height, width);
        let explanation = self.why().display(height, width).map;
        Some(Voice::new(&variance, contrasts, explanation.view()))
    }
}

impl Voice {
    fn new(variance: &Array2<f64>, contrasts: usize, explanation: ArrayView2<'_, f32>) -> Self {
        let low = variance.fold(f64::INFINITY, |low, &v| low.min(v));
        let high = variance.fold(0f64, |high, &v| high.max(v));
        let range = high - low;
        let empty = range.is_nan() || range <= 1e-6 * high;
        let map = variance.mapv(|v| if empty { 0.0 } else { ((v - low) / range) as f32 });
        let pixels = map.len().max(1) as f64;
        let mean = map.iter().map(|&v| f64::from(v)).sum::<f64>() / pixels;
        let spread = map.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / pixels;
        let (mut both, mut either) = (0, 0);
        for (&uncertain, &explained) in map.iter().zip(&explanation) {
            both += usize::from(uncertain > COUNTS && explained > COUNTS);
            either += usize::from(uncertain > COUNTS || explained > COUNTS);
        }
        Self {
            snr: (spread > 0.0).then(|| mean / spread.sqrt()),
            iou: (either > 0).then(|| both as f64 / either as f64),
            mean_variance: variance.mean().unwrap_or(0.0),
            max_variance: high,
            contrasts,
            empty,
            map,
        }
    }
}

/// The variance (n - 1) over all maps but that of `except` of each pixel of the displayed maps; N x u x v to H x W.
fn variance(maps: ArrayView3<'_, f32>, except: usize, height: usize, width: usize) -> Array2<f64> {
    let (_, rows, columns) = maps.dim();
    if maps.is_empty() {
        return Array2::zeros((height, width));
    }
    let (down, across) = (bilinear_taps(rows, height), bilinear_taps(columns, width));
    let mut scaler = Scaler::new(&down, &across);
    let others = || maps.outer_iter().enumerate().filter(|&(class, _)| class != except);
    let scales: Vec<Scale> = others().map(|(_, map)| scaler.scale(map)).collect();
    let degrees = scales.len() as f64;
    let mut mean = Array2::<f64>::zeros((rows, columns));
    for ((_, map), scale) in others().zip(&scales) {
        Zip::from(&mut mean).and(map).for_each(|mean, &value| *mean += scale.apply(value));
    }
    mean /= degrees.max(1.0);
    let mut covariances = Covariances::zeros(rows, columns);
    let mut deviations = Array2::zeros((rows, columns));
    for ((_, map), scale) in others().zip(&scales) {
        Zip::from(&mut deviations)
            .and(map)
            .and(&mean)
            .for_each(|deviation, &value, mean| *deviation = scale.apply(value) - mean);
        covariances.add(&deviations);
    }
    covariances.divide((degrees - 1.0).max(1.0));
    Array2::from_shape_fn((height, width), |(y, x)| covariances.pixel(&down[y], &across[x]))
}

/// Of all taps that lie between the same two inputs, the first and the last. A bilinear map is monotonic along rows
/// and columns between its inputs, so the extremes of the whole resized map are among these.
fn outermost(taps: &[Tap]) -> Vec<Tap> {
    let ends = |taps: &[Tap]| [taps.first().copied(), taps.last().copied()];
    taps.chunk_by(|a, b| a.low == b.low).flat_map(ends).flatten().collect()
}

/// What min-max scaling of a resized, rectified map does to the values that it was resized from. (The weights of a pixel
/// sum to one, so that scaling before resizing is scaling after it.)
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    /// One over the range; zero for an empty map.
    factor: f64,
}

impl Scale {
    fn apply(self, value: f32) -> f64 {
        (f64::from(value.max(0.0)) - self.low) * self.factor
    }
}

/// Finds scales without resizing.
struct Scaler {
    down: Vec<Tap>,
    across: Vec<Tap>,
    /// Each row of a map at the outermost columns.
    mixed: Array2<f64>,
}

impl Scaler {
    fn new(down: &[Tap], across: &[Tap]) -> Self {
        let rows = down.last().map_or(0, |tap| tap.high + 1);
        let (down, across) = (outermost(down), outermost(across));
        let mixed = Array2::zeros((rows, across.len()));
        Self { down, across, mixed }
    }

    fn scale(&mut self, map: ArrayView2<'_, f32>) -> Scale {
        let empty = Scale { low: 0.0, factor: 0.0 };
        let least = map.fold(f32::INFINITY, |least, &value| least.min(value));
        let most = map.fold(f32::NEG_INFINITY, |most, &value| most.max(value));
        if is_constant(least, most) {
            return empty;
        }
        for (mut mixed, row) in self.mixed.outer_iter_mut().zip(map.outer_iter()) {
            for (mixed, tap) in mixed.iter_mut().zip(&self.across) {
                *mixed = mix(tap, row[tap.low].max(0.0).into(), row[tap.high].max(0.0).into());
            }
        }
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for tap in &self.down {
            for (&above, &below) in self.mixed.row(tap.low).iter().zip(self.mixed.row(tap.high)) {
                let value = mix(tap, above, below);
                (low, high) = (low.min(value), high.max(value));
            }
        }
        let range = high - low;
        if is_constant(low as f32, high as f32) || !range.is_finite() {
            return empty;
        }
        Scale { low, factor: range.recip() }
    }
}

/// As [`Tap::mix`], in double precision.
fn mix(tap: &Tap, low: f64, high: f64) -> f64 {
    low + f64::from(tap.weight) * (high - low)
}

/// Covariances of each position with itself and with the neighbours that a pixel can share with it. At the last row and
/// column some have no partner, and stay zero.
struct Covariances {
    own: Array2<f64>,
    right: Array2<f64>,
    below: Array2<f64>,
    /// With the lower right neighbour.
    falling: Array2<f64>,
    /// Of the right neighbour with the lower one.
    rising: Array2<f64>,
}

impl Covariances {
    fn zeros(rows: usize, columns: usize) -> Self {
        let zeros = || Array2::zeros((rows, columns));
        let (own, right, below) = (zeros(), zeros(), zeros());
        Self { own, right, below, falling: zeros(), rising: zeros() }
    }

    /// Adds the products of one map's deviations from the mean.
    fn add(&mut self, map: &Array2<f64>) {
        let add = |sum: &mut f64, a: &f64, b: &f64| *sum += a * b;
        let (upper, lower, left, right) = (s![..-1, ..], s![1.., ..], s![.., ..-1], s![.., 1..]);
        Zip::from(&mut self.own).and(map).and(map).for_each(add);
        let pairs = self.right.slice_mut(left);
        Zip::from(pairs).and(map.slice(left)).and(map.slice(right)).for_each(add);
        let pairs = self.below.slice_mut(upper);
        Zip::from(pairs).and(map.slice(upper)).and(map.slice(lower)).for_each(add);
        let (upper_left, lower_right) = (s![..-1, ..-1], s![1.., 1..]);
        let pairs = self.falling.slice_mut(upper_left);
        Zip::from(pairs).and(map.slice(upper_left)).and(map.slice(lower_right)).for_each(add);
        let pairs = self.rising.slice_mut(upper_left);
        let (upper_right, lower_left) = (s![..-1, 1..], s![1.., ..-1]);
        Zip::from(pairs).and(map.slice(upper_right)).and(map.slice(lower_left)).for_each(add);
    }

    fn divide(&mut self, by: f64) {
        let Self { own, right, below, falling, rising } = self;
        for sums in [own, right, below, falling, rising] {
            *sums /= by;
        }
    }

    /// `w' C w` of a pixel.
    fn pixel(&self, row: &Tap, column: &Tap) -> f64 {
        // at the end of an axis a position is its own neighbour, and has all of the weight
        let share = |tap: &Tap| if tap.low == tap.high { 0.0 } else { f64::from(tap.weight) };
        let (y, below) = (row.low, row.high);
        let (x, beside) = (column.low, column.high);
        let (down, across) = (share(row), share(column));
        let (up, back) = (1.0 - down, 1.0 - across);
        let along = |y: usize| {
            back * back * self.own[[y, x]]
                + across * across * self.own[[y, beside]]
                + 2.0 * back * across * self.right[[y, x]]
        };
        let between = back * back * self.below[[y, x]]
            + across * across * self.below[[y, beside]]
            + back * across * (self.falling[[y, x]] + self.rising[[y, x]]);
        // covariances of values that cancel may round to less than nothing
        (up * up * along(y) + down * down * along(below) + 2.0 * up * down * between).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use introspective_network::resize_bilinear;
    use ndarray::{Array1, Array3, array};
    use proptest::prelude::*;

    use super::*;
    use crate::atlas::tests::{any, of};

    /// By the definition: every map is displayed, then the variance is taken pixel by pixel.
    fn slowly(atlas: &Atlas, height: usize, width: usize) -> Array2<f64> {
        let shown: Vec<Array2<f64>> = atlas
            .others()
            .into_iter()
            .map(|class| atlas.rather_than(class).unwrap().display(height, width).map)
            .map(|map| map.mapv(f64::from))
            .collect();
        Array2::from_shape_fn((height, width), |pixel| {
            shown.iter().map(|map| map[pixel]).collect::<Array1<f64>>().var(1.0)
        })
    }

    #[test]
    fn two_classes_have_no_variance_and_a_constant_one_is_empty() {
        let two = of(array![[[1.0, 2.0]], [[2.0, 1.0]]], array![1.0, 0.0]);
        assert!(two.voice(4, 4).is_none());
        let same = of(Array3::zeros((4, 2, 2)), array![1.0, 0.0, 0.0, 0.0]);
        let voice = same.voice(5, 7).unwrap();
        assert!(voice.empty && voice.map == Array2::<f32>::zeros((5, 7)));
        assert_eq!((voice.snr, voice.iou, voice.max_variance), (None, None, 0.0));
        assert_eq!(voice.contrasts, 3);
    }

    /// Three maps that are displayed as [1, 0], [0, 1] and [0, 0]: variance 1/3 at both pixels.
    #[test]
    fn by_hand() {
        let mut atlas = of(Array3::zeros((4, 1, 2)), array![3.0, 0.0, 0.0, 0.0]);
        atlas.rather_than = array![[[9.0, 0.0]], [[2.0, -1.0]], [[1.0, 3.0]], [[-1.0, -2.0]]];
        let variance = variance(atlas.rather_than.view(), 0, 1, 2);
        assert!(variance.iter().all(|v| (v - 1.0 / 3.0).abs() < 1e-12), "{variance}");
        assert!(atlas.voice(1, 2).unwrap().empty);
    }

    #[test]
    fn summaries_by_hand() {
        let variance = array![[0.0, 0.5], [0.25, 1.0]];
        let voice = Voice::new(&variance, 5, array![[0.0f32, 0.2], [0.0, 0.0]].view());
        assert_eq!(voice.map, variance.mapv(|v: f64| v as f32));
        assert_eq!((voice.mean_variance, voice.max_variance), (0.4375, 1.0));
        assert_eq!(voice.iou, Some(1.0 / 3.0));
        let spread: f64 =
            (0.4375f64.powi(2) + 0.0625f64.powi(2) + 0.1875f64.powi(2) + 0.5625f64.powi(2)) / 4.0;
        assert!((voice.snr.unwrap() - 0.4375 / spread.sqrt()).abs() < 1e-12);
    }

    proptest! {
        /// The covariances of neighbours say what displaying every map says.
        #[test]
        fn the_variance_is_that_of_the_displayed_maps(
            atlas in any(4.0), height in 1usize..20, width in 1usize..20,
        ) {
            let found = variance(atlas.rather_than.view(), atlas.predicted, height, width);
            if atlas.classes() > 2 {
                let expected = slowly(&atlas, height, width);
                // single precision of a small range on a high base, which min-max scaling magnifies
                let rounding = atlas.others().into_iter().map(|class| {
                    let rectified = atlas.rather_than(class).unwrap().raw.mapv(|v| v.max(0.0));
                    let resized = resize_bilinear(rectified.view(), height, width);
                    let most = resized.fold(0f32, |most, &v| most.max(v));
                    let range = most - resized.fold(f32::INFINITY, |least, &v| least.min(v));
                    if is_constant(most - range, most) { 0.0 } else { most / range }
                });
                let tolerance = 1e-6 * f64::from(rounding.fold(5.0, f32::max));
                for (found, expected) in found.iter().zip(&expected) {
                    prop_assert!((found - expected).abs() < tolerance, "{found} for {expected}");
                }
                let voice = atlas.voice(height, width).unwrap();
                prop_assert!(voice.map.iter().all(|v| (0.0..=1.0).contains(v)));
                let most = (atlas.classes() - 1) as f64 / (4 * (atlas.classes() - 2)) as f64;
                prop_assert!(voice.max_variance <= most + 1e-5);
            }
        }
    }
}

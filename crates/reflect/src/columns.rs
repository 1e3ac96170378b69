//! Column statistics and scalings, of matrices and of products that are never written out.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

/// How columns are brought to a common range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaler {
    /// `v' = -1 + 2 (v - min) / (max - min)`: the published form. A column without range has denominator 1.
    #[default]
    MinMax,
    /// `v' = (v - mean) / deviation`, population deviation. A constant column has denominator 1.
    ZScore,
    /// `v' = v`.
    Identity,
}

impl Scaler {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MinMax, Self::ZScore, Self::Identity];

    /// `minmax`, `zscore`, `none`.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinMax => "minmax",
            Self::ZScore => "zscore",
            Self::Identity => "none",
        }
    }
}

/// What a [`Scaler`] needs to know of each column: minimum and maximum, or mean and deviation.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    /// Minimum (min-max) or mean (z-score).
    pub low: Array1<f32>,
    /// Maximum (min-max) or population standard deviation (z-score).
    pub high: Array1<f32>,
    /// What the two mean.
    pub scaler: Scaler,
}

/// `v' = scale (v - center)` for each column. The difference comes first: where a column's mean is hundreds of its
/// deviations, two large numbers would cancel otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Factor of each column.
    pub scale: Array1<f32>,
    /// What is taken from each column.
    pub center: Array1<f32>,
}

/// Rows handled at a time where sums are taken in f64.
const ROWS: usize = 1024;

impl Columns {
    /// Of a matrix, n x w.
    pub fn of_matrix(x: ArrayView2<'_, f32>, scaler: Scaler) -> Self {
        let width = x.ncols();
        match scaler {
            Scaler::Identity => Self::identity(width),
            Scaler::MinMax => {
                let low = x.fold_axis(Axis(0), f32::INFINITY, |a, &b| a.min(b));
                let high = x.fold_axis(Axis(0), f32::NEG_INFINITY, |a, &b| a.max(b));
                Self { low, high, scaler }
            }
            Scaler::ZScore => {
                let ones = Array2::from_elem((x.nrows(), 1), 1.0_f32);
                Self::of_products(ones.view(), x, scaler)
            }
        }
    }

    /// Of the products `g_i h_k` of n pairs of factors, n x N and n x d; N d columns, class-major.
    ///
    /// Mean and variance are `G'H` and `(G^2)'(H^2)` in f64 (derived); minimum and maximum have no such
    /// form and take one pass in which each product is formed and dropped.
    pub fn of_products(g: ArrayView2<'_, f32>, h: ArrayView2<'_, f32>, scaler: Scaler) -> Self {
        let (classes, width) = (g.ncols(), h.ncols());
        match scaler {
            Scaler::Identity => Self::identity(classes * width),
            Scaler::MinMax => extremes(g, h),
            Scaler::ZScore => {
                let mut sums = Moments::new(classes, width);
                sums.add(g, h);
                sums.columns()
            }
        }
    }

    fn identity(width: usize) -> Self {
        let (low, high) = (Array1::zeros(width), Array1::ones(width));
        Self { low, high, scaler: Scaler::Identity }
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.low.len()
    }

    /// True without columns.
    pub fn is_empty(&self) -> bool {
        self.low.is_empty()
    }

    /// The scaling.
    pub fn affine(&self) -> Affine {
        let unless_zero = |v: f32| if v == 0.0 || !v.is_finite() { 1.0 } else { v };
        match self.scaler {
            Scaler::Identity => {
                Affine { scale: Array1::ones(self.len()), center: Array1::zeros(self.len()) }
            }
            Scaler::MinMax => {
                let range = (&self.high - &self.low).mapv(unless_zero);
                Affine {
                    scale: range.mapv(|range| 2.0 / range),
                    center: &self.low + &(0.5 * range),
                }
            }
            Scaler::ZScore => {
                let scale = self.high.mapv(|deviation| 1.0 / unless_zero(deviation));
                Affine { scale, center: self.low.clone() }
            }
        }
    }

    /// The map that takes columns with these statistics to columns with those of `other`: matching.
    pub fn matching(&self, other: &Self) -> Affine {
        let (to, from) = (self.affine(), other.affine());
        // other's scaling undone after ours
        let scale = &to.scale / &from.scale;
        let center = &to.center - &(&from.center / &scale);
        Affine { scale, center }
    }
}

impl Affine {
    /// Applies it to each row of a matrix, n x w.
    pub fn apply(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        (&x - &self.center) * &self.scale
    }
}

fn extremes(g: ArrayView2<'_, f32>, h: ArrayView2<'_, f32>) -> Columns {
    let (classes, width) = (g.ncols(), h.ncols());
    let mut low = Array2::from_elem((classes, width), f32::INFINITY);
    let mut high = Array2::from_elem((classes, width), f32::NEG_INFINITY);
    ndarray::Zip::indexed(low.rows_mut()).and(high.rows_mut()).par_for_each(
        |class, mut low, mut high| {
            for (g, h) in g.column(class).iter().zip(h.rows()) {
                ndarray::Zip::from(&mut low).and(&mut high).and(h).for_each(|low, high, &h| {
                    let product = g * h;
                    *low = low.min(product);
                    *high = high.max(product);
                });
            }
        },
    );
    Columns {
        low: low.flatten().to_owned(),
        high: high.flatten().to_owned(),
        scaler: Scaler::MinMax,
    }
}

/// Running sums of products and of their squares, in f64, N x d.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub count: f64,
    pub sum: Array2<f64>,
    pub squares: Array2<f64>,
}

impl Moments {
    pub fn new(classes: usize, width: usize) -> Self {
        let zeros = || Array2::zeros((classes, width));
        Self { count: 0.0, sum: zeros(), squares: zeros() }
    }

    /// As if `weight` rows with these statistics had come in.
    pub fn started_from(columns: &Columns, classes: usize, width: usize, weight: f64) -> Self {
        let mut moments = Self::new(classes, width);
        moments.count = weight;
        let cells = moments.sum.iter_mut().zip(moments.squares.iter_mut());
        for ((sum, squares), (&mean, &deviation)) in
            cells.zip(columns.low.iter().zip(&columns.high))
        {
            let (mean, deviation) = (f64::from(mean), f64::from(deviation));
            *sum = weight * mean;
            *squares = weight * (deviation * deviation + mean * mean);
        }
        moments
    }

    pub fn add(&mut self, g: ArrayView2<'_, f32>, h: ArrayView2<'_, f32>) {
        for (g, h) in g.axis_chunks_iter(Axis(0), ROWS).zip(h.axis_chunks_iter(Axis(0), ROWS)) {
            let (g, h) = (g.mapv(f64::from), h.mapv(f64::from));
            self.sum += &g.t().dot(&h);
            self.squares += &g.mapv(|v| v * v).t().dot(&h.mapv(|v| v * v));
        }
        self.count += g.nrows() as f64;
    }

    /// Lets all that came in so far count for less.
    pub fn fade(&mut self, factor: f64) {
        self.count *= factor;
        self.sum *= factor;
        self.squares *= factor;
    }

    /// Those of both.
    pub fn with(&self, other: &Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: &self.sum + &other.sum,
            squares: &self.squares + &other.squares,
        }
    }

    pub fn columns(&self) -> Columns {
        let count = self.count.max(1.0);
        let mean = &self.sum / count;
        let deviation =
            (&self.squares / count - &mean * &mean).mapv(|variance| variance.max(0.0).sqrt());
        // what is left of a constant column is rounding: below it, nothing is a deviation
        let mut deviation = deviation;
        ndarray::Zip::from(&mut deviation).and(&mean).for_each(|deviation, mean| {
            if *deviation <= 1e-7 * mean.abs() {
                *deviation = 0.0;
            }
        });
        Columns {
            low: mean.mapv(|v| v as f32).flatten().to_owned(),
            high: deviation.mapv(|v| v as f32).flatten().to_owned(),
            scaler: Scaler::ZScore,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Columns, Moments, Scaler};
    use ndarray::{Array2, array};

    fn factors() -> (Array2<f32>, Array2<f32>) {
        let g = Array2::from_shape_fn((50, 3), |(n, i)| ((n * 7 + i * 5) % 17) as f32 / 8.0 - 1.0);
        let h = Array2::from_shape_fn((50, 4), |(n, k)| ((n * 3 + k * 11) % 13) as f32 / 6.0);
        (g, h)
    }

    fn written_out(g: &Array2<f32>, h: &Array2<f32>) -> Array2<f32> {
        let d = h.ncols();
        Array2::from_shape_fn((g.nrows(), g.ncols() * d), |(n, c)| g[[n, c / d]] * h[[n, c % d]])
    }

    #[test]
    fn statistics_of_products_are_those_of_the_matrix_written_out() {
        let (g, h) = factors();
        let dense = written_out(&g, &h);
        for scaler in Scaler::ALL {
            let of_products = Columns::of_products(g.view(), h.view(), scaler);
            let of_matrix = Columns::of_matrix(dense.view(), scaler);
            let far = (&of_products.low - &of_matrix.low).mapv(f32::abs).sum()
                + (&of_products.high - &of_matrix.high).mapv(f32::abs).sum();
            assert!(far < 1e-5, "{scaler:?}: {far}");
        }
    }

    #[test]
    fn scaled_columns_have_the_range_or_moments_asked_for() {
        let (g, h) = factors();
        let dense = written_out(&g, &h);
        let scaled = Columns::of_matrix(dense.view(), Scaler::MinMax).affine().apply(dense.view());
        let range = Columns::of_matrix(scaled.view(), Scaler::MinMax);
        assert!(range.low.iter().all(|v| (v + 1.0).abs() < 1e-5));
        assert!(range.high.iter().all(|v| (v - 1.0).abs() < 1e-5));
        let scaled = Columns::of_matrix(dense.view(), Scaler::ZScore).affine().apply(dense.view());
        let moments = Columns::of_matrix(scaled.view(), Scaler::ZScore);
        assert!(moments.low.iter().all(|v| v.abs() < 1e-5));
        assert!(moments.high.iter().all(|v| (v - 1.0).abs() < 1e-5));
    }

    #[test]
    fn constant_columns_stay_finite() {
        let x = array![[2.0_f32, 0.1], [2.0, 0.1], [2.0, 0.1]];
        let minmax = Columns::of_matrix(x.view(), Scaler::MinMax).affine().apply(x.view());
        assert!(minmax.iter().all(|&v| (v + 1.0).abs() < 1e-6), "{minmax}");
        let zscore = Columns::of_matrix(x.view(), Scaler::ZScore).affine().apply(x.view());
        assert!(zscore.iter().all(|&v| v.abs() < 1e-6), "{zscore}");
    }

    #[test]
    fn matching_gives_columns_the_other_statistics() {
        let (_, h) = factors();
        let other = h.mapv(|v| 3.0 * v * v - 1.0);
        for scaler in [Scaler::MinMax, Scaler::ZScore] {
            let (ours, theirs) =
                (Columns::of_matrix(h.view(), scaler), Columns::of_matrix(other.view(), scaler));
            let matched = ours.matching(&theirs).apply(h.view());
            let found = Columns::of_matrix(matched.view(), scaler);
            let far = (&found.low - &theirs.low).mapv(f32::abs).sum()
                + (&found.high - &theirs.high).mapv(f32::abs).sum();
            assert!(far < 1e-4, "{scaler:?}: {far}");
        }
    }

    #[test]
    fn moments_can_go_on_from_stored_statistics() {
        let (g, h) = factors();
        let first = Columns::of_products(g.view(), h.view(), Scaler::ZScore);
        let mut moments = Moments::started_from(&first, 3, 4, 50.0);
        moments.add(g.view(), h.view());
        let again = moments.columns();
        let far = (&again.low - &first.low).mapv(f32::abs).sum()
            + (&again.high - &first.high).mapv(f32::abs).sum();
        assert!(far < 1e-5, "{far}");
    }
}

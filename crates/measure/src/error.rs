//! What can be wrong with what is to be measured.

/// A metric could not be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// Nothing to measure.
    #[error("found {rows} images and {classes} classes; a metric needs at least one of each")]
    Empty {
        /// Rows of the array.
        rows: usize,
        /// Columns of the array.
        classes: usize,
    },
    /// Two things that belong together, image by image, differ in length.
    #[error("found {found} {what} for {expected} images; every image needs exactly one")]
    Lengths {
        /// What there is too much or too little of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many images there are.
        expected: usize,
    },
    /// A label names a class that the outputs do not have.
    #[error("the label of image {row} is {label}, but there are {classes} classes, 0 to {}", classes - 1)]
    Label {
        /// The image, counted from 0.
        row: usize,
        /// Its label.
        label: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A value is NaN or infinite.
    #[error("{what} of image {row}, class {column}: found {value}, expected a finite number")]
    NotFinite {
        /// What the values are: `logit`, `probability`, `score`.
        what: &'static str,
        /// The image, counted from 0.
        row: usize,
        /// The class, counted from 0.
        column: usize,
        /// The value.
        value: f64,
    },
    /// A value is no probability.
    #[error(
        "probability of image {row}, class {column}: found {value}, expected a number from 0 to 1; pass logits as logits"
    )]
    NotAProbability {
        /// The image, counted from 0.
        row: usize,
        /// The class, counted from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// A contrast names a method that is not compared.
    #[error("a contrast names the method `{method}`, which is not among those compared")]
    NoSuchMethod {
        /// The name.
        method: String,
    },
    /// The outputs under a condition are unusable.
    #[error("condition {condition}")]
    Condition {
        /// The condition.
        condition: String,
        /// What is wrong.
        source: Box<MeasureError>,
    },
    /// A condition has other methods, or one of them other seeds, than the first condition.
    #[error(
        "condition {condition}: found the methods {found}, expected {expected}, with as many seeds as in the first \
         condition"
    )]
    OtherMethods {
        /// The condition.
        condition: String,
        /// Its methods.
        found: String,
        /// Those of the first condition.
        expected: String,
    },
    /// There are no images as they are to hold conditions against.
    #[error("there is no clean condition; add the images as they are")]
    NoClean,
    /// The probabilities of an image do not sum to one.
    #[error(
        "the probabilities of image {row} sum to {sum}, expected 1 within 0.001; pass logits as logits"
    )]
    NotADistribution {
        /// The image, counted from 0.
        row: usize,
        /// Their sum.
        sum: f64,
    },
    /// A number of bins, classes or resamples is out of range.
    #[error("{what}: found {found}, expected {expected}")]
    Setting {
        /// Which setting.
        what: &'static str,
        /// What it was.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A ranking of two kinds was asked for, but all are of one kind.
    #[error(
        "found {positive} positive and {negative} negative items; an area under the ROC curve needs at least one of each"
    )]
    OneSided {
        /// How many are positive.
        positive: usize,
        /// How many are negative.
        negative: usize,
    },
    /// Nothing to compare.
    #[error("no methods to compare; expected at least one")]
    NoMethods,
    /// A method without outputs.
    #[error("the method {method:?} has no outputs; expected those of at least one seed")]
    NoSeeds {
        /// The method.
        method: String,
    },
    /// Two methods of one name.
    #[error("two methods are named {method:?}; names must differ")]
    SameName {
        /// The name.
        method: String,
    },
    /// The outputs of two methods are not about the same classes.
    #[error(
        "the method {method:?}, seed {seed}, has {found} classes but the first method has {expected}"
    )]
    Classes {
        /// The method.
        method: String,
        /// Which of its outputs, counted from 0.
        seed: usize,
        /// Its classes.
        found: usize,
        /// The first method's classes.
        expected: usize,
    },
    /// Something is wrong with the outputs of one method.
    #[error("the method {method:?}, seed {seed}")]
    Method {
        /// The method.
        method: String,
        /// Which of its outputs, counted from 0.
        seed: usize,
        /// What is wrong.
        source: Box<MeasureError>,
    },
}

/// `value` if it is at least one.
pub(crate) fn at_least_one(what: &'static str, value: usize) -> Result<usize, MeasureError> {
    if value == 0 {
        return Err(MeasureError::Setting { what, found: "0".to_owned(), expected: "at least 1" });
    }
    Ok(value)
}

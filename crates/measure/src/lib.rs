//! How good, how well calibrated and how useful for selective prediction a classifier is: arrays in, numbers out.
//!
//! This room knows no other: outputs come as `ArrayView2<f32>`, n images x N classes, and labels as class indices.
//! Every metric is a function of its own ([`accuracy`], [`nll`], [`ece`], [`aurc`], ...); [`compare`] computes all of
//! them for several methods on the same images, with paired bootstrap intervals. Everything is computed in double
//! precision, and nothing depends on the order of the images or on the number of threads.
//!
//! ```
//! use introspective_measure::{CompareOptions, Method, Outputs, compare, ece, fit_temperature};
//! use ndarray::array;
//!
//! // four images, two classes, the last image wrong and too sure of it
//! let logits = array![[2.0f32, 0.0], [0.0, 3.0], [1.0, 0.0], [3.0, 0.0]];
//! let labels = [0, 1, 0, 1];
//! let error = ece(Outputs::Logits(logits.view()), &labels, 15)?;
//!
//! let temperature = fit_temperature(logits.view(), &labels)?;
//! let cooler = temperature.apply(logits.view());
//! let methods = [
//!     Method { name: "f".to_owned(), seeds: vec![logits.view()] },
//!     Method { name: "f+temperature".to_owned(), seeds: vec![cooler.view()] },
//! ];
//! let comparison = compare(&methods, &labels, &CompareOptions::default())?;
//! assert_eq!(comparison.methods[0].metrics.ece.value, error);
//! let minus_f = comparison.methods[1].minus_f.as_ref().unwrap();
//! assert_eq!(minus_f.accuracy.value, 0.0); // a temperature changes no prediction
//! assert!(minus_f.nll.value < 0.0);
//! # Ok::<(), introspective_measure::MeasureError>(())
//! ```

mod accuracy;
mod auroc;
mod calibration;
mod compare;
mod conditions;
mod curves;
mod error;
mod metric;
mod outputs;
mod proper;
mod ranking;
mod selective;
mod spearman;
mod sums;
mod sweep;
mod temperature;
mod vectors;

pub use accuracy::{accuracy, top_k_accuracy};
pub use auroc::auroc;
pub use calibration::{DEFAULT_BINS, adaptive_ece, classwise_ece, ece, mce};
pub use compare::{
    CompareOptions, Comparison, Contrast, Estimate, INTERVAL, Measured, Method, Metrics, Norm,
    Resampling, Sampled, compare,
};
pub use conditions::{Cell, CellMethod, Condition, Conditions, Contrasted, Group, Row, Table};
pub use curves::{CoverageRisk, Curves, ReliabilityBin, curves, reliability};
pub use error::MeasureError;
pub use metric::Metric;
pub use outputs::{Outputs, softmax};
pub use proper::{brier, nll};
pub use selective::{RiskPoint, aurc, risk_coverage};
pub use spearman::spearman;
pub use temperature::{Bound, TEMPERATURE_RANGE, Temperature, fit_temperature};

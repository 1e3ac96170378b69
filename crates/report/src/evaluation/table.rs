//! An evaluation as CSV.

use introspective_measure::{Comparison, Estimate};

/// A table could not be written as CSV.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A row could not be written.
    #[error("cannot write the metric {metric:?} of the method {method:?} as CSV")]
    Row {
        /// The method.
        method: String,
        /// The metric's key.
        metric: &'static str,
        /// What the writer said.
        source: csv::Error,
    },
    /// The table could not be finished.
    #[error("cannot finish the CSV table")]
    Finish {
        /// What the writer said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

const COLUMNS: [&str; 8] =
    ["method", "metric", "value", "low", "high", "minus_f", "minus_f_low", "minus_f_high"];

/// One row for every metric of every method, in the comparison's order: `method`, `metric` (its key), `value` with its
/// interval `low` to `high`, and `minus_f`, the difference to the first method, with its own interval.
///
/// Numbers are written with all their digits, as in the JSON; a field is empty where there is none (the first method's
/// differences, and a number that is not finite). Fields are quoted where they must be; lines end in a line feed.
///
/// # Errors
/// The writer fails.
pub fn evaluation_csv(comparison: &Comparison) -> Result<String, TableError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |method: &str, metric: &'static str, row: &[String; 8]| {
        writer.write_record(row).map_err(|source| {
            let method = method.to_owned();
            TableError::Row { method, metric, source }
        })
    };
    write("method", "metric", &COLUMNS.map(str::to_owned))?;
    for method in &comparison.methods {
        for (metric, estimate) in method.metrics.iter() {
            let minus = method.minus_f.as_ref().and_then(|minus| minus.get(metric));
            let [value, low, high] = fields(Some(estimate));
            let [minus_f, minus_low, minus_high] = fields(minus);
            let key = metric.key();
            let (name, metric) = (method.name.clone(), key.to_owned());
            let row = [name, metric, value, low, high, minus_f, minus_low, minus_high];
            write(&method.name, key, &row)?;
        }
    }
    let bytes =
        writer.into_inner().map_err(|source| TableError::Finish { source: Box::new(source) })?;
    String::from_utf8(bytes).map_err(|source| TableError::Finish { source: Box::new(source) })
}

fn fields(estimate: Option<&Estimate>) -> [String; 3] {
    let field = |value: f64| if value.is_finite() { value.to_string() } else { String::new() };
    estimate.map(|e| [e.value, e.low, e.high].map(field)).unwrap_or_default()
}

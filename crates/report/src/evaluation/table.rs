//! An evaluation as CSV.

use introspective_measure::{Comparison, Estimate, Table};

/// A table could not be written as CSV.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A row could not be written.
    #[error("cannot write a row of the method {method:?} as CSV")]
    Row {
        /// The method.
        method: String,
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
    let rows = comparison.methods.iter().flat_map(|method| {
        method.metrics.iter().map(move |(metric, estimate)| {
            let minus = method.minus_f.as_ref().and_then(|minus| minus.get(metric));
            let [value, low, high] = fields(Some(estimate));
            let [minus_f, minus_low, minus_high] = fields(minus);
            let (name, key) = (method.name.clone(), metric.key().to_owned());
            [name, key, value, low, high, minus_f, minus_low, minus_high]
        })
    });
    csv(COLUMNS, rows)
}

/// One row for every metric of every contrast: `method` minus `minus`, `metric` (its key), and the `difference` with its
/// interval `low` to `high`; written as [`evaluation_csv`] writes.
///
/// # Errors
/// The writer fails.
pub fn contrasts_csv(comparison: &Comparison) -> Result<String, TableError> {
    let rows = comparison.contrasts.iter().flat_map(|contrast| {
        contrast.difference.iter().map(move |(metric, estimate)| {
            let [value, low, high] = fields(Some(estimate));
            let (method, minus) = (contrast.method.clone(), contrast.minus.clone());
            [method, minus, metric.key().to_owned(), value, low, high]
        })
    });
    csv(["method", "minus", "metric", "difference", "low", "high"], rows)
}

/// One row for every metric of every method in every group of a study, as [`evaluation_csv`] has them, with the group in front;
/// `mean_corruption_error` and `relative_ece` stand among the metrics.
///
/// # Errors
/// The writer fails.
pub fn conditions_csv(table: &Table) -> Result<String, TableError> {
    let rows = table.rows.iter().flat_map(|row| {
        let metrics = row.metrics.iter().map(|(metric, estimate)| {
            let minus = row.minus_f.as_ref().and_then(|minus| minus.get(metric)).copied();
            (metric.key(), Some(*estimate), minus)
        });
        let own = [
            ("mean_corruption_error", row.mean_corruption_error, None),
            ("relative_ece", row.relative_ece, None),
        ];
        let own = own.into_iter().filter(|(_, estimate, _)| estimate.is_some());
        metrics.chain(own).map(move |(key, estimate, minus)| {
            let [value, low, high] = fields(estimate.as_ref());
            let [minus_f, minus_low, minus_high] = fields(minus.as_ref());
            let (group, method) = (row.group.clone(), row.method.clone());
            [group, method, key.to_owned(), value, low, high, minus_f, minus_low, minus_high]
        })
    });
    let [a, b, c, d, e, f, g, h] = COLUMNS;
    csv(["group", a, b, c, d, e, f, g, h], rows)
}

fn csv<const N: usize>(
    columns: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<String, TableError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in [columns.map(str::to_owned)].into_iter().chain(rows) {
        writer
            .write_record(&row)
            .map_err(|source| TableError::Row { method: row[0].clone(), source })?;
    }
    let bytes =
        writer.into_inner().map_err(|source| TableError::Finish { source: Box::new(source) })?;
    String::from_utf8(bytes).map_err(|source| TableError::Finish { source: Box::new(source) })
}

fn fields(estimate: Option<&Estimate>) -> [String; 3] {
    let field = |value: f64| if value.is_finite() { value.to_string() } else { String::new() };
    estimate.map(|e| [e.value, e.low, e.high].map(field)).unwrap_or_default()
}

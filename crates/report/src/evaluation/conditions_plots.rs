//! A metric of several methods by severity and by corruption.

use introspective_measure::{Metric, Row, Table};
use plotters::prelude::*;

use super::svg::{Drawn, UNITS, colour, figure, mark, mesh};

/// A metric against the severity, a line for each method; at 0 the images as they are. Nothing where fewer than two
/// severities were studied.
pub(super) fn by_severity(table: &Table, metric: Metric, title: &str, methods: &[&str]) -> String {
    let severities: Vec<(u8, String)> =
        (1..=5).map(|severity| (severity, format!("severity-{severity}"))).collect();
    let lines: Vec<Vec<(f64, f64)>> = methods
        .iter()
        .map(|method| {
            let at = |group: &str| value(table, group, method, metric);
            let clean = at("clean").map(|value| (0.0, value));
            let corrupted = severities.iter().filter_map(|(severity, group)| {
                at(group).map(|value| (f64::from(*severity), value))
            });
            clean.into_iter().chain(corrupted).collect()
        })
        .collect();
    if lines.iter().all(|line| line.len() < 3) {
        return String::new();
    }
    let (low, high) = range(lines.iter().flatten().map(|point| point.1));
    let mut description = format!("{title} against the severity of the corruptions");
    for (method, line) in methods.iter().zip(&lines) {
        if let (Some(first), Some(last)) = (line.first(), line.last()) {
            description += &format!("; {method} from {:.3} to {:.3}", first.1, last.1);
        }
    }
    figure((480, 340), &description, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_top(12 * UNITS)
            .margin_right(16 * UNITS)
            .x_label_area_size(46 * UNITS)
            .y_label_area_size(62 * UNITS)
            .build_cartesian_2d(-0.1..5.1, low..high)?;
        mesh(&mut chart)
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|severity| format!("{severity:.0}"))
            .x_desc("severity, 0 for clean")
            .y_desc(title)
            .draw()?;
        for (number, line) in lines.iter().enumerate() {
            let stroke = colour(number).stroke_width(2 * UNITS);
            chart.draw_series(LineSeries::new(line.iter().copied(), stroke))?;
            chart.draw_series(line.iter().map(|point| mark(number, *point)))?;
        }
        Ok(())
    })
}

/// A metric under each corruption, a mark for each method; the corruptions one below the other.
pub(super) fn by_corruption(
    table: &Table,
    metric: Metric,
    title: &str,
    corruptions: &[&str],
    methods: &[&str],
) -> String {
    let values: Vec<Vec<f64>> = methods
        .iter()
        .map(|method| {
            let at = |group: &&str| value(table, group, method, metric).unwrap_or(f64::NAN);
            corruptions.iter().map(at).collect()
        })
        .collect();
    let (low, high) = range(values.iter().flatten().copied());
    let rows = corruptions.len();
    let mut description = format!("{title} under each corruption, means over severities");
    for (row, corruption) in corruptions.iter().enumerate() {
        description += &format!("; {corruption}");
        for (method, values) in methods.iter().zip(&values) {
            description += &format!(" {method} {:.3}", values[row]);
        }
    }
    let height = 70 + 20 * rows as u32;
    let name = |place: &f64| {
        let row = (rows as f64 - place).round();
        let near = (rows as f64 - place - row).abs() < 0.01;
        let known = near.then(|| corruptions.get(row as usize)).flatten();
        known.map_or_else(String::new, |name| (*name).to_owned())
    };
    let draw = |area: &super::svg::Area<'_>| -> Drawn {
        let mut chart = ChartBuilder::on(area)
            .margin_top(8 * UNITS)
            .margin_right(16 * UNITS)
            .x_label_area_size(46 * UNITS)
            .y_label_area_size(132 * UNITS)
            .build_cartesian_2d(low..high, 0.4..rows as f64 + 0.6)?;
        mesh(&mut chart)
            .x_labels(6)
            .y_labels(2 * rows)
            .y_label_formatter(&name)
            .x_desc(title)
            .draw()?;
        for (number, values) in values.iter().enumerate() {
            let at = |(row, value): (usize, &f64)| (*value, (rows - row) as f64);
            let points = values.iter().enumerate().map(at).filter(|point| point.0.is_finite());
            chart.draw_series(points.map(|point| mark(number, point)))?;
        }
        Ok(())
    };
    figure((480, height), &description, draw)
}

/// The row of a method in a group.
pub(super) fn row<'a>(table: &'a Table, group: &str, method: &str) -> Option<&'a Row> {
    table.rows.iter().find(|row| row.group == group && row.method == method)
}

fn value(table: &Table, group: &str, method: &str, metric: Metric) -> Option<f64> {
    let value = row(table, group, method)?.metrics.get(metric)?.value;
    value.is_finite().then_some(value)
}

/// From the least to the largest with some room.
fn range(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let low = finite.clone().fold(f64::INFINITY, f64::min);
    let high = finite.fold(f64::NEG_INFINITY, f64::max);
    let room = 0.06 * (high - low);
    match room {
        room if room > 0.0 => ((low - room).max(0.0), high + room),
        _ if low.is_finite() => (low - 0.5, low + 0.5),
        _ => (0.0, 1.0),
    }
}

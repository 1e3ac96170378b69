//! The curve of a training.

use plotters::prelude::*;

use super::svg::{Area, Drawn, TEXT, UNITS, colour, figure, mark, mesh};

/// What an epoch of a training came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainingEpoch {
    /// Its number, as it is to stand at the axis.
    pub epoch: usize,
    /// Learning rate at its end.
    pub learning_rate: f64,
    /// Mean loss over the images trained on.
    pub loss: f64,
    /// Share of the images trained on whose prediction was right, in [0, 1].
    pub accuracy: f64,
    /// Loss on the images that were kept aside.
    pub held_out_loss: Option<f64>,
    /// Accuracy on the images that were kept aside, in [0, 1].
    pub held_out_accuracy: Option<f64>,
}

/// A line of a panel: what it is, and its points (epoch, value).
type Line = (&'static str, Vec<(f64, f64)>);

/// Loss (left) and accuracy (right) over the epochs, on the images trained on and on those kept aside, as an SVG picture.
///
/// Values that are not finite leave a gap in their line; epochs that have none are passed over. No epochs give empty axes.
pub fn training_curve(epochs: &[TrainingEpoch]) -> String {
    let line = |name, value: &dyn Fn(&TrainingEpoch) -> Option<f64>| -> Line {
        let point = |e: &TrainingEpoch| Some((e.epoch as f64, value(e)?));
        (name, epochs.iter().filter_map(point).collect())
    };
    let losses = [line("training", &|e| Some(e.loss)), line("held out", &|e| e.held_out_loss)];
    let accuracies =
        [line("training", &|e| Some(e.accuracy)), line("held out", &|e| e.held_out_accuracy)];

    let finite = |lines: &[Line; 2]| -> Vec<f64> {
        lines.iter().flat_map(|(_, points)| points).map(|p| p.1).filter(|v| v.is_finite()).collect()
    };
    let highest = finite(&losses).into_iter().fold(0.0, f64::max);
    let lowest = finite(&losses).into_iter().fold(0.0, f64::min);
    let loss_range = if highest > lowest { (lowest, 1.05 * highest) } else { (0.0, 1.0) };
    let worst = finite(&accuracies).into_iter().fold(1.0, f64::min);
    let accuracy_range = (((worst * 10.0).floor() / 10.0).clamp(0.0, 0.9), 1.0);

    figure((880, 330), &description(epochs), |area| {
        let (left, right) = area.split_horizontally((50).percent_width());
        panel(&left, "loss", loss_range, &losses)?;
        panel(&right, "accuracy", accuracy_range, &accuracies)
    })
}

fn description(epochs: &[TrainingEpoch]) -> String {
    let (Some(first), Some(last)) = (epochs.first(), epochs.last()) else {
        return "Training curve without epochs".to_owned();
    };
    let value = |v: f64| if v.is_finite() { format!("{v:.4}") } else { "not finite".to_owned() };
    let mut text = format!(
        "Training curve, epochs {} to {}: loss from {} to {}, accuracy from {} to {}",
        first.epoch,
        last.epoch,
        value(first.loss),
        value(last.loss),
        value(first.accuracy),
        value(last.accuracy)
    );
    if let Some(accuracy) = last.held_out_accuracy {
        text += &format!("; held-out accuracy at the end {}", value(accuracy));
    }
    text
}

fn panel(area: &Area<'_>, what: &str, range: (f64, f64), lines: &[Line; 2]) -> Drawn {
    let epochs = || lines[0].1.iter().map(|point| point.0);
    let first = epochs().fold(f64::INFINITY, f64::min);
    let last = epochs().fold(f64::NEG_INFINITY, f64::max);
    let (first, last) = match last - first {
        span if span > 0.0 => (first, last),
        // one epoch, or none
        _ if first.is_finite() => (first - 0.5, first + 0.5),
        _ => (0.0, 1.0),
    };
    let mut chart = ChartBuilder::on(area)
        .margin(12 * UNITS)
        .x_label_area_size(40 * UNITS)
        .y_label_area_size(52 * UNITS)
        .build_cartesian_2d(first..last, range.0..range.1)?;
    mesh(&mut chart)
        .x_labels(8)
        .y_labels(6)
        .x_label_formatter(&|epoch| {
            if epoch.fract() == 0.0 { format!("{epoch:.0}") } else { String::new() }
        })
        .x_desc("epoch")
        .y_desc(what)
        .draw()?;
    for (number, (name, points)) in lines.iter().enumerate() {
        let number = number + 1;
        let line = colour(number).stroke_width(2 * UNITS);
        let mut drawn = false;
        for part in points.split(|point| !point.1.is_finite()).filter(|part| !part.is_empty()) {
            let series = chart.draw_series(LineSeries::new(part.iter().copied(), line))?;
            if !drawn {
                series.label(*name).legend(move |(x, y)| {
                    let stroke = [(x, y), (x + 24 * UNITS as i32, y)];
                    EmptyElement::at((0, 0))
                        + PathElement::new(stroke, line)
                        + mark(number, (x + 12 * UNITS as i32, y))
                });
                drawn = true;
            }
            // marks on some fifteen epochs: on every one they would hide the line
            let step = points.len().div_ceil(15);
            let marked = part.iter().step_by(step).map(|point| mark(number, *point));
            chart.draw_series(marked)?;
        }
    }
    chart
        .configure_series_labels()
        .position(if what == "loss" {
            SeriesLabelPosition::UpperRight
        } else {
            SeriesLabelPosition::LowerRight
        })
        .legend_area_size(30 * UNITS)
        .margin(6 * UNITS)
        .label_font(("sans-serif", TEXT))
        .background_style(WHITE.mix(0.85))
        .draw()
}

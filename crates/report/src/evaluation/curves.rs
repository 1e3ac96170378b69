//! Reliability diagrams and the risk-coverage plot.

use introspective_measure::{CoverageRisk, Curves, ReliabilityBin};
use plotters::prelude::*;

use super::html::count;
use super::svg::{AXIS, Area, Drawn, UNITS, colour, figure, mark, mesh};

/// Bins with fewer images than this are drawn pale: their accuracy is mostly chance.
pub(super) const FEW: usize = 20;

const BAR: RGBColor = RGBColor(86, 156, 214);
const MEAN: RGBColor = RGBColor(190, 70, 0);
/// Height of the diagram and of the histogram below it, in pixels.
const DIAGRAM: u32 = 230;
const HISTOGRAM: u32 = 110;

/// Accuracy of each bin as a bar, its mean confidence as a mark at the bar's height, and below it how many images fell
/// into each bin.
pub(super) fn reliability(name: &str, bins: &[ReliabilityBin]) -> String {
    let images: usize = bins.iter().map(|bin| bin.count).sum();
    let mut description = format!("Reliability diagram of {name}, {} images", count(images));
    let fullest = bins.iter().filter(|bin| bin.count > 0).max_by_key(|bin| bin.count);
    if let Some(bin) = fullest {
        description += &format!(
            "; the fullest bin, {:.2} to {:.2}, has {} images with mean confidence {:.3} and accuracy {:.3}",
            bin.low,
            bin.high,
            count(bin.count),
            bin.confidence.unwrap_or_default(),
            bin.accuracy.unwrap_or_default()
        );
    }
    figure((280, DIAGRAM + HISTOGRAM), &description, |area| {
        let (above, below) = area.split_vertically(DIAGRAM * UNITS);
        diagram(&above, bins)?;
        histogram(&below, bins, images)
    })
}

fn diagram(area: &Area<'_>, bins: &[ReliabilityBin]) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin_top(8 * UNITS)
        .margin_right(12 * UNITS)
        .x_label_area_size(24 * UNITS)
        .y_label_area_size(54 * UNITS)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    mesh(&mut chart).x_labels(6).y_labels(6).y_desc("accuracy").draw()?;
    for bin in bins {
        let Some(accuracy) = bin.accuracy.filter(|accuracy| accuracy.is_finite()) else { continue };
        let fill = BAR.mix(if bin.count < FEW { 0.3 } else { 0.9 });
        let corners = [(bin.low, 0.0), (bin.high, accuracy)];
        let edge = AXIS.stroke_width(UNITS);
        chart
            .draw_series([Rectangle::new(corners, fill.filled()), Rectangle::new(corners, edge)])?;
    }
    let perfect = DashedLineSeries::new(
        [(0.0, 0.0), (1.0, 1.0)],
        6 * UNITS,
        4 * UNITS,
        BLACK.stroke_width(UNITS),
    );
    chart.draw_series(perfect)?;
    let means = bins.iter().filter_map(|bin| Some((bin.confidence?, bin.accuracy?)));
    let means = means.filter(|(x, y)| x.is_finite() && y.is_finite());
    let ring = |at| Circle::new(at, 4 * UNITS, MEAN.stroke_width(2 * UNITS));
    chart.draw_series(means.map(ring))?;
    Ok(())
}

fn histogram(area: &Area<'_>, bins: &[ReliabilityBin], images: usize) -> Drawn {
    let share = |bin: &ReliabilityBin| bin.count as f64 / images.max(1) as f64;
    let most = bins.iter().map(share).fold(0.0, f64::max);
    let top = if most > 0.0 { (1.05 * most).min(1.0) } else { 1.0 };
    let mut chart = ChartBuilder::on(area)
        .margin_top(4 * UNITS)
        .margin_right(12 * UNITS)
        .x_label_area_size(44 * UNITS)
        .y_label_area_size(54 * UNITS)
        .build_cartesian_2d(0.0..1.0, 0.0..top)?;
    mesh(&mut chart)
        .disable_x_mesh()
        .x_labels(6)
        .y_labels(3)
        .y_label_formatter(&|share| format!("{:.0} %", 100.0 * share))
        .x_desc("confidence")
        .y_desc("images")
        .draw()?;
    let bar = |bin: &ReliabilityBin| {
        Rectangle::new([(bin.low, 0.0), (bin.high, share(bin))], AXIS.mix(0.6).filled())
    };
    chart.draw_series(bins.iter().map(bar))?;
    Ok(())
}

/// The risk-coverage curves of all methods in one plot, and whether some points lie above its frame.
///
/// Of the few most confident images one wrong answer is a high risk; such points are left out rather than let them
/// press flat what lies at usual coverages.
pub(super) fn risk_coverage(curves: &[Curves]) -> (String, bool) {
    let points = || curves.iter().flat_map(|curve| &curve.risk_coverage);
    let largest = |from: f64| {
        let risks = points().filter(|p| p.coverage >= from).map(|p| p.risk);
        risks.filter(|risk| risk.is_finite()).fold(0.0, f64::max)
    };
    let (all, usual) = (largest(0.0), largest(0.1));
    let top = if all > 1.5 * usual && usual > 0.0 { 1.1 * usual } else { 1.05 * all };
    let top = if top > 0.0 { top.min(1.0) } else { 1.0 };
    let mut description =
        "Risk-coverage curves: share of wrong answers (risk) among the most confident images, against the share of images \
         that are answered (coverage)."
            .to_owned();
    for curve in curves {
        if let Some(last) = curve.risk_coverage.last() {
            description += &format!(" {}: risk {:.3} at full coverage", curve.name, last.risk);
            if let Some(half) = curve.risk_coverage.iter().find(|p| p.coverage >= 0.5) {
                description += &format!(", {:.3} at half", half.risk);
            }
            description.push('.');
        }
    }
    let drawing = figure((480, 370), &description, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_top(12 * UNITS)
            .margin_right(16 * UNITS)
            .x_label_area_size(46 * UNITS)
            .y_label_area_size(62 * UNITS)
            .build_cartesian_2d(0.0..1.0, 0.0..top)?;
        mesh(&mut chart)
            .x_labels(6)
            .y_labels(6)
            .x_desc("coverage: share of the images answered")
            .y_desc("risk: share of them wrong")
            .draw()?;
        let inside = |p: &CoverageRisk| p.risk.is_finite() && p.risk <= top;
        let point = |p: &CoverageRisk| (p.coverage, p.risk);
        for (number, curve) in curves.iter().enumerate() {
            let line = colour(number).stroke_width(2 * UNITS);
            for part in curve.risk_coverage.split(|p| !inside(p)) {
                chart.draw_series(LineSeries::new(part.iter().map(point), line))?;
            }
            // each line's marks stand elsewhere, so that those of lines that lie on each other are seen
            let step = (curve.risk_coverage.len() / 8).max(1);
            let first = number * step / curves.len().max(1);
            let marked = curve.risk_coverage.iter().skip(first).step_by(step);
            chart.draw_series(marked.filter(|p| inside(p)).map(|p| mark(number, point(p))))?;
        }
        Ok(())
    });
    (drawing, points().any(|p| p.risk > top))
}

/// The line of a number with its mark, for a legend.
pub(super) fn key(number: usize, name: &str) -> String {
    figure((36, 14), &format!("line of {name}"), |area| {
        let middle = (7 * UNITS) as i32;
        let line = [(0, middle), ((36 * UNITS) as i32, middle)];
        area.draw(&PathElement::new(line, colour(number).stroke_width(2 * UNITS)))?;
        area.draw(&mark(number, ((18 * UNITS) as i32, middle)))
    })
}

//! Rows of two small charts, all from 0 to 1 along both axes.

use plotters::prelude::*;

use super::svg::{AXIS, Area, Drawn, TEXT, UNITS, colour, figure, mesh};

/// One chart.
pub(crate) struct Panel {
    /// Above it, in bold; if it is empty, what the lines are stands there.
    pub title: String,
    /// Under the title.
    pub subtitle: String,
    /// What the horizontal axis is.
    pub x: String,
    /// What the vertical axis is.
    pub y: String,
    pub lines: Vec<PanelLine>,
}

/// A line of a chart; lines of one name are named once.
pub(crate) struct PanelLine {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
    /// Drawn behind the others.
    pub pale: bool,
}

/// Size of a chart in pixels.
const WIDTH: u32 = 440;
const HEIGHT: u32 = 300;

/// The rows under each other. No rows give an empty picture that says so.
pub(crate) fn curve_panels(description: &str, rows: &[[Panel; 2]]) -> String {
    let mut text = description.to_owned();
    for [left, right] in rows {
        text += &format!(". {} {}; {}", left.title, left.subtitle, right.subtitle);
    }
    if rows.is_empty() {
        text += ": none, all maps are empty";
    }
    let count = u32::try_from(rows.len()).unwrap_or(1).max(1);
    figure((2 * WIDTH, HEIGHT * count), &text, |area| {
        for (part, row) in area.split_evenly((rows.len().max(1), 1)).iter().zip(rows) {
            let (left, right) = part.split_horizontally((50).percent_width());
            chart(&left, &row[0])?;
            chart(&right, &row[1])?;
        }
        Ok(())
    })
}

fn chart(area: &Area<'_>, panel: &Panel) -> Drawn {
    let units = UNITS as i32;
    let small = || ("sans-serif", TEXT).into_font().color(&AXIS);
    if panel.title.is_empty() {
        legend(area, panel)?;
    } else {
        let bold = ("sans-serif", TEXT + TEXT / 10).into_font().style(FontStyle::Bold);
        area.draw(&Text::new(panel.title.clone(), (16 * units, 10 * units), bold))?;
    }
    area.draw(&Text::new(panel.subtitle.clone(), (16 * units, 30 * units), small()))?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(50 * UNITS)
        .margin_right(16 * UNITS)
        .margin_bottom(4 * UNITS)
        .margin_left(8 * UNITS)
        .x_label_area_size(42 * UNITS)
        .y_label_area_size(52 * UNITS)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
    mesh(&mut chart).x_labels(6).y_labels(6).x_desc(&*panel.x).y_desc(&*panel.y).draw()?;
    let (behind, before): (Vec<_>, Vec<_>) = panel.lines.iter().partition(|line| line.pale);
    for line in behind.into_iter().chain(before) {
        let points = line.points.iter().copied().filter(|point| point.1.is_finite());
        chart.draw_series(LineSeries::new(points, stroke(line.pale)))?;
    }
    Ok(())
}

fn stroke(pale: bool) -> ShapeStyle {
    match pale {
        true => AXIS.mix(0.45).stroke_width(UNITS),
        false => colour(1).stroke_width(5 * UNITS / 2),
    }
}

/// What the lines are, above the chart, where it hides none of them.
fn legend(area: &Area<'_>, panel: &Panel) -> Drawn {
    let units = UNITS as i32;
    let mut named: Vec<&str> = Vec::new();
    for line in &panel.lines {
        if named.contains(&line.name) {
            continue;
        }
        let x = (16 + 90 * named.len() as i32) * units;
        let middle = 17 * units;
        let stroke = stroke(line.pale);
        area.draw(&PathElement::new([(x, middle), (x + 24 * units, middle)], stroke))?;
        let text = ("sans-serif", TEXT).into_font();
        area.draw(&Text::new(line.name, (x + 30 * units, 11 * units), text))?;
        named.push(line.name);
    }
    Ok(())
}

//! What all figures share: their frame, colours and marks.

use std::io::Error;

use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Drawable, PointCollection};
use plotters::prelude::*;
use plotters_backend::{BackendCoord, DrawingErrorKind};

use super::html::escape;

/// Where a figure is drawn. The backend rounds to whole units, so figures are drawn a few times larger than they are
/// shown: sizes here are in units, [`UNITS`] to a pixel of the page.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Drawn = Result<(), DrawingAreaErrorKind<Error>>;

/// Units of a figure to a pixel.
pub(super) const UNITS: u32 = 4;
/// Text of the axes; the backend writes it a fifth smaller.
pub(super) const TEXT: u32 = 15 * UNITS;
/// The little lines between an axis and its numbers.
pub(super) const TICK: i32 = 4 * UNITS as i32;
/// Ink that is not data.
pub(super) const AXIS: RGBColor = RGBColor(90, 90, 90);
/// Lines behind the data.
pub(super) const GRID: RGBColor = RGBColor(225, 225, 225);

/// The palette of Okabe and Ito, which colour-blind eyes can tell apart, without its yellow, which is too light for lines.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

/// Axes of numbers.
pub(super) type Numbers = Cartesian2d<RangedCoordf64, RangedCoordf64>;

/// The look that all charts share; labels and their texts are for each to add, and to draw.
pub(super) fn mesh<'a, 'b, 'c>(
    chart: &'b mut ChartContext<'a, SVGBackend<'c>, Numbers>,
) -> MeshStyle<'a, 'b, RangedCoordf64, RangedCoordf64, SVGBackend<'c>> {
    let mut mesh = chart.configure_mesh();
    mesh.set_all_tick_mark_size(TICK)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(UNITS))
        .axis_style(AXIS.stroke_width(UNITS))
        .label_style(("sans-serif", TEXT));
    mesh
}

/// The colour of the method, or line, of that number; they repeat, but not together with [`mark`].
pub(super) fn colour(number: usize) -> RGBColor {
    PALETTE[number % PALETTE.len()]
}

/// What stands at points of the line of a number, so that lines differ without their colour, too: seven colours and six
/// shapes tell 42 lines apart.
pub(super) struct Mark<C> {
    number: usize,
    at: C,
}

/// The mark of a number at a point.
pub(super) fn mark<C>(number: usize, at: C) -> Mark<C> {
    Mark { number, at }
}

impl<'a, C> PointCollection<'a, C> for &'a Mark<C> {
    type Point = &'a C;
    type IntoIter = std::iter::Once<&'a C>;

    fn point_iter(self) -> Self::IntoIter {
        std::iter::once(&self.at)
    }
}

impl<C, DB: DrawingBackend> Drawable<DB> for Mark<C> {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        mut at: I,
        backend: &mut DB,
        _: (u32, u32),
    ) -> Result<(), DrawingErrorKind<DB::ErrorType>> {
        let Some((x, y)) = at.next() else { return Ok(()) };
        let size = 4 * UNITS as i32;
        let filled = colour(self.number).filled();
        let open = colour(self.number).stroke_width(2 * UNITS);
        // corners around the point, of which the first closes the shape
        let around = |corners: &[(i32, i32)]| -> Vec<BackendCoord> {
            corners.iter().chain(corners.first()).map(|(dx, dy)| (x + dx, y + dy)).collect()
        };
        let square = [(-size, -size), (size, -size), (size, size), (-size, size)];
        let diamond = [(0, -size - size / 3), (size, 0), (0, size + size / 3), (-size, 0)];
        match self.number % 6 {
            0 => backend.draw_circle((x, y), size as u32, &filled, true),
            1 => {
                let triangle =
                    [(0, -size - size / 4), (size + size / 4, size), (-size - size / 4, size)];
                backend.fill_polygon(around(&triangle), &filled)
            }
            2 => {
                backend.fill_polygon(around(&square.map(|(x, y)| (x * 7 / 8, y * 7 / 8))), &filled)
            }
            3 => {
                backend.draw_line((x - size, y - size), (x + size, y + size), &open)?;
                backend.draw_line((x - size, y + size), (x + size, y - size), &open)
            }
            4 => backend.draw_circle((x, y), size as u32, &open, false),
            _ => backend.draw_path(around(&diamond), &open),
        }
    }
}

/// A figure of `size` pixels that says `description` to those who cannot see it.
pub(super) fn figure(
    size: (u32, u32),
    description: &str,
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> String {
    let (width, height) = (size.0 * UNITS, size.1 * UNITS);
    let mut drawing = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut drawing, (width, height)).into_drawing_area();
        draw(&area).and_then(|()| area.present())
    };
    let label = escape(description);
    let head = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"{label}\"><title>{label}</title>\n",
        size.0, size.1
    );
    match (drawn, drawing.split_once('>')) {
        // behind the backend's own opening tag
        (Ok(()), Some((_, body))) => head + body.trim_start(),
        (Ok(()), None) => head + "</svg>\n",
        (Err(error), _) => {
            let error = escape(&error.to_string());
            format!(
                "{head}<text x=\"{TEXT}\" y=\"{}\" font-size=\"{TEXT}\">could not be drawn: {error}</text></svg>\n",
                2 * TEXT
            )
        }
    }
}

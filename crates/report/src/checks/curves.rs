//! Curves of checked maps: as a table, and drawn.

use introspective_explain::faithfulness::{Against, Curve, MapCheck, Score, ScoreCheck};

use super::score_name;
use crate::evaluation::{Panel, PanelLine, curve_panels};

/// All curves, one row a point: map, score, curve (`deletion` or `insertion`), order (`map` or `random-<number>`), share of the
/// pixels, score's value.
pub(crate) fn curves_csv(maps: &[MapCheck]) -> Result<Vec<u8>, csv::Error> {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    writer.write_record(["map", "score", "curve", "order", "share", "value"])?;
    for check in maps {
        let map = check.asked.map_name();
        for ScoreCheck { score, deletion, insertion } in &check.scores {
            for (name, against) in [("deletion", deletion), ("insertion", insertion)] {
                let random = (1..).map(|number| format!("random-{number}"));
                let orders = std::iter::once("map".to_owned()).chain(random);
                let curves = std::iter::once(&against.curve).chain(&against.random);
                for (order, curve) in orders.zip(curves) {
                    for (share, value) in curve.shares.iter().zip(&curve.scores) {
                        let (share, value) = (share.to_string(), value.to_string());
                        let cells = [&map, score_name(*score), name, &order, &share, &value];
                        writer.write_record(cells)?;
                    }
                }
            }
        }
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// All curves as an SVG picture: a row for each map and score, deletion left, insertion right. `title` says what a map answers.
pub(crate) fn curves_plot(maps: &[MapCheck], title: &dyn Fn(&MapCheck) -> String) -> String {
    let panel = |title: &str, what: &str, unit: &str, against: &Against| {
        let points = |curve: &Curve| {
            curve.shares.iter().copied().zip(curve.scores.iter().copied()).collect()
        };
        let good = if against.small_is_good { "small is good" } else { "large is good" };
        let random =
            against.random_area().map_or(String::new(), |area| format!(", random {area:.3}"));
        Panel {
            title: title.to_owned(),
            subtitle: format!("{what}: area {:.3}{random}; {good}", against.curve.area()),
            x: format!(
                "share of the pixels {}",
                if what == "deletion" { "taken away" } else { "put in" }
            ),
            y: unit.to_owned(),
            lines: std::iter::once(PanelLine {
                name: "map",
                points: points(&against.curve),
                pale: false,
            })
            .chain(against.random.iter().map(|curve| PanelLine {
                name: "random maps",
                points: points(curve),
                pale: true,
            }))
            .collect(),
        }
    };
    let mut rows = Vec::new();
    for check in maps {
        for ScoreCheck { score, deletion, insertion } in &check.scores {
            let unit = match score {
                Score::Class(_) => "probability",
                Score::Pair { .. } => "share of the pair",
            };
            let title = title(check);
            rows.push([
                panel(&title, "deletion", unit, deletion),
                panel("", "insertion", unit, insertion),
            ]);
        }
    }
    curve_panels("Deletion and insertion curves of the maps", &rows)
}

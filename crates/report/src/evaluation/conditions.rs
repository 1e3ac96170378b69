//! A study of conditions as a page.

use introspective_measure::{Estimate, Metric, Metrics, Row, Table};

use super::changed::ChangedAnswers;
use super::conditions_plots::{by_corruption, by_severity, row};
use super::curves::{FEW, key, reliability};
use super::html::{escape, name, number, several};
use super::page::{EvaluationFacts, Verdict, about, differing, notes, percent, scrolled, skipped};

/// Methods that are drawn, where they were measured.
const DRAWN: [&str; 8] = [
    "f",
    "f+temperature",
    "mlp-h",
    "reflection",
    "reflection+temperature",
    "reflection-batch",
    "f-matched",
    "f-batch-norm",
];

/// A page in HTML that needs no other file and no network: every method on the images as they are and under all
/// corruptions, those of `transductive` apart, differences with their intervals, accuracy and calibration by severity and by
/// corruption. The first method is what the others are held against. Of the table's groups it reads `clean`, `corrupted`,
/// `severity-1` to `severity-5` and those named after a corruption. `changed`, where there is a second stage, are its
/// answers that differ from the first one's. Well-formed XML, too.
pub fn conditions_page(
    table: &Table,
    transductive: &[String],
    changed: Option<&ChangedAnswers>,
    facts: &EvaluationFacts,
) -> String {
    let title = escape(if facts.title.is_empty() { "Study" } else { &facts.title });
    let mut page = super::page::head(&title);
    page += &format!(
        "<p>{} under {}; intervals at {} ({}, {}, seed {}). Values are means over conditions and seeds; images are drawn anew \
         together in all conditions.</p>\n",
        several(table.n, "image"),
        several(table.cells.len(), "condition"),
        percent(table.level),
        escape(&table.interval),
        several(table.resamples, "resample"),
        table.seed
    );
    page += &notes(&facts.notes);
    let methods: Vec<&str> =
        table.rows.iter().filter(|row| row.group == "clean").map(|row| &row.method[..]).collect();
    let uses_others = |method: &&&str| transductive.iter().any(|other| other == **method);
    let single: Vec<&str> = methods.iter().filter(|m| !uses_others(m)).copied().collect();
    let others: Vec<&str> = methods.iter().filter(|m| uses_others(m)).copied().collect();
    page += &summary(
        table,
        &single,
        "Single images",
        "Each prediction depends on its own image alone.",
    );
    page += &summary(
        table,
        &others,
        "With statistics of the images being scored",
        "Transductive: each prediction depends on the other images of its condition, and fails where their classes are not \
         mixed as in training.",
    );
    page += &contrasts(table);
    page += &figures(table, &methods);
    page += &diagrams(table, &methods);
    page += &changed.map(ChangedAnswers::section).unwrap_or_default();
    page += &skipped(&facts.skipped);
    page += &about(&facts.facts);
    page + "</main>\n</body>\n</html>\n"
}

fn summary(table: &Table, methods: &[&str], title: &str, what: &str) -> String {
    if methods.is_empty() {
        return String::new();
    }
    let first = table.rows.first().map_or("f", |row| &row.method);
    let rows: String = methods.iter().map(|method| summary_row(table, method)).collect();
    let columns = [
        ("Accuracy, clean", "↑ higher is better"),
        ("Accuracy, corrupted", "↑ higher is better"),
        ("Corruption error", "↓ lower is better"),
        ("ECE, clean", "↓ lower is better"),
        ("ECE, corrupted", "↓ lower is better"),
        ("ECE, relative", "↓ lower is better"),
        ("NLL, corrupted", "↓ lower is better"),
        ("Brier, corrupted", "↓ lower is better"),
    ];
    let head: String = columns
        .iter()
        .map(|(name, direction)| format!("<th scope=\"col\">{name}<small>{direction}</small></th>"))
        .collect();
    let cells = format!(
        "<thead><tr><th scope=\"col\">Method</th>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n"
    );
    format!(
        "<section>\n<h2>{title}</h2>\n<p>{what} Below each value its interval, and whether its difference to {} excludes 0. Corruption \
         error: errors relative to those of {0}, averaged over corruptions (mCE). ECE, relative: change of the calibration \
         error against {0}.</p>\n{}</section>\n",
        escape(first),
        scrolled(title, &cells)
    )
}

fn summary_row(table: &Table, method: &str) -> String {
    let clean = row(table, "clean", method);
    let corrupted = row(table, "corrupted", method);
    let seeds = clean.map_or(1, |row| row.accuracy_of_seeds.len());
    let metric = |row: Option<&Row>, metric: Metric| {
        let Some(row) = row else { return dash() };
        let minus = row.minus_f.as_ref().and_then(|minus| minus.get(metric));
        let verdict = minus.map(|minus| Verdict::new(metric, minus).mark());
        row.metrics.get(metric).map_or_else(dash, |e| cell(e, 4, 1.0, verdict))
    };
    let relative = |estimate: Option<Estimate>, neutral: f64| {
        let better = |e: &Estimate| {
            let shifted = |end: f64| end - neutral;
            let shifted = Estimate {
                value: shifted(e.value),
                low: shifted(e.low),
                high: shifted(e.high),
                ..*e
            };
            Verdict::new(Metric::Ece, &shifted).mark()
        };
        estimate.map_or_else(dash, |e| cell(&e, 1, 100.0, Some(better(&e))))
    };
    let cells = [
        metric(clean, Metric::Accuracy),
        metric(corrupted, Metric::Accuracy),
        relative(corrupted.and_then(|row| row.mean_corruption_error), 1.0),
        metric(clean, Metric::Ece),
        metric(corrupted, Metric::Ece),
        relative(corrupted.and_then(|row| row.relative_ece), 0.0),
        metric(corrupted, Metric::Nll),
        metric(corrupted, Metric::Brier),
    ];
    format!(
        "<tr><th scope=\"row\">{}<small>{}</small></th>{}</tr>\n",
        name(method),
        several(seeds, "seed"),
        cells.concat()
    )
}

fn dash() -> String {
    "<td>–</td>".to_owned()
}

fn cell(estimate: &Estimate, digits: usize, scale: f64, verdict: Option<String>) -> String {
    let unit = if scale == 100.0 { "\u{a0}%" } else { "" };
    let shown = |value: f64| number(scale * value, digits);
    format!(
        "<td>{}{unit}<span class=\"interval\">[{}, {}]</span>{}</td>",
        shown(estimate.value),
        shown(estimate.low),
        shown(estimate.high),
        verdict.unwrap_or_default()
    )
}

fn contrasts(table: &Table) -> String {
    let pairs = table.contrasts.iter().filter(|pair| pair.group == "corrupted");
    let rows: Vec<(String, &Metrics)> = pairs
        .map(|pair| {
            (format!("{} minus {}", name(&pair.method), name(&pair.minus)), &pair.difference)
        })
        .collect();
    differing(
        rows,
        table.level,
        "Differences between other methods, corrupted",
        "The first method minus the second, means over all corruptions and severities",
    )
}

fn figures(table: &Table, methods: &[&str]) -> String {
    let drawn: Vec<&str> = DRAWN.into_iter().filter(|name| methods.contains(name)).collect();
    let mut corruptions: Vec<&str> = Vec::new();
    for cell in &table.cells {
        if let Some(corruption) = &cell.condition.corruption
            && !corruptions.contains(&&corruption[..])
        {
            corruptions.push(corruption);
        }
    }
    if corruptions.is_empty() {
        return String::new();
    }
    let entry = |(place, method): (usize, &&str)| {
        format!("<li>{}<span>{}</span></li>\n", key(place, method), escape(method))
    };
    let legend: String = drawn.iter().enumerate().map(entry).collect();
    let figure = |caption: &str, drawing: String| {
        if drawing.is_empty() {
            return drawing;
        }
        format!("<figure>\n<figcaption>{caption}</figcaption>\n{drawing}</figure>\n")
    };
    let all = [(Metric::Accuracy, "accuracy"), (Metric::Ece, "ECE")].map(|(metric, title)| {
        figure(&format!("{title} by severity"), by_severity(table, metric, title, &drawn))
            + &figure(
                &format!("{title} by corruption, means over severities"),
                by_corruption(table, metric, title, &corruptions, &drawn),
            )
    });
    format!(
        "<section>\n<h2>By severity and by corruption</h2>\n<ul class=\"legend\">\n{legend}</ul>\n<div class=\"pairs\">\n{}</div>\n\
         </section>\n",
        all.concat()
    )
}

/// Reliability diagrams, clean beside corrupted.
fn diagrams(table: &Table, methods: &[&str]) -> String {
    let figure = |group: &str, method: &str| {
        let row = row(table, group, method)?;
        let caption = format!("{}, {group}", escape(method));
        let drawing = reliability(&format!("{method}, {group}"), &row.reliability);
        Some(format!("<figure>\n<figcaption>{caption}</figcaption>\n{drawing}</figure>\n"))
    };
    let drawn = DRAWN.into_iter().filter(|name| methods.contains(name));
    let both: String = drawn
        .flat_map(|method| ["clean", "corrupted"].map(|group| figure(group, method)))
        .flatten()
        .collect();
    if both.is_empty() {
        return both;
    }
    format!(
        "<section>\n<h2>Reliability, clean and corrupted</h2>\n<p>Bars: accuracy of the images in each bin of the confidence, pale \
         for fewer than {FEW} images. Rings: mean confidence of the bin. Below the dashed line the method is too sure. Grey: share \
         of the images in each bin; all conditions and seeds together.</p>\n<div class=\"grid\">\n{both}</div>\n</section>\n"
    )
}

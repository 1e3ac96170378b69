//! An evaluation as a page.

use introspective_measure::{Comparison, Curves, Estimate, Measured, Metric, Metrics};

use super::curves::{FEW, key, reliability, risk_coverage};
use super::html::{difference, escape, name, number, several};

/// A method that was not measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why, as a sentence to the reader.
    pub reason: String,
}

/// What a page says beside the numbers. All of it is shown as it is: nothing in it is read as HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvaluationFacts {
    /// The heading.
    pub title: String,
    /// Names and values: data, model, command line, versions. Long values are folded.
    pub facts: Vec<(String, String)>,
    /// Paragraphs to the reader.
    pub notes: Vec<String>,
    /// Methods that were asked for, or usual, but not measured.
    pub skipped: Vec<Skipped>,
}

/// Facts longer than this many letters are folded.
const LONG: usize = 160;

/// A page in HTML that needs no other file and no network, and that is all there without its scripts (they sort tables and turn lights on and off): the metrics of all methods with their intervals,
/// the differences to the first method and the contrasts that were asked for, reliability diagrams, risk-coverage curves, what was skipped, and `facts`.
///
/// A difference is called better or worse if its interval excludes 0 ([`Estimate::excludes_zero`]), in the direction
/// that the metric says ([`Metric::higher_is_better`]); the same if it and its interval are exactly 0; and undecided
/// otherwise. Numbers that are not finite are shown as a dash. The page is well-formed XML, too.
pub fn evaluation_page(
    comparison: &Comparison,
    curves: &[Curves],
    facts: &EvaluationFacts,
) -> String {
    let title = escape(if facts.title.is_empty() { "Evaluation" } else { &facts.title });
    let mut page = head(&title);
    page += &summary(comparison);
    page += &notes(&facts.notes);
    if !comparison.methods.is_empty() {
        page += &metrics(comparison);
        page += &differences(comparison);
        page += &contrasts(comparison);
    }
    page += &figures(curves);
    page += &skipped(&facts.skipped);
    page += &about(&facts.facts);
    page + "</main>\n</body>\n</html>\n"
}

/// A page up to its heading.
pub(super) fn head(title: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{title}</title>\n\
         <style>\n{}</style>\n<script>//<![CDATA[\n{}//]]></script>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n",
        concat!(include_str!("../theme.css"), include_str!("page.css")),
        concat!(include_str!("../theme.js"), include_str!("../sorting.js"))
    )
}

fn summary(comparison: &Comparison) -> String {
    let methods = comparison.methods.len();
    if methods == 0 {
        return "<p>No method was measured.</p>\n".to_owned();
    }
    format!(
        "<p>{} on {}; intervals at {} ({}, {}, seed {}).</p>\n",
        several(methods, "method"),
        several(comparison.n, "image"),
        percent(comparison.level),
        escape(&comparison.interval),
        several(comparison.resamples, "resample"),
        comparison.seed
    )
}

pub(super) fn percent(share: f64) -> String {
    // three digits after the point at most, and no zeros at the end
    format!("{}\u{a0}%", (share * 1e5).round() / 1e3)
}

pub(super) fn notes(notes: &[String]) -> String {
    let paragraphs: String =
        notes.iter().map(|note| format!("<p>{}</p>\n", escape(note))).collect();
    if paragraphs.is_empty() {
        return paragraphs;
    }
    format!("<section class=\"notes\">\n<h2>Notes</h2>\n{paragraphs}</section>\n")
}

/// What stands over a metric's column, and what it means.
fn words(metric: Metric) -> (&'static str, &'static str) {
    match metric {
        Metric::Accuracy => ("Accuracy", "share of the images whose prediction is right"),
        Metric::Top5 => ("Top-5 accuracy", "share whose right class is among the five likeliest"),
        Metric::Nll => ("NLL", "mean of minus the logarithm of the right class's probability"),
        Metric::Brier => ("Brier score", "mean squared distance of the probabilities to the truth"),
        Metric::Ece => ("ECE", "mean gap of confidence and accuracy, in bins of equal width"),
        Metric::AdaptiveEce => ("Adaptive ECE", "the same in bins of equally many images"),
        Metric::ClasswiseEce => {
            ("Classwise ECE", "the same for every class's probability, averaged")
        }
        Metric::Mce => {
            ("MCE", "the largest gap of a bin; of a bin with few images it is mostly chance")
        }
        Metric::Aurc => {
            ("AURC", "area under the risk-coverage curve: wrong answers, averaged over coverage")
        }
    }
}

/// The metrics that some method has, in order.
fn present<'a>(all: impl Iterator<Item = &'a Metrics> + Clone) -> Vec<Metric> {
    let has = |metric: &Metric| all.clone().any(|metrics| metrics.get(*metric).is_some());
    Metric::ALL.into_iter().filter(has).collect()
}

fn header<'a>(all: impl Iterator<Item = &'a Metrics> + Clone, metrics: &[Metric]) -> String {
    let mut cells = "<th scope=\"col\">Method</th>".to_owned();
    for metric in metrics {
        let bins = all.clone().find_map(|m| m.get(*metric)?.bins);
        let bins = bins.map(|bins| format!("<small>{}</small>", several(bins, "bin")));
        let direction = if metric.higher_is_better() { "↑ higher is" } else { "↓ lower is" };
        cells += &format!(
            "<th scope=\"col\">{}<small>{direction} better</small>{}</th>",
            words(*metric).0,
            bins.unwrap_or_default()
        );
    }
    format!("<thead><tr>{cells}</tr></thead>\n")
}

/// How many decimals show two digits of the narrowest interval's half.
fn decimals<'a>(estimates: impl Iterator<Item = &'a Estimate>) -> usize {
    let halves =
        estimates.map(|e| (e.high - e.low).abs() / 2.0).filter(|h| *h > 0.0 && h.is_finite());
    let narrowest = halves.fold(f64::INFINITY, f64::min);
    if narrowest.is_infinite() {
        return 4;
    }
    (1 - narrowest.log10().floor() as i32).clamp(3, 6) as usize
}

pub(super) fn scrolled(label: &str, table: &str) -> String {
    // a box that scrolls must be reachable without a mouse
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{label}\" tabindex=\"0\">\n<table>\n{table}</table>\n</div>\n"
    )
}

fn metrics(comparison: &Comparison) -> String {
    let all = || comparison.methods.iter().map(|method| &method.metrics);
    let present = present(all());
    let digits: Vec<usize> = present
        .iter()
        .map(|metric| decimals(comparison.methods.iter().filter_map(|m| m.metrics.get(*metric))))
        .collect();
    let row = |method: &Measured| {
        let mut cells = format!(
            "<th scope=\"row\">{}<small>{}</small></th>",
            name(&method.name),
            several(method.seeds, "seed")
        );
        for (metric, digits) in present.iter().zip(&digits) {
            cells += &match method.metrics.get(*metric) {
                Some(e) => format!(
                    "<td>{}<span class=\"interval\">[{}, {}]</span></td>",
                    number(e.value, *digits),
                    number(e.low, *digits),
                    number(e.high, *digits)
                ),
                None => "<td>–</td>".to_owned(),
            };
        }
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = comparison.methods.iter().map(row).collect();
    let table = format!("{}<tbody>\n{rows}</tbody>\n", header(all(), &present));
    let meaning = |metric: &Metric| {
        let (name, meaning) = words(*metric);
        format!("<dt>{name}</dt><dd>{meaning}</dd>\n")
    };
    let meanings: String = present.iter().map(meaning).collect();
    format!(
        "<section>\n<h2>Metrics</h2>\n<p>Below each value, the mean over a method's seeds, its interval. Calibration errors \
         grow under resampling; their intervals correct for that, and so may lie below their value or reach below zero.</p>\n{}\
         <details>\n<summary>What the metrics mean</summary>\n<dl>\n{meanings}</dl>\n</details>\n</section>\n",
        scrolled("Metrics of all methods", &table)
    )
}

/// What an interval says about a difference.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Better,
    Worse,
    Same,
    Undecided,
}

impl Verdict {
    pub(super) fn new(metric: Metric, difference: &Estimate) -> Self {
        if [difference.value, difference.low, difference.high] == [0.0; 3] {
            return Self::Same;
        }
        if !difference.excludes_zero() {
            return Self::Undecided;
        }
        if (difference.low > 0.0) == metric.higher_is_better() { Self::Better } else { Self::Worse }
    }

    pub(super) fn mark(self) -> String {
        let (class, sign) = match self {
            Self::Better => ("better", "✓ "),
            Self::Worse => ("worse", "✗ "),
            Self::Same => ("same", "= "),
            Self::Undecided => ("undecided", ""),
        };
        format!("<span class=\"mark {class}\">{sign}{class}</span>")
    }
}

fn differences(comparison: &Comparison) -> String {
    let others = comparison.methods.iter();
    let others = others.filter_map(|m| Some((name(&m.name), m.minus_f.as_ref()?))).collect();
    let Some(first) = comparison.methods.first() else { return String::new() };
    let first = escape(&first.name);
    differing(
        others,
        comparison.level,
        &format!("Differences to {first}"),
        &format!("Each method minus {first}"),
    )
}

fn contrasts(comparison: &Comparison) -> String {
    let pairs = comparison.contrasts.iter();
    let pairs = pairs.map(|contrast| {
        let (method, minus) = (name(&contrast.method), name(&contrast.minus));
        (format!("{method} minus {minus}"), &contrast.difference)
    });
    let what = "The first method minus the second";
    differing(pairs.collect(), comparison.level, "Differences between other methods", what)
}

/// A table of differences, each with a row's head.
pub(super) fn differing(
    rows: Vec<(String, &Metrics)>,
    level: f64,
    title: &str,
    what: &str,
) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let all = || rows.iter().map(|(_, metrics)| *metrics);
    let present = present(all());
    let digits: Vec<usize> = present
        .iter()
        .map(|metric| decimals(rows.iter().filter_map(|(_, minus)| minus.get(*metric))))
        .collect();
    let row = |(head, minus): &(String, &Metrics)| {
        let all: Vec<Verdict> = minus.iter().map(|(metric, e)| Verdict::new(metric, e)).collect();
        let of = |verdict: Verdict| all.iter().filter(|other| **other == verdict).count();
        let mut cells = format!(
            "<th scope=\"row\">{head}<small>{} better, {} worse</small></th>",
            of(Verdict::Better),
            of(Verdict::Worse)
        );
        for (metric, digits) in present.iter().zip(&digits) {
            cells += &match minus.get(*metric) {
                Some(e) => format!(
                    "<td>{}<span class=\"interval\">[{}, {}]</span>{}</td>",
                    difference(e.value, *digits),
                    number(e.low, *digits),
                    number(e.high, *digits),
                    Verdict::new(*metric, e).mark()
                ),
                None => "<td>–</td>".to_owned(),
            };
        }
        format!("<tr>{cells}</tr>\n")
    };
    let cells: String = rows.iter().map(row).collect();
    let table = format!("{}<tbody>\n{cells}</tbody>\n", header(all(), &present));
    let intervals = rows.iter().map(|(_, minus)| minus.iter().count()).sum::<usize>();
    format!(
        "<section>\n<h2>{title}</h2>\n\
         <p>{what}, paired over the images. <strong>Better</strong> or <strong>worse</strong>: the \
         interval excludes 0. <strong>Undecided</strong>: it does not. <strong>Same</strong>: exactly 0 on every resample.</p>\n\
         <p class=\"soft\">Intervals speak of other images, with these trained seeds, and each for itself: of {} about {} \
         would exclude 0 by chance if nothing differed.</p>\n{}</section>\n",
        several(intervals, "interval"),
        number((1.0 - level) * intervals as f64, 1),
        scrolled(title, &table)
    )
}

fn figures(curves: &[Curves]) -> String {
    if curves.is_empty() {
        return String::new();
    }
    let diagram = |curve: &Curves| {
        let drawing = reliability(&curve.name, &curve.reliability);
        format!("<figure>\n<figcaption>{}</figcaption>\n{drawing}</figure>\n", escape(&curve.name))
    };
    let diagrams: String = curves.iter().map(diagram).collect();
    let (risks, cut) = risk_coverage(curves);
    let cut =
        if cut { " Points above the frame, of a few images answered, are not drawn." } else { "" };
    let entry = |(place, curve): (usize, &Curves)| {
        format!("<li>{}<span>{}</span></li>\n", key(place, &curve.name), escape(&curve.name))
    };
    let legend: String = curves.iter().enumerate().map(entry).collect();
    format!(
        "<section>\n<h2>Risk and coverage</h2>\n<p>How often the answers are wrong if only the most confident images are \
         answered; lower is better. Means over the seeds.{cut}</p>\n<div class=\"wide\">\n{risks}<ul class=\"legend\">\n\
         {legend}</ul>\n</div>\n</section>\n\
         <section>\n<h2>Reliability</h2>\n<p>Bars: accuracy of the images in each bin of the confidence, pale for fewer than \
         {FEW} images. Rings: mean confidence of the bin. On the dashed line confidence is accuracy; above it the method \
         is too modest, below it too sure. Grey: share of the images in each bin, all seeds together.</p>\n\
         <div class=\"grid\">\n{diagrams}</div>\n</section>\n"
    )
}

pub(super) fn skipped(skipped: &[Skipped]) -> String {
    if skipped.is_empty() {
        return String::new();
    }
    let item = |s: &Skipped| {
        format!("<li><strong>{}</strong>: {}</li>\n", escape(&s.name), escape(&s.reason))
    };
    let items: String = skipped.iter().map(item).collect();
    format!("<section>\n<h2>Not measured</h2>\n<ul>\n{items}</ul>\n</section>\n")
}

pub(super) fn about(facts: &[(String, String)]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let fact = |(name, value): &(String, String)| {
        let value = if value.chars().count() > LONG {
            let start: String = value.chars().take(LONG / 2).collect();
            format!("<details><summary>{} …</summary>{}</details>", escape(&start), escape(value))
        } else {
            escape(value)
        };
        format!("<dt>{}</dt><dd>{value}</dd>\n", escape(name))
    };
    let facts: String = facts.iter().map(fact).collect();
    format!("<section>\n<h2>How it was measured</h2>\n<dl>\n{facts}</dl>\n</section>\n")
}

//! The page, the table and the curve of an evaluation: everything is there, nothing can break out, nothing is NaN.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use introspective_measure::{
    CompareOptions, Comparison, Contrast, Curves, Method, Metric, compare, curves,
};
use introspective_report::{
    EvaluationFacts, Skipped, TrainingEpoch, contrasts_csv, evaluation_csv, evaluation_page,
    training_curve,
};
use ndarray::Array2;
use roxmltree::{Document, Node, ParsingOptions};

const HOSTILE: &str = "</style></title><script>alert(\"1\")</script><img src='x' onerror=a()>, &amp;\n\u{0}\u{202e}=2+\"3\"";
const IMAGES: usize = 400;

/// Logits of so many classes that favour the right one by `margin`, with noise of `spread`.
fn logits(classes: usize, margin: f32, spread: f32) -> Array2<f32> {
    Array2::from_shape_fn((IMAGES, classes), |(row, class)| {
        let noise = ((row * 37 + class * 101 + row * class * 13) % 89) as f32 / 44.0 - 1.0;
        spread * noise + if row % classes == class { margin } else { 0.0 }
    })
}

/// A comparison of methods by name, margin and spread, with its curves.
fn evaluation(classes: usize, methods: &[(&str, f32, f32)]) -> (Comparison, Vec<Curves>) {
    let labels: Vec<usize> = (0..IMAGES).map(|row| row % classes).collect();
    let outputs: Vec<Array2<f32>> =
        methods.iter().map(|(_, margin, spread)| logits(classes, *margin, *spread)).collect();
    let methods: Vec<Method<'_>> = methods
        .iter()
        .zip(&outputs)
        .map(|((name, _, _), z)| Method { name: (*name).to_owned(), seeds: vec![z.view()] })
        .collect();
    let options = CompareOptions { resamples: 60, ..CompareOptions::default() };
    let comparison = compare(&methods, &labels, &options).unwrap();
    let curves = methods.iter().map(|m| curves(m, &labels, 15).unwrap()).collect();
    (comparison, curves)
}

fn five() -> (Comparison, Vec<Curves>) {
    let methods = [
        ("f", 1.0, 1.5),
        ("f+temperature", 0.5, 0.75),
        ("reflection", 3.0, 1.5),
        ("mlp-hz", 0.2, 3.0),
        (HOSTILE, 1.0, 1.4),
    ];
    evaluation(10, &methods)
}

fn facts() -> EvaluationFacts {
    EvaluationFacts {
        title: format!("Evaluation {HOSTILE}"),
        facts: vec![("data".to_owned(), HOSTILE.to_owned()), (HOSTILE.to_owned(), "x".repeat(500))],
        notes: vec!["The temperature is at its end.".to_owned(), HOSTILE.to_owned()],
        skipped: vec![
            Skipped {
                name: "f-batch-norm".to_owned(),
                reason: "no batch normalisation".to_owned(),
            },
            Skipped { name: HOSTILE.to_owned(), reason: HOSTILE.to_owned() },
        ],
    }
}

fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap()
}

fn all<'a, 'b>(document: &'b Document<'a>, tag: &'b str) -> impl Iterator<Item = Node<'b, 'a>> {
    document.descendants().filter(move |node| node.tag_name().name() == tag)
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter_map(|n| if n.is_text() { n.text() } else { None }).collect()
}

/// What the page shows instead of [`HOSTILE`]: the same letters, but for those that no page may hold.
fn shown() -> String {
    HOSTILE.replace(['\u{0}', '\u{202e}'], "\u{fffd}")
}

#[test]
fn every_method_with_every_metric_is_there() {
    let (comparison, curves) = five();
    let page = evaluation_page(&comparison, &curves, &facts());
    let document = parsed(&page);
    let tables: Vec<_> = all(&document, "table").collect();
    assert_eq!(tables.len(), 2);
    for (table, first) in tables.iter().zip([0, 1]) {
        let rows: Vec<_> =
            table.descendants().filter(|n| n.tag_name().name() == "tr").skip(1).collect();
        assert_eq!(rows.len(), comparison.methods.len() - first);
        for (row, method) in rows.iter().zip(&comparison.methods[first..]) {
            let name = if method.name == HOSTILE { shown() } else { method.name.clone() };
            assert!(text(row.first_element_child().unwrap()).starts_with(&name), "{name}");
            let cells = row.children().filter(|n| n.tag_name().name() == "td").count();
            assert_eq!(cells, Metric::ALL.len());
        }
        let directions = table.descendants().filter(|n| {
            n.tag_name().name() == "small"
                && n.text().is_some_and(|t| {
                    t.ends_with("higher is better") || t.ends_with("lower is better")
                })
        });
        assert_eq!(directions.count(), Metric::ALL.len());
    }
    // a diagram and a line in the legend for each, and one plot of all
    assert_eq!(all(&document, "figure").count(), 5);
    assert_eq!(all(&document, "svg").count(), 5 + 5 + 1);
    for svg in all(&document, "svg") {
        assert_eq!(svg.attribute("role"), Some("img"));
        let title = svg.first_element_child().unwrap();
        assert_eq!(title.tag_name().name(), "title");
        assert!(!svg.attribute("aria-label").unwrap().is_empty() && !text(title).is_empty());
    }
    let body = text(document.root_element());
    assert!(body.contains("f-batch-norm: no batch normalisation"));
    assert!(body.contains("The temperature is at its end."));
    assert!(body.contains("400 images") && body.contains("95\u{a0}%"));
}

#[test]
fn values_stand_in_their_cells() {
    let (comparison, curves) = evaluation(10, &[("f", 1.0, 1.5), ("reflection", 3.0, 1.5)]);
    let page = evaluation_page(&comparison, &curves, &EvaluationFacts::default());
    let document = parsed(&page);
    for (table, differences) in all(&document, "table").zip([false, true]) {
        let row = table.descendants().rfind(|n| n.tag_name().name() == "tr").unwrap();
        let method = &comparison.methods[1];
        let metrics = if differences { method.minus_f.as_ref().unwrap() } else { &method.metrics };
        let cells = row.children().filter(|n| n.tag_name().name() == "td");
        for (cell, (metric, e)) in cells.zip(metrics.iter()) {
            let said = text(cell).replace('−', "-").replace('+', "");
            let numbers: Vec<f64> = said
                .split(|c: char| !(c.is_ascii_digit() || "-.".contains(c)))
                .filter_map(|part| part.parse().ok())
                .collect();
            for (shown, value) in numbers.iter().zip([e.value, e.low, e.high]) {
                assert!((shown - value).abs() <= 5.1e-4, "{metric:?}: {said} for {e:?}");
            }
            assert_eq!(numbers.len(), 3, "{said}");
        }
    }
}

#[test]
fn verdicts_follow_the_intervals_and_the_direction_of_the_metric() {
    let (mut comparison, curves) = evaluation(10, &[("f", 1.0, 1.5), ("g", 3.0, 1.5)]);
    let minus = comparison.methods[1].minus_f.as_mut().unwrap();
    let set = |estimate: &mut introspective_measure::Estimate, low: f64, high: f64| {
        (estimate.value, estimate.low, estimate.high) = ((low + high) / 2.0, low, high);
    };
    set(&mut minus.accuracy, 0.01, 0.03);
    set(minus.top5.as_mut().unwrap(), -0.03, -0.01);
    set(&mut minus.nll, 0.01, 0.03);
    set(&mut minus.brier, -0.03, -0.01);
    set(&mut minus.ece, -0.01, 0.03);
    set(&mut minus.adaptive_ece, 0.0, 0.03);
    set(&mut minus.classwise_ece, 0.0, 0.0);
    set(&mut minus.mce, -0.03, -1e-17); // zero but for rounding
    set(&mut minus.aurc, -0.03, -1e-9);
    let page = evaluation_page(&comparison, &curves, &EvaluationFacts::default());
    let document = parsed(&page);
    let marks: Vec<String> = all(&document, "span")
        .filter(|n| n.attribute("class").is_some_and(|class| class.starts_with("mark ")))
        .map(|n| text(n).trim_start_matches(|c: char| !c.is_ascii_alphabetic()).to_owned())
        .collect();
    let expected = [
        "better",
        "worse",
        "worse",
        "better",
        "undecided",
        "undecided",
        "same",
        "undecided",
        "better",
    ];
    assert_eq!(marks, expected);
    assert!(text(document.root_element()).contains("3 better, 2 worse"));
}

#[test]
fn nothing_of_a_name_is_read_as_html_and_nothing_is_loaded() {
    let (comparison, curves) = five();
    let page = evaluation_page(&comparison, &curves, &facts());
    let document = parsed(&page);
    for tag in ["img", "link", "iframe", "object"] {
        assert_eq!(all(&document, tag).count(), 0, "{tag}");
    }
    // one of this program's own, the same in every page
    let scripts: Vec<_> = all(&document, "script").collect();
    assert_eq!((scripts.len(), scripts[0].attributes().len()), (1, 0));
    assert!(!text(scripts[0]).contains("alert") && !text(scripts[0]).contains("fetch"));
    for node in document.descendants() {
        for attribute in node.attributes() {
            assert!(!attribute.name().starts_with("on") && attribute.name() != "href");
        }
    }
    let style = text(all(&document, "style").next().unwrap());
    assert!(!style.contains("url(") && !style.contains("@import") && !style.contains(['<', '&']));
    assert_eq!(text(all(&document, "h1").next().unwrap()), format!("Evaluation {}", shown()));
    assert_eq!(all(&document, "style").count(), 1);
    assert!(!page.contains('\u{202e}') && !page.contains('\u{0}'));
}

#[test]
fn contrasts_have_a_table_and_a_csv_of_their_own() {
    let (mut comparison, curves) = evaluation(10, &[("f", 1.0, 1.5), ("g", 3.0, 1.5)]);
    let mut difference = comparison.methods[1].minus_f.clone().unwrap();
    (difference.nll.value, difference.nll.low, difference.nll.high) = (-0.25, -0.5, -0.125);
    let names = ("<h>", "mlp-h");
    let (method, minus) = (names.0.to_owned(), names.1.to_owned());
    comparison.contrasts.push(Contrast { method, minus, difference });
    let page = evaluation_page(&comparison, &curves, &EvaluationFacts::default());
    let document = parsed(&page);
    let table = all(&document, "table").nth(2).unwrap();
    let row = table.descendants().rfind(|n| n.tag_name().name() == "tr").unwrap();
    let said = text(row).replace(['\u{200b}', '\u{ad}'], "");
    assert!(said.contains("<h>") && said.contains("minus") && said.contains("−0.250"), "{said}");
    let csv = contrasts_csv(&comparison).unwrap();
    assert!(csv.starts_with("method,minus,metric,difference,low,high\n"), "{csv}");
    assert!(csv.contains("\n<h>,mlp-h,nll,-0.25,-0.5,-0.125\n"), "{csv}");
    assert_eq!(csv.lines().count(), 10);
}

#[test]
fn one_method_has_no_differences() {
    let (comparison, curves) = evaluation(3, &[("f", 1.0, 1.5)]);
    let page = evaluation_page(&comparison, &curves, &EvaluationFacts::default());
    let document = parsed(&page);
    assert_eq!(all(&document, "table").count(), 1);
    assert!(!text(document.root_element()).contains("Differences"));
    // three classes: no top-5
    let head = all(&document, "thead").next().unwrap();
    assert_eq!(head.descendants().filter(|n| n.tag_name().name() == "th").count(), 9);
}

#[test]
fn no_method_at_all_still_gives_a_page_with_its_reasons() {
    let (mut comparison, _) = evaluation(3, &[("f", 1.0, 1.5)]);
    comparison.methods.clear();
    let page = evaluation_page(&comparison, &[], &facts());
    let document = parsed(&page);
    assert_eq!(all(&document, "table").count() + all(&document, "svg").count(), 0);
    assert!(text(document.root_element()).contains("No method was measured"));
    assert!(text(document.root_element()).contains("no batch normalisation"));
    assert_eq!(evaluation_csv(&comparison).unwrap().lines().count(), 1);
}

#[test]
fn numbers_that_are_not_finite_are_dashes_and_gaps() {
    let (mut comparison, mut curves) = evaluation(10, &[("f", 1.0, 1.5), ("g", 3.0, 1.5)]);
    comparison.methods[0].metrics.nll.value = f64::NAN;
    comparison.methods[1].minus_f.as_mut().unwrap().nll.low = f64::NEG_INFINITY;
    curves[0].risk_coverage[3].risk = f64::NAN;
    curves[0].reliability[14].accuracy = Some(f64::NAN);
    let page = evaluation_page(&comparison, &curves, &EvaluationFacts::default());
    parsed(&page);
    let csv = evaluation_csv(&comparison).unwrap();
    for output in [page, csv] {
        assert!(!output.contains("NaN") && !output.contains("inf,") && !output.contains(">inf"));
    }
}

#[test]
fn the_same_evaluation_gives_the_same_bytes() {
    let pages = [0; 2].map(|_| {
        let (comparison, curves) = five();
        evaluation_page(&comparison, &curves, &facts())
    });
    assert_eq!(pages[0], pages[1]);
}

#[test]
fn csv_reads_back_to_the_last_bit() {
    let (comparison, _) = five();
    let table = evaluation_csv(&comparison).unwrap();
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>().join(","),
        "method,metric,value,low,high,minus_f,minus_f_low,minus_f_high"
    );
    let mut rows = reader.records().map(Result::unwrap);
    for method in &comparison.methods {
        for (metric, estimate) in method.metrics.iter() {
            let row = rows.next().unwrap();
            assert_eq!((&row[0], &row[1]), (method.name.as_str(), metric.key()));
            let number = |place: usize| row[place].parse::<f64>().ok();
            let minus = method.minus_f.as_ref().and_then(|m| m.get(metric));
            let expected = [Some(estimate), minus];
            for (start, estimate) in [2, 5].into_iter().zip(expected) {
                assert_eq!(number(start), estimate.map(|e| e.value));
                assert_eq!(number(start + 1), estimate.map(|e| e.low));
                assert_eq!(number(start + 2), estimate.map(|e| e.high));
            }
        }
    }
    assert!(rows.next().is_none());
    // the hostile name has quotes, a comma and a line end
    assert!(table.contains("\"</style></title><script>alert(\"\"1\"\")</script>"));
}

fn epoch(epoch: usize, loss: f64, held_out: Option<f64>) -> TrainingEpoch {
    TrainingEpoch {
        epoch,
        learning_rate: 0.1,
        loss,
        accuracy: 1.0 - loss / 4.0,
        held_out_loss: held_out,
        held_out_accuracy: held_out.map(|loss| 1.0 - loss / 3.0),
    }
}

#[test]
fn a_training_curve_has_a_line_for_each_kind_and_a_gap_where_nothing_is() {
    let lines = |epochs: &[TrainingEpoch]| {
        let svg = training_curve(epochs);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        let document = Document::parse(&svg).unwrap();
        assert_eq!(document.root_element().attribute("role"), Some("img"));
        // the lines of the data are thicker than those of the axes
        let thick = |n: &Node<'_, '_>| n.attribute("stroke-width") == Some("8");
        let points = |n: Node<'_, '_>| n.attribute("points").unwrap().split_whitespace().count();
        let mut lines: Vec<usize> = all(&document, "polyline").filter(thick).map(points).collect();
        lines.retain(|points| *points > 2); // what is left out are the two points of a legend's line
        lines
    };
    let both: Vec<TrainingEpoch> =
        (1..=6).map(|e| epoch(e, 2.0 / e as f64, Some(2.2 / e as f64))).collect();
    assert_eq!(lines(&both), [6, 6, 6, 6]);
    let one: Vec<TrainingEpoch> = (1..=6).map(|e| epoch(e, 2.0 / e as f64, None)).collect();
    assert_eq!(lines(&one), [6, 6]);
    let mut seldom = both.clone();
    for epoch in seldom.iter_mut().step_by(2) {
        epoch.held_out_loss = None;
    }
    assert_eq!(lines(&seldom), [6, 3, 6, 6]);
    let mut gap = one.clone();
    gap[2].loss = f64::NAN; // epochs 1 and 2, then 4 to 6
    assert_eq!(lines(&gap), [3, 6]);
    for few in [&one[..0], &one[..1]] {
        assert!(lines(few).is_empty());
    }
}

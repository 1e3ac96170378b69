//! The page and the table of a study.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use introspective_measure::{CompareOptions, Condition, Conditions, Group, Method, Table};
use introspective_report::{
    ChangedAnswers, ChangedExample, ChangedIn, Drawn, EvaluationFacts, Said, Skipped,
    conditions_csv, conditions_page,
};
use ndarray::{Array2, Array3};
use roxmltree::Document;

const METHODS: [&str; 4] = ["f", "reflection", "<b>-batch", "f-matched"];

/// Three classes, three conditions; a method is right more often the later it comes.
fn table() -> Table {
    let labels: Vec<usize> = (0..90).map(|image| image % 3).collect();
    let options = CompareOptions {
        resamples: 40,
        contrasts: vec![("reflection".to_owned(), "f-matched".to_owned())],
        ..CompareOptions::default()
    };
    let mut study = Conditions::new(labels.clone(), &options).unwrap();
    let conditions =
        [None, Some(("fog", 1)), Some(("fog", 2)), Some(("snow", 1)), Some(("snow", 2))];
    for (number, condition) in conditions.into_iter().enumerate() {
        let logits: Vec<Array2<f32>> = (0..METHODS.len())
            .map(|method| {
                Array2::from_shape_fn((90, 3), |(image, class)| {
                    let right =
                        (image * 7 + number * 3) % 10 < 4 + method + 2 * usize::from(number == 0);
                    f32::from((class == labels[image]) == right) * (1.0 + (image % 5) as f32 / 4.0)
                })
            })
            .collect();
        let methods: Vec<Method<'_>> = METHODS
            .iter()
            .zip(&logits)
            .map(|(name, logits)| Method { name: (*name).to_owned(), seeds: vec![logits.view()] })
            .collect();
        let condition = condition.map_or_else(Condition::clean, |(name, severity)| Condition {
            corruption: Some(name.to_owned()),
            severity,
        });
        study.add(condition, &methods).unwrap();
    }
    let both = vec!["fog".to_owned(), "snow".to_owned()];
    let group = |name: &str, corruptions: &[String], severities: &[u8]| Group {
        name: name.to_owned(),
        corruptions: corruptions.to_vec(),
        severities: severities.to_vec(),
    };
    let groups = [
        group("corrupted", &both, &[]),
        group("severity-1", &both, &[1]),
        group("severity-2", &both, &[2]),
        group("fog", &both[..1], &[]),
        group("snow", &both[1..], &[]),
    ];
    study.table(&groups).unwrap()
}

fn page(table: &Table) -> String {
    let facts = EvaluationFacts {
        title: "Study & <more>".to_owned(),
        facts: vec![("data".to_owned(), "a<b".to_owned())],
        notes: Vec::new(),
        skipped: vec![Skipped { name: "f-batch-norm".to_owned(), reason: "none".to_owned() }],
    };
    conditions_page(table, &["<b>-batch".to_owned(), "f-matched".to_owned()], None, &facts)
}

fn text(node: roxmltree::Node<'_, '_>) -> String {
    node.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).collect()
}

fn parsed(page: &str) -> Document<'_> {
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    Document::parse_with_options(page, options).unwrap()
}

#[test]
fn methods_stand_apart_by_what_they_use() {
    let table = table();
    let page = page(&table);
    let document = parsed(&page);
    let tables: Vec<_> =
        document.descendants().filter(|n| n.tag_name().name() == "table").collect();
    assert_eq!(tables.len(), 3);
    let heads = |table: roxmltree::Node<'_, '_>| -> Vec<String> {
        let heads = table.descendants().filter(|n| n.attribute("scope") == Some("row"));
        heads.map(text).collect()
    };
    assert_eq!(heads(tables[0]), ["f1 seed", "reflection1 seed"]);
    assert_eq!(heads(tables[1]), ["<b>-batch1 seed", "f-matched1 seed"]);
    assert!(heads(tables[2])[0].starts_with("reflection minus f-matched"));
    // two figures by severity, two by corruption, and of three methods two diagrams, each with a description
    let figures = document.descendants().filter(|n| n.tag_name().name() == "figure").count();
    assert_eq!(figures, 4 + 2 * 3);
    assert!(page.contains("Reliability diagram of f-matched, corrupted, 360 images"));
    assert!(page.contains("ECE under each corruption") && page.contains("f-batch-norm"));
    assert!(text(document.root_element()).contains("Study & <more>"));
}

#[test]
fn values_stand_in_their_cells() {
    let table = table();
    let page = page(&table);
    let document = parsed(&page);
    let row = document.descendants().filter(|n| n.tag_name().name() == "tr").nth(2).unwrap();
    let cells: Vec<String> =
        row.children().filter(|n| n.tag_name().name() == "td").map(text).collect();
    let found = |group: &str| {
        table.rows.iter().find(|row| row.group == group && row.method == "reflection").unwrap()
    };
    let shown = |value: f64| format!("{value:.4}");
    assert!(cells[0].starts_with(&shown(found("clean").metrics.accuracy.value)), "{cells:?}");
    assert!(cells[1].starts_with(&shown(found("corrupted").metrics.accuracy.value)));
    let error = found("corrupted").mean_corruption_error.unwrap();
    assert!(cells[2].starts_with(&format!("{:.1}", 100.0 * error.value)), "{cells:?}");
    // fewer errors than f on every resample: better
    assert!(error.high < 1.0 && cells[2].contains("better"), "{cells:?}");
    assert!(cells[7].starts_with(&shown(found("corrupted").metrics.brier.value)));
}

#[test]
fn csv_has_a_row_for_every_metric_method_and_group() {
    let table = table();
    let csv = conditions_csv(&table).unwrap();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    // eight metrics of three classes; mCE where there are corruptions, ECE relative to f for the others
    let (groups, methods) = (6, 4);
    assert_eq!(rows.len(), groups * methods * 8 + 5 * methods + groups * (methods - 1));
    let find = |group: &str, method: &str, metric: &str| {
        rows.iter().find(|r| &r[0] == group && &r[1] == method && &r[2] == metric).unwrap()
    };
    let own = table.rows.iter().find(|r| r.group == "fog" && r.method == "<b>-batch").unwrap();
    let row = find("fog", "<b>-batch", "accuracy");
    assert_eq!(row[3].parse::<f64>().unwrap(), own.metrics.accuracy.value);
    assert_eq!(row[6].parse::<f64>().unwrap(), own.minus_f.as_ref().unwrap().accuracy.value);
    let row = find("fog", "<b>-batch", "mean_corruption_error");
    assert_eq!(row[3].parse::<f64>().unwrap(), own.mean_corruption_error.unwrap().value);
    assert_eq!(&row[6], "");
}

#[test]
fn without_corruptions_there_are_no_figures() {
    let mut table = table();
    table.rows.retain(|row| row.group == "clean");
    table.cells.truncate(1);
    table.contrasts.clear();
    let page = page(&table);
    let document = parsed(&page);
    assert!(!page.contains("by severity") && !page.contains(", corrupted, "));
    let figures = document.descendants().filter(|n| n.tag_name().name() == "figure").count();
    assert_eq!(figures, 3);
    assert_eq!(document.descendants().filter(|n| n.tag_name().name() == "table").count(), 2);
}

fn changed() -> ChangedAnswers {
    let drawn = |title: &str, note: &str| Drawn {
        picture: Array3::from_elem((4, 6, 3), 9),
        title: title.to_owned(),
        note: note.to_owned(),
    };
    let said = |class: &str, probability: f64| Said { class: class.to_owned(), probability };
    let example = |mended: bool| ChangedExample {
        mended,
        image: "a<b>/7.png".to_owned(),
        condition: Condition { corruption: Some("fog".to_owned()), severity: 2 },
        truth: "cat & dog".to_owned(),
        first: said("\"ant\"", 0.621),
        second: said("bee", 0.04),
        drawn: vec![drawn("", ""), drawn("Why \"ant\"?", "83 % of the picture")],
    };
    let group = |name: &str, answers: usize| ChangedIn {
        group: name.to_owned(),
        answers,
        changed: answers / 2,
        mended: answers / 4,
        spoiled: answers / 8,
    };
    ChangedAnswers {
        method: "reflection".to_owned(),
        groups: vec![group("corrupted", 16_000), group("fog", 400)],
        examples: vec![example(true), example(false), example(false)],
        without_maps: None,
    }
}

#[test]
fn answers_that_changed_are_shown_to_the_better_and_to_the_worse() {
    let facts = EvaluationFacts::default();
    let page = conditions_page(&table(), &[], Some(&changed()), &facts);
    let document = parsed(&page);
    let words = text(document.root_element());
    for expected in [
        "of 16,000 answers the second changed 8,000. It mended 4,000 (f wrong, then right) and spoiled 2,000",
        "Mended: 1 of 4,000",
        "Spoiled: 2 of 2,000",
        "cat & dog under fog 2: f says \"ant\" (62\u{a0}%), on reflection bee (4.0\u{a0}%). a<b>/7.png",
        "fog40020050\u{a0}%10025\u{a0}%5012\u{a0}%",
    ] {
        let plain = |text: &str| text.chars().filter(|c| *c != '\n').collect::<String>();
        assert!(plain(&words).contains(&plain(expected)), "{expected}\n{words}");
    }
    let images: Vec<_> = document.descendants().filter(|n| n.tag_name().name() == "img").collect();
    assert_eq!(images.len(), 6);
    assert_eq!(images[0].attribute("alt"), Some("A picture of class cat & dog under fog 2"));
    let alt = images[1].attribute("alt").unwrap();
    assert_eq!(alt, "Map of the picture of class cat & dog: Why \"ant\"? 83 % of the picture");
    // the picture is whole: a PNG file of its size
    let source = images[0].attribute("src").unwrap();
    let encoded = source.strip_prefix("data:image/png;base64,").unwrap();
    assert!(encoded.starts_with("iVBORw0KGgo"), "{encoded}");
    assert_eq!(
        (images[0].attribute("width"), images[0].attribute("height")),
        (Some("6"), Some("4"))
    );
}

#[test]
fn where_there_are_no_maps_the_page_says_why() {
    let facts = EvaluationFacts::default();
    let mut changed = changed();
    changed.without_maps = Some("no layer <of> that kind".to_owned());
    let page = conditions_page(&table(), &[], Some(&changed), &facts);
    let words = text(parsed(&page).root_element());
    assert!(words.contains("There are no maps: no layer <of> that kind."), "{words}");
    assert!(!words.contains("each has its own scale"));
    let without = conditions_page(&table(), &[], None, &facts);
    assert!(!without.contains("second thought") && !without.contains("<img"));
}

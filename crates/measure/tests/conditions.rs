//! Methods under many conditions, against values computed by hand.
#![allow(missing_docs, clippy::unwrap_used)]

use introspective_measure::{
    CompareOptions, Condition, Conditions, Group, Method, Outputs, Row, compare, reliability,
};
use ndarray::Array2;

const LABELS: [usize; 4] = [0, 1, 0, 1];

/// Logits that are right for the images marked so.
fn outputs(right: [bool; 4]) -> Array2<f32> {
    Array2::from_shape_fn((4, 2), |(image, class)| {
        f32::from((class == LABELS[image]) == right[image]) * 2.0
    })
}

fn options() -> CompareOptions {
    CompareOptions {
        resamples: 40,
        contrasts: vec![("h".to_owned(), "g".to_owned())],
        ..CompareOptions::default()
    }
}

fn condition(corruption: &str, severity: u8) -> Condition {
    Condition { corruption: Some(corruption.to_owned()), severity }
}

fn group(name: &str, corruptions: &[&str], severities: &[u8]) -> Group {
    let corruptions = corruptions.iter().map(|&name| name.to_owned()).collect();
    Group { name: name.to_owned(), corruptions, severities: severities.to_vec() }
}

/// What f, g and h say under a condition.
type Answers = (Condition, Vec<Array2<f32>>);

/// Four images, fifty times: enough for every resample to hold mistakes.
fn many() -> (Vec<usize>, Vec<Answers>) {
    let (yes, no) = (true, false);
    let wide = |right: [bool; 4]| {
        let four = outputs(right);
        Array2::from_shape_fn((200, 2), |(image, class)| four[(image % 4, class)])
    };
    let cells = vec![
        (Condition::clean(), vec![[yes, yes, yes, no], [yes, yes, no, no], [yes; 4]]),
        (condition("fog", 1), vec![[yes, yes, yes, no]; 3]),
        (condition("fog", 3), vec![[yes, no, no, no], [yes, yes, yes, no], [yes; 4]]),
        (condition("snow", 1), vec![[yes, no, yes, no], [no, no, yes, no], [yes, no, yes, no]]),
    ];
    let labels = (0..200).map(|image| LABELS[image % 4]).collect();
    let cells = cells.into_iter().map(|(c, all)| (c, all.into_iter().map(wide).collect()));
    (labels, cells.collect())
}

fn methods(all: &[Array2<f32>]) -> Vec<Method<'_>> {
    let named = ["f", "g", "h"].iter().zip(all);
    named
        .map(|(name, logits)| Method { name: (*name).to_owned(), seeds: vec![logits.view()] })
        .collect()
}

#[test]
fn means_and_the_mean_corruption_error() {
    let (labels, cells) = many();
    let mut conditions = Conditions::new(labels.clone(), &options()).unwrap();
    for (condition, all) in &cells {
        conditions.add(condition.clone(), &methods(all)).unwrap();
    }
    let groups = [
        group("all", &["fog", "snow"], &[]),
        group("severity-1", &["fog", "snow"], &[1]),
        group("nothing", &["frost"], &[]),
    ];
    let table = conditions.table(&groups).unwrap();
    assert_eq!((table.n, table.cells.len(), table.rows.len()), (200, 4, 9));
    let row = |group: &str, method: &str| -> &Row {
        table.rows.iter().find(|row| row.group == group && row.method == method).unwrap()
    };
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
    close(row("all", "f").metrics.accuracy.value, (0.75 + 0.25 + 0.5) / 3.0);
    close(row("all", "g").metrics.accuracy.value, (0.75 + 0.75 + 0.25) / 3.0);
    close(row("all", "g").minus_f.as_ref().unwrap().accuracy.value, 0.25 / 3.0);
    close(row("severity-1", "f").metrics.accuracy.value, (0.75 + 0.5) / 2.0);
    // fog: (1 + 1) / (1 + 3); snow: 3 / 2
    let error = |group: &str, method: &str| row(group, method).mean_corruption_error.unwrap();
    close(error("all", "g").value, (0.5 + 1.5) / 2.0);
    close(error("all", "f").value, 1.0);
    assert_eq!((error("all", "f").low, error("all", "f").high), (1.0, 1.0));
    assert!(error("all", "g").low < 1.0 && error("all", "g").high > 1.0);
    assert_eq!(row("clean", "g").mean_corruption_error, None);
    let (own, first) = (row("all", "g").metrics.ece.value, row("all", "f").metrics.ece.value);
    close(row("all", "g").relative_ece.unwrap().value, own / first - 1.0);
    assert_eq!(row("all", "f").relative_ece, None);
    assert_eq!(row("all", "g").accuracy_of_seeds.len(), 1);

    // a group's diagram is that of its images together
    let diagram = &row("severity-1", "g").reliability;
    assert_eq!(diagram.iter().map(|bin| bin.count).sum::<usize>(), 400);
    let right: f64 = diagram.iter().filter_map(|bin| Some(bin.count as f64 * bin.accuracy?)).sum();
    close(right / 400.0, row("severity-1", "g").metrics.accuracy.value);
    let one = reliability(Outputs::Logits(cells[0].1[1].view()), &labels, 15).unwrap();
    assert_eq!(row("clean", "g").reliability, one);

    // one condition is what `compare` makes of it
    let compared = compare(&methods(&cells[1].1), &labels, &options()).unwrap();
    for (own, cell) in compared.methods.iter().zip(&table.cells[1].methods) {
        assert_eq!((&own.name, &own.metrics), (&cell.name, &cell.metrics));
    }
    assert_eq!(table.cells[1].condition, condition("fog", 1));
    // the contrast, in every group
    let contrast = table.contrasts.iter().find(|c| c.group == "all").unwrap();
    assert_eq!((&contrast.method[..], &contrast.minus[..]), ("h", "g"));
    close(contrast.difference.accuracy.value, (0.75 + 1.0 + 0.5 - 1.75) / 3.0);
    assert_eq!(table.contrasts.len(), 3);
    // JSON and back
    let text = serde_json::to_string(&table).unwrap();
    assert_eq!(serde_json::from_str::<introspective_measure::Table>(&text).unwrap().rows.len(), 9);
    assert!(text.contains("\"corruption\":\"fog\",\"severity\":3"), "{text}");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let (labels, cells) = many();
    let new = || Conditions::new(labels.clone(), &options()).unwrap();
    let mut conditions = new();
    conditions.add(cells[1].0.clone(), &methods(&cells[1].1)).unwrap();
    let error = conditions.table(&[]).unwrap_err().to_string();
    assert!(error.contains("no clean condition"), "{error}");
    let mut two = methods(&cells[0].1);
    two.pop();
    let error = conditions.add(Condition::clean(), &two).unwrap_err().to_string();
    assert!(error.contains("condition clean") && error.contains("f, g, h"), "{error}");
    // a method with two seeds in one condition and one in another
    let mut conditions = new();
    conditions.add(cells[1].0.clone(), &methods(&cells[1].1)).unwrap();
    let mut seeds = methods(&cells[2].1);
    seeds[1].seeds.push(cells[2].1[0].view());
    conditions.add(cells[2].0.clone(), &seeds).unwrap();
    conditions.add(Condition::clean(), &methods(&cells[0].1)).unwrap();
    let error = conditions.table(&[group("all", &["fog"], &[])]).unwrap_err().to_string();
    assert!(error.contains("fog"), "{error}");
    // a contrast of nobody
    let none = CompareOptions { contrasts: vec![("f".to_owned(), "x".to_owned())], ..options() };
    let mut conditions = Conditions::new(labels.clone(), &none).unwrap();
    conditions.add(Condition::clean(), &methods(&cells[0].1)).unwrap();
    assert!(conditions.table(&[]).unwrap_err().to_string().contains("`x`"));
    // f without mistakes
    let mut conditions = new();
    conditions.add(Condition::clean(), &methods(&cells[0].1)).unwrap();
    let perfect = [&cells[0].1[2], &cells[0].1[0], &cells[0].1[1]].map(Clone::clone);
    conditions.add(condition("fog", 1), &methods(&perfect)).unwrap();
    let table = conditions.table(&[group("all", &["fog"], &[])]).unwrap();
    assert!(table.rows.iter().all(|row| row.mean_corruption_error.is_none()));
    let short = Array2::zeros((3, 2));
    let wrong = [Method { name: "f".to_owned(), seeds: vec![short.view()] }];
    let error = new().add(condition("fog", 2), &wrong).unwrap_err();
    assert!(error.to_string().contains("fog 2"), "{error}");
}

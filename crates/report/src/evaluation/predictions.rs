//! Predictions of many pictures as a page.

use super::html::{count, escape, number, several};
use super::page::{about, head, notes};
use super::{EvaluationFacts, Said};

/// What was predicted of one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedPicture {
    /// Its path, as given.
    pub image: String,
    /// What both stages say, or why there is no prediction.
    pub outcome: Result<PredictedClasses, String>,
}

/// What the stages say of a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedClasses {
    /// The classifier's class, and its probability, at the fitted temperature if there is one.
    pub first: Said,
    /// The second stage's.
    pub second: Option<Said>,
    /// Total variation of both stages' probabilities, 0 to 1.
    pub total_variation: Option<f64>,
    /// Entropy of the classifier's probabilities in nats.
    pub entropy: f64,
    /// Negative energy of its logits, larger for what it knows.
    pub negative_energy: f64,
}

/// A page in HTML that needs no other file and no network: a row a picture, sorted by a click on a column's head, and `facts`.
///
/// Pictures on which the stages differ are marked, and so are those that gave no prediction.
pub fn predictions_page(pictures: &[PredictedPicture], facts: &EvaluationFacts) -> String {
    let title = escape(if facts.title.is_empty() { "Predictions" } else { &facts.title });
    let good: Vec<&PredictedClasses> =
        pictures.iter().filter_map(|picture| picture.outcome.as_ref().ok()).collect();
    let two = good.iter().any(|classes| classes.second.is_some());
    let differ = good.iter().filter(|classes| classes.differ()).count();
    let mut page = head(&title);
    page += &format!("<p>{}", several(pictures.len(), "picture"));
    if good.len() < pictures.len() {
        page += &format!(", {} without a prediction", count(pictures.len() - good.len()));
    }
    if two {
        page += &format!("; the stages differ on {}", count(differ));
    }
    page += ". Click on a column's head to sort.</p>\n";
    page += &notes(&facts.notes);
    page += "<div class=\"scroll\" tabindex=\"0\">\n<table>\n<thead><tr><th>Picture</th><th>Class</th><th>Confidence</th>";
    if two {
        page += "<th>On reflection</th><th>Confidence</th><th>Total variation</th>";
    }
    page += "<th>Entropy</th><th>Negative energy</th></tr></thead>\n<tbody>\n";
    for picture in pictures {
        page += &row(picture, two);
    }
    page += "</tbody>\n</table>\n</div>\n";
    page += &about(&facts.facts);
    page + "</main>\n</body>\n</html>\n"
}

impl PredictedClasses {
    fn differ(&self) -> bool {
        self.second.as_ref().is_some_and(|second| second.class != self.first.class)
    }
}

fn row(picture: &PredictedPicture, two: bool) -> String {
    let image = super::html::name(&picture.image);
    let classes = match &picture.outcome {
        Ok(classes) => classes,
        Err(error) => {
            let columns = if two { 7 } else { 4 };
            return format!(
                "<tr><th>{image}</th><td><span class=\"mark worse\">none</span> {}</td>{}</tr>\n",
                escape(error),
                "<td>–</td>".repeat(columns - 1)
            );
        }
    };
    let mut cells = format!(
        "<td>{}</td><td>{}</td>",
        escape(&classes.first.class),
        number(classes.first.probability, 3)
    );
    if two {
        let (class, confidence) = match &classes.second {
            Some(second) => (escape(&second.class), number(second.probability, 3)),
            None => ("–".to_owned(), "–".to_owned()),
        };
        let class = if classes.differ() {
            format!("{class} <span class=\"mark worse\">differs</span>")
        } else {
            class
        };
        let variation = classes.total_variation.map_or("–".to_owned(), |value| number(value, 3));
        cells += &format!("<td>{class}</td><td>{confidence}</td><td>{variation}</td>");
    }
    cells += &format!(
        "<td>{}</td><td>{}</td>",
        number(classes.entropy, 3),
        number(classes.negative_energy, 2)
    );
    format!("<tr><th>{image}</th>{cells}</tr>\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_row_a_picture_and_nothing_of_a_name_is_html() {
        let classes = |second: &str| PredictedClasses {
            first: Said { class: "cat".to_owned(), probability: 0.75 },
            second: Some(Said { class: second.to_owned(), probability: 0.5 }),
            total_variation: Some(0.25),
            entropy: 0.125,
            negative_energy: 7.0,
        };
        let picture = |image: &str, outcome| PredictedPicture { image: image.to_owned(), outcome };
        let pictures = [
            picture("a.png", Ok(classes("cat"))),
            picture("<b>.png", Ok(classes("dog & co"))),
            picture("c.png", Err("is text".to_owned())),
        ];
        let page = predictions_page(&pictures, &EvaluationFacts::default());
        let document = roxmltree::Document::parse_with_options(
            &page,
            roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() },
        )
        .unwrap();
        let rows: Vec<Vec<String>> = document
            .descendants()
            .filter(|node| node.has_tag_name(("http://www.w3.org/1999/xhtml", "tr")))
            .map(|row| {
                let cells = row.children().filter(roxmltree::Node::is_element);
                cells.map(|cell| cell.descendants().filter_map(|n| n.text()).collect()).collect()
            })
            .collect();
        assert_eq!(rows.len(), 4);
        assert!(rows.iter().all(|row| row.len() == 8), "{rows:?}");
        assert!(rows[2][0].starts_with("<b>") && rows[2][3].contains("dog & co"));
        assert!(page.contains("3 pictures, 1 without a prediction; the stages differ on 1."));
    }
}

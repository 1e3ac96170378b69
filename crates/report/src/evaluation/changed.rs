//! Answers that a second stage changed: how many to the better and to the worse, and examples of both.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use introspective_measure::Condition;
use serde::Serialize;

use super::html::{count, escape, name, several};
use super::page::scrolled;
use crate::answers::Drawn;
use crate::picture::encode_png;
use crate::words::percent;

/// Answers of a second stage that differ from those of the first, over the corrupted conditions of a study.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangedAnswers {
    /// The second stage's method.
    pub method: String,
    /// Counts; the first is of all corrupted conditions.
    pub groups: Vec<ChangedIn>,
    /// Mended ones, then spoiled ones, drawn at random.
    pub examples: Vec<ChangedExample>,
    /// Why there are no maps, where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_maps: Option<String>,
}

/// Counts over a group of conditions, an answer for each image under each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedIn {
    /// The group's name.
    pub group: String,
    /// All answers.
    pub answers: usize,
    /// The stages name different classes.
    pub changed: usize,
    /// The first stage was wrong and the second is right.
    pub mended: usize,
    /// The first stage was right and the second is wrong.
    pub spoiled: usize,
}

/// An image of which the second stage says something else.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangedExample {
    /// Whether the second stage is the one that is right.
    pub mended: bool,
    /// The image's name in its set.
    pub image: String,
    /// What was done to it.
    pub condition: Condition,
    /// Its class.
    pub truth: String,
    /// The first stage's answer.
    pub first: Said,
    /// The second stage's answer.
    pub second: Said,
    /// The picture, then its maps.
    #[serde(skip)]
    pub drawn: Vec<Drawn>,
}

/// A stage's answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Said {
    /// The class.
    pub class: String,
    /// Its probability, in (0, 1].
    pub probability: f64,
}

impl ChangedAnswers {
    /// The section of a page.
    pub(super) fn section(&self) -> String {
        let Some(all) = self.groups.first() else { return String::new() };
        let mut section = format!(
            "<section>\n<h2>Where the second thought changed the answer</h2>\n<p>f, then {} with its first seed, over all corrupted \
             conditions: of {} the second changed {}. It mended {} (f wrong, then right) and spoiled {} (f right, then \
             wrong); the others were wrong before and after.</p>\n",
            escape(&self.method),
            several(all.answers, "answer"),
            count(all.changed),
            count(all.mended),
            count(all.spoiled)
        );
        section += &self.counts();
        if let Some(why) = &self.without_maps {
            section += &format!("<p>There are no maps: {}.</p>\n", escape(why));
        } else if !self.examples.is_empty() {
            section += "<p>Examples, drawn at random among all. P is f's answer, Q the one on reflection. A map is plain where there \
                 is no evidence, and red where there is most; each has its own scale, so the words below it say how much of it is \
                 positive.</p>\n";
        }
        section += &self.shown(true, "Mended", all.mended);
        section += &self.shown(false, "Spoiled", all.spoiled);
        section + "</section>\n"
    }

    fn counts(&self) -> String {
        let row = |group: &ChangedIn| {
            let share = |part: usize| {
                let share = part as f64 / group.answers.max(1) as f64;
                format!(
                    "<td>{}<span class=\"interval\">{}</span></td>",
                    count(part),
                    percent(share)
                )
            };
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td>{}{}{}</tr>\n",
                name(&group.group),
                count(group.answers),
                share(group.changed),
                share(group.mended),
                share(group.spoiled)
            )
        };
        let rows: String = self.groups.iter().map(row).collect();
        let head: String = ["Answers", "Changed", "Mended", "Spoiled"]
            .map(|title| format!("<th scope=\"col\">{title}</th>"))
            .concat();
        let table = format!(
            "<thead><tr><th scope=\"col\">Conditions</th>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n"
        );
        format!(
            "<details>\n<summary>Counts by group of conditions</summary>\n{}</details>\n",
            scrolled("Changed answers by group", &table)
        )
    }

    fn shown(&self, mended: bool, title: &str, of: usize) -> String {
        let examples: Vec<&ChangedExample> =
            self.examples.iter().filter(|example| example.mended == mended).collect();
        let number = examples.len();
        let examples: String = examples.into_iter().map(ChangedExample::article).collect();
        format!(
            "<h3>{title}: {number} of {}</h3>\n<div class=\"examples\">\n{examples}</div>\n",
            count(of)
        )
    }
}

impl ChangedExample {
    fn article(&self) -> String {
        let said = |said: &Said| format!("{} ({})", escape(&said.class), percent(said.probability));
        let condition = self.condition.name();
        let words = format!(
            "<p><strong>{}</strong> under {}: f says {}, on reflection {}. <span class=\"soft\">{}</span></p>\n",
            escape(&self.truth),
            escape(&condition),
            said(&self.first),
            said(&self.second),
            escape(&self.image)
        );
        let figure = |drawn: &Drawn| {
            let (title, alt) = match &drawn.title[..] {
                "" => {
                    let what = format!("{} under {condition}", self.truth);
                    ("The picture".to_owned(), format!("A picture of class {what}"))
                }
                question => {
                    let of = format!("of the picture of class {}", self.truth);
                    (question.to_owned(), format!("Map {of}: {question} {}", drawn.note))
                }
            };
            let (height, width, _) = drawn.picture.dim();
            let Ok(png) = encode_png(drawn.picture.view()) else { return String::new() };
            format!(
                "<figure><img src=\"data:image/png;base64,{}\" width=\"{width}\" height=\"{height}\" alt=\"{}\"/>\
                 <figcaption>{}<small>{}</small></figcaption></figure>\n",
                STANDARD.encode(png),
                escape(&alt),
                escape(&title),
                escape(&drawn.note)
            )
        };
        let figures: String = self.drawn.iter().map(figure).collect();
        format!("<article>\n{words}<div class=\"maps\">\n{figures}</div>\n</article>\n")
    }
}

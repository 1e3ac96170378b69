//! A page on which a person asks further: any class that has a map may be clicked, and the answers are drawn in the page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use introspective_explain::{ClassMaps, Verdict, Voice, softmax};
use introspective_network::{ClassNames, Session};
use ndarray::ArrayView1;
use serde::Serialize;

use crate::colormap::Colormap;
use crate::error::DrawError;
use crate::explanation::{Drawing, Subject};
use crate::manifest::SecondStage;
use crate::overlay::Style;
use crate::picture::{crop_and_fit, encode_png};

/// The page's scripts: `explore(root, data, more)`, for `introspect serve` too.
pub const EXPLORER_JS: &str =
    concat!(include_str!("theme.js"), include_str!("explorer/explorer.js"));

/// Its style sheet, light and dark.
pub const EXPLORER_CSS: &str =
    concat!(include_str!("theme.css"), include_str!("explorer/explorer.css"));

/// A decision with maps of some or all classes, to be looked at in a browser.
#[derive(Clone, Debug)]
pub struct Explorer<'a, 's> {
    /// The photograph.
    pub subject: &'a Subject<'s>,
    /// Dotted name of the target layer.
    pub layer: &'a str,
    /// Logits, N.
    pub logits: ArrayView1<'a, f32>,
    /// Maps of the classes that can be clicked.
    pub maps: &'a ClassMaps,
    /// The class asked about first, one of those.
    pub asked: usize,
    /// The class that it is first held against, one of those, if there is more than one class.
    pub other: Option<usize>,
    /// Names of the classes.
    pub classes: &'a ClassNames,
    /// How to draw at first.
    pub drawing: Drawing,
    /// What a second stage says, if there is one.
    pub second_stage: Option<SecondStage>,
    /// What a program, and a reader, should know; the page says those that hold.
    pub verdicts: &'a [Verdict],
    /// Where the contrasts of all classes differ, if that is known, at any size.
    pub voice: Option<&'a Voice>,
    /// Names and values for the fold at the end, such as those of [`facts`].
    pub facts: Vec<(String, String)>,
}

/// What `explorer.js` reads.
#[derive(Clone, Debug, Serialize)]
pub struct ExplorerData {
    image: String,
    /// Dotted name of the target layer.
    layer: String,
    /// A PNG as a data URL: what the network saw.
    photo: String,
    /// Height and width of the maps.
    grid: [usize; 2],
    predicted: usize,
    asked: usize,
    other: Option<usize>,
    classes: Vec<String>,
    probabilities: Vec<f64>,
    maps: Maps,
    style: &'static str,
    tables: Tables,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_stage: Option<SecondStage>,
    verdicts: Vec<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voice: Option<VoiceData>,
    facts: Vec<(String, String)>,
}

/// Little-endian f32 as base64.
#[derive(Clone, Debug, Serialize)]
struct Maps {
    classes: Vec<usize>,
    cam: String,
    mean: String,
}

/// A map in 256 levels as base64, and two numbers in words.
#[derive(Clone, Debug, Serialize)]
struct VoiceData {
    shape: [usize; 2],
    map: String,
    snr: String,
    iou: String,
}

/// 256 RGB colours as base64, by style.
#[derive(Clone, Debug, Serialize)]
struct Tables {
    authors: String,
    blend: String,
    signed: String,
}

impl Explorer<'_, '_> {
    /// The data for the page's scripts.
    ///
    /// # Errors
    /// The photograph is not RGB, or empty, or cannot be encoded.
    pub fn data(&self) -> Result<ExplorerData, DrawError> {
        let seen = self.subject.prepared.seen;
        let photo = crop_and_fit(
            self.subject.pixels,
            seen.x,
            seen.y,
            seen.width,
            seen.height,
            self.drawing.picture_size,
        );
        let png = encode_png(photo.view()).map_err(|source| DrawError::Encode { source })?;
        let (_, rows, columns) = self.maps.cam.dim();
        let probabilities = softmax(self.logits);
        let Drawing { style, colormap, .. } = self.drawing;
        let table = |of: Style| {
            let map = if of == style { colormap } else { of.default_colormap() };
            STANDARD.encode(Colormap::table(map).as_flattened())
        };
        Ok(ExplorerData {
            image: self.subject.image.clone(),
            layer: self.layer.to_owned(),
            photo: format!("data:image/png;base64,{}", STANDARD.encode(png)),
            grid: [rows, columns],
            predicted: self.maps.classes.first().copied().unwrap_or(0),
            asked: self.asked,
            other: self.other,
            classes: self.classes.all_short(),
            probabilities: probabilities.iter().map(|p| rounded(*p)).collect(),
            maps: Maps {
                classes: self.maps.classes.clone(),
                cam: base64(self.maps.cam.iter()),
                mean: base64(self.maps.mean.iter()),
            },
            style: style.name(),
            tables: Tables {
                authors: table(Style::Authors),
                blend: table(Style::Blend),
                signed: table(Style::Signed),
            },
            second_stage: self.second_stage.clone(),
            verdicts: self
                .verdicts
                .iter()
                .filter(|v| v.name != Verdict::SAME_CLASS)
                .cloned()
                .collect(),
            voice: self.voice.filter(|voice| !voice.empty).map(VoiceData::of),
            facts: self.facts.clone(),
        })
    }

    /// The page: one file that opens offline.
    ///
    /// # Errors
    /// As [`Explorer::data`].
    pub fn page(&self) -> Result<String, DrawError> {
        let data = self.data()?;
        let json = serde_json::to_string(&data).map_err(|source| DrawError::Json { source })?;
        // what could end the script's element is written otherwise
        let json = json.replace('<', "\\u003c");
        let title = crate::evaluation::escape(&format!(
            "{}: {}",
            data.image,
            data.classes.get(data.predicted).map_or("", String::as_str)
        ));
        Ok(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <style>\n{EXPLORER_CSS}</style>\n</head>\n<body>\n\
             <header><h1>Why this class?</h1></header>\n\
             <main id=\"explorer\"><noscript>This page draws its maps with a script, which your browser does not run; \
             panel.png beside it shows the answers.</noscript></main>\n\
             <p id=\"news\" role=\"status\"></p>\n\
             <script type=\"application/json\" id=\"data\">{json}</script>\n\
             <script>\n{EXPLORER_JS}\
             document.querySelector(\"header\").append(themeButton());\n\
             explore(document.getElementById(\"explorer\"), JSON.parse(document.getElementById(\"data\").textContent));\n\
             </script>\n</body>\n</html>\n"
        ))
    }
}

impl VoiceData {
    fn of(voice: &Voice) -> Self {
        let words =
            |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.2}"));
        let levels: Vec<u8> = voice.map.iter().map(|value| (255.0 * value).round() as u8).collect();
        Self {
            shape: voice.map.dim().into(),
            map: STANDARD.encode(levels),
            snr: words(voice.snr),
            iou: words(voice.iou),
        }
    }
}

/// What a reader may want to know of how an explanation was made.
pub fn facts(
    session: &Session<'_>,
    layer_shape: [usize; 3],
    command: &str,
) -> Vec<(String, String)> {
    let classifier = session.classifier();
    let [channels, height, width] = layer_shape;
    let gradient = if session.has_closed_form() { "closed form" } else { "adjoint graph" };
    let mut facts = vec![
        ("Network".to_owned(), classifier.name().to_owned()),
        ("Weights".to_owned(), classifier.origin().to_owned()),
        ("SHA-256".to_owned(), classifier.sha256().to_owned()),
        ("Layer".to_owned(), format!("{}, {channels} x {height} x {width}", session.layer())),
        ("Gradient".to_owned(), gradient.to_owned()),
        ("Version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ];
    if !command.is_empty() {
        facts.push(("Command".to_owned(), command.to_owned()));
    }
    facts
}

/// Six digits, which is more than anybody reads.
fn rounded(p: f64) -> f64 {
    format!("{p:.5e}").parse().unwrap_or(p)
}

fn base64<'a>(values: impl Iterator<Item = &'a f32>) -> String {
    let bytes: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn small_probabilities_keep_six_digits() {
        assert_eq!(rounded(0.123_456_789), 0.123_457);
        assert_eq!(rounded(1.234_567_89e-12), 1.234_57e-12);
        assert_eq!(rounded(0.0), 0.0);
    }

    #[test]
    fn numbers_survive_the_page() {
        let values = [1.5f32, -0.25, 3e-8];
        let read = STANDARD.decode(base64(values.iter())).unwrap();
        let (chunks, _) = read.as_chunks::<4>();
        let back: Vec<f32> = chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        assert_eq!(back, values);
    }
}

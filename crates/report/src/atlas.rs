//! The maps of all classes as files: a picture of those that differ, all raw maps, manifest.

use std::path::Path;

use introspective_explain::{Atlas, Explanation, Ranked, Verdict, Voice};
use introspective_network::{ClassNames, Session};
use ndarray::{Array3, ArrayView3};
use rayon::prelude::*;

use crate::archive::write_npz;
use crate::error::{DrawError, WriteError};
use crate::explanation::{Drawing, Drawn, ExplanationReport, Subject};
use crate::explorer::{Explorer, facts};
use crate::manifest::{AtlasManifest, RankedClass, Uncertainty};
use crate::overlay::overlay;
use crate::panel::{Tile, panel};
use crate::picture::write_png;
use crate::words::percent;

const PICTURE: &str = "atlas.png";
const MAPS: &str = "atlas.npz";
const PAGE: &str = "report.html";

/// Values of maps that a page may hold, 8 MB of them; of a network with more classes and places it has the most probable classes.
const MOST: usize = 2_000_000;

/// Everything that goes into an atlas's folder.
#[derive(Clone)]
pub struct AtlasReport<'a> {
    /// The photograph.
    pub subject: &'a Subject<'a>,
    /// The network and the layer.
    pub session: &'a Session<'a>,
    /// The maps of all classes.
    pub atlas: &'a Atlas,
    /// How many contrasts to rank, and to draw at most.
    pub top: usize,
    /// Channels, height and width of the layer's output.
    pub layer_shape: [usize; 3],
    /// Names of the classes.
    pub classes: &'a ClassNames,
    /// How to draw.
    pub drawing: Drawing,
    /// The command line, for the manifest.
    pub command: &'a str,
}

impl AtlasReport<'_> {
    /// Writes `atlas.png`, `atlas.npz`, `report.html` and `manifest.json` into an existing folder, and returns the manifest.
    ///
    /// The picture shows the photograph, *Why P?*, VOICE, and the contrasts of [`Atlas::ranking`] that are neither empty
    /// nor alike (the most probable Q is shown however alike). The arrays are `cam` and `rather_than`, N x u x v, before
    /// ReLU, and `voice`, at the input's resolution (absent for fewer than three classes).
    ///
    /// # Errors
    /// A file cannot be written, or the colours do not suit the style.
    pub fn write(&self, folder: &Path) -> Result<AtlasManifest, WriteError> {
        let ranking = self.atlas.ranking(self.top);
        let explanation = self.explanation(&ranking);
        // the same for as long as the explanation lives
        let subject = Subject {
            image: self.subject.image.clone(),
            stored: self.subject.stored.clone(),
            pixels: self.subject.pixels.view(),
            preprocessing: self.subject.preprocessing,
            prepared: self.subject.prepared,
        };
        let side = self.subject.preprocessing.input_size();
        let voice = self.atlas.voice(side, side);
        let mut verdicts = explanation.verdicts(&|class| self.classes.short(class));
        let iou = voice.as_ref().and_then(|voice| voice.iou);
        let why = explanation.answers.first();
        verdicts
            .extend(why.zip(iou).map(|(why, iou)| Verdict::uncertain_explanation(&why.asked, iou)));
        let report = self.report(&subject, &explanation, verdicts);
        let draw_error = |source| WriteError::Picture { path: folder.to_owned(), source };

        let photo = report.photo();
        let draw = |answer| report.draw(answer, PICTURE, photo.view());
        let drawn = explanation.answers.par_iter().map(draw).collect::<Result<Vec<_>, _>>();
        let drawn = drawn.map_err(draw_error)?;
        let picture = || {
            let together = self.picture(&report, photo.view(), &drawn, voice.as_ref());
            write_png(folder.join(PICTURE), together.map_err(draw_error)?.view())
        };
        let others = || {
            let maps = || self.write_maps(folder, voice.as_ref());
            rayon::join(maps, || {
                self.write_page(folder, &ranking, &report.verdicts, voice.as_ref())
            })
        };
        let (picture, (maps, page)) = rayon::join(picture, others);
        picture.and(maps).and(page)?;
        let manifest = self.manifest(&report, drawn, &ranking, voice.as_ref());
        manifest.write(folder)?;
        Ok(manifest)
    }

    /// *Why P?* and the contrasts to be drawn.
    fn explanation(&self, ranking: &[Ranked]) -> Explanation {
        let shown = ranking.iter().enumerate().filter(|&(place, ranked)| is_shown(place, ranked));
        let contrasts = shown.filter_map(|(_, ranked)| self.atlas.rather_than(ranked.class));
        Explanation {
            logits: self.atlas.logits.clone(),
            probabilities: self.atlas.probabilities.clone(),
            predicted: self.atlas.predicted,
            answers: std::iter::once(self.atlas.why()).chain(contrasts).collect(),
        }
    }

    fn report<'b>(
        &'b self,
        subject: &'b Subject<'b>,
        explanation: &'b Explanation,
        verdicts: Vec<Verdict>,
    ) -> ExplanationReport<'b> {
        ExplanationReport {
            subject,
            session: self.session,
            explanation,
            layer_shape: self.layer_shape,
            classes: self.classes,
            drawing: self.drawing,
            second_stage: None,
            verdicts,
            checks: None,
            maps: None,
            command: self.command,
        }
    }

    fn picture(
        &self,
        report: &ExplanationReport<'_>,
        photo: ArrayView3<'_, u8>,
        drawn: &[Drawn],
        voice: Option<&Voice>,
    ) -> Result<Array3<u8>, DrawError> {
        let (height, width, _) = photo.dim();
        let Drawing { style, colormap, .. } = self.drawing;
        let (says, then) = report.caption();
        let details: Vec<String> = drawn.iter().map(|drawn| detail(self, drawn)).collect();
        // drawn at the photograph's resolution, described at the input's
        let voice = match (self.atlas.voice(height, width), voice) {
            (Some(drawn), Some(voice)) => {
                let picture = overlay(photo, drawn.map.view(), style, colormap)?;
                Some((picture, uncertainty(voice)))
            }
            _ => None,
        };
        let mut tiles = vec![Tile { picture: photo, title: &says, detail: &then }];
        tiles.extend(drawn.iter().zip(&details).map(|(drawn, detail)| Tile {
            picture: drawn.picture.view(),
            title: &drawn.entry.text,
            detail,
        }));
        if let Some((picture, detail)) = &voice {
            let title = "Where it depends on the other class (VOICE)";
            tiles.insert(2, Tile { picture: picture.view(), title, detail });
        }
        panel(&tiles, Some(self.drawing.legend()))
    }

    fn write_maps(&self, folder: &Path, voice: Option<&Voice>) -> Result<(), WriteError> {
        let mut arrays = vec![
            ("cam", self.atlas.cam.view().into_dyn()),
            ("rather_than", self.atlas.rather_than.view().into_dyn()),
        ];
        arrays.extend(voice.map(|voice| ("voice", voice.map.view().into_dyn())));
        write_npz(folder.join(MAPS), &arrays)
    }

    /// The page on which every class can be clicked.
    fn write_page(
        &self,
        folder: &Path,
        ranking: &[Ranked],
        verdicts: &[Verdict],
        voice: Option<&Voice>,
    ) -> Result<(), WriteError> {
        let cells = self.layer_shape[1] * self.layer_shape[2];
        let mut classes: Vec<usize> = ranking.iter().map(|ranked| ranked.class).collect();
        classes.extend(self.atlas.others().into_iter().take(MOST / cells.max(1)));
        let explorer = Explorer {
            subject: self.subject,
            layer: self.session.layer(),
            logits: self.atlas.logits.view(),
            maps: &self.atlas.class_maps(&classes),
            asked: self.atlas.predicted,
            other: self.atlas.others().first().copied(),
            classes: self.classes,
            drawing: self.drawing,
            second_stage: None,
            verdicts,
            voice,
            facts: facts(self.session, self.layer_shape, self.command),
        };
        let error = |source| WriteError::Picture { path: folder.to_owned(), source };
        let path = folder.join(PAGE);
        std::fs::write(&path, explorer.page().map_err(error)?)
            .map_err(|source| WriteError::Io { path, source })
    }

    fn manifest(
        &self,
        report: &ExplanationReport<'_>,
        drawn: Vec<Drawn>,
        ranking: &[Ranked],
        voice: Option<&Voice>,
    ) -> AtlasManifest {
        let mut explanation = report.manifest(drawn.into_iter().map(|drawn| drawn.entry).collect());
        explanation.files = [PICTURE, MAPS, PAGE, "manifest.json"].map(str::to_owned).into();
        for question in &mut explanation.questions {
            let array = if question.contrast.is_some() { "rather_than" } else { "cam" };
            array.clone_into(&mut question.map);
        }
        let ranked = |(place, ranked): (usize, &Ranked)| RankedClass {
            class: report.scored(ranked.class),
            distance: ranked.distance,
            alike: ranked.is_alike(),
            empty: ranked.empty,
            shown: is_shown(place, ranked),
        };
        AtlasManifest {
            explanation,
            classes: self.atlas.classes(),
            empty_contrasts: self.atlas.empty_contrasts(),
            ranking: ranking.iter().enumerate().map(ranked).collect(),
            voice: voice.map(|voice| Uncertainty {
                contrasts: voice.contrasts,
                snr: voice.snr,
                iou: voice.iou,
                mean_variance: voice.mean_variance,
                max_variance: voice.max_variance,
                empty: voice.empty,
            }),
        }
    }
}

fn is_shown(place: usize, ranked: &Ranked) -> bool {
    !ranked.empty && (place == 0 || !ranked.is_alike())
}

/// The probability of the class asked about, or of the other class, and how much of the map is positive.
fn detail(report: &AtlasReport<'_>, drawn: &Drawn) -> String {
    let class = drawn.entry.contrast.as_ref().unwrap_or(&drawn.entry.class);
    let name = report.classes.short(class.index);
    let share = percent(report.atlas.probabilities[class.index]);
    format!("{name}: {share}\n{}", drawn.entry.note)
}

fn uncertainty(voice: &Voice) -> String {
    if voice.empty {
        return "empty: all contrasts are alike".to_owned();
    }
    let number =
        |value: Option<f64>| value.map_or("none".to_owned(), |value| format!("{value:.2}"));
    let (snr, iou) = (number(voice.snr), number(voice.iou));
    format!(
        "variance of {} contrasts\nsignal to noise {snr}, overlap with Why? {iou}",
        voice.contrasts
    )
}

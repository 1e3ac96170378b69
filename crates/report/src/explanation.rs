//! An explanation as files: pictures, panel, raw maps, manifest.

use std::collections::HashSet;
use std::path::Path;

use introspective_explain::faithfulness::{CheckOptions, MapCheck};
use introspective_explain::{Answer, ClassMaps, Explanation, Verdict, resize_bilinear};
use introspective_network::{ClassNames, Prepared, Preprocessing, Session};
use ndarray::{Array2, Array3, ArrayView3};
use rayon::prelude::*;

use crate::archive::write_npz;
use crate::checks::{CURVES, Checks, PLOT, curves_csv, curves_plot};
use crate::colormap::Colormap;
use crate::error::{DrawError, WriteError};
use crate::explorer::{Explorer, facts};
use crate::manifest::{
    Answered, Class, Manifest, SCHEMA_VERSION, Scored, SecondStage, Seen, Stored, TOOL,
};
use crate::overlay::{Style, overlay};
use crate::panel::{Legend, Tile, panel};
use crate::picture::{crop_and_fit, write_png};
use crate::words::{note, percent, slug, title};

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// How the map meets the photograph.
    pub style: Style,
    /// Its colours.
    pub colormap: Colormap,
    /// Longest side of a picture in pixels; smaller photographs are drawn at their own size.
    pub picture_size: usize,
}

impl Default for Drawing {
    /// The authors' style, at most 768 pixels.
    fn default() -> Self {
        let style = Style::Authors;
        Self { style, colormap: style.default_colormap(), picture_size: 768 }
    }
}

impl Drawing {
    /// What the colours mean.
    pub(crate) fn legend(&self) -> Legend<'static> {
        let (low, high) = match self.style {
            Style::Signed => ("against", "for"),
            Style::Authors | Style::Blend => ("none", "most"),
        };
        Legend { colormap: self.colormap, low, high }
    }
}

/// A photograph and what the network saw of it.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Its path, as given.
    pub image: String,
    /// How it was stored.
    pub stored: Stored,
    /// Height x width x RGB, upright.
    pub pixels: ArrayView3<'a, u8>,
    /// What was done to it.
    pub preprocessing: &'a Preprocessing,
    /// The network's input made from it.
    pub prepared: &'a Prepared,
}

/// Everything that goes into an explanation's folder.
#[derive(Clone)]
pub struct ExplanationReport<'a> {
    /// The photograph.
    pub subject: &'a Subject<'a>,
    /// The network and the layer.
    pub session: &'a Session<'a>,
    /// The answers.
    pub explanation: &'a Explanation,
    /// Channels, height and width of the layer's output.
    pub layer_shape: [usize; 3],
    /// Names of the classes.
    pub classes: &'a ClassNames,
    /// How to draw.
    pub drawing: Drawing,
    /// What a second stage says, if there is one.
    pub second_stage: Option<SecondStage>,
    /// Maps of the classes that may be clicked in `report.html`; without them there is none.
    pub maps: Option<&'a ClassMaps>,
    /// What a program should know of it.
    pub verdicts: Vec<Verdict>,
    /// How good the maps are, and how that was found out.
    pub checks: Option<(&'a [MapCheck], &'a CheckOptions)>,
    /// The command line, for the manifest.
    pub command: &'a str,
}

/// One answer, drawn.
pub(crate) struct Drawn {
    pub entry: Answered,
    /// At the input's resolution, in [0, 1].
    pub display: Array2<f32>,
    pub picture: Array3<u8>,
}

impl ExplanationReport<'_> {
    /// Writes `why.png`, `what-if-not.png`, a `rather-than-<class>.png` a contrast, `panel.png`, `report.html`,
    /// `maps.npz` and `manifest.json` into an existing folder, and returns the manifest. With checks also their curves,
    /// `checks.csv` and `checks.svg`.
    ///
    /// # Errors
    /// A file cannot be written, or the colours do not suit the style.
    pub fn write(&self, folder: &Path) -> Result<Manifest, WriteError> {
        let draw_error = |source| WriteError::Picture { path: folder.to_owned(), source };
        let photo = self.photo();
        let names = self.file_names();
        let drawn = self
            .explanation
            .answers
            .par_iter()
            .zip(&names)
            .map(|(answer, name)| self.draw(answer, name, photo.view()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(draw_error)?;

        let answers = || {
            drawn
                .par_iter()
                .try_for_each(|d| write_png(folder.join(&d.entry.picture), d.picture.view()))
        };
        let together = || {
            let picture = self.panel(photo.view(), &drawn).map_err(draw_error)?;
            write_png(folder.join("panel.png"), picture.view())
        };
        let arrays = || self.write_maps(folder, &drawn);
        let (answers, (together, (arrays, page))) = rayon::join(answers, || {
            rayon::join(together, || rayon::join(arrays, || self.write_page(folder)))
        });
        answers.and(together).and(arrays).and(page)?;
        if let Some((checks, _)) = self.checks {
            self.write_checks(folder, checks)?;
        }

        let manifest = self.manifest(drawn.into_iter().map(|d| d.entry).collect());
        manifest.write(folder)?;
        Ok(manifest)
    }

    /// What [`write`](Self::write) would say in the manifest, with no files.
    pub fn describe(&self) -> Manifest {
        let names = self.file_names();
        let answers = self.explanation.answers.iter().zip(&names);
        let entries =
            answers.map(|(answer, name)| self.entry(answer, name, answer.is_empty())).collect();
        Manifest { files: Vec::new(), ..self.manifest(entries) }
    }

    /// The part of the photograph that the network saw.
    pub(crate) fn photo(&self) -> Array3<u8> {
        let seen = self.subject.prepared.seen;
        let longest = self.drawing.picture_size;
        crop_and_fit(self.subject.pixels, seen.x, seen.y, seen.width, seen.height, longest)
    }

    pub(crate) fn draw(
        &self,
        answer: &Answer,
        name: &str,
        photo: ArrayView3<'_, u8>,
    ) -> Result<Drawn, DrawError> {
        let (height, width, _) = photo.dim();
        let side = self.subject.preprocessing.input_size();
        let display = answer.display(side, side);
        let Drawing { style, colormap, .. } = self.drawing;
        let map = match style {
            Style::Signed => resize_bilinear(answer.raw.view(), height, width),
            Style::Authors | Style::Blend => answer.display(height, width).map,
        };
        let picture = overlay(photo, map.view(), style, colormap)?;
        let entry = self.entry(answer, name, display.empty);
        Ok(Drawn { entry, display: display.map, picture })
    }

    /// What the manifest says of an answer.
    fn entry(&self, answer: &Answer, name: &str, empty: bool) -> Answered {
        let evidence = answer.evidence();
        let (min, max) = answer.range();
        let asked = answer.asked;
        let class = |index| Class { index, name: self.classes.name(index).to_owned() };
        Answered {
            question: asked.question.name(),
            text: title(self.classes, answer),
            note: note(empty, evidence),
            class: class(asked.class),
            contrast: asked.contrast.map(class),
            form: asked.form.name(),
            map: asked.map_name(),
            picture: name.to_owned(),
            min,
            max,
            empty,
            nearly_empty: !empty && evidence.is_nearly_empty(),
            positive_share: evidence.share,
            positive_area: evidence.area,
        }
    }

    /// What the network says of the photograph, and what comes next.
    pub(crate) fn caption(&self) -> (String, String) {
        let top = self.top(3);
        let says = format!(
            "{}: {}",
            self.classes.short(self.explanation.predicted),
            percent(self.explanation.probabilities[self.explanation.predicted])
        );
        let then: Vec<String> = top
            .iter()
            .filter(|scored| scored.index != self.explanation.predicted)
            .map(|s| format!("{} {}", self.classes.short(s.index), percent(s.probability)))
            .collect();
        let then =
            if then.is_empty() { String::new() } else { format!("then {}", then.join(", ")) };
        let then = match &self.second_stage {
            Some(second) => {
                let Scored { index, probability, .. } = second.prediction;
                let (class, share) = (self.classes.short(index), percent(probability));
                format!("{then}\non reflection: {class}: {share}")
            }
            None => then,
        };
        (says, then)
    }

    fn panel(&self, photo: ArrayView3<'_, u8>, drawn: &[Drawn]) -> Result<Array3<u8>, DrawError> {
        let (says, then) = self.caption();
        let mut tiles = vec![Tile { picture: photo, title: &says, detail: &then }];
        tiles.extend(drawn.iter().map(|d| Tile {
            picture: d.picture.view(),
            title: &d.entry.text,
            detail: &d.entry.note,
        }));
        panel(&tiles, Some(self.drawing.legend()))
    }

    /// `report.html`, where further questions can be asked.
    fn write_page(&self, folder: &Path) -> Result<(), WriteError> {
        let Some(maps) = self.maps else { return Ok(()) };
        let asked = self.explanation.answers.first().map(|answer| answer.asked.class);
        let explorer = Explorer {
            subject: self.subject,
            layer: self.session.layer(),
            logits: self.explanation.logits.view(),
            maps,
            asked: asked.unwrap_or(self.explanation.predicted),
            other: self.explanation.answers.iter().find_map(|answer| answer.asked.contrast),
            classes: self.classes,
            drawing: self.drawing,
            second_stage: self.second_stage.clone(),
            verdicts: &self.verdicts,
            voice: None,
            facts: facts(self.session, self.layer_shape, self.command),
        };
        let page = explorer
            .page()
            .map_err(|source| WriteError::Picture { path: folder.to_owned(), source })?;
        let path = folder.join("report.html");
        std::fs::write(&path, page).map_err(|source| WriteError::Io { path, source })
    }

    fn write_maps(&self, folder: &Path, drawn: &[Drawn]) -> Result<(), WriteError> {
        let shown: Vec<String> = drawn.iter().map(|d| format!("{}_display", d.entry.map)).collect();
        let mut arrays = Vec::with_capacity(2 * drawn.len());
        for ((answer, d), shown) in self.explanation.answers.iter().zip(drawn).zip(&shown) {
            arrays.push((d.entry.map.as_str(), answer.raw.view().into_dyn()));
            arrays.push((shown.as_str(), d.display.view().into_dyn()));
        }
        write_npz(folder.join("maps.npz"), &arrays)
    }

    fn write_checks(&self, folder: &Path, checks: &[MapCheck]) -> Result<(), WriteError> {
        let answered = |check: &MapCheck| {
            let answers = &self.explanation.answers;
            let answer = answers.iter().find(|answer| answer.asked == check.asked);
            answer.map(|answer| title(self.classes, answer)).unwrap_or_default()
        };
        let table = folder.join(CURVES);
        let curves = curves_csv(checks)
            .map_err(|source| WriteError::Table { path: table.clone(), source })?;
        let plot = curves_plot(checks, &answered);
        for (path, bytes) in [(table, curves), (folder.join(PLOT), plot.into_bytes())] {
            std::fs::write(&path, bytes).map_err(|source| WriteError::Io { path, source })?;
        }
        Ok(())
    }

    /// File names of the answers' pictures; two contrasts never share one.
    fn file_names(&self) -> Vec<String> {
        let mut taken = HashSet::new();
        self.explanation
            .answers
            .iter()
            .map(|answer| {
                let name = match answer.asked.contrast {
                    None => answer.asked.question.name().to_owned(),
                    Some(other) => {
                        let slug = slug(&self.classes.short(other));
                        let plain = format!("rather-than-{slug}");
                        if slug.is_empty() || taken.contains(&plain) {
                            format!("{}-{other}", plain.trim_end_matches('-'))
                        } else {
                            plain
                        }
                    }
                };
                taken.insert(name.clone());
                name + ".png"
            })
            .collect()
    }

    fn top(&self, count: usize) -> Vec<Scored> {
        let logits = &self.explanation.logits;
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| {
            logits[b].partial_cmp(&logits[a]).unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(&b))
        });
        order.into_iter().take(count).map(|index| self.scored(index)).collect()
    }

    pub(crate) fn scored(&self, index: usize) -> Scored {
        Scored {
            index,
            name: self.classes.name(index).to_owned(),
            logit: self.explanation.logits[index],
            probability: self.explanation.probabilities[index],
        }
    }

    pub(crate) fn manifest(&self, questions: Vec<Answered>) -> Manifest {
        let Self { subject, session, explanation, drawing, .. } = self;
        let classifier = session.classifier();
        let seen = subject.prepared.seen;
        let mut files: Vec<String> = questions.iter().map(|q| q.picture.clone()).collect();
        let page = self.maps.map(|_| "report.html");
        files.extend(page.into_iter().chain(["panel.png", "maps.npz"]).map(str::to_owned));
        if self.checks.is_some() {
            files.extend([CURVES, PLOT].map(str::to_owned));
        }
        files.push("manifest.json".to_owned());
        Manifest {
            schema_version: SCHEMA_VERSION,
            tool: TOOL,
            version: env!("CARGO_PKG_VERSION"),
            command: self.command.to_owned(),
            image: subject.image.clone(),
            stored: subject.stored.clone(),
            model: classifier.name().to_owned(),
            weights: classifier.origin().to_owned(),
            weights_sha256: classifier.sha256().to_owned(),
            runtime: classifier.runtime().clone(),
            layer: session.layer().to_owned(),
            layer_shape: self.layer_shape,
            gradient: if session.has_closed_form() { "closed-form" } else { "adjoint" },
            preprocessing: subject.preprocessing.clone(),
            seen: Seen { x: seen.x, y: seen.y, width: seen.width, height: seen.height },
            prediction: self.scored(explanation.predicted),
            top5: self.top(5),
            second_stage: self.second_stage.clone(),
            questions,
            verdicts: self.verdicts.clone(),
            checks: self.checks.map(|(maps, options)| Checks::new(maps, options)),
            style: drawing.style.name(),
            colormap: drawing.colormap.name(),
            files,
            logits: explanation.logits.to_vec(),
        }
    }
}

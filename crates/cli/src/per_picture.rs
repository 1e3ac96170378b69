//! What commands share that write a folder for each picture: going through the pictures, one failing without the
//! others, words and JSON, how maps are drawn.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use introspective_data::{Picture, PictureInfo};
use introspective_explain::Explanation;
use introspective_report::manifest::{BatchEntry, BatchManifest, CheckedSet, Manifest, Stored};
use introspective_report::{Drawing, RunFolder, Style, unique_names};
use serde::Serialize;
use serde_json::json;

use crate::args::StyleArg;
use crate::interrupt::Interrupt;
use crate::pictures::{Images, ReadAhead};
use crate::{advice, check, output};

/// Graph optimisation costs tens of milliseconds when loading and gives some per picture.
pub const WORTH_OPTIMISING: usize = 8;

/// How many of the most probable classes can be clicked in a picture's page.
const CLICKABLE: usize = 10;

/// What is done for each picture.
pub trait Work {
    /// What is known of a picture afterwards.
    type Manifest: Serialize;

    /// Does it for one picture, into an existing folder.
    fn work(&self, image: &str, picture: Picture, folder: &Path) -> Result<Self::Manifest>;

    /// The part of the manifest that all have.
    fn explanation(manifest: &Self::Manifest) -> &Manifest;

    /// The answers in words.
    fn say(&self, manifest: &Self::Manifest, place: &Path) -> Result<()>;
}

/// Where results go.
pub struct Run<'a> {
    pub folder: &'a RunFolder,
    pub command: &'a str,
    /// Print manifests rather than words.
    pub json: bool,
}

impl Run<'_> {
    /// Works on every picture; one that fails does not stop the others.
    pub fn over<W: Work>(
        &self,
        work: &W,
        images: &Images,
        pictures: ReadAhead,
        interrupt: &Interrupt,
    ) -> Result<ExitCode> {
        match images {
            Images::Sample | Images::One(_) => self.one(work, pictures),
            Images::Many(paths) => self.many(work, pictures, paths, interrupt),
        }
    }

    fn one<W: Work>(&self, work: &W, mut pictures: ReadAhead) -> Result<ExitCode> {
        let (name, picture) = pictures.next().context("the picture could not be read")?;
        let staged = self.folder.stage()?;
        match guarded(work, &name, picture, staged.path()) {
            Ok(manifest) => {
                let place = staged.commit_into(None)?;
                self.print(work, &manifest, &place)?;
                let caveat = check::caveat(W::explanation(&manifest).checks.is_some());
                self.say(caveat.map(|line| format!("  {line}")))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(error) if self.json => {
                self.failed(&name, &error)?;
                Ok(ExitCode::from(2))
            }
            Err(error) => Err(error),
        }
    }

    fn many<W: Work>(
        &self,
        work: &W,
        pictures: ReadAhead,
        paths: &[PathBuf],
        interrupt: &Interrupt,
    ) -> Result<ExitCode> {
        let progress = self.progress(paths.len());
        let mut entries = Vec::with_capacity(paths.len());
        let mut failures = 0;
        let mut checked = Vec::new();
        let mut unheard = None;
        // Whoever reads stdout may go away, or its disk be full: that does not stop the pictures still to come.
        for ((name, picture), stem) in pictures.zip(unique_names(paths)) {
            let staged = self.folder.stage()?;
            match guarded(work, &name, picture, staged.path()) {
                Ok(manifest) => {
                    let place = staged.commit_into(Some(&stem))?;
                    let printed = progress.suspend(|| self.print(work, &manifest, &place));
                    unheard = unheard.or(printed.err());
                    checked.extend(check::of_questions(W::explanation(&manifest)));
                    entries.push(BatchEntry::Explained {
                        image: name,
                        folder: stem,
                        prediction: W::explanation(&manifest).prediction.clone(),
                    });
                }
                Err(error) => {
                    failures += 1;
                    unheard = unheard.or(progress.suspend(|| self.failed(&name, &error)).err());
                    entries.push(BatchEntry::Failed { image: name, error: output::chain(&error) });
                }
            }
            progress.inc(1);
            if interrupt.came() {
                break;
            }
        }
        progress.finish_and_clear();
        let done = entries.len();
        if failures == done {
            // nothing was committed, so an earlier run stays
            eprintln!("error: none of {failures} pictures could be explained");
            return Ok(ExitCode::from(2));
        }
        let mut index = BatchManifest::new(self.command, entries);
        index.checks = CheckedSet::of(checked.iter().map(|(question, map)| (*question, map)));
        unheard = unheard.or(self.say(check::set_lines(&index)).err());
        let staged = self.folder.stage()?;
        index.write(staged.path())?;
        staged.commit_into(None)?;
        if let Some(error) = unheard.filter(|error| !output::is_broken_pipe(error)) {
            return Err(error);
        }
        if done < paths.len() {
            eprintln!("interrupted after {done} of {} pictures; those are in place", paths.len());
            return Ok(ExitCode::from(Interrupt::EXIT_CODE));
        }
        if failures > 0 {
            eprintln!("error: {failures} of {} pictures could not be explained", paths.len());
            return Ok(ExitCode::from(2));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Lines for people.
    fn say(&self, lines: impl IntoIterator<Item = String>) -> Result<()> {
        lines.into_iter().filter(|_| !self.json).try_for_each(|line| output::line(&line))
    }

    /// A bar on stderr, absent when it is no terminal or with `--json`.
    fn progress(&self, count: usize) -> ProgressBar {
        if self.json {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(count as u64);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} pictures, {eta} left");
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    /// A finished picture: its manifest as a line of JSON, or the answers in words.
    fn print<W: Work>(&self, work: &W, manifest: &W::Manifest, place: &Path) -> Result<()> {
        if self.json {
            return output::line(&serde_json::to_string(manifest)?);
        }
        work.say(manifest, place)
    }

    /// A picture that could not be explained: a line of JSON, or words on stderr.
    fn failed(&self, name: &str, error: &anyhow::Error) -> Result<()> {
        if self.json {
            let line = json!({"image": name, "error": output::chain(error)});
            return output::line(&line.to_string());
        }
        // errors about the file itself begin with its name, those about the network do not
        let text = output::chain(error);
        let text = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text);
        eprintln!("error: {name}: {text}");
        if let Some(advice) = advice::for_error(error) {
            eprintln!("  {advice}");
        }
        Ok(())
    }
}

/// A panic becomes an error.
fn guarded<W: Work>(
    work: &W,
    image: &str,
    picture: Result<Picture>,
    folder: &Path,
) -> Result<W::Manifest> {
    output::without_panics(|| work.work(image, picture?, folder))
        .unwrap_or_else(|panic| Err(anyhow!(panic)))
}

/// How a picture was stored, for the manifest.
pub fn stored(info: PictureInfo) -> Stored {
    Stored {
        width: info.width,
        height: info.height,
        format: info.format,
        colour: info.colour,
        orientation: info.orientation,
    }
}

/// How the flags say that maps are drawn.
///
/// # Errors
/// There is no such colour map, or it does not suit the style.
pub fn drawing(style: StyleArg, colormap: Option<&str>, picture_size: u32) -> Result<Drawing> {
    let style = Style::from(style);
    let colormap = match colormap {
        Some(name) => name.parse()?,
        None => style.default_colormap(),
    };
    style.check(colormap)?;
    Ok(Drawing { style, colormap, picture_size: picture_size as usize })
}

/// Classes that can be clicked in a picture's page: those asked about and the most probable ones.
pub fn to_click(explanation: &Explanation) -> Vec<usize> {
    let logits = &explanation.logits;
    let mut likely: Vec<usize> = (0..logits.len()).collect();
    likely.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    likely.truncate(CLICKABLE);
    let asked = explanation.answers.iter().map(|answer| answer.asked);
    asked.flat_map(|asked| [Some(asked.class), asked.contrast]).flatten().chain(likely).collect()
}

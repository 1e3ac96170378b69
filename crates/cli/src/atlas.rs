//! `introspect atlas`.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use introspective_data::Picture;
use introspective_explain::atlas;
use introspective_network::{ClassNames, Preprocessing, Session, SessionOptions, Threads};
use introspective_report::manifest::{AtlasManifest, Manifest};
use introspective_report::{AtlasReport, Drawing, RunFolder, Subject};

use crate::args::AtlasArgs;
use crate::interrupt::Interrupt;
use crate::per_picture::{Run, WORTH_OPTIMISING, Work, drawing, stored};
use crate::pictures::Images;
use crate::preprocessing::preprocessing;
use crate::{check, network, output, run_folder};

/// Where results go unless `--out` says otherwise.
const DEFAULT_OUT: &str = "introspect-atlas";

/// Maps all classes for every picture; one that cannot be explained does not stop the others.
pub fn run(args: &AtlasArgs) -> Result<ExitCode> {
    output::limit_threads(args.threads)?;
    let images = Images::find(&args.images)?;
    // from here on hidden folders come and go, which a signal must not leave behind
    let interrupt = Interrupt::watch()?;
    // before the network is read, which may take long
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_OUT));
    let folder = RunFolder::open(out, run_folder::existing(args.out.as_deref(), args.force))?;
    let pictures = images.read_ahead();
    let drawing = drawing(args.style, args.colormap.as_deref(), args.picture_size)?;

    // the process ends after this, and giving the weights back piece by piece takes a tenth of its time
    let mut opened = ManuallyDrop::new(network::open(&args.network)?);
    network::choose_runtime(&args.runtime, &mut opened.classifier, images.count())?;
    let classes = network::class_names(args.classes.as_deref(), &args.network, &opened)?;
    let preprocessing = preprocessing(&args.preprocessing, &opened)?;
    let options = SessionOptions {
        layer: args.layer.clone(),
        threads: args.threads.map(usize::from).map(Threads::new),
        optimise: images.count() >= WORTH_OPTIMISING,
        ..SessionOptions::default()
    };
    let session = ManuallyDrop::new(Session::new(&opened.classifier, &options)?);
    let job = Job {
        session: &session,
        classes: &classes,
        preprocessing: &preprocessing,
        drawing,
        top: args.top.into(),
        command: output::command_line(),
    };
    let run = Run { folder: &folder, command: &job.command, json: args.json };
    run.over(&job, &images, pictures, &interrupt)
}

/// Everything that is the same for all pictures.
struct Job<'a> {
    session: &'a Session<'a>,
    classes: &'a ClassNames,
    preprocessing: &'a Preprocessing,
    drawing: Drawing,
    top: usize,
    command: String,
}

impl Work for Job<'_> {
    type Manifest = AtlasManifest;

    fn work(&self, image: &str, picture: Picture, folder: &Path) -> Result<AtlasManifest> {
        let prepared = self.preprocessing.apply(picture.pixels.view())?;
        let observation = self.session.observe(prepared.input.view())?;
        let atlas = atlas(self.session, &observation)?;
        let (channels, height, width) = observation.activations.dim();
        drop(observation);
        let subject = Subject {
            image: image.to_owned(),
            stored: stored(picture.info),
            pixels: picture.pixels.view(),
            preprocessing: self.preprocessing,
            prepared: &prepared,
        };
        let report = AtlasReport {
            subject: &subject,
            session: self.session,
            atlas: &atlas,
            top: self.top,
            layer_shape: [channels, height, width],
            classes: self.classes,
            drawing: self.drawing,
            command: &self.command,
        };
        Ok(report.write(folder)?)
    }

    fn explanation(manifest: &AtlasManifest) -> &Manifest {
        &manifest.explanation
    }

    fn say(&self, manifest: &AtlasManifest, place: &Path) -> Result<()> {
        let prediction = &manifest.explanation.prediction;
        let predicted = self.classes.short(prediction.index);
        output::line(&format!(
            "{}: {predicted} {:.3}",
            manifest.explanation.image, prediction.probability
        ))?;
        let shown: Vec<_> = manifest.ranking.iter().filter(|ranked| ranked.shown).collect();
        if !shown.is_empty() {
            output::line(&format!("  why {predicted}, rather than"))?;
        }
        let names: Vec<String> = shown.iter().map(|r| self.classes.short(r.class.index)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        for (ranked, name) in shown.iter().zip(&names) {
            let differs = match ranked.distance {
                Some(distance) => format!("distance {distance:.2}"),
                None => "nothing to compare with".to_owned(),
            };
            let p = ranked.class.probability;
            output::line(&format!("    {name:<width$}  p {p:.3}  {differs}"))?;
        }
        if let Some(voice) = &manifest.voice {
            let number = |value: Option<f64>| {
                value.map_or_else(|| "none".to_owned(), |value| format!("{value:.2}"))
            };
            output::line(&format!(
                "  VOICE of {} contrasts ({} empty): signal to noise {}, overlap with the explanation {}",
                voice.contrasts,
                manifest.empty_contrasts,
                number(voice.snr),
                number(voice.iou),
            ))?;
        }
        for line in check::lines(&manifest.explanation) {
            output::line(&format!("  {line}"))?;
        }
        output::line(&format!("  {}", place.join("atlas.png").display()))
    }
}

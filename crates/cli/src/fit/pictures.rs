//! The network run over the pictures, and over changed copies of them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use introspective_data::Augmentation;
use introspective_reflect::Reads;
use serde_json::json;

use crate::args::{AugmentArg, FitArgs, SplitArg};
use crate::interrupt::Interrupt;
use crate::second::bar;
use crate::second::corruption::Mixed;
use crate::second::extract::Reader;
use crate::second::recipe::Settings;
use crate::second::sensing::Reading;
use crate::second::source::{Labelled, Network, Source};

/// Runs the network over the pictures, and the changed copies of them.
pub fn source(
    args: &FitArgs,
    settings: &Settings,
    network: &Network,
    data: &Path,
    work: &Path,
    interrupt: &Interrupt,
) -> Result<Source> {
    let part = args.data.split.unwrap_or(SplitArg::Train);
    let labelled = Labelled::open(data, part, args.data.split.is_some(), network)?;
    let images = labelled.set.len();
    let augmentation = augmentation(args.augment);
    let corruption = Mixed::new(&settings.corruption, &settings.severity)?;
    let changed = augmentation.is_some() || corruption.is_some();
    let copies = if changed { settings.copies } else { 0 };
    let count = images * (1 + copies);

    let (set, seed, mixed) = (Arc::clone(&labelled.set), args.seed, corruption.clone());
    let read: Arc<Reader> = Arc::new(move |number| {
        let mut picture = set.picture(number % images)?;
        if number < images {
            return Ok(picture);
        }
        if let Some(augmentation) = augmentation {
            picture = augmentation.apply(picture, seed, number as u64);
        }
        match &mixed {
            Some(mixed) => mixed.apply(picture, seed, number as u64),
            None => Ok(picture),
        }
    });
    // whoever keeps the features may fit any head on them
    let stages = args.save_features.is_some() || settings.reads == Reads::Activations;
    let reading = Reading { stages, own: own_share(args, settings, network)? };
    let sensing = network.sensing(reading)?;
    let progress = bar(!args.json, count, "pictures");
    let extraction = network.extraction(&sensing, interrupt, &progress);
    let identity = json!({
        "classifier": network.opened.classifier.sha256(),
        "data": labelled.set.fingerprint(),
        "preprocessing": &network.preprocessing,
        "augment": format!("{:?}", args.augment),
        "corruption": corruption.as_ref().map(Mixed::names),
        "copies": copies,
        "seed": if copies > 0 { Some(seed) } else { None },
        "runtime": network.opened.classifier.runtime(),
        "batch": extraction.batch,
        "activations": sensing.width(),
        "own_share": reading.own,
    });
    let name = |number: usize| labelled.set.name(number % images);
    let extracted = extraction.collect_stored(count, &read, &name, work, &identity.to_string());
    progress.finish_and_clear();
    let extracted = extracted?;
    if extracted.rows.is_empty() {
        bail!("{}: none of {images} pictures could be read", data.display());
    }
    let rows = extracted.rows.clone();
    let labels: Vec<usize> = (0..count).map(|number| labelled.labels[number % images]).collect();
    let mut features = network.features(extracted, reading, &labels)?;
    // clean ones come first, and of those some may be known to be new to the network
    if let Some(held) = labelled.held_out_in_training(network)? {
        let mut unseen = vec![false; images];
        for index in held {
            unseen[index] = true;
        }
        features.held_out = rows.iter().map(|&row| unseen[row % images]).collect();
    }
    let clean = rows.iter().filter(|&&row| row < images).count();
    let of: Vec<usize> = rows.iter().map(|row| row % images).collect();
    if copies > 0 {
        let change = |&row: &usize| match &corruption {
            _ if row < images => String::new(),
            Some(mixed) => mixed
                .draw(seed, row as u64)
                .map_or("", |(corruption, _)| corruption.name())
                .to_owned(),
            None => format!("{:?}", args.augment).to_lowercase(),
        };
        features.changes = rows.iter().map(change).collect();
        features.images = of.clone();
    }
    let mut facts = labelled.facts(data);
    facts.insert("images".to_owned(), json!(clean));
    facts.insert("left_out".to_owned(), json!(images - clean));
    facts.insert("augment".to_owned(), json!(format!("{:?}", args.augment).to_lowercase()));
    if let Some(mixed) = &corruption {
        facts.insert("corruption".to_owned(), json!(mixed.names()));
    }
    facts.insert("copies".to_owned(), json!(copies));
    facts.insert("preprocessing".to_owned(), serde_json::to_value(&network.preprocessing)?);
    Ok(Source { features, images: of, owner: network.owner(), facts })
}

/// Share of own statistics in the second pass: what a recipe wants is left out where a network has no batch normalisations,
/// what a flag wants is not.
fn own_share(args: &FitArgs, settings: &Settings, network: &Network) -> Result<Option<f32>> {
    let without = network.opened.classifier.batch_norms() == 0;
    if settings.own.is_some() && args.own_statistics.is_none() && without {
        eprintln!(
            "note: the network has no batch normalisations (or an exporter folded them): no second pass, H reads the first alone"
        );
        return Ok(None);
    }
    Ok(settings.own)
}

fn augmentation(arg: AugmentArg) -> Option<Augmentation> {
    match arg {
        AugmentArg::None => None,
        AugmentArg::Flip => Some(Augmentation::Flip),
        AugmentArg::CropFlip => Some(Augmentation::CropFlip),
        AugmentArg::Mild => Some(Augmentation::Mild),
    }
}

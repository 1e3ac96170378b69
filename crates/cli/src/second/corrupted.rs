//! Corrupted images from files, in the layouts of CIFAR-10-C and ImageNet-C, as the same images in the same order as clean
//! ones.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use introspective_corrupt::{Corruption, Severity};
use introspective_data::arrays::{PictureArray, read_integers};
use introspective_data::{LabelledSet, OpenOptions, SetKind};
use serde_json::Value;

use super::corruption::{corruptions, severities};
use super::extract::Reader;
use crate::corrupt::RECORD;

/// CIFAR-10-C's labels, of the images of every array.
const LABELS: &str = "labels.npy";

/// How corrupted images lie in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `<corruption>.npy`, the severities one after the other, and `labels.npy`.
    Arrays,
    /// `<corruption>/<severity>/<path of the clean picture>`.
    Folders,
}

impl Layout {
    /// The layout of a folder; none if it holds nothing that is called as a corruption.
    pub fn of(folder: &Path) -> Option<Self> {
        let array = |one: Corruption| folder.join(format!("{}.npy", one.name())).is_file();
        let severity = |one: Corruption| {
            let inside = folder.join(one.name());
            (1..=5u8).any(|severity| inside.join(severity.to_string()).is_dir())
        };
        if Corruption::ALL.into_iter().any(array) {
            Some(Self::Arrays)
        } else if Corruption::ALL.into_iter().any(severity) {
            Some(Self::Folders)
        } else {
            None
        }
    }

    /// Whose it is.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arrays => "CIFAR-10-C",
            Self::Folders => "ImageNet-C",
        }
    }
}

/// A folder of corrupted images, held against the clean ones.
pub struct CorruptedFiles {
    folder: PathBuf,
    clean: Arc<LabelledSet>,
    layout: Layout,
    /// Severities of each array, in its order.
    order: Vec<Severity>,
}

impl CorruptedFiles {
    /// Opens `folder`, whose images are those of `clean` with corruptions.
    ///
    /// # Errors
    /// There is nothing of either layout, or labels say that the images are others, or in another order.
    pub fn open(folder: &Path, clean: &Arc<LabelledSet>) -> Result<Self> {
        let place = folder.display();
        if !folder.is_dir() {
            bail!("--corrupted {place}: there is no such folder");
        }
        let Some(layout) = Layout::of(folder) else {
            bail!(
                "--corrupted {place}: holds no corrupted images; expected <corruption>.npy and {LABELS} (CIFAR-10-C) or \
                 <corruption>/<severity>/ with the clean pictures' paths below (ImageNet-C), as `introspect corrupt` writes them"
            );
        };
        if layout == Layout::Folders && clean.kind() != SetKind::Folder {
            bail!(
                "--corrupted {place}: its pictures (ImageNet-C's layout) are found by the paths of the clean ones, and those of \
                 --data have none: they are {}; give a folder of pictures as --data",
                clean.kind().as_str()
            );
        }
        let order = if layout == Layout::Arrays { order(folder)? } else { Vec::new() };
        let this = Self { folder: folder.to_owned(), clean: Arc::clone(clean), layout, order };
        if layout == Layout::Arrays {
            this.check_labels()?;
        }
        Ok(this)
    }

    /// How the images lie.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The corruptions and severities that are named, all that there are in place of none; each condition is there.
    ///
    /// # Errors
    /// A name is none, or images of a condition are missing.
    pub fn select(
        &self,
        names: &[String],
        numbers: &[u8],
    ) -> Result<(Vec<Corruption>, Vec<Severity>)> {
        let corruptions = if names.is_empty() { self.corruptions() } else { corruptions(names)? };
        let severities = if numbers.is_empty() {
            let there = corruptions.iter().flat_map(|&one| self.severities(one));
            severities(&there.collect::<Vec<_>>())?
        } else {
            severities(numbers)?
        };
        if let (Some(first), []) = (corruptions.first(), &severities[..]) {
            let folder = self.folder.join(first.name());
            bail!("--corrupted {}: there are no folders of severities, 1 to 5", folder.display());
        }
        for &corruption in &corruptions {
            for &severity in &severities {
                self.images(corruption, severity)?;
            }
        }
        Ok((corruptions, severities))
    }

    /// Reads the images of a condition by the numbers of the clean ones.
    ///
    /// # Errors
    /// The condition is not there, or not of the same images.
    pub fn images(&self, corruption: Corruption, severity: Severity) -> Result<Arc<Reader>> {
        match self.layout {
            Layout::Arrays => {
                let (array, start) = self.array(corruption, severity)?;
                Ok(Arc::new(move |number| Ok(array.picture(start + number)?)))
            }
            Layout::Folders => {
                let set = self.set(corruption, severity)?;
                let places = matched(&self.clean, &set)?;
                Ok(Arc::new(move |number| Ok(set.picture(places[number])?)))
            }
        }
    }

    /// What tells the images of a condition from others: of arrays every byte, of folders names and lengths of files.
    pub fn fingerprint(&self, corruption: Corruption, severity: Severity) -> Result<String> {
        match self.layout {
            Layout::Arrays => {
                let (array, start) = self.array(corruption, severity)?;
                Ok(array.fingerprint(start..start + self.clean.len())?)
            }
            Layout::Folders => Ok(self.set(corruption, severity)?.fingerprint()),
        }
    }

    /// The corruptions of which there is something.
    fn corruptions(&self) -> Vec<Corruption> {
        let there = |one: &Corruption| match self.layout {
            Layout::Arrays => self.file(*one).is_file(),
            Layout::Folders => !self.severities(*one).is_empty(),
        };
        Corruption::ALL.into_iter().filter(there).collect()
    }

    /// The severities of a corruption.
    fn severities(&self, corruption: Corruption) -> Vec<u8> {
        match self.layout {
            Layout::Arrays => self.order.iter().map(|severity| severity.get()).collect(),
            Layout::Folders => {
                let inside = self.folder.join(corruption.name());
                (1..=5).filter(|severity| inside.join(severity.to_string()).is_dir()).collect()
            }
        }
    }

    fn file(&self, corruption: Corruption) -> PathBuf {
        self.folder.join(format!("{}.npy", corruption.name()))
    }

    /// The array of a corruption, and where a severity begins in it.
    fn array(&self, corruption: Corruption, severity: Severity) -> Result<(PictureArray, usize)> {
        let (path, clean) = (self.file(corruption), self.clean.len());
        let array = PictureArray::open(&path).context("--corrupted")?;
        let severities: Vec<String> =
            self.order.iter().map(|severity| severity.get().to_string()).collect();
        let severities = severities.join(", ");
        if array.len() != clean * self.order.len() {
            bail!(
                "--corrupted {}: holds {} images; expected {}, the {clean} images of --data at severities {severities}, one \
                 severity after the other",
                path.display(),
                array.len(),
                clean * self.order.len()
            );
        }
        let Some(place) = self.order.iter().position(|&one| one == severity) else {
            bail!(
                "--corrupted {}: holds severities {severities}, not {}",
                path.display(),
                severity.get()
            );
        };
        Ok((array, place * clean))
    }

    /// The pictures of a condition.
    fn set(&self, corruption: Corruption, severity: Severity) -> Result<LabelledSet> {
        let mut folder = self.folder.join(corruption.name()).join(severity.get().to_string());
        // a folder with parts was corrupted as a whole
        if let Some(part) = self.clean.part().filter(|part| folder.join(part).is_dir()) {
            folder = folder.join(part);
        }
        LabelledSet::open(&folder, OpenOptions::default()).context("--corrupted")
    }

    /// Labels must be those of the clean images, in their order, once for every severity.
    fn check_labels(&self) -> Result<()> {
        let path = self.folder.join(LABELS);
        let (found, clean) = (read_integers(&path).context("--corrupted")?, self.clean.len());
        let expected = clean * self.order.len();
        if found.len() != expected {
            bail!(
                "--corrupted {}: holds {} labels; expected {expected}, those of the {clean} images of --data {} times",
                path.display(),
                found.len(),
                self.order.len()
            );
        }
        for (number, &label) in found.iter().enumerate() {
            let image = number % clean;
            let class = self.clean.label(image);
            if usize::try_from(label).ok() == Some(class) {
                continue;
            }
            let classes = self.clean.classes();
            let name = |class: usize| classes.get(class).map_or("no class", String::as_str);
            let wrong = usize::try_from(label).unwrap_or(usize::MAX);
            bail!(
                "--corrupted {}: label {number} is {label} ({}), but image {image} of --data ({}) is of class {class} ({}); every \
                 condition must be of the same images in the same order, so give as --data the very set that was corrupted: of \
                 the published CIFAR-10-C that is the binary version of CIFAR-10 (test_batch.bin), not its pictures by class",
                path.display(),
                name(wrong),
                self.clean.name(image),
                name(class)
            );
        }
        Ok(())
    }
}

/// The severities of each array: all five as published, unless `introspect corrupt` says that it wrote others.
fn order(folder: &Path) -> Result<Vec<Severity>> {
    let path = folder.join(RECORD);
    let Ok(text) = fs::read_to_string(&path) else { return severities(&[1, 2, 3, 4, 5]) };
    let unfit = || format!("--corrupted {}: is no record of introspect corrupt", path.display());
    let record: Value = serde_json::from_str(&text).with_context(unfit)?;
    let Some(numbers) = record.get("severities") else { return severities(&[1, 2, 3, 4, 5]) };
    let numbers: Vec<u8> = serde_json::from_value(numbers.clone()).with_context(unfit)?;
    severities(&numbers).with_context(unfit)
}

/// For each clean picture the number of the corrupted one of its path, with or without another extension.
fn matched(clean: &LabelledSet, corrupted: &LabelledSet) -> Result<Vec<usize>> {
    let names = |set: &LabelledSet| -> Vec<PathBuf> {
        let below = |path: PathBuf| path.strip_prefix(set.root()).map(Path::to_owned).ok();
        (0..set.len()).map(|number| set.file(number).and_then(below).unwrap_or_default()).collect()
    };
    let (wanted, there) = (names(clean), names(corrupted));
    let folder = corrupted.root().display();
    let exact: HashMap<&Path, usize> =
        there.iter().enumerate().map(|(number, name)| (name.as_path(), number)).collect();
    let mut short: HashMap<PathBuf, Vec<usize>> = HashMap::new();
    for (number, name) in there.iter().enumerate() {
        short.entry(name.with_extension("")).or_default().push(number);
    }
    let mut owners: Vec<Option<usize>> = vec![None; there.len()];
    let mut places = Vec::with_capacity(wanted.len());
    let mut missing = Vec::new();
    for (number, name) in wanted.iter().enumerate() {
        // the extension is another, was kept before the new one, or replaced
        let replaced = || short.get(name).or_else(|| short.get(&name.with_extension("")));
        let place = match (exact.get(name.as_path()), replaced().map(Vec::as_slice)) {
            (Some(&place), _) | (None, Some(&[place])) => place,
            (None, Some(several)) if several.len() > 1 => bail!(
                "--corrupted {folder}: {} could be {} or {}; take one of them away",
                name.display(),
                there[several[0]].display(),
                there[several[1]].display()
            ),
            _ => {
                missing.push(name);
                continue;
            }
        };
        if let Some(other) = owners[place].replace(number) {
            bail!(
                "--corrupted {folder}: {} could be of {} and of {}; every clean picture needs its own",
                there[place].display(),
                wanted[other].display(),
                name.display()
            );
        }
        places.push(place);
    }
    if let Some(first) = missing.first() {
        bail!(
            "--corrupted {folder}: no picture of {} ({} of the {} pictures of --data are missing); every condition must be of \
             the same images",
            first.display(),
            missing.len(),
            wanted.len()
        );
    }
    Ok(places)
}

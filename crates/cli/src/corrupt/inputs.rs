//! What is to be corrupted: pictures with their names, or a set of arrays.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use introspective_data::{EXTENSIONS, LabelledSet, OpenOptions, SetKind, Split};
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::args::{CorruptArgs, SplitArg};

/// A picture's file and its name in the results, without an extension.
pub struct File {
    pub path: PathBuf,
    pub name: PathBuf,
}

/// Pictures, or a set of arrays.
pub enum Inputs {
    Files(Vec<File>),
    Set(LabelledSet),
}

impl Inputs {
    pub fn find(args: &CorruptArgs) -> Result<Self> {
        if let [only] = &args.inputs[..]
            && let Some(set) = set(only, args)?
        {
            return Ok(Self::Set(set));
        }
        let mut files = Vec::new();
        for input in &args.inputs {
            if input.is_dir() {
                let found = below(input)?;
                if found.is_empty() {
                    bail!("{}: no pictures in it or below", input.display());
                }
                files.extend(found);
            } else {
                let name = input.file_name().map_or_else(|| input.clone(), PathBuf::from);
                files.push(File { path: input.clone(), name });
            }
        }
        Ok(Self::Files(shortened(files)?))
    }

    /// What results depend on: names and their order, because a picture's number seeds its noise.
    pub fn fingerprint(&self) -> String {
        match self {
            Self::Set(set) => set.fingerprint(),
            Self::Files(files) => {
                let mut hash = Sha256::new();
                for file in files {
                    hash.update(file.name.as_os_str().as_encoded_bytes());
                    hash.update([0]);
                }
                hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
            }
        }
    }
}

/// CIFAR's binary files and IDX files are arrays; folders are read as folders of pictures whatever they mean.
fn set(path: &Path, args: &CorruptArgs) -> Result<Option<LabelledSet>> {
    let binary = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("bin"));
    if !path.is_dir() && !binary {
        return Ok(None);
    }
    let split = match args.split {
        Some(SplitArg::Train) => Split::Train,
        Some(SplitArg::Test) | None => Split::Test,
    };
    let options = OpenOptions { split: Some(split), class_names: None };
    match LabelledSet::open(path, options) {
        Ok(set) if set.kind() != SetKind::Folder => Ok(Some(set)),
        // a file of arrays that cannot be read is no picture either
        Err(error) if binary => Err(error.into()),
        _ => Ok(None),
    }
}

fn below(folder: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let hidden = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".");
    let entries = WalkDir::new(folder).sort_by_file_name().follow_links(true).into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name())) {
        let entry = entry?;
        let picture = entry.path().extension().is_some_and(|extension| {
            EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
        });
        if picture && entry.file_type().is_file() {
            let name = entry.path().strip_prefix(folder)?.to_owned();
            files.push(File { path: entry.into_path(), name });
        }
    }
    Ok(files)
}

/// Names without their extensions, where that leaves each a name of its own.
fn shortened(mut files: Vec<File>) -> Result<Vec<File>> {
    let mut counts: HashMap<PathBuf, usize> = HashMap::new();
    for file in &files {
        *counts.entry(file.name.with_extension("")).or_default() += 1;
    }
    let mut seen: HashMap<PathBuf, PathBuf> = HashMap::new();
    for file in &mut files {
        let short = file.name.with_extension("");
        if counts.get(&short) == Some(&1) {
            file.name = short;
        }
        if let Some(other) = seen.insert(file.name.clone(), file.path.clone()) {
            bail!(
                "{} and {} would have the same name in the results; corrupt them into different folders",
                other.display(),
                file.path.display()
            );
        }
    }
    Ok(files)
}

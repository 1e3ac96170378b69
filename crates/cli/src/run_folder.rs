//! What commands that write a folder share: what may be replaced, parts kept until a run is done, files of a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use introspective_report::Existing;
use introspective_report::manifest::{SCHEMA_VERSION, TOOL};
use serde_json::{Value, json};

use crate::output;

/// What may be replaced: with `--force` an earlier run, in the default place our own, else nothing.
pub fn existing(out: Option<&Path>, force: bool) -> Existing {
    match (out, force) {
        (_, true) => Existing::Force,
        (Some(_), false) => Existing::Refuse,
        (None, false) => Existing::ReplaceOurs,
    }
}

/// `OUT.work`, where parts of the work are kept until it is done; `what` left it if it is there.
///
/// # Errors
/// It is there, and neither to be gone on with nor to be begun anew.
pub fn work_folder(out: &Path, what: &str, resume: bool, force: bool) -> Result<PathBuf> {
    let name = out.file_name().with_context(|| format!("--out {}: no name", out.display()))?;
    let mut hidden = name.to_owned();
    hidden.push(".work");
    let work = out.with_file_name(hidden);
    if work.exists() && !resume {
        if !force {
            bail!(
                "{} is there, which an interrupted {what} left: --resume goes on with it, --force begins anew",
                work.display()
            );
        }
        fs::remove_dir_all(&work)
            .with_context(|| format!("{}: cannot be removed", work.display()))?;
    }
    make_folder(&work)?;
    Ok(work)
}

/// A folder, with those above it.
pub fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("{}: cannot be created", path.display()))
}

/// Writes files into a folder, and `manifest.json`, which names them and what they are of.
pub fn write_files(
    folder: &Path,
    files: &[(&str, String)],
    facts: &BTreeMap<String, Value>,
) -> Result<()> {
    let names = files.iter().map(|(name, _)| *name).chain(["manifest.json"]);
    let manifest = json!({
        "schema_version": SCHEMA_VERSION,
        "tool": TOOL,
        "version": env!("CARGO_PKG_VERSION"),
        "command": output::command_line(),
        "facts": facts,
        "files": names.collect::<Vec<_>>(),
    });
    let manifest = ("manifest.json", serde_json::to_string_pretty(&manifest)? + "\n");
    for (name, text) in files.iter().chain([&manifest]) {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    Ok(())
}

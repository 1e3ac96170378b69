//! Where the corrupted images of a study come from, and which there are.

use std::collections::BTreeMap;

use anyhow::Result;
use introspective_corrupt::{Corruption, Severity};
use serde_json::{Value, json};

use crate::args::RecognitionArgs;
use crate::second::corrupted::CorruptedFiles;
use crate::second::corruption::{corruptions, severities};

/// The corruptions and severities that the flags mean.
pub fn chosen(
    args: &RecognitionArgs,
    files: Option<&CorruptedFiles>,
) -> Result<(Vec<Corruption>, Vec<Severity>)> {
    if let Some(files) = files {
        return files.select(&args.corruption, &args.severity);
    }
    let names = if args.corruption.is_empty() { &["all".to_owned()][..] } else { &args.corruption };
    let numbers = if args.severity.is_empty() { &[1, 2, 3, 4, 5][..] } else { &args.severity };
    Ok((corruptions(names)?, severities(numbers)?))
}

/// Where corrupted images come from.
pub fn origin(args: &RecognitionArgs, files: Option<&CorruptedFiles>) -> BTreeMap<String, Value> {
    match (&args.corrupted, files) {
        (Some(folder), Some(files)) => BTreeMap::from([
            ("corrupted".to_owned(), json!(folder.display().to_string())),
            ("corrupted_layout".to_owned(), json!(files.layout().name())),
        ]),
        _ => BTreeMap::from([("corruption_seed".to_owned(), json!(args.seed))]),
    }
}

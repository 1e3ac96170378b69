//! A folder name for each of many pictures.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::folder::MANIFEST;

/// Room for a `-12` within the 255 bytes that file systems allow.
const LONGEST: usize = 200;

/// A name for each path: its file name without extension; where those clash, with it (`a.jpg`, `a.png`); where that
/// clashes still, the later ones get `-2`, `-3` and so on.
///
/// Names are safe as names of folders on any system: not empty, no separators or control characters, not hidden, at
/// most 200 bytes before a number, and not `manifest.json`, which the folder around them needs. They differ even
/// where capitals do not count. The same paths in the same order give the same names.
pub fn unique_names(paths: &[PathBuf]) -> Vec<String> {
    let stems: Vec<String> = paths.iter().map(|path| safe(&lossy(path.file_stem()))).collect();
    let mut uses: HashMap<String, usize> = HashMap::new();
    for stem in &stems {
        *uses.entry(stem.to_lowercase()).or_default() += 1;
    }
    let wanted: Vec<String> = stems
        .into_iter()
        .zip(paths)
        .map(|(stem, path)| {
            let alone = uses.get(&stem.to_lowercase()) == Some(&1);
            if alone && stem.to_lowercase() != MANIFEST { stem } else { with_extension(stem, path) }
        })
        .collect();

    // A number must not take a name that another picture has by right.
    let rightful: HashSet<String> = wanted.iter().map(|name| name.to_lowercase()).collect();
    let mut given: HashSet<String> = HashSet::from([MANIFEST.to_owned()]);
    let numbered = |name: &String, given: &HashSet<String>| {
        (2..).map(|k: usize| format!("{name}-{k}")).find(|name| {
            let plain = name.to_lowercase();
            !rightful.contains(&plain) && !given.contains(&plain)
        })
    };
    wanted
        .iter()
        .map(|name| {
            let name = if given.contains(&name.to_lowercase()) {
                numbered(name, &given).unwrap_or_else(|| name.clone())
            } else {
                name.clone()
            };
            given.insert(name.to_lowercase());
            name
        })
        .collect()
}

fn with_extension(stem: String, path: &Path) -> String {
    match path.extension() {
        Some(_) => safe(&lossy(path.file_name())),
        None => stem,
    }
}

fn lossy(name: Option<&std::ffi::OsStr>) -> String {
    name.unwrap_or_default().to_string_lossy().into_owned()
}

fn safe(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_control() || r#"/\:*?"<>|"#.contains(c) { '_' } else { c })
        .collect();
    // A leading dot hides a folder; Windows drops dots and spaces at the end.
    let mut plain = plain.trim_start_matches('.').trim_end_matches(['.', ' ']);
    while plain.len() > LONGEST {
        let mut letters = plain.chars();
        letters.next_back();
        plain = letters.as_str();
    }
    if plain.trim().is_empty() { "picture".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use proptest::prelude::*;

    use super::*;

    fn names(paths: &[&str]) -> Vec<String> {
        unique_names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    #[test]
    fn stems_do_where_they_differ() {
        assert_eq!(names(&["in/cat.jpg", "in/dog.tar.gz", "owl"]), ["cat", "dog.tar", "owl"]);
    }

    #[test]
    fn clashing_stems_keep_their_extension() {
        assert_eq!(names(&["a.jpg", "b.jpg", "x/a.png"]), ["a.jpg", "b", "a.png"]);
        assert_eq!(names(&["a.jpg", "A.png"]), ["a.jpg", "A.png"]);
        assert_eq!(names(&["a", "a.png"]), ["a", "a.png"]);
    }

    #[test]
    fn what_clashes_still_is_numbered_in_order() {
        assert_eq!(names(&["x/a.jpg", "y/a.jpg", "z/A.JPG"]), ["a.jpg", "a.jpg-2", "A.JPG-3"]);
        // The third has the name a.jpg-2 by right.
        assert_eq!(names(&["x/a.jpg", "y/a.jpg", "a.jpg-2.bmp"]), ["a.jpg", "a.jpg-3", "a.jpg-2"]);
        assert_eq!(names(&["a.jpg", "a.png", "a.jpg.bmp"]), ["a.jpg", "a.png", "a.jpg-2"]);
    }

    #[test]
    fn unsafe_names_are_made_safe() {
        assert_eq!(names(&["manifest.json.png"]), ["manifest.json.png"]);
        assert_eq!(names(&["manifest.json"]), ["manifest"]);
        assert_eq!(
            names(&["Manifest.JSON.png", "b/manifest.json.jpg"]),
            ["Manifest.JSON.png", "manifest.json.jpg"]
        );
        assert_eq!(names(&["..", "/", ""]), ["picture", "picture-2", "picture-3"]);
        assert_eq!(names(&["a:b?.png", "tab\there.png"]), ["a_b_", "tab_here"]);
        assert_eq!(names(&[".hidden.png", ".introspect-x.png"]), ["hidden", "introspect-x"]);
        assert_eq!(names(&["dots. . .png"]), ["dots"]);
        let long = names(&[&format!("{}.png", "ü".repeat(120))]);
        assert_eq!(long, ["ü".repeat(100)]);
    }

    proptest! {
        #[test]
        fn names_are_unique_and_plain(paths in prop::collection::vec("[aAbB./: -]{0,5}(\\.(jpg|png|json))?", 0..12)) {
            let found = names(&paths.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(found.len(), paths.len());
            let lower: HashSet<String> = found.iter().map(|name| name.to_lowercase()).collect();
            prop_assert_eq!(lower.len(), found.len(), "{:?}", found);
            for name in &found {
                prop_assert_ne!(name.to_lowercase(), MANIFEST);
                prop_assert!(!name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']), "{name:?}");
            }
        }
    }
}

//! Names of classes: read from a file, looked up by index or by name.

use std::path::{Path, PathBuf};

use crate::nearest::nearest;

/// Names of the N classes, in the order of the logits.
///
/// A name may list synonyms, separated by commas as in ImageNet's (`tench, Tinca tinca`); each of
/// them is understood, and the first is the short name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassNames {
    names: Vec<String>,
}

/// What is wrong with a file of class names, or with a class asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassError {
    /// The file could not be read.
    #[error("cannot read the class names {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is JSON, but neither a list nor a map of names.
    #[error(
        "{} is not a list of class names: {problem}; expected a JSON list [\"cat\", ...], a JSON map {{\"0\": \"cat\", ...}}, or one name a line",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// As many names as classes are needed.
    #[error("{names} class names for a network of {classes} classes")]
    Count {
        /// How many names there are.
        names: usize,
        /// How many classes the network has.
        classes: usize,
    },
    /// The name of a class is empty.
    #[error("a class needs a name or an index; found an empty word")]
    NoName,
    /// An index below 0 or beyond the last class.
    #[error("class {index} is out of range: the network has {classes} classes, 0 to {}", classes.saturating_sub(1))]
    OutOfRange {
        /// The index.
        index: i128,
        /// How many classes the network has.
        classes: usize,
    },
    /// No class has that name.
    #[error("no class is named {name:?}; nearest: {}", nearest.join("; "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names like it with their indices, nearest first.
        nearest: Vec<String>,
    },
    /// Several classes have that name.
    #[error("{name:?} names several classes: {}; give the index", candidates.join("; "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The classes with their indices.
        candidates: Vec<String>,
    },
}

impl ClassNames {
    /// Names in the order of the logits.
    pub fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// `class 0`, `class 1`, ...: for a network whose names nobody gave.
    pub fn numbered(classes: usize) -> Self {
        Self { names: (0..classes).map(|i| format!("class {i}")).collect() }
    }

    /// Reads a JSON list, a JSON map from index to name (or to a list whose last entry is the name,
    /// as in Keras' and torchvision's `imagenet_class_index.json`), or one name a line.
    ///
    /// # Errors
    /// The file cannot be read, is no text, or is JSON of another form.
    pub fn read(path: &Path) -> Result<Self, ClassError> {
        let bytes = std::fs::read(path)
            .map_err(|source| ClassError::Read { path: path.to_owned(), source })?;
        let format = |problem: String| ClassError::Format { path: path.to_owned(), problem };
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| format("it is not UTF-8 text".to_owned()))?
            .trim_start_matches('\u{feff}');
        Self::parse(text).map_err(format)
    }

    /// Like [`ClassNames::read`], from text in memory; the error says what does not fit.
    ///
    /// # Errors
    /// The text is JSON of another form, or has no names.
    pub fn parse(text: &str) -> Result<Self, String> {
        let names: Vec<String> = match text.trim_start().chars().next() {
            None => return Err("it is empty".to_owned()),
            Some('[' | '{') => match serde_json::from_str(text).map_err(|e| e.to_string())? {
                serde_json::Value::Array(list) => list.iter().map(one).collect::<Result<_, _>>()?,
                serde_json::Value::Object(map) => from_map(&map)?,
                _ => return Err("it is neither a list nor a map".to_owned()),
            },
            Some(_) => text.trim_end().lines().map(|line| line.trim().to_owned()).collect(),
        };
        if names.is_empty() { Err("it names no class".to_owned()) } else { Ok(Self { names }) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Checks that there are as many names as classes.
    ///
    /// # Errors
    /// There are more or fewer.
    pub fn check(&self, classes: usize) -> Result<(), ClassError> {
        if self.len() == classes {
            Ok(())
        } else {
            Err(ClassError::Count { names: self.len(), classes })
        }
    }

    /// The full name of a class, synonyms included; empty beyond the last class.
    pub fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }

    /// The first synonym of a class, with the index behind it if another class has the same one.
    pub fn short(&self, index: usize) -> String {
        let first = |name: &str| first_synonym(name).to_lowercase();
        let short = first_synonym(self.name(index));
        let key = short.to_lowercase();
        if self.names.iter().enumerate().any(|(i, name)| i != index && first(name) == key) {
            format!("{short} ({index})")
        } else {
            short.to_owned()
        }
    }

    /// [`short`](Self::short) of every class, in time that grows with their number and not with its square.
    pub fn all_short(&self) -> Vec<String> {
        let mut counts = std::collections::HashMap::new();
        for name in &self.names {
            *counts.entry(first_synonym(name).to_lowercase()).or_insert(0_usize) += 1;
        }
        let short = |(index, name): (usize, &String)| {
            let short = first_synonym(name);
            match counts.get(&short.to_lowercase()) {
                Some(1) | None => short.to_owned(),
                Some(_) => format!("{short} ({index})"),
            }
        };
        self.names.iter().enumerate().map(short).collect()
    }

    /// The class meant by an index, a full name, or one of its synonyms.
    ///
    /// Case, and the difference between space, underscore and hyphen, do not matter. A number is
    /// always an index.
    ///
    /// # Errors
    /// The name is empty, the index is out of range, no class has the name, or several have.
    pub fn find(&self, wanted: &str) -> Result<usize, ClassError> {
        if let Ok(index) = wanted.trim().parse::<i128>() {
            return match usize::try_from(index) {
                Ok(index) if index < self.len() => Ok(index),
                _ => Err(ClassError::OutOfRange { index, classes: self.len() }),
            };
        }
        let key = plain(wanted);
        if key.is_empty() {
            return Err(ClassError::NoName);
        }
        let matching = |test: &dyn Fn(&str) -> bool| -> Vec<usize> {
            self.names.iter().enumerate().filter(|(_, n)| test(n)).map(|(i, _)| i).collect()
        };
        let whole = matching(&|name| plain(name) == key);
        let found = if whole.is_empty() {
            matching(&|name| name.split(',').any(|synonym| plain(synonym) == key))
        } else {
            whole
        };
        let list = |indices: &[usize]| -> Vec<String> {
            indices.iter().map(|&i| format!("{i} {}", self.name(i))).collect()
        };
        match found[..] {
            [index] => Ok(index),
            [] => {
                let near = nearest(&key, self.names.iter().map(String::as_str), 4);
                let indices: Vec<usize> = near
                    .iter()
                    .filter_map(|name| self.names.iter().position(|n| n == name))
                    .collect();
                Err(ClassError::Unknown { name: wanted.to_owned(), nearest: list(&indices) })
            }
            _ => Err(ClassError::Ambiguous { name: wanted.to_owned(), candidates: list(&found) }),
        }
    }
}

fn first_synonym(name: &str) -> &str {
    name.split(',').next().unwrap_or(name).trim()
}

fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '-'], " ")
}

fn one(value: &serde_json::Value) -> Result<String, String> {
    match value {
        serde_json::Value::String(name) => Ok(name.clone()),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        serde_json::Value::Array(parts) => match parts.last() {
            Some(serde_json::Value::String(name)) => Ok(name.clone()),
            _ => Err(format!("{value} is not a name")),
        },
        other => Err(format!("{other} is not a name")),
    }
}

fn from_map(map: &serde_json::Map<String, serde_json::Value>) -> Result<Vec<String>, String> {
    let mut names = vec![None; map.len()];
    for (key, value) in map {
        let index: usize = key.trim().parse().map_err(|_| format!("{key:?} is not an index"))?;
        let count = names.len();
        let slot = names
            .get_mut(index)
            .ok_or_else(|| format!("index {index} in a map of {count} names"))?;
        *slot = Some(one(value)?);
    }
    names
        .into_iter()
        .enumerate()
        .map(|(index, name)| name.ok_or_else(|| format!("index {index} is missing")))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn imagenet_like() -> ClassNames {
        ClassNames::new(
            ["tench, Tinca tinca", "crane", "bull mastiff", "crane", "cup", "coffee cup, Cup-o"]
                .map(str::to_owned)
                .to_vec(),
        )
    }

    #[test]
    fn an_index_a_name_and_a_synonym_mean_the_class() {
        let names = imagenet_like();
        assert_eq!(names.find("2").unwrap(), 2);
        assert_eq!(names.find("TINCA tinca").unwrap(), 0);
        assert_eq!(names.find("bull_mastiff").unwrap(), 2);
        assert_eq!(names.find("tench, tinca tinca").unwrap(), 0);
        assert_eq!(names.find("cup o").unwrap(), 5);
    }

    #[test]
    fn what_is_unknown_or_ambiguous_lists_candidates() {
        let names = imagenet_like();
        let unknown = names.find("bull mastif").unwrap_err().to_string();
        assert!(unknown.contains("nearest: 2 bull mastiff"), "{unknown}");
        let ambiguous = names.find("crane").unwrap_err().to_string();
        assert!(ambiguous.contains("1 crane; 3 crane"), "{ambiguous}");
        let range = names.find("6").unwrap_err().to_string();
        assert!(range.contains("0 to 5"), "{range}");
    }

    #[test]
    fn short_names_are_unique() {
        let names = imagenet_like();
        assert_eq!(names.short(0), "tench");
        assert_eq!(names.short(1), "crane (1)");
        let all: Vec<String> = (0..names.len()).map(|class| names.short(class)).collect();
        assert_eq!(names.all_short(), all);
    }

    #[test]
    fn three_formats_are_read() {
        let expected = ClassNames::new(vec!["cat".into(), "dog".into()]);
        for text in [
            r#"["cat", "dog"]"#,
            r#"{"1": "dog", "0": "cat"}"#,
            r#"{"0": ["n1", "cat"], "1": ["n2", "dog"]}"#,
            "cat\ndog\n",
            "cat\r\ndog",
        ] {
            assert_eq!(ClassNames::parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        for (text, reason) in [
            ("", "empty"),
            ("[]", "names no class"),
            ("{}", "names no class"),
            (r#"{"0": "cat", "2": "dog"}"#, "index 2 in a map of 2"),
            (r#"{"cat": 0}"#, "not an index"),
            (r#"[{"name": "cat"}]"#, "not a name"),
            (r#"["cat", "#, "EOF"),
        ] {
            let error = ClassNames::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn the_count_must_fit() {
        assert!(imagenet_like().check(6).is_ok());
        assert!(imagenet_like().check(7).is_err());
    }
}

//! Typed access to a JSON object that somebody else wrote.

use std::fmt::Display;

use serde_json::{Map, Value};

use crate::error::NetworkError;
use crate::preprocess::{MAX_SIDE, Method, Preprocessing};

/// Longest part of a wrong value that an error shows, in characters.
const SHOWN: usize = 60;

/// A JSON object, and what errors call it and its keys. A key that is `null` counts as absent.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    origin: &'a str,
    /// What stands before a key's name in an error: empty, or `pretrained_cfg.`
    prefix: String,
    map: &'a Map<String, Value>,
}

/// The object at the top of a JSON text, `key` being what an error calls the whole.
pub(crate) fn top<'a>(origin: &'a str, value: &'a Value) -> Result<Object<'a>, NetworkError> {
    inside(origin, "", value).ok_or_else(|| NetworkError::Setting {
        origin: origin.to_owned(),
        key: "the whole".to_owned(),
        found: shown(value),
        expected: "a JSON object".to_owned(),
    })
}

/// A value as the object called `name`, if it is one.
pub(crate) fn inside<'a>(origin: &'a str, name: &str, value: &'a Value) -> Option<Object<'a>> {
    let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
    Some(Object { origin, prefix, map: value.as_object()? })
}

impl<'a> Object<'a> {
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Keys that are not `null`, with their values.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.map.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (&**key, value))
    }

    /// The error that `key` is not as `expected`; it says what was found there.
    pub fn wrong(&self, key: &str, expected: impl Display) -> NetworkError {
        let found = self.get(key).map_or_else(|| "missing".to_owned(), shown);
        self.found(key, found, expected)
    }

    /// Like [`Object::wrong`] where the value itself does not tell what is wrong.
    pub fn found(&self, key: &str, found: impl Display, expected: impl Display) -> NetworkError {
        NetworkError::Setting {
            origin: self.origin.to_owned(),
            key: format!("{}{key}", self.prefix),
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }

    /// The error that the whole describes a network that cannot be read here.
    pub fn foreign(&self, architecture: String, reason: &str) -> NetworkError {
        let (origin, reason) = (self.origin.to_owned(), reason.to_owned());
        NetworkError::ForeignNetwork { origin, architecture: cut(architecture), reason }
    }

    /// The preprocessing of these steps, which the whole describes.
    pub fn preprocessing(
        &self,
        method: Method,
        mean: Vec<f32>,
        std: Vec<f32>,
    ) -> Result<Preprocessing, NetworkError> {
        Preprocessing::new(method, mean, std).map_err(|source| NetworkError::Preprocessing {
            origin: self.origin.to_owned(),
            source,
        })
    }

    /// The value of a key that may be absent, as `convert` understands it.
    fn read<T>(
        &self,
        key: &str,
        expected: &str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, NetworkError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => convert(value).map(Some).ok_or_else(|| self.wrong(key, expected)),
        }
    }

    pub fn text(&self, key: &str) -> Result<Option<&'a str>, NetworkError> {
        self.read(key, "a text", Value::as_str)
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>, NetworkError> {
        self.read(key, "true or false", Value::as_bool)
    }

    pub fn object(&self, key: &str) -> Result<Option<Object<'a>>, NetworkError> {
        let name = format!("{}{key}", self.prefix);
        self.read(key, "a JSON object", |value| inside(self.origin, &name, value))
    }

    pub fn list(&self, key: &str) -> Result<Option<&'a [Value]>, NetworkError> {
        self.read(key, "a list", |value| value.as_array().map(Vec::as_slice))
    }

    /// How many there are of something, at least one.
    pub fn count(&self, key: &str) -> Result<Option<usize>, NetworkError> {
        self.read(key, "a whole number, 1 or more", |value| count(value).filter(|&n| n > 0))
    }

    /// A side in pixels.
    pub fn side(&self, key: &str) -> Result<Option<usize>, NetworkError> {
        self.read(key, &format!("a side of 1 to {MAX_SIDE} pixels"), side)
    }

    /// A share, greater than 0 and at most 1.
    pub fn share(&self, key: &str) -> Result<Option<f64>, NetworkError> {
        let share = |value: &Value| value.as_f64().filter(|&share| share > 0.0 && share <= 1.0);
        self.read(key, "a number greater than 0 and at most 1", share)
    }

    /// Names of that many classes: a list of all, or a map from index to name, where classes that it does not
    /// name are called `class 7`.
    pub fn names(&self, key: &str, classes: usize) -> Result<Vec<String>, NetworkError> {
        let what = "the network has that many classes";
        let expected =
            format!("a list of {classes} names or a map from 0..{classes} to names; {what}");
        let wrong = || self.wrong(key, &expected);
        match self.get(key) {
            Some(Value::Array(list)) if list.len() == classes => {
                list.iter().map(|value| name(value).ok_or_else(wrong)).collect()
            }
            Some(Value::Object(map)) => {
                let mut names = vec![None; classes];
                for (index, value) in map {
                    let slot = index.parse().ok().and_then(|index: usize| names.get_mut(index));
                    let Some(slot) = slot else {
                        let found = cut(format!("a map with the index {index:?}"));
                        return Err(self.found(key, found, &expected));
                    };
                    *slot = Some(name(value).ok_or_else(wrong)?);
                }
                let numbered = |(index, name): (usize, Option<String>)| {
                    name.unwrap_or_else(|| format!("class {index}"))
                };
                Ok(names.into_iter().enumerate().map(numbered).collect())
            }
            _ => Err(wrong()),
        }
    }

    /// Means of channels: finite numbers, or one for all.
    pub fn means(&self, key: &str) -> Result<Option<Vec<f32>>, NetworkError> {
        let numbers = |value| numbers(value, |_| true);
        self.read(key, "a list of numbers, one a channel", numbers)
    }

    /// Standard deviations of channels: finite numbers greater than 0, or one for all.
    pub fn deviations(&self, key: &str) -> Result<Option<Vec<f32>>, NetworkError> {
        let numbers = |value| numbers(value, |v| v > 0.0);
        self.read(key, "a list of numbers greater than 0, one a channel", numbers)
    }
}

fn name(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A whole number.
pub(crate) fn count(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|count| usize::try_from(count).ok())
}

/// A side in pixels that a picture may have.
pub(crate) fn side(value: &Value) -> Option<usize> {
    count(value).filter(|side| (1..=MAX_SIDE).contains(side))
}

fn numbers(value: &Value, right: impl Fn(f32) -> bool) -> Option<Vec<f32>> {
    let one = |value: &Value| {
        let number = value.as_f64()? as f32;
        (number.is_finite() && right(number)).then_some(number)
    };
    match value {
        Value::Array(list) if !list.is_empty() => list.iter().map(one).collect(),
        Value::Number(_) => Some(vec![one(value)?]),
        _ => None,
    }
}

/// A value as an error shows it: its JSON, cut where it gets long.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(list) if list.len() > 8 => format!("a list of {}", list.len()),
        Value::Object(map) => format!("an object of {} keys", map.len()),
        other => cut(other.to_string()),
    }
}

/// A text, without its end where it is long.
fn cut(text: String) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

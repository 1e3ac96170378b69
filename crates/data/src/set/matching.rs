//! Which class of a network is which class of a set.

use std::collections::HashMap;
use std::fmt;

use super::error::SetError;

/// How many unknown classes an error names.
const LISTED: usize = 5;

/// The classes of a set as a network numbers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    /// For each class of the set, in order, the network's class. No two are the same.
    pub indices: Vec<usize>,
    /// The weakest evidence that one of them rests on.
    pub by: MatchedBy,
}

/// What a match rests on, from the strongest to the weakest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchedBy {
    /// The names are the same.
    Name,
    /// The names are the same but for case, underscores, hyphens and white space.
    SimilarName,
    /// A name in the set is the number of one of the network's classes.
    Index,
    /// Only their order: no name matches and there are as many on both sides. Worth a warning.
    Order,
}

/// A class of a set that a network does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownClass {
    /// Its name in the set.
    pub class: String,
    /// The network's names that are most like it, best first; at most 2.
    pub nearest: Vec<String>,
}

impl fmt::Display for UnknownClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "class {:?}", self.class)?;
        match &self.nearest[..] {
            [] => Ok(()),
            names => {
                let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
                write!(f, " (nearest: {})", names.join(", "))
            }
        }
    }
}

/// Unknown classes in words, for an error.
pub(super) fn listed(unknown: &[UnknownClass]) -> String {
    let shown: Vec<_> = unknown.iter().take(LISTED).map(UnknownClass::to_string).collect();
    match unknown.len().saturating_sub(LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Finds each class of a set among a network's classes.
///
/// For each class, the first that applies: the same name; the same name but for case,
/// underscores, hyphens and white space; a name that is the number of a class (`243`, `007`). If
/// none applies to any class of the set and there are as many on both sides, they are taken in
/// order, and [`Matching::by`] says so.
///
/// # Errors
/// [`SetError::UnknownClasses`], [`SetError::AmbiguousClass`] where the network has a name several
/// times, [`SetError::DoubledClass`] where two classes of the set are one of the network's.
pub fn match_classes(set: &[String], network: &[String]) -> Result<Matching, SetError> {
    let exact = by_name(network, str::to_owned);
    let similar = by_name(network, simple);
    let mut found = Vec::with_capacity(set.len());
    for class in set {
        let known = exact.get(class).map(|indices| (indices, MatchedBy::Name)).or_else(|| {
            similar.get(&simple(class)).map(|indices| (indices, MatchedBy::SimilarName))
        });
        found.push(match known {
            Some((indices, by)) => match indices[..] {
                [index] => Some((index, by)),
                _ => {
                    let (class, indices) = (class.clone(), indices.clone());
                    return Err(SetError::AmbiguousClass { class, indices });
                }
            },
            None => index(class, network.len()).map(|index| (index, MatchedBy::Index)),
        });
    }

    if found.iter().all(Option::is_none) && set.len() == network.len() {
        return Ok(Matching { indices: (0..set.len()).collect(), by: MatchedBy::Order });
    }
    if found.iter().any(Option::is_none) {
        let missing = set.iter().zip(&found).filter(|(_, found)| found.is_none());
        let unknown = missing.map(|(class, _)| unknown(class, network)).collect();
        return Err(SetError::UnknownClasses { unknown, network: network.len() });
    }
    let (indices, by): (Vec<_>, Vec<_>) = found.into_iter().flatten().unzip();
    let mut owner = HashMap::new();
    for (class, &index) in set.iter().zip(&indices) {
        if let Some(first) = owner.insert(index, class) {
            let (first, second) = (first.clone(), class.clone());
            return Err(SetError::DoubledClass { first, second, index });
        }
    }
    Ok(Matching { indices, by: by.into_iter().max().unwrap_or(MatchedBy::Name) })
}

fn by_name(network: &[String], key: impl Fn(&str) -> String) -> HashMap<String, Vec<usize>> {
    let mut indices = HashMap::<String, Vec<usize>>::with_capacity(network.len());
    for (index, name) in network.iter().enumerate() {
        indices.entry(key(name)).or_default().push(index);
    }
    indices
}

/// A name without what people write differently.
fn simple(name: &str) -> String {
    let kept = name.chars().filter(|c| !matches!(c, '_' | '-') && !c.is_whitespace());
    kept.flat_map(char::to_lowercase).collect()
}

/// The class that a folder's name numbers.
fn index(name: &str, classes: usize) -> Option<usize> {
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    name.parse().ok().filter(|&index| digits && index < classes)
}

fn unknown(class: &str, network: &[String]) -> UnknownClass {
    let wanted = simple(class);
    let mut scored: Vec<_> = network
        .iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&wanted, &simple(name)), name))
        .filter(|(score, _)| *score >= 0.4)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.dedup_by(|a, b| a.1 == b.1);
    let nearest = scored.into_iter().take(2).map(|(_, name)| name.clone()).collect();
    UnknownClass { class: class.to_owned(), nearest }
}

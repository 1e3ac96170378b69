//! Where in a checkpoint the state dict is.

use super::error::{CheckpointError, Result};
use super::module;
use super::tensors::is_tensor;
use super::value::{Id, Pickle, shown};

/// Keys under which training scripts put the state dict or the module, in the order they are tried.
pub(super) const WRAPPERS: [&str; 14] = [
    "state_dict",
    "model",
    "model_state_dict",
    "model_state",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "ema",
    "model_ema",
    "ema_state_dict",
    "state_dict_ema",
    "params_ema",
];

/// How many dicts deep it may lie.
const MAX_DEPTH: usize = 6;
/// Most entries of dicts that are looked at, so that shared ones cannot make the search endless.
const MAX_ENTRIES: usize = 1 << 22;

/// Names and values of the state dict's tensors, in the file's order.
///
/// # Errors
/// There is none, or several between which nothing decides.
pub(super) fn find(pickle: &Pickle<'_>) -> Result<Vec<(String, Id)>> {
    let root = pickle.root();
    if is_tensor(pickle, root) {
        let found = "a single tensor".to_owned();
        return Err(CheckpointError::NoStateDict { found });
    }
    let mut search = Search { pickle, left: MAX_ENTRIES, dotted: true };
    let mut places = search.places(root, &mut Vec::new())?;
    if places.is_empty() {
        // names without dots: those of a single layer
        search.dotted = false;
        places = search.places(root, &mut Vec::new())?;
    }
    match &places[..] {
        [] => Err(CheckpointError::NoStateDict { found: pickle.describe(root) }),
        [place] => {
            tracing::debug!("the state dict is {}", place.name());
            module::tensors(pickle, place.id)
        }
        several => {
            let candidates = several.iter().take(8).map(Place::name).collect();
            Err(CheckpointError::SeveralStateDicts { candidates })
        }
    }
}

/// A state dict or a module, and the keys that lead to it.
struct Place {
    path: Vec<String>,
    id: Id,
}

impl Place {
    fn name(&self) -> String {
        match &self.path[..] {
            [] => "the whole file".to_owned(),
            path => path.join("."),
        }
    }
}

struct Search<'p, 'a> {
    pickle: &'p Pickle<'a>,
    left: usize,
    /// Whether a name needs a dot in it to count as a tensor's name in a state dict.
    dotted: bool,
}

impl Search<'_, '_> {
    /// The places that the rules of [`super`] leave over: none, the one, or several.
    fn places(&mut self, id: Id, path: &mut Vec<String>) -> Result<Vec<Place>> {
        let here = |path: &[String]| vec![Place { path: path.to_vec(), id }];
        if module::is_module(self.pickle, id) {
            let empty = module::tensors(self.pickle, id)?.is_empty();
            return Ok(if empty { Vec::new() } else { here(path) });
        }
        let Some(items) = self.pickle.mapping(id).filter(|_| path.len() < MAX_DEPTH) else {
            return Ok(Vec::new());
        };
        self.left = self.left.checked_sub(items.len()).ok_or_else(|| CheckpointError::Limit {
            what: "its dicts refer to each other again and again".to_owned(),
            limit: MAX_ENTRIES,
        })?;
        let named: Vec<(&str, Id)> = items
            .iter()
            .filter_map(|(key, value)| Some((self.pickle.text(*key)?, *value)))
            .collect();
        let holds_tensors = |dotted: bool| {
            named.iter().any(|(key, value)| {
                (!dotted || key.contains('.')) && is_tensor(self.pickle, *value)
            })
        };
        if holds_tensors(true) {
            return Ok(here(path));
        }
        for wrapper in WRAPPERS {
            if let Some((_, value)) = named.iter().rev().find(|(key, _)| *key == wrapper) {
                let places = self.below(wrapper, *value, path)?;
                if !places.is_empty() {
                    return Ok(places);
                }
            }
        }
        let mut places = Vec::new();
        for (key, value) in &named {
            if !WRAPPERS.contains(key) {
                places.extend(self.below(key, *value, path)?);
            }
        }
        if places.is_empty() && !self.dotted && holds_tensors(false) {
            return Ok(here(path));
        }
        Ok(places)
    }

    fn below(&mut self, key: &str, value: Id, path: &mut Vec<String>) -> Result<Vec<Place>> {
        path.push(shown(key));
        let places = self.places(value, path);
        path.pop();
        places
    }
}

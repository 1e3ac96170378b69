//! A pickled module, as `torch.save(model)` writes it: the tensors that its `state_dict()` would have.
//!
//! A module's state is its `__dict__`: `_parameters` and `_buffers` map names to tensors, `_modules`
//! to further modules. Its class is never looked at.

use std::collections::HashSet;

use super::error::{CheckpointError, Result};
use super::tensors::is_tensor;
use super::value::{Id, Pickle, Value, shown};

/// How deep modules may lie in each other.
const MAX_DEPTH: usize = 100;
/// Most tensors, and most modules, counting shared ones as often as they are reached.
const MAX_TENSORS: usize = 1 << 17;
/// Most attributes of a module: what has more is none, and is not searched. (Parameters lie in one of them.)
const MAX_ATTRIBUTES: usize = 512;
/// Most entries of dicts that are looked at, counting shared ones as often as they are reached.
const MAX_VISITS: usize = 1 << 20;
/// Longest name of a tensor in bytes.
const MAX_NAME: usize = 1 << 10;

/// True for an object that has the attributes of a module.
pub(super) fn is_module(pickle: &Pickle<'_>, id: Id) -> bool {
    attribute(pickle, id, "_parameters").is_some() && attribute(pickle, id, "_modules").is_some()
}

/// Names and values of the tensors in a module or a state dict.
///
/// # Errors
/// They are too many, or their names too long.
pub(super) fn tensors(pickle: &Pickle<'_>, id: Id) -> Result<Vec<(String, Id)>> {
    let mut walk = Walk { pickle, found: Vec::new(), path: Vec::new(), modules: 0, visits: 0 };
    if is_module(pickle, id) {
        walk.module(id, "")?;
    } else {
        walk.take("", Some(id), &HashSet::new())?;
    }
    Ok(walk.found)
}

/// An attribute of an object, from the state that BUILD would have set.
fn attribute(pickle: &Pickle<'_>, id: Id, name: &str) -> Option<Id> {
    let state = pickle.call(id)?.state?;
    let attributes = match pickle.get(state) {
        // an object with slots: (__dict__, slots)
        Value::Tuple(parts) => *parts.first()?,
        _ => state,
    };
    pickle.mapping(attributes).filter(|items| items.len() <= MAX_ATTRIBUTES)?;
    pickle.item(attributes, name)
}

struct Walk<'p, 'a> {
    pickle: &'p Pickle<'a>,
    found: Vec<(String, Id)>,
    /// The modules that the current one lies in: a module that contains itself must not loop.
    path: Vec<Id>,
    modules: usize,
    visits: usize,
}

impl Walk<'_, '_> {
    fn module(&mut self, id: Id, prefix: &str) -> Result<()> {
        self.modules += 1;
        if self.modules > MAX_TENSORS {
            return Err(too_many("modules"));
        }
        if self.path.contains(&id) || self.path.len() >= MAX_DEPTH {
            return Err(CheckpointError::Limit {
                what: format!("module {} contains itself or lies too deep", shown(prefix)),
                limit: MAX_DEPTH,
            });
        }
        let pickle = self.pickle;
        let part = |name: &str| attribute(pickle, id, name);
        let transient: HashSet<&str> = part("_non_persistent_buffers_set")
            .and_then(|set| pickle.sequence(set))
            .unwrap_or_default()
            .iter()
            .filter_map(|&name| pickle.text(name))
            .collect();
        self.take(prefix, part("_parameters"), &HashSet::new())?;
        self.take(prefix, part("_buffers"), &transient)?;
        let Some(modules) = part("_modules").and_then(|id| pickle.mapping(id)) else {
            return Ok(());
        };
        self.visit(modules.len())?;
        self.path.push(id);
        for (key, child) in modules.iter() {
            if let Some(key) = pickle.text(*key)
                && is_module(pickle, *child)
            {
                let prefix = self.name(prefix, key)? + ".";
                self.module(*child, &prefix)?;
            }
        }
        self.path.pop();
        Ok(())
    }

    /// The tensors of a dict, without what else is in it: None, counters, hyperparameters.
    fn take(&mut self, prefix: &str, dict: Option<Id>, without: &HashSet<&str>) -> Result<()> {
        let pickle = self.pickle;
        let Some(items) = dict.and_then(|id| pickle.mapping(id)) else {
            return Ok(());
        };
        self.visit(items.len())?;
        for (key, value) in items.iter() {
            if let Some(key) = pickle.text(*key)
                && is_tensor(pickle, *value)
                && !without.contains(key)
            {
                if self.found.len() >= MAX_TENSORS {
                    return Err(too_many("tensors"));
                }
                self.found.push((self.name(prefix, key)?, *value));
            }
        }
        Ok(())
    }

    fn visit(&mut self, entries: usize) -> Result<()> {
        self.visits = self.visits.saturating_add(entries);
        if self.visits > MAX_VISITS {
            let what = "it has more entries in its modules".to_owned();
            return Err(CheckpointError::Limit { what, limit: MAX_VISITS });
        }
        Ok(())
    }

    fn name(&self, prefix: &str, key: &str) -> Result<String> {
        if prefix.len() + key.len() > MAX_NAME {
            return Err(CheckpointError::Limit {
                what: format!("the name {} is longer", shown(&format!("{prefix}{key}"))),
                limit: MAX_NAME,
            });
        }
        Ok(format!("{prefix}{key}"))
    }
}

fn too_many(what: &str) -> CheckpointError {
    CheckpointError::Limit { what: format!("it has more {what}"), limit: MAX_TENSORS }
}

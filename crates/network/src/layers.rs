//! Names of layers: torchvision's dotted ones, and the underscore forms of the authors' code.

use std::collections::{HashMap, HashSet};

use crate::error::{NetworkError, Result};
use crate::nearest::nearest;

/// Which value of the graph each module's output is.
///
/// A layer's name means that module's own output, before any in-place ReLU that follows it; a module
/// that is called several times means its last call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers {
    /// (module, value), in order of the first call.
    entries: Vec<(String, String)>,
    by_name: HashMap<String, usize>,
    /// Values that may also be asked for by their own names, unlisted.
    values: HashSet<String>,
    /// Values of batch x height x width x channels, which carry no maps.
    channels_last: HashSet<String>,
}

impl Layers {
    pub fn set(&mut self, module: &str, value: &str) {
        if let Some(&index) = self.by_name.get(module) {
            value.clone_into(&mut self.entries[index].1);
            return;
        }
        self.by_name.insert(module.to_owned(), self.entries.len());
        self.entries.push((module.to_owned(), value.to_owned()));
    }

    /// Lets a value be found by its own name too.
    pub fn set_value(&mut self, value: &str) {
        self.values.insert(value.to_owned());
    }

    /// Says which values have their channels last.
    pub fn set_channels_last(&mut self, values: HashSet<String>) {
        self.channels_last = values;
    }

    /// True for a value that has its channels last.
    pub fn is_channels_last(&self, value: &str) -> bool {
        self.channels_last.contains(value)
    }

    /// The shortest name of the module whose output a value is, or the value's own name.
    pub fn name_of<'a>(&'a self, value: &'a str) -> &'a str {
        let depth = |name: &str| (name.matches('.').count(), name.len());
        self.iter()
            .filter(|&(_, of)| of == value)
            .map(|(module, _)| module)
            .min_by_key(|module| depth(module))
            .unwrap_or(value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(module, value)| (module.as_str(), value.as_str()))
    }

    /// The dotted name and the value that `name` means: `layer4.2.conv1`, `layer4_2_conv1`.
    ///
    /// # Errors
    /// No layer has that name; the nearest names are listed.
    pub fn find(&self, model: &str, name: &str) -> Result<(&str, &str)> {
        let plain = |text: &str| text.replace('.', "_");
        let wanted = plain(name);
        self.by_name
            .get(name)
            .map(|&index| &self.entries[index])
            .or_else(|| self.entries.iter().find(|(module, _)| plain(module) == wanted))
            .map(|(module, value)| (module.as_str(), value.as_str()))
            .or_else(|| self.values.get(name).map(|value| (value.as_str(), value.as_str())))
            .ok_or_else(|| NetworkError::UnknownLayer {
                model: model.to_owned(),
                name: name.to_owned(),
                nearest: nearest(name, self.entries.iter().map(|(module, _)| module.as_str()), 6),
            })
    }
}

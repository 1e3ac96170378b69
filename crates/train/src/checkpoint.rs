//! What a training needs to go on as if it had never stopped.

use std::path::Path;

use safetensors::SafeTensors;

use crate::error::{Result, TrainError};
use crate::file;
use crate::network::State;
use crate::training::Epoch;

/// The state after an epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Settings and data in words: a run with others cannot go on from here.
    pub identity: String,
    /// All epochs so far.
    pub history: Vec<Epoch>,
    /// Weights and what the optimiser remembers.
    pub state: State,
}

/// What the names of remembered tensors begin with.
const MEMORY: &str = "optimizer";

impl Checkpoint {
    /// Writes it in place of an older one. Names and shapes are those of the network's tensors.
    ///
    /// # Errors
    /// Those of the file system; an older checkpoint is then still there.
    pub fn write(&self, path: &Path, names: &[String], shapes: &[Vec<usize>]) -> Result<()> {
        let remembered: Vec<Vec<String>> = names
            .iter()
            .zip(&self.state.memory)
            .map(|(name, memory)| {
                (0..memory.len()).map(|i| format!("{MEMORY}.{i}.{name}")).collect()
            })
            .collect();
        let mut entries = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let shape = shapes[index].as_slice();
            entries.push((name.as_str(), shape, self.state.tensors[index].as_slice()));
            for (name, values) in remembered[index].iter().zip(&self.state.memory[index]) {
                entries.push((name.as_str(), shape, values.as_slice()));
            }
        }
        let history = serde_json::to_string(&self.history).unwrap_or_default();
        let metadata = [
            ("identity", self.identity.clone()),
            ("history", history),
            ("steps", self.state.steps.to_string()),
        ];
        file::write(path, &entries, &metadata)
            .map_err(|source| TrainError::Write { path: path.to_owned(), source })
    }

    /// Reads one of a network with these tensors, of which the optimiser remembers so much.
    ///
    /// # Errors
    /// It cannot be read, or is of another training.
    pub fn read(path: &Path, identity: &str, names: &[String], memory: &[usize]) -> Result<Self> {
        let wrong = |reason: String| TrainError::Checkpoint { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let damaged = |error: &dyn std::fmt::Display| wrong(format!("it is damaged: {error}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(&error))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(&error))?;
        let strings = header.metadata().clone().unwrap_or_default();
        let said = |key: &str| strings.get(key).ok_or_else(|| damaged(&format!("it has no {key}")));
        if said("identity")? != identity {
            return Err(wrong(differences(said("identity")?, identity)));
        }
        let history = serde_json::from_str(said("history")?).map_err(|error| damaged(&error))?;
        let steps = said("steps")?.parse().map_err(|error| damaged(&error))?;
        let values = |name: &str| {
            let tensor = tensors.tensor(name).map_err(|error| damaged(&error))?;
            let (words, _) = tensor.data().as_chunks::<4>();
            Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect::<Vec<f32>>())
        };
        let mut state = State { tensors: Vec::new(), memory: Vec::new(), steps };
        for (name, &count) in names.iter().zip(memory) {
            state.tensors.push(values(name)?);
            let remembered = (0..count).map(|i| values(&format!("{MEMORY}.{i}.{name}")));
            state.memory.push(remembered.collect::<Result<_>>()?);
        }
        Ok(Self { identity: identity.to_owned(), history, state })
    }
}

/// Which settings are not the same, in words.
fn differences(found: &str, expected: &str) -> String {
    let parse =
        |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
    let (Ok(found), Ok(expected)) = (parse(found), parse(expected)) else {
        return "it is of another training".to_owned();
    };
    let differing: Vec<String> = expected
        .iter()
        .filter(|(key, value)| found.get(*key) != Some(value))
        .map(|(key, value)| {
            let old = found.get(key).map_or_else(|| "nothing".to_owned(), ToString::to_string);
            format!("{key} was {old} and is now {value}")
        })
        .collect();
    format!("it is of a training with other settings or data: {}", differing.join("; "))
}

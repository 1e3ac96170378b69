//! The format of `torch.save` before PyTorch 1.6 (and of its old-format flag since): five pickles,
//! then the storages.
//!
//! The pickles are a magic number, the protocol 1001, facts about the machine, the object, and the
//! list of storage keys. Then follows each storage in the order of that list: its number of elements
//! as a 64-bit integer, and its bytes. Element sizes are known only from the object.

use std::collections::HashMap;
use std::ops::Range;

use super::error::{CheckpointError, Result};
use super::tensors::storage;
use super::value::{Pickle, Value, shown};

/// The magic number 0x1950a86a20f9469cfc6c as its pickle has it.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;

/// True if the file starts with the pickle of the magic number.
pub(crate) fn is_legacy(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(32)];
    start.first() == Some(&0x80) && start.windows(MAGIC.len()).any(|window| window == MAGIC)
}

/// The object's pickle, and where each storage lies in the file.
pub(super) fn open(bytes: &[u8]) -> Result<(Pickle<'_>, HashMap<String, Range<usize>>)> {
    let mut at = 0;
    let mut next = || {
        let base = at;
        let pickle = Pickle::parse(&bytes[base..]).map_err(|error| match error {
            CheckpointError::Pickle { at, problem } => {
                CheckpointError::Pickle { at: base + at, problem }
            }
            other => other,
        })?;
        at += pickle.length;
        Ok(pickle)
    };
    let (_magic, protocol, machine) = (next()?, next()?, next()?);
    if !matches!(protocol.get(protocol.root()), Value::Int(PROTOCOL)) {
        return Err(CheckpointError::Legacy(format!("its protocol is not {PROTOCOL}")));
    }
    let little = machine.item(machine.root(), "little_endian");
    if little.is_some_and(|id| matches!(machine.get(id), Value::Bool(false))) {
        return Err(CheckpointError::BigEndian);
    }
    let (object, keys) = (next()?, next()?);
    let storages = storages(bytes, at, &object, &keys)?;
    Ok((object, storages))
}

/// Where each storage lies: counts and bytes follow each other from `at` to the end of the file.
fn storages(
    bytes: &[u8],
    mut at: usize,
    object: &Pickle<'_>,
    keys: &Pickle<'_>,
) -> Result<HashMap<String, Range<usize>>> {
    let sizes: HashMap<&str, usize> = object
        .persistent()
        .iter()
        .filter_map(|&id| storage(object, id))
        .map(|storage| (storage.key, storage.element_size))
        .collect();
    let wrong = |problem: String| CheckpointError::Legacy(problem);
    let list = keys.sequence(keys.root());
    let list = list.ok_or_else(|| wrong("the list of its storages is missing".to_owned()))?;
    let mut storages = HashMap::with_capacity(list.len());
    for &id in list {
        let key = keys.text(id).ok_or_else(|| wrong("a storage has no name".to_owned()))?;
        let size = *sizes.get(key).ok_or_else(|| {
            wrong(format!("nothing says of what type its storage {} is", shown(key)))
        })?;
        let range = stored(bytes, at, size)
            .ok_or_else(|| wrong(format!("it ends before its storage {} does", shown(key))))?;
        at = range.end;
        if storages.insert(key.to_owned(), range).is_some() {
            return Err(wrong(format!("its storage {} is there twice", shown(key))));
        }
    }
    Ok(storages)
}

/// The bytes behind the count of elements at `at`.
fn stored(bytes: &[u8], at: usize, element_size: usize) -> Option<Range<usize>> {
    let start = at.checked_add(size_of::<i64>())?;
    let count = i64::from_le_bytes(bytes.get(at..start)?.try_into().ok()?);
    let length = usize::try_from(count).ok()?.checked_mul(element_size)?;
    let range = start..start.checked_add(length)?;
    bytes.get(range.clone())?;
    Some(range)
}

//! Names of classes beside a set.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::error::SetError;

/// The most bytes of a list of class names.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a list of class names, one a line; white space around them and empty lines are left out.
/// `None` where there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<String>>, SetError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SetError::io(path, source)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| SetError::io(path, e))?;
    if bytes.len() as u64 > MAX_BYTES {
        let problem =
            format!("is longer than {MAX_BYTES} bytes, the most for a list of class names");
        return Err(SetError::damaged(path, problem));
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(SetError::damaged(path, "is not UTF-8 text with one class name a line"));
    };
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    Ok(Some(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()))
}

/// `"0"`, `"1"`, ...: the names of `count` classes that have none.
pub(super) fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
}

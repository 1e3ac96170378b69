//! The numbers of all epochs as a table.

use std::fmt::Write as _;
use std::path::Path;

use crate::error::{Result, TrainError};
use crate::file;
use crate::training::Epoch;

/// Writes a table with a line an epoch; what was not measured is empty.
///
/// # Errors
/// Those of the file system.
pub fn write(path: &Path, history: &[Epoch]) -> Result<()> {
    let mut text =
        String::from("epoch,learning_rate,loss,accuracy,held_out_loss,held_out_accuracy\n");
    let optional = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
    for line in history {
        let Epoch { epoch, learning_rate, loss, accuracy, .. } = line;
        let (held_loss, held_accuracy) =
            (optional(line.held_out_loss), optional(line.held_out_accuracy));
        // writing to a string cannot fail
        let _ =
            writeln!(text, "{epoch},{learning_rate},{loss},{accuracy},{held_loss},{held_accuracy}");
    }
    file::replace(path, |out| out.write_all(text.as_bytes()))
        .map_err(|source| TrainError::Write { path: path.to_owned(), source })
}

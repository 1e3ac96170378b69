//! Ctrl-C between two pictures.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// Notices that the user wants to stop, so that the picture at hand is finished and nothing half-written stays behind.
/// Asked a second time, the process ends at once.
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// What shells expect of a process that ended on Ctrl-C: 128 plus the number of the signal.
    pub const EXIT_CODE: u8 = 130;

    /// Begins to watch; once a process.
    pub fn watch() -> Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&came);
        ctrlc::set_handler(move || {
            if told.swap(true, Ordering::Relaxed) {
                process::exit(Self::EXIT_CODE.into());
            }
        })
        .context("cannot watch for Ctrl-C")?;
        Ok(Self(came))
    }

    /// Whether the user asked to stop.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

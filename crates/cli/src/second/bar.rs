//! Progress on stderr.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar with what is counted; nothing where it is not wanted or stderr is no terminal.
pub fn bar(wanted: bool, count: usize, unit: &str) -> ProgressBar {
    if !wanted {
        return ProgressBar::hidden();
    }
    let template = format!("{{bar:30}} {{pos}}/{{len}} {unit}, {{eta}} left {{msg}}");
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new(count as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

//! Where words go: results to stdout, errors with their causes and a way out to stderr.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::advice;

/// Keeps panics from printing: [`without_panics`] turns them into errors that are reported as such.
pub fn silence_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// Runs a closure; a panic (a bug here or in a dependency) comes back as its message.
pub fn without_panics<T>(run: impl FnOnce() -> T) -> std::result::Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        format!("internal error: {message}")
    })
}

/// One line of results. A closed pipe is told by [`is_broken_pipe`].
pub fn line(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write to standard output")
}

/// Facts as a page shows them: text without quotation marks, all else as JSON.
pub fn facts(facts: &BTreeMap<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    facts.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

/// The error with all its causes in one line: `cannot read x: permission denied`.
pub fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // a transparent wrapper says what its source says
        if !text.ends_with(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

/// Prints an error and what to do next.
pub fn report(error: &anyhow::Error) {
    eprintln!("error: {}", chain(error));
    if let Some(advice) = advice::for_error(error) {
        eprintln!("  {advice}");
    }
}

/// True if whoever read our stdout has gone: no error, there is just nobody left to tell.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// The command line as it could be typed again.
pub fn command_line() -> String {
    let quote = |word: String| {
        let plain = |c: char| c.is_alphanumeric() || "-_./=,:+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    std::iter::once("introspect".to_owned())
        .chain(std::env::args_os().skip(1).map(|word| quote(word.to_string_lossy().into_owned())))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Gives the libraries' shared pool so many threads; once a process, and before it is used.
pub fn limit_threads(threads: Option<u16>) -> Result<()> {
    if let Some(count) = threads {
        rayon::ThreadPoolBuilder::new().num_threads(count.into()).build_global()?;
    }
    Ok(())
}

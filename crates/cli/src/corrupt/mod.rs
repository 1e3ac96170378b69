//! `introspect corrupt`.

mod files;
mod inputs;
mod set;
mod sheet;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use introspective_corrupt::{Corruption, Severity};
use serde_json::{Value, json};

use crate::args::CorruptArgs;
use crate::interrupt::Interrupt;
use crate::output;
use crate::run_folder::make_folder;
use crate::second::corruption::{corruptions, severities};
use inputs::Inputs;

/// What every result depends on beside its own name.
pub const RECORD: &str = "corrupt.json";

/// What is to be done.
pub struct Plan<'a> {
    args: &'a CorruptArgs,
    corruptions: Vec<Corruption>,
    severities: Vec<Severity>,
    interrupt: Interrupt,
}

/// Writes corrupted pictures.
pub fn run(args: &CorruptArgs) -> Result<ExitCode> {
    // every picture is one thread's, so that logical cores count
    let threads = args.threads.map_or(0, usize::from);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .context("cannot start the worker threads")?;
    let plan = Plan {
        args,
        corruptions: corruptions(&args.corruption)?,
        severities: severities(&args.severity)?,
        interrupt: Interrupt::watch()?,
    };
    if args.sheet {
        return sheet::draw(&plan);
    }
    let inputs = Inputs::find(args)?;
    prepare(&args.out, &inputs, &plan)?;
    match inputs {
        Inputs::Files(files) => files::write(&plan, &files),
        Inputs::Set(set) => set::write(&plan, &set),
    }
}

/// Makes the folder, or finds what an earlier run of the same kind left in it.
fn prepare(out: &Path, inputs: &Inputs, plan: &Plan<'_>) -> Result<()> {
    let args = plan.args;
    let mut record = json!({
        "tool": introspective_report::manifest::TOOL,
        "version": env!("CARGO_PKG_VERSION"),
        "inputs": inputs.fingerprint(),
        "seed": args.seed,
        "jpeg": args.jpeg,
    });
    if let Inputs::Set(_) = inputs {
        // an array holds all of them, and only here is said which
        record["severities"] =
            plan.severities.iter().map(|severity| severity.get()).collect::<Vec<_>>().into();
    }
    let path = out.join(RECORD);
    let kept = match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str::<Value>(&text).ok(),
        Err(_) => None,
    };
    let strangers =
        || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) && kept.is_none();
    if kept.as_ref() == Some(&record) {
        return Ok(());
    }
    if !args.force && kept.is_some() {
        bail!(
            "{} holds corruptions of other inputs, or with another seed, version, format or other severities; choose another --out, or \
             begin anew with --force",
            out.display()
        );
    }
    if !args.force && strangers() {
        bail!(
            "--out {} is not empty and not of this command; choose another folder, or add --force",
            out.display()
        );
    }
    if kept.is_some() {
        // of another kind: what lies there must not be taken for this one's
        for corruption in Corruption::ALL {
            let _ = fs::remove_dir_all(out.join(corruption.name()));
            let _ = fs::remove_file(out.join(format!("{}.npy", corruption.name())));
        }
        let _ = fs::remove_file(out.join("labels.npy"));
    }
    make_folder(out)?;
    fs::write(&path, record.to_string() + "\n")
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// What is said at the end of a run.
fn finish(written: usize, kept: usize, failed: usize, plan: &Plan<'_>) -> Result<ExitCode> {
    let out = plan.args.out.display();
    if plan.interrupt.came() {
        eprintln!("interrupted after {written} files; the same command goes on");
        return Ok(ExitCode::from(Interrupt::EXIT_CODE));
    }
    let there = if kept > 0 { format!(", {kept} were there") } else { String::new() };
    output::line(&format!("{written} files written{there}: {out}"))?;
    Ok(if failed > 0 { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

/// Writes a file under another name first, so that an interrupted run leaves no half ones.
fn whole(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    write(part)?;
    fs::rename(part, path).with_context(|| format!("{}: cannot be written", path.display()))
}

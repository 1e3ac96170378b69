//! The command `introspect`: flags to calls of the library, and errors to words.
//!
//! stdout carries results, stderr everything else; exit code 0 means done, 2 an error.

mod advice;
mod args;
mod atlas;
mod check;
mod corrupt;
mod evaluate;
mod explain;
mod export;
mod fit;
mod interrupt;
mod layers;
mod models;
mod network;
mod output;
mod per_picture;
mod pictures;
mod predict;
mod preprocessing;
mod run_folder;
mod second;
mod serve;
mod study;
#[cfg(feature = "train")]
mod train;
#[cfg(not(feature = "train"))]
#[path = "train_absent.rs"]
mod train;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command, StudyCommand};

fn main() -> ExitCode {
    output::silence_panics();
    let args = Args::parse();
    if args.verbose {
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .init();
    }
    let run = || match &args.command {
        Command::Explain(args) => explain::run(args),
        Command::Atlas(args) => atlas::run(args),
        Command::Fit(args) => fit::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Corrupt(args) => corrupt::run(args),
        Command::Study(StudyCommand::Recognition(args)) => study::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Layers(args) => layers::run(args),
        Command::Models => models::run(),
        Command::Export(args) => export::run(args),
        Command::Train(args) => train::run(args),
    };
    match output::without_panics(run) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            output::report(&error);
            ExitCode::from(2)
        }
        Err(panic) => {
            eprintln!(
                "error: {panic}\n  this is a bug of introspect; please report it with the command line"
            );
            ExitCode::from(2)
        }
    }
}

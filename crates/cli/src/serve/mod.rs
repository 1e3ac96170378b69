//! `introspect serve`.

mod archive;
mod sessions;
mod viewer;

use std::net::TcpListener;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use introspective_serve::{Limits, Stop, serve};

use crate::args::ServeArgs;
use crate::interrupt::Interrupt;
use crate::output;
use viewer::Viewer;

/// Serves the page until Ctrl-C.
pub fn run(args: &ServeArgs) -> Result<ExitCode> {
    output::limit_threads(args.threads)?;
    // before the network is read, which may take long
    let listener = TcpListener::bind(args.address).with_context(|| {
        format!("--address {}: cannot listen there; port 0 takes any free port", args.address)
    })?;
    let viewer = Arc::new(Viewer::open(args)?);
    let limits = Limits {
        body: usize::from(args.max_body) << 20,
        queue: args.queue.into(),
        workers: args.workers.into(),
        time: Duration::from_secs(args.timeout.into()),
        bodies: Limits::default().bodies.max(usize::from(args.max_body) << 21),
        hosts: args.host.clone(),
        ..Limits::default()
    };
    let stop = Stop::default();
    let (told, asked) = (stop.clone(), AtomicBool::new(false));
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            process::exit(Interrupt::EXIT_CODE.into());
        }
        told.now();
    })
    .context("cannot watch for Ctrl-C")?;
    let address = listener.local_addr().context("--address")?;
    output::line(&format!("http://{address}/"))?;
    eprintln!("{}; Ctrl-C stops it", viewer.says());
    if !address.ip().to_canonical().is_loopback() {
        eprintln!("note: anybody who reaches {address} may use this server");
    }
    serve(listener, viewer, limits, &stop).context("the server cannot go on")?;
    eprintln!("stopped");
    Ok(ExitCode::SUCCESS)
}

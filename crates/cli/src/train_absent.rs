//! `introspect train` in a binary that was built without it.

use std::process::ExitCode;

use anyhow::{Result, bail};

/// Whatever is asked of it.
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true)]
pub struct TrainArgs {
    #[arg(hide = true, num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Says how to get it.
pub fn run(_: &TrainArgs) -> Result<ExitCode> {
    bail!(
        "this introspect was built without training; get one with it by `cargo install --path crates/cli --features train` \
         in a checkout (for graphics processors too: `--features wgpu`)"
    )
}

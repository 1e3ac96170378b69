//! Flags of `introspect serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use introspective_network::RuntimeChoice;

use super::{NetworkArgs, PreprocessingArgs};

#[derive(clap::Args, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Names of the classes: as for explain.
    #[arg(long, value_name = "FILE")]
    pub classes: Option<String>,
    #[command(flatten)]
    pub preprocessing: PreprocessingArgs,
    /// A second stage: as for explain.
    #[arg(long, value_name = "FILE")]
    pub head: Option<PathBuf>,
    /// Layer to look at first, as `introspect layers` lists them [default: the last convolutional block].
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,
    /// Address and port to listen at; port 0 is any free one. Whoever reaches the address may use the server: beyond this
    /// machine's own addresses put something in front of it that asks who they are.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7878")]
    pub address: SocketAddr,
    /// A name by which the server is reached, beside localhost and addresses: that of a proxy before it; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// The largest body of a request.
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=2048))]
    pub max_body: u16,
    /// The most pixels of a picture, in millions: what a small file may grow to.
    #[arg(long, value_name = "MILLIONS", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub max_pixels: u16,
    /// Requests that may wait; one more is answered with 503.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub queue: u16,
    /// Requests answered at a time.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// How long a body may take to come, and an answer to be found.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub timeout: u16,
    /// What computes: as for explain.
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = clap::builder::PossibleValuesParser::new(RuntimeChoice::ALL.map(RuntimeChoice::name)))]
    pub runtime: String,
    /// Threads that work on a picture [default: one per physical core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

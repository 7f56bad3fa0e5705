//! `qpq bench`.

use std::net::SocketAddr;

use clap::{Args, Subcommand, ValueEnum};

use crate::config::Fingerprint;

/// `qpq bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Print one JSON object per line, with medians, floors and ratios.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// A short run, under 45 s.
    #[arg(long, global = true)]
    pub(crate) quick: bool,
    #[command(subcommand)]
    pub(crate) what: Option<BenchWhat>,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchWhat {
    /// Two bots talk through REST and WebSocket (this one when none is named).
    Chat,
    /// A node alone, through its RPC interface.
    Node(BenchNode),
    /// The doors of a gateway: groups of bots through REST and WebSocket, many sockets, reads.
    Gateway(BenchGateway),
    /// The engine of a session: messages in groups of all sizes, through one and through many.
    Session(BenchSession),
}

/// `qpq bench session`.
///
/// The node is one of its own, in a temporary directory below the data directory.
#[derive(Debug, Args)]
pub(crate) struct BenchSession {
    /// Members of the groups.
    #[arg(
        long,
        value_name = "COUNT",
        value_delimiter = ',',
        default_value = "2,10,100,1000",
        value_parser = clap::value_parser!(u32).range(2..=2000)
    )]
    pub(crate) members: Vec<u32>,
    /// Measure the memory of so many bots instead, each in 200 groups of ten.
    #[arg(
        long,
        value_name = "BOTS",
        num_args = 0..=1,
        default_missing_value = "100",
        value_parser = clap::value_parser!(u32).range(10..=1000)
    )]
    pub(crate) memory: Option<u32>,
}

/// `qpq bench gateway`.
///
/// Node and gateway are of its own, in a temporary directory below the data directory.
#[derive(Debug, Args)]
pub(crate) struct BenchGateway {
    /// Members of the groups [default: 2,20,100, quick: 2,20].
    #[arg(
        long,
        value_name = "COUNT",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(2..=200)
    )]
    pub(crate) members: Option<Vec<u32>>,
    /// Sockets that wait for one message; each takes two file descriptors.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "1000",
        value_parser = clap::value_parser!(u32).range(10..=9000)
    )]
    pub(crate) sockets: u32,
    /// Messages per second by the clock in groups of 20, `envelope` and `native`.
    #[arg(long, value_name = "RATE,RATE", default_value = "250,500", value_parser = paces)]
    pub(crate) pace: [usize; 2],
    /// Measure only this; may be given more than once.
    #[arg(long, value_name = "PART", value_enum)]
    pub(crate) part: Vec<GatewayPart>,
}

/// Two rates.
fn paces(text: &str) -> Result<[usize; 2], String> {
    let rate = |text: &str| text.parse().ok().filter(|rate| (1..=10_000).contains(rate));
    let rates = text.split_once(',').map(|(envelope, native)| (rate(envelope), rate(native)));
    match rates {
        Some((Some(envelope), Some(native))) => Ok([envelope, native]),
        _ => Err("two numbers from 1 to 10000, such as 100,200".to_owned()),
    }
}

/// A part of `qpq bench gateway`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GatewayPart {
    /// Groups in which one speaks; reads; a receiver that comes back.
    Groups,
    /// One message to many sockets.
    Sockets,
    /// The Matrix facade beside the native API.
    Matrix,
}

/// `qpq bench node`.
///
/// The node is one of its own, in a temporary directory below the data directory.
#[derive(Debug, Args)]
pub(crate) struct BenchNode {
    /// Measure only rows whose name contains this; may be given more than once.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Vec<String>,
    /// Print the names of the rows and measure nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// Rounds; the median round counts [default: 5, quick: 1].
    #[arg(long, value_name = "COUNT")]
    pub(crate) rounds: Option<usize>,
    /// Measure enqueue, push and ack at so many queued rows instead.
    #[arg(
        long,
        value_name = "ROWS",
        value_delimiter = ',',
        num_args = 0..=1,
        default_missing_value = "1000,10000,100000,1000000,5000000",
        conflicts_with_all = ["filter", "list", "bench_node"]
    )]
    pub(crate) depths: Option<Vec<usize>>,
    /// Load a node that runs elsewhere instead; its queues fill up.
    #[arg(id = "bench_node", long = "node", value_name = "ADDR", requires = "bench_fingerprint")]
    pub(crate) node: Option<SocketAddr>,
    /// SHA-256 of that node's certificate, as `qpq node` prints it.
    #[arg(
        id = "bench_fingerprint",
        long = "node-fingerprint",
        value_name = "HEX",
        requires = "bench_node"
    )]
    pub(crate) fingerprint: Option<Fingerprint>,
}

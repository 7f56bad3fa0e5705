//! The command line.

use clap::{Args, Parser, Subcommand};

use crate::config::{BotsLayer, CommonArgs, HttpLayer, LinkLayer, NodeLayer};
use crate::exit;

/// End-to-end encrypted group messaging for people and bots.
#[derive(Debug, Parser)]
#[command(name = "qpq", version, about, after_help = exit::TABLE, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start node and gateway together; prints where everything is.
    Up(Up),
    /// Start a node alone.
    Node(Node),
    /// Start a gateway alone, for a node elsewhere.
    Gateway(Gateway),
    /// Watch two bots talk: everything in a temporary directory, every step explained.
    Demo,
    /// Measure latency and throughput, beside the floors of this machine.
    Bench(Bench),
    /// Ask a gateway whether it is ready.
    Health(Health),
    /// Print the gateway's `OpenAPI` description.
    Openapi,
    /// Look at the configuration.
    #[command(subcommand)]
    Config(Config),
}

/// `qpq up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) http: HttpLayer,
    #[command(flatten)]
    pub(crate) bots: BotsLayer,
    #[command(flatten)]
    pub(crate) node: NodeLayer,
    /// Print one line of JSON when ready, instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `qpq node`.
#[derive(Debug, Args)]
pub(crate) struct Node {
    #[command(flatten)]
    pub(crate) node: NodeLayer,
    /// Print one line of JSON when ready, instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `qpq gateway`.
#[derive(Debug, Args)]
pub(crate) struct Gateway {
    #[command(flatten)]
    pub(crate) http: HttpLayer,
    #[command(flatten)]
    pub(crate) bots: BotsLayer,
    #[command(flatten)]
    pub(crate) link: LinkLayer,
    /// Print one line of JSON when ready, instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `qpq bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Print one JSON object per line: name, unit, median, p99, floor, ratio.
    #[arg(long)]
    pub(crate) json: bool,
    /// A short run, under 45 seconds.
    #[arg(long)]
    pub(crate) quick: bool,
}

/// `qpq health`.
#[derive(Debug, Args)]
pub(crate) struct Health {
    /// The gateway; the configured address when absent.
    #[arg(long, env = "QPQ_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `qpq config`.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Print the configuration that a start would use, as TOML.
    Check(ConfigCheck),
}

/// `qpq config check`.
#[derive(Debug, Args)]
pub(crate) struct ConfigCheck {
    #[command(flatten)]
    pub(crate) http: HttpLayer,
    #[command(flatten)]
    pub(crate) bots: BotsLayer,
    #[command(flatten)]
    pub(crate) node: NodeLayer,
    #[command(flatten)]
    pub(crate) link: LinkLayer,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}

//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, CommandFactory, Parser, Subcommand};
use quicproquo_node::IdentityKey;

use crate::config::{BotsLayer, CommonArgs, HttpLayer, LinkLayer, NodeLayer};
use crate::exit::{self, Failure};

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
    /// Start a node alone, or look after one.
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
    #[command(subcommand)]
    pub(crate) command: Option<NodeCommand>,
    #[command(flatten)]
    pub(crate) layer: NodeLayer,
    /// Print one line of JSON when ready, instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `qpq node ..`: works on the data directory, beside a running node or without one.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Access tokens for clients that know only `NodeService`.
    #[command(subcommand)]
    Token(NodeToken),
}

/// `qpq node token`.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeToken {
    /// Issue a token bound to one identity.
    Issue(TokenIssue),
    /// List the tokens that were issued; the tokens themselves are not kept.
    List(TokenList),
    /// Take tokens back; the next call with them is refused.
    Revoke(TokenRevoke),
}

/// `qpq node token issue`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("by").required(true))]
pub(crate) struct TokenIssue {
    /// The identity, 64 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    pub(crate) identity: IdentityKey,
    /// How long the token is valid, like `12h` or `30d`; at most 366 days.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = life)]
    pub(crate) ttl: Duration,
    /// File with the proof that the identity's key has signed for this token.
    #[arg(long, value_name = "FILE", group = "by")]
    pub(crate) proof: Option<PathBuf>,
    /// Vouch for the identity yourself, and print a token made here.
    #[arg(long, group = "by")]
    pub(crate) operator: bool,
    /// Print one line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `qpq node token list`.
#[derive(Debug, Args)]
pub(crate) struct TokenList {
    /// Only those of one identity.
    #[arg(long, value_name = "HEX")]
    pub(crate) identity: Option<IdentityKey>,
    /// Print one line of JSON for each.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `qpq node token revoke`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true))]
pub(crate) struct TokenRevoke {
    /// The token's id as `list` shows it.
    #[arg(value_name = "ID", group = "which")]
    pub(crate) id: Option<String>,
    /// All tokens of one identity.
    #[arg(long, value_name = "HEX", group = "which")]
    pub(crate) identity: Option<IdentityKey>,
}

/// A time of at most 366 days.
fn life(text: &str) -> Result<Duration, String> {
    let life = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let days = life.as_secs().div_ceil(24 * 3_600);
    if (1..=366).contains(&days) { Ok(life) } else { Err("1s to 366d".to_owned()) }
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

/// Variables for the callers of a gateway, which examples and scripts read.
const OF_CALLERS: [&str; 3] = ["QPQ_TOKEN", "QPQ_ADMIN_TOKEN", "QPQ_ADMIN_TOKEN_FILE"];

/// A misspelt variable would silently leave its setting at the default.
pub(crate) fn check_environment() -> Result<(), Failure> {
    let mut known = OF_CALLERS.map(OsString::from).to_vec();
    variables(&Cli::command(), &mut known);
    let unknown = std::env::vars_os()
        .map(|(name, _)| name)
        .find(|name| name.as_encoded_bytes().starts_with(b"QPQ_") && !known.contains(name));
    match unknown {
        None => Ok(()),
        Some(name) => {
            let name = name.display();
            Err(Failure::usage(format!("the environment variable {name} is no setting")))
        }
    }
}

/// Every variable that a command or one below it reads.
fn variables(command: &clap::Command, found: &mut Vec<OsString>) {
    let arguments = command.get_arguments();
    found.extend(arguments.filter_map(|argument| argument.get_env().map(OsString::from)));
    command.get_subcommands().for_each(|command| variables(command, found));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn lives_of_tokens_are_bounded() {
        assert_eq!(super::life("30d").unwrap().as_secs(), 30 * 24 * 3_600);
        for wrong in ["0s", "367d", "-1s", "soon"] {
            assert!(super::life(wrong).is_err(), "{wrong}");
        }
    }
}

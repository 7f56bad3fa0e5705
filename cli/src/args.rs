//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, CommandFactory, Parser, Subcommand};
use quicproquo_node::IdentityKey;

use crate::config::{BotsLayer, CommonArgs, HttpLayer, KeySource, LinkLayer, NodeLayer, keys};
use crate::exit::{self, Failure};
pub(crate) use bench::{Bench, BenchGateway, BenchNode, BenchSession, BenchWhat};
pub(crate) use identity::{Identity, IdentityCommand, IdentityVerify};

mod bench;
mod identity;

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
    /// Start a gateway alone, for a node elsewhere, or look after one.
    Gateway(Gateway),
    /// Watch two bots talk: everything in a temporary directory, every step explained.
    Demo,
    /// Measure latency and throughput, beside the floors of this machine.
    Bench(Bench),
    /// Ask a gateway whether it is ready.
    Health(Health),
    /// Look an identity up and compare safety numbers, as a bot.
    Identity(Identity),
    /// Print the gateway's `OpenAPI` description.
    Openapi {
        /// Print the `AsyncAPI` description of the event stream instead.
        #[arg(long)]
        events: bool,
    },
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
    /// Who is here, and who is shut out.
    #[command(subcommand)]
    Identity(NodeIdentity),
    /// Invites for new identities, where the node asks for them.
    #[command(subcommand)]
    Invite(NodeInvite),
    /// Names, and those of deleted identities.
    #[command(subcommand)]
    Name(NodeName),
    /// Copy the node's data, also while it runs.
    Backup {
        /// Directory to make; absent or empty.
        #[arg(value_name = "DIR")]
        target: PathBuf,
        /// Print one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Bring a backup to the data directory, which must be absent or empty.
    Restore {
        /// Directory of the backup.
        #[arg(value_name = "DIR")]
        from: PathBuf,
        /// Print one line of JSON.
        #[arg(long)]
        json: bool,
    },
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

/// `qpq node identity`.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeIdentity {
    /// List all identities that have authenticated or are banned.
    List {
        /// Print one line of JSON for each.
        #[arg(long)]
        json: bool,
    },
    /// Shut an identity out: its Session ends within a second, its tokens die.
    Ban {
        /// The identity, 64 hexadecimal digits.
        #[arg(value_name = "HEX")]
        identity: IdentityKey,
    },
    /// Let a banned identity in again.
    Unban {
        /// The identity, 64 hexadecimal digits.
        #[arg(value_name = "HEX")]
        identity: IdentityKey,
    },
}

/// `qpq node invite`.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeInvite {
    /// Make an invite; its code is shown once.
    Create(InviteCreate),
    /// List all invites, used up and expired ones too.
    List {
        /// Print one line of JSON for each.
        #[arg(long)]
        json: bool,
    },
    /// End an invite; whom it has admitted stays.
    Revoke {
        /// The invite's id as `list` shows it.
        #[arg(value_name = "ID")]
        id: u64,
    },
}

/// `qpq node invite create`.
#[derive(Debug, Args)]
pub(crate) struct InviteCreate {
    /// How many new identities it admits.
    #[arg(long, value_name = "COUNT", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) uses: u32,
    /// How long it is valid, like `12h` or `30d`; without end when absent.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) ttl: Option<Duration>,
    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) label: String,
    /// Print one line of JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `qpq node name`.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeName {
    /// List all names.
    List {
        /// Print one line of JSON for each.
        #[arg(long)]
        json: bool,
    },
    /// Let somebody claim the name of a deleted identity.
    Release(NameRelease),
}

/// `qpq node name release`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("heir").required(true))]
pub(crate) struct NameRelease {
    /// The name.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Who alone may claim it, 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", group = "heir")]
    pub(crate) to: Option<IdentityKey>,
    /// Whoever comes first may claim it, and be taken for the one that is gone.
    #[arg(long, group = "heir")]
    pub(crate) to_anyone: bool,
}

/// `qpq gateway`.
#[derive(Debug, Args)]
pub(crate) struct Gateway {
    #[command(subcommand)]
    pub(crate) command: Option<GatewayCommand>,
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

/// `qpq gateway ..`: works on the data directory while no gateway runs on it.
#[derive(Debug, Subcommand)]
pub(crate) enum GatewayCommand {
    /// Seal the bots' database under another master key.
    ///
    /// A crash in the middle leaves the former key or the new one. Backups made before need the
    /// former key.
    Rekey {
        /// The new key, as --master-key names them; a file that is absent is made. Without it the
        /// file of the former key gets a fresh one.
        #[arg(long, value_name = "SOURCE")]
        to: Option<KeySource>,
        /// Print one line of JSON.
        #[arg(long)]
        json: bool,
    },
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
    known.push(OsString::from(keys::VARIABLE));
    known.extend(crate::hooks::VARIABLES.map(OsString::from));
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

//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{BotsLayer, CommonArgs, HttpLayer, LinkLayer, NodeLayer, keys};
use crate::exit::{self, Failure};
pub(crate) use access::{AdminAccess, BotAccess};
pub(crate) use bench::{Bench, BenchGateway, BenchNode, BenchSession, BenchWhat, GatewayPart};
pub(crate) use bot::{Bot, BotCommand, BotToken, InvitePolicy};
pub(crate) use chat::Chat;
pub(crate) use gateway::{Gateway, GatewayCommand};
pub(crate) use group::{Group, GroupCommand, Invitation, InvitationCommand};
pub(crate) use identity::{Identity, IdentityCommand, IdentityVerify};
pub(crate) use messages::{Download, Listen, Send};
pub(crate) use node::{
    InviteCreate, NameRelease, Node, NodeCommand, NodeIdentity, NodeInvite, NodeName, NodeToken,
    TokenIssue, TokenList, TokenRevoke,
};

mod access;
mod bench;
mod bot;
mod chat;
mod examples;
mod gateway;
mod group;
mod identity;
mod messages;
mod node;

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
    /// Chat in the terminal, as a person, straight with the node.
    Chat(Chat),
    /// Create and look after the bots of a gateway, as its admin.
    Bot(Bot),
    /// Create and look after groups, as a bot.
    Group(Group),
    /// Answer invitations, as a bot.
    Invitation(Invitation),
    /// Send messages, as a bot: an argument, or each line of standard input.
    Send(Send),
    /// Download a file that was sent or received, as a bot.
    Download(Download),
    /// Follow what happens to a bot.
    Listen(Listen),
    /// Look an identity up and compare safety numbers, as a bot.
    Identity(Identity),
    /// Print the gateway's `OpenAPI` description.
    Openapi {
        /// Print the `AsyncAPI` description of the event stream instead.
        #[arg(long)]
        events: bool,
    },
    /// Print what the documents are made of, as JSON.
    #[command(hide = true)]
    Reference,
    /// Look at the configuration.
    #[command(subcommand)]
    Config(Config),
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Print the manual page of `qpq`, or write those of all commands into a directory.
    Man {
        /// Directory for the pages; made when absent.
        #[arg(value_name = "DIR")]
        dir: Option<PathBuf>,
    },
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

/// The whole command line.
pub(crate) fn command() -> clap::Command {
    examples::attach(Cli::command(), "")
}

/// Reads the command line; ends the process when it is wrong, or only asks for help.
pub(crate) fn parse() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// A misspelt variable would silently leave its setting at the default.
pub(crate) fn check_environment() -> Result<(), Failure> {
    let mut known = access::VARIABLES.map(OsString::from).to_vec();
    known.push(OsString::from(keys::VARIABLE));
    known.extend(crate::hooks::VARIABLES.map(OsString::from));
    variables(&command(), &mut known);
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
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}

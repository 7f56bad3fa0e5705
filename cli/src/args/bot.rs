//! `qpq bot ..`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::AdminAccess;

const EXAMPLES: &str = "\
Examples:
  qpq bot create weather --save-token weather.token
  qpq bot list
  qpq bot token issue weather --scope messages:send --ttl 30d
  qpq bot export weather weather.bot --passphrase-file secret.txt";

/// `qpq bot`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bot {
    #[command(subcommand)]
    pub(crate) command: BotCommand,
    #[command(flatten)]
    pub(crate) access: AdminAccess,
}

/// What to do with bots. A bot is given by its name, id or identity.
#[derive(Debug, Subcommand)]
pub(crate) enum BotCommand {
    /// Create a bot; prints its first token, which is not shown again.
    Create {
        /// Also claimed as its name at the node: 1 to 63 of a-z, 0-9, `.`, `_` and `-`.
        #[arg(value_name = "NAME")]
        name: String,
        /// An invite of the node's operator, where the node asks for one.
        #[arg(long, value_name = "CODE")]
        invite: Option<String>,
        /// Write the token into a new file (0600) instead of printing it.
        #[arg(long, value_name = "FILE")]
        save_token: Option<PathBuf>,
    },
    /// List all bots.
    List,
    /// Show a bot, and how it does.
    Show {
        /// The bot.
        #[arg(value_name = "BOT")]
        bot: String,
    },
    /// Delete a bot, here and at the node.
    Delete {
        /// The bot.
        #[arg(value_name = "BOT")]
        bot: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Tokens of a bot.
    #[command(subcommand)]
    Token(BotToken),
    /// Write a bot into a sealed archive; it stands still here from then on.
    Export {
        /// The bot.
        #[arg(value_name = "BOT")]
        bot: String,
        /// File to make (0600).
        #[arg(value_name = "FILE")]
        to: PathBuf,
        /// File with the passphrase, 12 bytes or more; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        passphrase_file: PathBuf,
    },
    /// Take a bot in from an archive; prints a token.
    Import {
        /// The archive.
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// File with the passphrase that the archive was sealed under; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        passphrase_file: PathBuf,
        /// Write the token into a new file (0600) instead of printing it.
        #[arg(long, value_name = "FILE")]
        save_token: Option<PathBuf>,
    },
}

/// `qpq bot token ..`.
#[derive(Debug, Subcommand)]
pub(crate) enum BotToken {
    /// Issue a token, which is not shown again.
    Issue {
        /// The bot.
        #[arg(value_name = "BOT")]
        bot: String,
        /// What to call it.
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: String,
        /// What it may do, like `messages:send`; all scopes when absent.
        #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
        scope: Vec<String>,
        /// In which groups (ids); all when absent.
        #[arg(long, value_name = "GROUP_ID", value_delimiter = ',')]
        group: Vec<String>,
        /// How long it is valid, like `12h` or `30d`; without end when absent.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        ttl: Option<Duration>,
        /// Write the token into a new file (0600) instead of printing it.
        #[arg(long, value_name = "FILE")]
        save_token: Option<PathBuf>,
    },
    /// List a bot's tokens; the tokens themselves are not kept.
    List {
        /// The bot.
        #[arg(value_name = "BOT")]
        bot: String,
    },
    /// Take a token back: its streams end within a second.
    Revoke {
        /// The bot.
        #[arg(value_name = "BOT")]
        bot: String,
        /// The token's id, as `list` shows it, or its label.
        #[arg(value_name = "TOKEN_ID")]
        token: String,
    },
}

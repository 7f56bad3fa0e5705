//! `qpq bot ..`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::AdminAccess;

/// `qpq bot`.
#[derive(Debug, Args)]
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
    /// Show or set what becomes of a bot's invitations.
    Invitations {
        /// The bot.
        #[arg(value_name = "BOT")]
        bot: String,
        /// From now on; without it the present policy is shown.
        #[arg(value_name = "POLICY")]
        policy: Option<InvitePolicy>,
        /// Whose invitations `allow` accepts: identities, or names of bots of this gateway.
        #[arg(long, value_name = "WHO", value_delimiter = ',', required_if_eq("policy", "allow"))]
        from: Vec<String>,
    },
    /// Let a bot go on here that was displaced or exported.
    ///
    /// Only when it runs nowhere else: two copies of one identity harm each other.
    Resume {
        /// The bot.
        #[arg(value_name = "BOT")]
        bot: String,
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
        /// The archive: as `export` has written it, its Base64, or the answer of the route.
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

/// What becomes of invitations as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InvitePolicy {
    /// They wait until the bot answers.
    Ask,
    /// All are accepted.
    All,
    /// All are declined.
    None,
    /// Those by the identities of --from are accepted, the others wait.
    Allow,
}

impl InvitePolicy {
    /// The word of the API.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::All => "all",
            Self::None => "none",
            Self::Allow => "allow",
        }
    }
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

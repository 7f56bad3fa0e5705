//! How commands reach a gateway, and with which token.

use std::path::PathBuf;

use clap::Args;

/// Variables with tokens, or with files of tokens. They are no options: the arguments of a process
/// are seen by everybody on the machine.
pub(crate) const VARIABLES: [&str; 4] =
    ["QPQ_TOKEN", "QPQ_TOKEN_FILE", "QPQ_ADMIN_TOKEN", "QPQ_ADMIN_TOKEN_FILE"];

/// A gateway, as its admin.
#[derive(Debug, Clone, Args)]
pub(crate) struct AdminAccess {
    /// The gateway; the configured address when absent.
    #[arg(long, env = "QPQ_URL", value_name = "URL", global = true)]
    pub(crate) url: Option<String>,
    /// File with the admin token [default: the variables `QPQ_ADMIN_TOKEN` and
    /// `QPQ_ADMIN_TOKEN_FILE`, then `admin-token` in the data directory].
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// Print JSON, one object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// A gateway, as one of its bots.
#[derive(Debug, Clone, Args)]
pub(crate) struct BotAccess {
    /// The gateway; the configured address when absent.
    #[arg(long, env = "QPQ_URL", value_name = "URL", global = true)]
    pub(crate) url: Option<String>,
    /// File with the bot's token [default: the variables `QPQ_TOKEN` and `QPQ_TOKEN_FILE`].
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// Print JSON, one object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

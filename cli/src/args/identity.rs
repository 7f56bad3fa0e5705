//! `qpq identity ..`.

use clap::{ArgGroup, Args, Subcommand};

use super::BotAccess;

/// `qpq identity`.
#[derive(Debug, Args)]
pub(crate) struct Identity {
    #[command(subcommand)]
    pub(crate) command: IdentityCommand,
    #[command(flatten)]
    pub(crate) access: BotAccess,
}

/// What to do with an identity.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Show its names, safety number and trust.
    Show {
        /// A name, or an identity of 64 hexadecimal digits.
        #[arg(value_name = "WHO")]
        who: String,
    },
    /// Say that you have compared its safety number by another way.
    Verify(IdentityVerify),
}

/// `qpq identity verify`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how").required(true))]
pub(crate) struct IdentityVerify {
    /// A name, or an identity of 64 hexadecimal digits.
    #[arg(value_name = "WHO")]
    pub(crate) who: String,
    /// The safety number that the other side shows; refused when it is another.
    #[arg(long, value_name = "DIGITS", group = "how")]
    pub(crate) number: Option<String>,
    /// You have compared it yourself.
    #[arg(long, group = "how")]
    pub(crate) compared: bool,
    /// Take an earlier verification back.
    #[arg(long, group = "how")]
    pub(crate) undo: bool,
}

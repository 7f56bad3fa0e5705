//! `qpq send`, `qpq download` and `qpq listen`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::BotAccess;

/// `qpq send`.
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The text; without it each line of standard input is a message.
    #[arg(value_name = "TEXT", conflicts_with = "messages")]
    pub(crate) text: Option<String>,
    /// The group: its id, or its name where one group has it.
    #[arg(long, short, value_name = "GROUP", required_unless_present = "messages")]
    pub(crate) group: Option<String>,
    /// The id of the message that this one answers.
    #[arg(long, value_name = "MESSAGE_ID", conflicts_with = "messages")]
    pub(crate) reply_to: Option<String>,
    /// Send a file; TEXT is its caption.
    #[arg(long, value_name = "PATH", conflicts_with = "messages")]
    pub(crate) file: Option<PathBuf>,
    /// Each line of standard input is a message as JSON: what the API takes, and `group_id` (unless
    /// --group is given) and `idempotency_key` if wanted.
    #[arg(long)]
    pub(crate) messages: bool,
    /// Wait until each message is durable at the node, at most a minute.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to try again when the gateway does not answer; a message is never sent twice.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) retry: Duration,
    #[command(flatten)]
    pub(crate) access: BotAccess,
}

/// `qpq download`.
#[derive(Debug, Args)]
pub(crate) struct Download {
    /// The attachment's id: `content.attachment_id` of its message.
    #[arg(value_name = "ATTACHMENT_ID")]
    pub(crate) attachment: String,
    /// File to make, or a directory for it; `-` is standard output [default: the sender's name for
    /// it, in this directory].
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// How long to try again when the gateway does not answer; goes on where it was.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) retry: Duration,
    #[command(flatten)]
    pub(crate) access: BotAccess,
}

/// `qpq listen`.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// Acknowledge each event once its line is written; the next run with this name goes on there.
    #[arg(long, value_name = "NAME")]
    pub(crate) consumer: Option<String>,
    /// Begin after this cursor instead of now.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
    /// Only events of these types, like `message.received`.
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
    /// Only events of these groups.
    #[arg(long, short, value_name = "GROUP", value_delimiter = ',')]
    pub(crate) group: Vec<String>,
    /// End after so many events.
    #[arg(long, short = 'n', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    #[command(flatten)]
    pub(crate) access: BotAccess,
}

//! `qpq chat`.

use clap::Args;

use crate::config::LinkLayer;

const EXAMPLES: &str = "\
Examples:
  qpq chat
  qpq chat --node chat.example.org:7000 --node-fingerprint 3b6a27bc...

F1 shows the keys and commands. Another person on the same machine needs a --data-dir of their own.";

/// `qpq chat`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Chat {
    #[command(flatten)]
    pub(crate) link: LinkLayer,
}

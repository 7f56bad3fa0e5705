//! `qpq chat`.

use clap::Args;

use crate::config::LinkLayer;

/// `qpq chat`.
#[derive(Debug, Args)]
pub(crate) struct Chat {
    #[command(flatten)]
    pub(crate) link: LinkLayer,
    /// Tell nobody what you are typing and how far you have read.
    #[arg(long)]
    pub(crate) discreet: bool,
}

//! `qpq gateway ..`.

use clap::{Args, Subcommand};

use crate::config::{BotsLayer, HttpLayer, KeySource, LinkLayer};

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

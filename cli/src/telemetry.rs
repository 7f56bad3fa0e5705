//! Logs, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Settings};
use crate::exit::Failure;
use crate::output::wants_colour;

/// Of the store's own libraries only what is wrong, unless the filter names them.
const QUIET: &str = "fjall=warn,lsm_tree=warn";

/// Starts logging as the settings say.
pub(crate) fn start(settings: &Settings) -> Result<(), Failure> {
    let filter = EnvFilter::builder()
        .parse(format!("{QUIET},{}", settings.log))
        .map_err(|error| Failure::usage(format!("the log filter {:?}: {error}", settings.log)))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && wants_colour());
    let started = match settings.log_format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
    started.map_err(|error| Failure::other(format!("logging: {error}")))
}

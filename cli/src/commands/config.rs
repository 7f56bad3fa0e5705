//! `qpq config check`: what a start would use.

use crate::config::Settings;
use crate::exit::Failure;
use crate::output::print;

/// Prints the configuration; a wrong one has failed before.
pub(crate) fn check(settings: &Settings) -> Result<(), Failure> {
    let text = toml::to_string(settings).map_err(Failure::other)?;
    print(text.trim_end())
}

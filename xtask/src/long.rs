//! The long forms of the fault tests, with their figures.

use anyhow::{Result, bail};

use crate::{install, shell};

/// Runs them, or with a filter those whose names contain it. Which tests have a long form says
/// the profile `long` in `.config/nextest.toml`.
pub(crate) fn run(filter: Option<&str>) -> Result<()> {
    install::ensure(false)?;
    shell::run("cargo", &["build", "--package", "quicproquo-cli"])?;
    let mut args = vec!["nextest", "run", "--workspace", "--profile", "long"];
    args.extend(filter);
    let mut command = shell::program("cargo", &args);
    if !shell::succeeds("cargo", &["nextest", "--version"]) {
        bail!("the long forms need cargo-nextest: cargo install cargo-nextest");
    }
    shell::check(command.env("QPQ_LONG", "1"), "cargo nextest")
}

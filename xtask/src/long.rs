//! The long forms of the fault tests, with their figures.

use anyhow::{Result, bail};

use crate::{install, shell};

/// Thousands of simulated sessions take a third of the time in an optimised engine. These are other
/// files than those of an ordinary build, which stay.
const OPTIMISED: [&str; 6] = [
    "--config",
    "profile.dev.package.quicproquo-core.opt-level=2",
    "--config",
    "profile.dev.package.quicproquo-client.opt-level=2",
    "--config",
    "profile.dev.package.ciborium-ll.opt-level=3",
];

/// Runs them, or with a filter those whose names contain it. Which tests have a long form says
/// the profile `long` in `.config/nextest.toml`.
pub(crate) fn run(filter: Option<&str>) -> Result<()> {
    install::ensure(false)?;
    let mut args = vec!["build", "--package", "quicproquo-cli"];
    args.extend(OPTIMISED);
    shell::run("cargo", &args)?;
    let mut args = vec!["nextest", "run", "--workspace", "--profile", "long"];
    args.extend(OPTIMISED);
    args.extend(filter);
    let mut command = shell::program("cargo", &args);
    if !shell::succeeds("cargo", &["nextest", "--version"]) {
        bail!("the long forms need cargo-nextest: cargo install cargo-nextest");
    }
    shell::check(command.env("QPQ_LONG", "1"), "cargo nextest")
}

//! Writes `openapi/gateway.json`, which the gateway generates from its code.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::shell;

const FILE: &str = "openapi/gateway.json";

/// Writes the description, or with `check` compares it.
pub(crate) fn run(check: bool) -> Result<()> {
    let fresh = shell::capture(
        "cargo",
        &["run", "--quiet", "--package", "quicproquo-cli", "--", "openapi"],
    )?;
    let path = crate::workspace_root().join(FILE);
    if !check {
        return fs::write(&path, fresh).with_context(|| format!("write {}", path.display()));
    }
    if fs::read_to_string(&path).unwrap_or_default() != fresh {
        bail!("{FILE} is stale: run `cargo xtask openapi`");
    }
    Ok(())
}

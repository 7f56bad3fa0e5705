//! Writes `openapi/gateway.json` and `openapi/events.asyncapi.json`, which the gateway generates from
//! its code.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Files, and what of `qpq openapi` prints each.
const FILES: [(&str, &[&str]); 2] =
    [("openapi/gateway.json", &[]), ("openapi/events.asyncapi.json", &["--events"])];

/// Writes the descriptions, or with `check` compares them.
pub(crate) fn run(check: bool) -> Result<()> {
    for (file, options) in FILES {
        let mut args = vec!["run", "--quiet", "--package", "quicproquo-cli", "--", "openapi"];
        args.extend(options);
        let fresh = shell::capture("cargo", &args)?;
        let path = crate::workspace_root().join(file);
        if !check {
            fs::write(&path, fresh).with_context(|| format!("write {}", path.display()))?;
        } else if fs::read_to_string(&path).unwrap_or_default() != fresh {
            bail!("{file} is stale: run `cargo xtask openapi`");
        }
    }
    Ok(())
}

//! Keeps the rules of `ARCHITECTURE.md` true: the crate graph and the shape of source files.

mod files;
mod graph;

use anyhow::{Result, bail};

use crate::shell;

/// Checks everything; names every fault before it fails.
pub(crate) fn run() -> Result<()> {
    let mut faults = graph::faults()?;
    faults.extend(files::faults()?);
    for fault in &faults {
        shell::say(&format!("tidy: {fault}"));
    }
    if !faults.is_empty() {
        bail!("{} rule(s) broken", faults.len());
    }
    Ok(())
}

//! Generates `schemas/src/generated/*.rs` with a compiler that is itself a crate, so that a
//! fresh machine needs no `capnp` binary and every machine generates the same bytes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const SCHEMAS: [&str; 2] = ["node", "session"];

/// Writes the generated modules, or with `check` compares them.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = crate::workspace_root();
    let target = root.join("schemas/src/generated");
    let scratch = root.join("target/codegen");
    fs::create_dir_all(&scratch)?;
    let prefix = root.join("schemas/capnp");
    let mut command = capnpc_embedded::CompileCommand::new();
    for name in SCHEMAS {
        command.file(prefix.join(format!("{name}.capnp")));
    }
    let request = command.src_prefix(&prefix).compile().context("compile the schemas")?;
    capnpc::codegen::CodeGenerationCommand::new()
        .output_directory(&scratch)
        .run(&request[..])
        .context("generate the Rust modules")?;
    for name in SCHEMAS {
        let file = format!("{name}_capnp.rs");
        settle(&scratch.join(&file), &target.join(&file), check)?;
    }
    Ok(())
}

fn settle(fresh: &Path, kept: &PathBuf, check: bool) -> Result<()> {
    let new = fs::read_to_string(fresh)?;
    if !check {
        fs::write(kept, new)?;
        return Ok(());
    }
    if fs::read_to_string(kept).unwrap_or_default() != new {
        bail!("{} is stale: run `cargo xtask codegen`", kept.display());
    }
    Ok(())
}

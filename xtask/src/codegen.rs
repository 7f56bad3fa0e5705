//! Generates the Cap'n Proto modules with a compiler that is itself a crate, so that a fresh
//! machine needs no `capnp` binary and every machine generates the same bytes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Schemas that are compiled together.
struct Set {
    folder: &'static str,
    schemas: &'static [&'static str],
    target: &'static str,
}

const SETS: [Set; 3] = [
    Set { folder: "schemas/capnp", schemas: &["node", "session"], target: "schemas/src/generated" },
    // These two have one file id, that of the published interface.
    Set { folder: "tests/capnp", schemas: &["published"], target: "tests/tests/it/generated" },
    Set { folder: "tests/capnp", schemas: &["older"], target: "tests/tests/it/generated" },
];

/// Writes the generated modules, or with `check` compares them.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = crate::workspace_root();
    let scratch = root.join("target/codegen");
    fs::create_dir_all(&scratch)?;
    for set in SETS {
        generate(&root, &scratch, &set, check)?;
    }
    Ok(())
}

fn generate(root: &Path, scratch: &Path, set: &Set, check: bool) -> Result<()> {
    let prefix = root.join(set.folder);
    let mut command = capnpc_embedded::CompileCommand::new();
    for name in set.schemas {
        command.file(prefix.join(format!("{name}.capnp")));
    }
    let request = command.src_prefix(&prefix).compile().context("compile the schemas")?;
    capnpc::codegen::CodeGenerationCommand::new()
        .output_directory(scratch)
        .run(&request[..])
        .context("generate the Rust modules")?;
    for name in set.schemas {
        let file = format!("{name}_capnp.rs");
        settle(&scratch.join(&file), &root.join(set.target).join(&file), check)?;
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

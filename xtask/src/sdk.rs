//! Generates the clients beneath the SDKs from `openapi/gateway.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{install, shell};

const PYTHON: &str = "sdk/python/src/quicproquo/generated";
const TYPESCRIPT: &str = "sdk/typescript/src/generated";

/// Writes the generated clients, or with `check` compares them.
pub(crate) fn run(check: bool) -> Result<()> {
    install::sdk()?;
    let target = install::target_directory()?;
    let scratch = target.join("sdk");
    fs::create_dir_all(&scratch)?;
    let python = scratch.join("python");
    generate_python(&target, &python)?;
    settle(&python, &crate::workspace_root().join(PYTHON), check)?;
    let typescript = scratch.join("typescript");
    generate_typescript(&target, &typescript)?;
    settle(&typescript, &crate::workspace_root().join(TYPESCRIPT), check)
}

fn generate_python(target: &Path, output: &Path) -> Result<()> {
    let generator = target.join("venv-sdk/bin/openapi-python-client");
    let args = ["generate", "--meta", "none", "--fail-on-warning", "--overwrite"];
    let mut command = shell::program(text(&generator)?, &args);
    command.args(["--path", "openapi/gateway.json", "--config", "sdk/python/generator.yaml"]);
    shell::check(command.arg("--output-path").arg(output), "openapi-python-client")
}

fn generate_typescript(target: &Path, output: &Path) -> Result<()> {
    let generator = target.join("node-sdk/node_modules/.bin/openapi-typescript");
    let mut command = shell::program(text(&generator)?, &["openapi/gateway.json", "--output"]);
    shell::check(command.arg(output.join("gateway.ts")), "openapi-typescript")
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the target directory is no UTF-8")
}

/// Makes one folder what the other is, or says that it is not.
fn settle(fresh: &Path, kept: &Path, check: bool) -> Result<()> {
    let (new, old) = (contents(fresh)?, contents(kept)?);
    if check {
        let differs = |path: &&PathBuf| new.get(*path) != old.get(*path);
        if let Some(path) = new.keys().chain(old.keys()).find(differs) {
            bail!("{} is stale: run `cargo xtask sdk`", kept.join(path).display());
        }
        return Ok(());
    }
    for path in old.keys().filter(|path| !new.contains_key(*path)) {
        fs::remove_file(kept.join(path))?;
    }
    for (path, bytes) in &new {
        let path = kept.join(path);
        fs::create_dir_all(path.parent().unwrap_or(kept))?;
        fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// The files below a folder, by their paths in it; without what Python leaves behind.
fn contents(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        if !next.exists() {
            continue;
        }
        for entry in fs::read_dir(&next).with_context(|| format!("list {}", next.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "__pycache__") {
                    open.push(path);
                }
            } else {
                let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                found.insert(path.strip_prefix(folder)?.to_owned(), bytes);
            }
        }
    }
    Ok(found)
}

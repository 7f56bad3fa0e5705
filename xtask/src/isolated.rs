//! What is built apart from the workspace: loom models and fuzzers.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::shell;

const LOOM: &str = "node/loom";
const FUZZ: &str = "node/fuzz";

/// Explores the loom models of the node's concurrent cores.
pub(crate) fn loom() -> Result<()> {
    let root = crate::workspace_root();
    let mut command = shell::program("cargo", &["test", "--release", "--quiet"]);
    command
        .current_dir(root.join(LOOM))
        .env("CARGO_TARGET_DIR", root.join("target/loom"))
        .env("RUSTFLAGS", "--cfg loom");
    shell::check(&mut command, "cargo test of the loom models")
}

/// Runs fuzzers for `seconds` each: one, or all that there are.
pub(crate) fn fuzz(target: Option<String>, seconds: u32) -> Result<()> {
    if !shell::succeeds("cargo", &["fuzz", "--version"]) {
        bail!("cargo-fuzz is absent: cargo install cargo-fuzz");
    }
    let targets = match target {
        Some(target) => vec![target],
        None => targets()?,
    };
    let root = crate::workspace_root();
    // The same versions of everything as in the workspace.
    fs::copy(root.join("Cargo.lock"), root.join(FUZZ).join("Cargo.lock"))?;
    for target in targets {
        shell::say(&format!("==> fuzz {target}"));
        let found = root.join("target/fuzz-corpus").join(&target);
        fs::create_dir_all(&found).with_context(|| format!("create {}", found.display()))?;
        let (found, seeds) = (found.display().to_string(), format!("{FUZZ}/corpus/{target}"));
        let limit = format!("-max_total_time={seconds}");
        // Without a sanitizer: the node has no unsafe code of its own.
        let args = [
            "fuzz",
            "run",
            "--fuzz-dir",
            FUZZ,
            "--sanitizer",
            "none",
            &target,
            &found,
            &seeds,
            "--",
            &limit,
            "-max_len=16384",
            "-timeout=20",
            "-rss_limit_mb=2048",
        ];
        // cargo-fuzz asks for unstable flags of the compiler.
        shell::check(shell::program("cargo", &args).env("RUSTC_BOOTSTRAP", "1"), "cargo fuzz")?;
    }
    Ok(())
}

/// Names of the targets, by their files.
fn targets() -> Result<Vec<String>> {
    let folder = crate::workspace_root().join(FUZZ).join("fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

//! What is built apart from the workspace: loom models and fuzzers.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::shell;

const LOOM: &str = "node/loom";
const FUZZ: [&str; 4] = ["core/fuzz", "client/fuzz", "node/fuzz", "gateway/fuzz"];

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
    let mut targets = targets()?;
    if let Some(wanted) = target {
        targets.retain(|(_, target)| *target == wanted);
        if targets.is_empty() {
            bail!("there is no fuzzer {wanted}");
        }
    }
    let root = crate::workspace_root();
    for (package, target) in targets {
        shell::say(&format!("==> fuzz {target} of {package}"));
        // The same versions of everything as in the workspace.
        fs::copy(root.join("Cargo.lock"), root.join(package).join("Cargo.lock"))?;
        let found = root.join("target/fuzz-corpus").join(&target);
        fs::create_dir_all(&found).with_context(|| format!("create {}", found.display()))?;
        let (found, seeds) = (found.display().to_string(), format!("{package}/corpus/{target}"));
        let limit = format!("-max_total_time={seconds}");
        // Without a sanitizer: none of our crates has unsafe code of its own.
        let args = [
            "fuzz",
            "run",
            "--fuzz-dir",
            package,
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

/// The targets with their packages, by their files.
fn targets() -> Result<Vec<(&'static str, String)>> {
    let mut targets = Vec::new();
    for package in FUZZ {
        let folder = crate::workspace_root().join(package).join("fuzz_targets");
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
            targets.extend(name.map(|name| (package, name)));
        }
    }
    targets.sort();
    Ok(targets)
}

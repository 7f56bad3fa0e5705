//! Mutation testing of the code on which durability and order rest.

use anyhow::{Result, bail};

use crate::shell;

/// Code that is changed, and the tests that should notice.
struct Area {
    name: &'static str,
    package: &'static str,
    files: &'static [&'static str],
    /// Arguments of the test command.
    tests: &'static [&'static str],
}

const AREAS: [Area; 5] = [
    Area {
        name: "queue",
        package: "quicproquo-node",
        files: &["node/src/delivery.rs", "node/src/delivery/**/*.rs"],
        tests: &["--lib"],
    },
    Area {
        name: "outbox",
        package: "quicproquo-client",
        files: &["client/src/session/{outbox,send,pace}.rs", "client/src/store/outbox.rs"],
        tests: &["--lib", "--test", "it"],
    },
    Area {
        name: "session",
        package: "quicproquo-client",
        files: &["client/src/session/{receive,commit,repair,readd,stale}.rs"],
        tests: &["--lib", "--test", "it"],
    },
    Area {
        name: "seal",
        package: "quicproquo-client",
        files: &["client/src/store/{seal,key}.rs"],
        tests: &["--lib"],
    },
    Area {
        name: "auth",
        package: "quicproquo-gateway",
        files: &["gateway/src/auth.rs", "gateway/src/auth/*.rs"],
        tests: &["--lib"],
    },
];

/// Runs the mutants of one area, or of all; of each area one share, such as `1/20`, which cargo-mutants
/// spreads evenly over the code. The reports are in `target/mutants`.
pub(crate) fn run(area: Option<&str>, shard: Option<&str>) -> Result<()> {
    if !shell::succeeds("cargo", &["mutants", "--version"]) {
        bail!("cargo-mutants is absent: cargo install cargo-mutants");
    }
    let mut areas: Vec<&Area> = AREAS.iter().collect();
    if let Some(name) = area {
        areas.retain(|area| area.name == name);
        if areas.is_empty() {
            let names: Vec<_> = AREAS.iter().map(|area| area.name).collect();
            bail!("{name} is none of {}", names.join(", "));
        }
    }
    let mut missed = Vec::new();
    for Area { name, package, files, tests } in areas {
        shell::say(&format!("==> mutants of {name}"));
        let output = format!("target/mutants/{name}");
        let mut args = vec!["mutants", "--package", package, "--jobs", "1", "--no-shuffle"];
        args.extend(["--test-tool", "nextest", "--timeout", "180", "--output", &output]);
        args.extend(files.iter().flat_map(|file| ["--file", file]));
        if let Some(shard) = shard {
            args.extend(["--shard", shard, "--sharding", "round-robin"]);
        }
        // The first failure is enough.
        args.extend(["--cargo-test-arg=--fail-fast"]);
        let tests: Vec<String> =
            tests.iter().map(|arg| format!("--cargo-test-arg={arg}")).collect();
        args.extend(tests.iter().map(String::as_str));
        std::fs::create_dir_all(crate::workspace_root().join(&output))?;
        // 2: mutants were missed; 3: some took too long.
        let code = shell::program("cargo", &args).status()?.code();
        match code {
            Some(0 | 3) => {}
            Some(2) => missed.push(*name),
            _ => bail!("cargo mutants failed in {name}"),
        }
    }
    if !missed.is_empty() {
        bail!("no test notices some changes in {}", missed.join(", "));
    }
    Ok(())
}

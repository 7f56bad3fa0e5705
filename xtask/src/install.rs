//! What the tests need besides Rust: Chromium, Python and Node.js with a few packages, Java and Go for
//! the clients that generators make and the examples, curl and jq, strace, faketime, tools for small
//! disks, systemd-nspawn.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;

/// What the tests need that speak through foreign stacks.
const REQUIREMENTS: &[&str] = &["tests/python/requirements.txt"];

/// Two versions of a library for Matrix, which exclude each other.
const NIO: [(&str, &str); 2] =
    [("venv-nio", "tests/matrix/nio.txt"), ("venv-nio-024", "tests/matrix/nio-024.txt")];

/// Bots for Matrix that others have published.
const MATRIX_BOTS: &[&str] = &["tests/matrix/bots.txt", "tests/matrix/bots-constraints.txt"];

/// What the SDK for Python, its examples and its tests need.
const SDK_REQUIREMENTS: &[&str] =
    &["sdk/python/requirements-dev.txt", "sdk/python/constraints.txt"];

/// A program the tests start, and the Debian packages that bring it.
struct Tool {
    what: &'static str,
    packages: &'static [&'static str],
    present: fn() -> bool,
}

const TOOLS: [Tool; 13] = [
    Tool { what: "Chromium", packages: &["chromium"], present: has_chromium },
    Tool {
        what: "Python 3.11 or newer with venv",
        packages: &["python3", "python3-venv"],
        present: has_python,
    },
    Tool { what: "Node.js 20 or newer with npm", packages: &["nodejs", "npm"], present: has_node },
    Tool { what: "Java", packages: &["default-jre-headless"], present: has_java },
    Tool { what: "Go", packages: &["golang-go"], present: has_go },
    Tool {
        what: "gorilla/websocket for Go",
        packages: &["golang-github-gorilla-websocket-dev"],
        present: has_go_websocket,
    },
    Tool {
        what: "the documentation of matrix-nio, whose example a test runs",
        packages: &["python3-matrix-nio-doc"],
        present: has_nio_examples,
    },
    Tool { what: "jq", packages: &["jq"], present: has_jq },
    Tool { what: "curl", packages: &["curl", "ca-certificates"], present: has_curl },
    Tool { what: "strace", packages: &["strace"], present: has_strace },
    Tool { what: "faketime", packages: &["faketime"], present: has_faketime },
    Tool {
        what: "systemd-nspawn",
        packages: &["systemd", "systemd-container"],
        present: has_nspawn,
    },
    Tool {
        what: "mkfs.ext4, losetup and fsfreeze",
        packages: &["e2fsprogs", "mount", "util-linux"],
        present: has_disks,
    },
];

fn has_chromium() -> bool {
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .any(|name| shell::succeeds(name, &["--version"]))
}

fn has_python() -> bool {
    shell::succeeds(
        "python3",
        &["-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"],
    )
}

fn has_node() -> bool {
    let recent = "process.exit(Number(process.versions.node.split('.')[0]) < 20 ? 1 : 0)";
    shell::succeeds("node", &["-e", recent]) && shell::succeeds("npm", &["--version"])
}

fn has_java() -> bool {
    shell::succeeds("java", &["-version"])
}

fn has_go() -> bool {
    shell::succeeds("go", &["version"])
}

/// Where Debian has it; the tests look for it there.
fn has_go_websocket() -> bool {
    PathBuf::from("/usr/share/gocode/src/github.com/gorilla/websocket").exists()
}

/// Where Debian has them; the test looks for them there.
fn has_nio_examples() -> bool {
    PathBuf::from("/usr/share/doc/python3-matrix-nio-doc/html/examples.html").exists()
}

fn has_jq() -> bool {
    shell::succeeds("jq", &["--version"])
}

fn has_curl() -> bool {
    shell::succeeds("curl", &["--version"])
}

fn has_strace() -> bool {
    shell::succeeds("strace", &["--version"])
}

fn has_faketime() -> bool {
    shell::succeeds("faketime", &["--version"])
}

fn has_nspawn() -> bool {
    shell::succeeds("systemd-nspawn", &["--version"])
}

fn has_disks() -> bool {
    // They lie where only root looks for programs.
    let path = "PATH=$PATH:/usr/sbin:/sbin";
    let all = "command -v mkfs.ext4 && command -v losetup && command -v fsfreeze";
    shell::succeeds("sh", &["-c", &format!("{path}; {all}")])
}

/// Makes sure that everything is there; installs what is absent only when `install` is set.
pub(crate) fn ensure(install: bool) -> Result<()> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !(tool.present)()).collect();
    if !missing.is_empty() {
        if !install {
            let names: Vec<&str> = missing.iter().map(|tool| tool.what).collect();
            bail!(
                "the tests need {}: install it, or run `cargo xtask ci --install` as root on \
                 Debian or Ubuntu",
                names.join(", ")
            );
        }
        apt(&missing.iter().flat_map(|tool| tool.packages).copied().collect::<Vec<_>>())?;
    }
    python_environment("venv", REQUIREMENTS)?;
    for (name, requirements) in NIO {
        python_environment(name, &[requirements])?;
    }
    python_environment("venv-matrix-bots", MATRIX_BOTS)?;
    node_modules("tests/node", "node")?;
    sdk()
}

/// Makes sure of what the SDKs need.
pub(crate) fn sdk() -> Result<()> {
    python_environment("venv-sdk", SDK_REQUIREMENTS)?;
    node_modules("sdk/typescript", "node-sdk")
}

fn apt(packages: &[&str]) -> Result<()> {
    if shell::capture("id", &["-u"])?.trim() != "0" || !shell::succeeds("apt-get", &["--version"]) {
        bail!("install by hand (needs root and apt otherwise): {}", packages.join(" "));
    }
    shell::run("apt-get", &["update", "-qq"])?;
    // Images of containers leave documentation out; an example in it is what a test runs.
    let documentation = "DPkg::Options::=--path-include=/usr/share/doc/python3-matrix-nio-doc/*";
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends", "-o", documentation];
    args.extend(packages);
    shell::check(
        shell::program("apt-get", &args).env("DEBIAN_FRONTEND", "noninteractive"),
        "apt-get install",
    )
}

/// Creates `<target>/{name}` with what the Python files need; the tests look for it there.
fn python_environment(name: &str, files: &[&str]) -> Result<()> {
    let venv = target_directory()?.join(name);
    let stamp = venv.join("requirements.txt");
    let mut wanted = String::new();
    for file in files {
        let path = crate::workspace_root().join(file);
        wanted += &fs::read_to_string(path).with_context(|| format!("read {file}"))?;
    }
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    let path = venv.to_str().context("the target directory is no UTF-8")?;
    shell::run("python3", &["-m", "venv", "--clear", path])?;
    let python = venv.join("bin/python");
    let python = python.to_str().context("the target directory is no UTF-8")?;
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    let args: Vec<&str> = quiet.into_iter().chain(files.first().copied()).collect();
    shell::run(python, &args)?;
    fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))
}

/// Creates `<target>/{name}/node_modules` with exactly what the lock file in `source` says.
fn node_modules(source: &str, name: &str) -> Result<()> {
    let folder = target_directory()?.join(name);
    let stamp = folder.join("installed.json");
    let source = crate::workspace_root().join(source);
    let read = |name: &str| {
        let path = source.join(name);
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    let lock = read("package-lock.json")?;
    if fs::read_to_string(&stamp).is_ok_and(|have| have == lock) {
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    fs::write(folder.join("package.json"), read("package.json")?)?;
    fs::write(folder.join("package-lock.json"), &lock)?;
    let folder = folder.to_str().context("the target directory is no UTF-8")?;
    let quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"];
    let mut args = vec!["ci", "--prefix", folder];
    args.extend(quiet);
    shell::run("npm", &args)?;
    fs::write(&stamp, lock).with_context(|| format!("write {}", stamp.display()))
}

pub(crate) fn target_directory() -> Result<PathBuf> {
    let text = shell::capture("cargo", &["metadata", "--format-version", "1", "--no-deps"])?;
    let metadata: Value = serde_json::from_str(&text).context("read cargo metadata")?;
    let target = metadata["target_directory"].as_str().context("no target directory")?;
    Ok(PathBuf::from(target))
}

//! The SDKs: their own tests against a running gateway, and what a user installs.

use std::path::Path;
use std::process::Stdio;

use quicproquo_tests::{LONG, Launch, files, within};
use tempfile::TempDir;
use tokio::process::Command;

/// Runs a program to its end and answers what it wrote.
async fn run(what: &str, command: &mut Command) -> String {
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = within(what, LONG, run).await.expect(what);
    let (text, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}:\n{text}\n{complaint}");
    text.into_owned()
}

/// A command of Python's environment, in the SDK's folder.
fn python(module: &str) -> Command {
    let mut command = Command::new(files::sdk_python());
    command
        .args(["-m", module])
        .current_dir(files::checkout("sdk/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[tokio::test]
async fn the_python_sdk_passes_its_tests() {
    let dir = TempDir::new().expect("prepare files");
    let up = Launch::up(&dir.path().join("up")).start().await;
    let mut tests = python("pytest");
    tests
        .args(["-q", "-p", "no:cacheprovider"])
        .env("QPQ_URL", up.url())
        .env("QPQ_ADMIN_TOKEN", up.admin().token());
    let said = run("pytest", &mut tests).await;
    assert!(said.contains("passed") && !said.contains("skipped"), "{said}");
    up.stop().await;
}

#[tokio::test]
async fn the_python_sdk_is_typed_and_tidy() {
    let cache = files::target_dir().join("mypy-cache");
    run("mypy", python("mypy").arg("--cache-dir").arg(&cache)).await;
    let examples = files::checkout("examples/python");
    let mut mypy = python("mypy");
    mypy.args(["--explicit-package-bases", "--cache-dir"]).arg(&cache).arg(&examples);
    run("mypy", mypy.env("MYPYPATH", "src:../..")).await;
    // Editors show what this one finds.
    let mut pyright = Command::new(files::node("pyright"));
    pyright.current_dir(files::checkout("sdk/python")).arg("--pythonpath").arg(files::sdk_python());
    let said = run("pyright", &mut pyright).await;
    assert!(said.contains("0 errors, 0 warnings"), "{said}");
    for check in [&["check"][..], &["format", "--check"]] {
        let mut ruff = python("ruff");
        ruff.args(check).args(["--no-cache", "--quiet", "--config", "pyproject.toml", "."]);
        run("ruff", ruff.arg(&examples)).await;
    }
}

#[tokio::test]
async fn the_python_package_holds_what_it_needs() {
    let dir = TempDir::new().expect("prepare files");
    let at = |name: &str| dir.path().join(name);
    let mut build = python("hatchling");
    run("hatchling", build.args(["build", "--directory"]).arg(at("dist"))).await;
    let wheel = at("dist/quicproquo-0.1.0-py3-none-any.whl");
    assert!(at("dist/quicproquo-0.1.0.tar.gz").exists());
    let mut install = python("pip");
    install.args(["install", "--quiet", "--no-deps", "--no-index", "--target"]);
    run("pip", install.arg(at("site")).arg(&wheel)).await;
    let mut import = Command::new(files::sdk_python());
    import.current_dir(dir.path()).env("PYTHONPATH", at("site")).args([
        "-c",
        "import quicproquo, importlib.resources as r; from quicproquo.generated.api.groups import \
         create_group; assert (r.files(quicproquo) / 'py.typed').is_file(); print(quicproquo.__file__)",
    ]);
    let file = run("import", &mut import).await;
    assert!(file.starts_with(at("site").to_str().expect("prepare files")), "{file}");
}

/// A copy of the SDK for TypeScript, beside the packages it needs.
fn typescript(dir: &Path) {
    for part in ["src", "tests"] {
        files::copy_tree(&files::checkout(&format!("sdk/typescript/{part}")), &dir.join(part));
    }
    for file in ["package.json", "tsconfig.json", "README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        std::fs::copy(files::checkout(&format!("sdk/typescript/{file}")), dir.join(file))
            .expect("prepare files");
    }
    std::os::unix::fs::symlink(files::sdk_node_modules(), dir.join("node_modules"))
        .expect("prepare files");
}

fn tsc(dir: &Path) -> Command {
    let mut command = Command::new(files::sdk_node_modules().join(".bin/tsc"));
    command.current_dir(dir);
    command
}

#[tokio::test]
async fn the_typescript_sdk_passes_its_tests() {
    let dir = TempDir::new().expect("prepare files");
    let at = dir.path().join("sdk");
    std::fs::create_dir(&at).expect("prepare files");
    typescript(&at);
    run("tsc", tsc(&at).args(["--project", "tests/tsconfig.json"])).await;
    let up = Launch::up(&dir.path().join("up")).start().await;
    let mut tests = Command::new("node");
    tests
        .args(["--test", "build/tests/"])
        .current_dir(&at)
        .env("QPQ_URL", up.url())
        .env("QPQ_ADMIN_TOKEN", up.admin().token());
    let said = run("node --test", &mut tests).await;
    assert!(said.contains("# fail 0") && said.contains("# skipped 0"), "{said}");
    up.stop().await;
}

/// Packs the SDK, and lays it and the packages it needs where examples find them.
async fn typescript_installed(dir: &Path) {
    let (source, modules) = (dir.join("sdk"), dir.join("node_modules"));
    std::fs::create_dir(&source).expect("prepare files");
    typescript(&source);
    let mut npm = Command::new("npm");
    npm.env("npm_config_update_notifier", "false");
    run("npm pack", npm.args(["pack", "--quiet"]).current_dir(&source)).await;
    std::fs::create_dir(&modules).expect("prepare files");
    for entry in std::fs::read_dir(files::sdk_node_modules()).expect("prepare files") {
        let entry = entry.expect("prepare files");
        std::os::unix::fs::symlink(entry.path(), modules.join(entry.file_name()))
            .expect("prepare files");
    }
    let mut unpack = Command::new("tar");
    unpack.args(["-xzf", "sdk/quicproquo-0.1.0.tgz", "-C", "node_modules"]).current_dir(dir);
    run("tar", &mut unpack).await;
    std::fs::rename(modules.join("package"), modules.join("quicproquo")).expect("prepare files");
}

/// Compiles the TypeScript examples against the packed SDK, into `dist` of a folder.
pub(super) async fn typescript_examples(dir: &Path) {
    typescript_installed(dir).await;
    for name in ["package.json", "tsconfig.json"] {
        std::fs::copy(files::checkout(&format!("examples/typescript/{name}")), dir.join(name))
            .expect("prepare files");
    }
    for name in ["echo", "bridge"] {
        files::copy_tree(&files::checkout(&format!("examples/typescript/{name}")), &dir.join(name));
    }
    run("tsc", &mut tsc(dir)).await;
}

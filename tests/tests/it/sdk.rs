//! The SDKs: their own tests against a running gateway, and what a user installs.

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
    let dir = TempDir::new().unwrap();
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
    for check in [&["check"][..], &["format", "--check"]] {
        let mut ruff = python("ruff");
        ruff.args(check).args(["--no-cache", "--quiet", "--config", "pyproject.toml", "."]);
        run("ruff", ruff.arg(&examples)).await;
    }
}

#[tokio::test]
async fn the_python_package_holds_what_it_needs() {
    let dir = TempDir::new().unwrap();
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
    assert!(file.starts_with(at("site").to_str().unwrap()), "{file}");
}

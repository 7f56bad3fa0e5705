//! Clients that foreign generators make of the description compile and hold a conversation.

use std::path::Path;

use quicproquo_tests::{Bot, Launch, bots, files};
use tempfile::TempDir;
use tokio::process::Command;

use super::{DOCUMENT, run};

/// A folder with a client in it, and the conversation in one language.
fn workplace(language: &str) -> TempDir {
    let dir = TempDir::new().expect("a workplace");
    let name = format!("conversation.{language}");
    std::fs::copy(files::checkout(&format!("tests/clients/{name}")), dir.path().join(name))
        .expect("a workplace");
    dir
}

/// Runs a conversation against a running system.
async fn converse(dir: &Path, command: &mut Command) {
    let up = Launch::up(&dir.join("up")).start().await;
    let [alice, bob]: [Bot; 2] = bots(&up, ["alice", "bob"]).await;
    command
        .current_dir(dir)
        .env("QPQ_URL", up.url())
        .env("QPQ_ALICE", alice.api.token())
        .env("QPQ_BOB", bob.api.token())
        .env("QPQ_BOB_IDENTITY", &bob.identity);
    let said = run("the conversation", command).await;
    assert!(said.contains("conversation held"), "{said}");
    up.stop().await;
}

#[tokio::test]
async fn a_python_client_holds_a_conversation() {
    let dir = workplace("py");
    let config = dir.path().join("config.yaml");
    std::fs::write(&config, "post_hooks: []\n").unwrap();
    let mut generate = Command::new(files::venv("openapi-python-client"));
    generate
        .current_dir(dir.path())
        .args([
            "generate",
            "--meta",
            "none",
            "--fail-on-warning",
            "--output-path",
            "gateway_client",
        ])
        .arg("--config")
        .arg(&config)
        .arg("--path")
        .arg(files::checkout(DOCUMENT));
    run("openapi-python-client", &mut generate).await;
    converse(dir.path(), Command::new(files::python()).arg("conversation.py")).await;
}

#[tokio::test]
async fn a_typescript_client_holds_a_conversation() {
    let dir = workplace("ts");
    let at = |name: &str| dir.path().join(name);
    std::fs::copy(files::checkout("tests/clients/tsconfig.json"), at("tsconfig.json")).unwrap();
    std::os::unix::fs::symlink(files::node_modules(), at("node_modules")).unwrap();
    let mut generate = Command::new(files::node("openapi-ts"));
    generate
        .current_dir(dir.path())
        .args(["--client", "@hey-api/client-fetch", "--output", "gateway", "--input"])
        .arg(files::checkout(DOCUMENT));
    run("openapi-ts", &mut generate).await;
    let mut compile = Command::new(files::node("tsc"));
    run("tsc --strict", compile.current_dir(dir.path()).args(["--project", "."])).await;
    converse(dir.path(), Command::new("node").arg("js/conversation.js")).await;
}

#[tokio::test]
async fn a_go_client_holds_a_conversation() {
    let dir = workplace("go");
    let client = dir.path().join("gateway");
    let mut generate = Command::new(files::venv("openapi-generator-cli"));
    generate
        .args(["generate", "--generator-name", "go", "--output"])
        .arg(&client)
        .arg("--input-spec")
        .arg(files::checkout(DOCUMENT))
        .args(["--git-host", "example.org", "--git-user-id", "", "--git-repo-id", "gateway"])
        .args([
            "--global-property",
            "apiDocs=false,modelDocs=false,apiTests=false,modelTests=false",
        ])
        // Without the lookup it would need a module that is not in the standard library.
        .arg("--additional-properties")
        .arg("packageName=gateway,enumClassPrefix=true,useOneOfDiscriminatorLookup=true");
    run("openapi-generator", &mut generate).await;
    std::fs::write(client.join("go.mod"), "module example.org/gateway\n").unwrap();
    let main = client.join("conversation");
    std::fs::create_dir(&main).unwrap();
    std::fs::rename(dir.path().join("conversation.go"), main.join("main.go")).unwrap();
    let mut compile = Command::new("go");
    compile
        .current_dir(&client)
        .args(["build", "-o", "../conversation", "./conversation"])
        .env("GOPROXY", "off")
        .env("GOFLAGS", "-mod=mod")
        .env("GOCACHE", files::target_dir().join("go-cache"));
    run("go build", &mut compile).await;
    converse(dir.path(), &mut Command::new(dir.path().join("conversation"))).await;
}

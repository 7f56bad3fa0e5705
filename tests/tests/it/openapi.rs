//! The description: it is served as it is committed, foreign tools accept it, and what it says is
//! what the gateway does.

mod clients;
mod examples;
mod operation;
mod pages;
mod prefix;
mod property;
mod validators;

use std::process::Stdio;
use std::time::Duration;

use quicproquo_tests::{Api, Launch, files, within};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

const DOCUMENT: &str = "openapi/gateway.json";

/// How long a foreign tool may take; most of them begin slowly.
const TOOL: Duration = Duration::from_mins(3);

/// The description as it is committed.
fn committed() -> Value {
    let text = std::fs::read_to_string(files::checkout(DOCUMENT)).expect("read it");
    serde_json::from_str(&text).expect("it is JSON")
}

/// Runs a foreign tool to its good end; answers what it said.
async fn run(what: &str, command: &mut Command) -> String {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output =
        within(what, TOOL, running).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}:\n{said}\n{complaint}");
    said + &complaint
}

#[tokio::test]
async fn the_served_description_is_the_committed_one() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let served = Api::new(&up.url(), "").get("/openapi.json").await.expect(200);
    assert_eq!(served, committed(), "run `cargo xtask openapi`");
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
}

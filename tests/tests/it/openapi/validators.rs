//! Foreign validators have nothing to say against the description, and its examples are what its
//! schemas say.

use quicproquo_tests::files;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::{DOCUMENT, committed, run};

#[tokio::test]
async fn two_validators_accept_the_description() {
    let document = files::checkout(DOCUMENT);
    let mut python = Command::new(files::venv("openapi-spec-validator"));
    run("openapi-spec-validator", python.arg(&document)).await;
    let mut redocly = Command::new(files::node("redocly"));
    redocly
        .args(["lint", "--max-problems", "20", "--config"])
        .arg(files::checkout("tests/node/redocly.yaml"))
        .arg(&document)
        .env("REDOCLY_TELEMETRY", "off");
    let said = run("redocly lint", &mut redocly).await;
    assert!(!said.contains("Warning was generated"), "{said}");
}

fn examples_of(document: &std::path::Path) -> Command {
    let mut command = Command::new(files::python());
    command.arg(files::checkout("tests/python/openapi_examples.py")).arg(document);
    command
}

#[tokio::test]
async fn every_example_is_what_its_schema_says() {
    let said = run("the validation", &mut examples_of(&files::checkout(DOCUMENT))).await;
    let count: usize = said.split(' ').next().unwrap().parse().unwrap();
    assert!(count > 100, "{said}");

    // A wrong example is found.
    let mut wrong = committed();
    let answer = "/paths/~1v1~1me/get/responses/200/content/application~1json/example/bot_id";
    *wrong.pointer_mut(answer).unwrap() = Value::from(7);
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("wrong.json");
    std::fs::write(&path, wrong.to_string()).unwrap();
    let output = examples_of(&path).output().await.unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && complaint.contains("/v1/me"), "{complaint}");
}

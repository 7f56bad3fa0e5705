//! The echo bots in every language hold the same conversation, through restarts of everything.

use std::collections::HashMap;

use quicproquo_tests::{Bot, LONG, Launch, bots, files, wait_for};
use tempfile::TempDir;
use tokio::process::Command;

use super::languages;
use super::program::{Program, Start, python};
use crate::sdk::typescript_examples;

/// Speaks to an echo bot, kills the gateway, the bot, and ends it.
async fn conversation(start: &Start<'_>) {
    let dir = TempDir::new().expect("a directory");
    let log = dir.path().join("echo.log");
    let mut up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, echo] = bots(&up, ["alice", "echo"]).await;
    // One invitation from before the bot has ever run, one while it runs.
    let early = alice.create_group("early", &[&echo]).await;
    let mut program = Program::start(start(), &echo, &log);
    program.says("listening", 1).await;
    let late = alice.create_group("late", &[&echo]).await;
    let tail = alice.tail().await;
    for group in [&early, &late] {
        alice.insist(group, &format!("hello {group}"), "hello").await;
        echoed(&alice, &tail, group, 1).await;
    }

    let mut said = 0;
    for round in 0..3 {
        for n in 0..5 {
            let text = format!("round {round} \"message\" {n} \\ üñ");
            alice.insist(&late, &format!("{round}-{n}"), &text).await;
            said += 1;
        }
        // It is in the middle of its work now; the last round kills both.
        if round < 2 {
            up = up.kill().await.start().await;
        } else {
            program.kill().await;
            let launch = up.kill().await;
            // It starts while there is no gateway.
            program = Program::start(start(), &echo, &log);
            up = launch.start().await;
        }
    }
    echoed(&alice, &tail, &late, said + 1).await;
    // One more round trip behind everything: whatever would be doubled has come by then.
    alice.insist(&late, "last", "last").await;
    wait_for("the last echo", LONG, || async {
        alice.heard(&tail, &late).await.iter().any(|text| text.contains("last")).then_some(())
    })
    .await;
    let mut heard: HashMap<String, i32> = HashMap::new();
    for text in alice.heard(&tail, &late).await {
        *heard.entry(text).or_default() += 1;
    }
    assert_eq!(heard.len(), said + 2, "{heard:?}\n{}", program.said());
    assert!(heard.values().all(|count| *count == 1), "each once: {heard:?}\n{}", program.said());
    program.stop().await;

    // What is wrong is said, and not tried for ever.
    refused(start, &echo, "qpq_wrong", &dir.path().join("wrong.log")).await;
    refused(start, &echo, "", &dir.path().join("none.log")).await;
    up.stop().await;
}

async fn echoed(alice: &Bot, tail: &str, group: &str, count: usize) {
    wait_for("the echoes", LONG, || async {
        (alice.heard(tail, group).await.len() >= count).then_some(())
    })
    .await;
}

async fn refused(start: &Start<'_>, bot: &Bot, token: &str, log: &std::path::Path) {
    let mut wrong = bot.clone();
    wrong.api = quicproquo_tests::Api::new(bot.api.base(), token);
    let mut program = Program::start(start(), &wrong, log);
    let status = program.end().await;
    let said = program.said();
    assert!(!status.success() && said.to_lowercase().contains("token"), "{status}: {said}");
    assert!(!said.contains("Traceback") && said.lines().count() < 5, "one sentence: {said}");
}

#[tokio::test]
async fn python_with_the_sdk() {
    conversation(&|| python(&files::checkout("examples/python/echo/bot.py"))).await;
}

#[tokio::test]
async fn python_alone() {
    conversation(&|| {
        let mut command = Command::new("python3");
        command.arg(files::checkout("examples/python/stdlib/bot.py"));
        command
    })
    .await;
}

#[tokio::test]
async fn typescript_with_the_sdk() {
    let dir = TempDir::new().expect("a directory");
    typescript_examples(dir.path()).await;
    conversation(&|| {
        let mut command = Command::new("node");
        command.arg(dir.path().join("dist/echo/bot.js"));
        command
    })
    .await;
}

#[tokio::test]
async fn go_with_the_standard_library() {
    let dir = TempDir::new().expect("a directory");
    let program = languages::go(dir.path()).await;
    conversation(&|| Command::new(&program)).await;
}

#[tokio::test]
async fn shell_with_curl_and_jq() {
    conversation(&|| {
        let mut command = Command::new("bash");
        command.arg(files::checkout("examples/shell/echo/bot.sh"));
        command
    })
    .await;
}

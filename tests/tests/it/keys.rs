//! The master key: where it comes from, and another one in its place.

use std::path::Path;

use quicproquo_tests::process::cut_off;
use quicproquo_tests::{Api, Bot, LONG, Launch, Running, pair, tool};
use serde_json::Value;
use tempfile::TempDir;

/// Exit codes of `qpq`.
const USAGE: i32 = 2;
const IN_USE: i32 = 3;
const DATA: i32 = 5;

async fn history(bot: &Bot, group: &str) -> Vec<Value> {
    let path = format!("/v1/groups/{group}/messages?limit=200");
    bot.api.get(&path).await.expect(200)["items"].as_array().cloned().unwrap_or_default()
}

fn at(running: &Running, bot: &Bot) -> Bot {
    Bot { api: Api::new(&running.url(), bot.api.token()), ..bot.clone() }
}

fn key(data: &Path) -> String {
    std::fs::read_to_string(data.join("gateway/master.key")).expect("a key")
}

#[tokio::test]
async fn a_rotation_that_is_killed_leaves_a_gateway_that_opens() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("up");
    let up = Launch::up(&data).start().await;
    let (alice, bob, group) = pair(&up).await;
    for n in 0..40 {
        alice.say(&group, &format!("message {n}")).await;
    }
    let told = history(&alice, &group).await;
    assert_eq!(told.len(), 40);
    let busy = tool(&data, &["gateway", "rekey"]).await;
    assert_eq!(busy.code, IN_USE, "{}", busy.stderr);
    let mut launch = up.stop().await;
    // How long it takes here, so that kills hit all of it.
    let begun = tokio::time::Instant::now();
    cut_off(&data, &["gateway", "rekey"], LONG).await;
    let whole = begun.elapsed();
    for round in 0..10 {
        cut_off(&data, &["gateway", "rekey"], whole * (round + 12) / 21).await;
        let up = launch.start().await;
        assert!(!data.join("gateway/master.key.new").exists());
        assert_eq!(history(&at(&up, &alice), &group).await, told, "round {round}");
        launch = up.stop().await;
    }
    let before = key(&data);
    let ended = tool(&data, &["gateway", "rekey", "--json"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let line: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(line["values"].as_u64().unwrap() > 40, "{line}");
    assert_ne!(key(&data), before);
    let up = launch.start().await;
    let (alice, bob) = (at(&up, &alice), at(&up, &bob));
    let tail = bob.tail().await;
    alice.say(&group, "after all of it").await;
    bob.hears(&tail, &group, &["after all of it".to_owned()]).await;
}

#[tokio::test]
async fn a_key_comes_from_a_variable_or_a_credential() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("up");
    let (first, second) = ("1a".repeat(32), "2b".repeat(32));
    let by_variable = Launch::up(&data).arg("--master-key", "env:QPQ_MASTER_KEY");
    let unset = by_variable.fail().await;
    assert_eq!(unset.code, USAGE, "{}", unset.stderr);
    let up = by_variable.clone().env("QPQ_MASTER_KEY", &first).start().await;
    let (alice, _, group) = pair(&up).await;
    alice.say(&group, "hello").await;
    let told = history(&alice, &group).await;
    up.stop().await;
    assert!(!data.join("gateway/master.key").exists());
    let wrong = by_variable.clone().env("QPQ_MASTER_KEY", &second).fail().await;
    assert_eq!(wrong.code, DATA, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("the environment variable QPQ_MASTER_KEY does not open"));
    let short = by_variable.clone().env("QPQ_MASTER_KEY", "2b2b2b").fail().await;
    assert_eq!(short.code, DATA, "{}", short.stderr);
    assert!(short.stderr.contains("64 hexadecimal digits") && !short.stderr.contains("2b2b"));

    let credentials = dir.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    let folder = credentials.to_str().unwrap();
    let by_credential = Launch::up(&data).arg("--master-key", "credential:bots");
    let none = by_credential.fail().await;
    assert_eq!(none.code, USAGE, "{}", none.stderr);
    let by_credential = by_credential.env("CREDENTIALS_DIRECTORY", folder);
    let missing = by_credential.fail().await;
    assert_eq!(missing.code, DATA, "{}", missing.stderr);
    assert!(missing.stderr.contains("missing"), "{}", missing.stderr);
    std::fs::write(credentials.join("bots"), format!("{first}\n")).unwrap();
    let up = by_credential.start().await;
    assert_eq!(history(&at(&up, &alice), &group).await, told);
    up.stop().await;

    // From one source to another: into a file of the gateway's own.
    let path = dir.path().join("own.key");
    let to = format!("file:{}", path.display());
    std::fs::write(credentials.join("bots"), &second).unwrap();
    let ended = tool(&data, &["gateway", "--master-key", &to, "rekey"]).await;
    assert_eq!(ended.code, DATA, "that file is not there: {}", ended.stderr);
    let source = dir.path().join("first.key");
    std::fs::write(&source, &first).unwrap();
    let source = format!("file:{}", source.display());
    let ended = tool(&data, &["gateway", "--master-key", &source, "rekey", "--to", &to]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains(&to), "{}", ended.stdout);
    let up = Launch::up(&data).arg("--master-key", &to).start().await;
    assert_eq!(history(&at(&up, &alice), &group).await, told);
}

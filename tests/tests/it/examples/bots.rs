//! The examples that do more than repeat.

use std::net::TcpListener;
use std::path::Path;

use quicproquo_tests::bot::{body_of, messages};
use quicproquo_tests::{Api, Bot, LONG, Launch, bots, files, wait_for};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::program::{Program, python};

/// A Python example's program.
fn example(name: &str) -> Command {
    python(&files::checkout(&format!("examples/python/{name}/bot.py")))
}

/// A port that is free now.
fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.local_addr().expect("an address").port()
}

/// Waits for a text that contains something, and answers the message.
async fn hears(bot: &Bot, tail: &str, group: &str, what: &str) -> Value {
    wait_for(what, LONG, || async {
        let events = bot.events(tail).await;
        let found = events.into_iter().map(|mut event| (event["group_id"].take(), event));
        found
            .filter(|(in_group, event)| *in_group == group && event["type"] == "message.received")
            .map(|(_, mut event)| event["data"].take())
            .find(|message| message["content"].to_string().contains(what))
    })
    .await
}

/// Waits until a bot is in a group and knows its members by name: names are asked for at the node,
/// and what comes before that has none.
async fn acquainted(bot: &Bot, group: &str) {
    wait_for("names", LONG, || async {
        let answer = bot.api.get(&format!("/v1/groups/{group}")).await;
        let known = answer.status == 200 && {
            let group = answer.json();
            let members = group["members"].as_array().cloned().unwrap_or_default();
            group["state"] == "active" && members.iter().all(|member| member["name"].is_string())
        };
        known.then_some(())
    })
    .await;
}

/// How many texts contain something.
async fn count(bot: &Bot, tail: &str, group: &str, what: &str) -> usize {
    bot.heard(tail, group).await.iter().filter(|text| text.contains(what)).count()
}

async fn send_file(bot: &Bot, group: &str, name: &str, bytes: &[u8]) {
    let upload = bot.api.request(Method::POST, &format!("/v1/attachments?filename={name}"));
    let upload = upload.header("Content-Type", "application/pdf").body(bytes.to_vec());
    let attachment = bot.api.send(upload).await.expect(201);
    let content = json!({ "attachment_id": attachment["attachment_id"] });
    let body = json!({ "type": "file", "content": content });
    bot.api.post(&messages(group), &body).await.expect(201);
}

async fn download(bot: &Bot, message: &Value) -> String {
    let id = message["content"]["attachment_id"].as_str().expect("a file");
    let answer = bot.api.get(&format!("/v1/attachments/{id}")).await;
    answer.expect(200);
    answer.text
}

#[tokio::test]
async fn the_reminder_bot_keeps_its_promises_through_restarts() {
    let dir = TempDir::new().expect("a directory");
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bot] = bots(&up, ["alice", "reminder"]).await;
    let start = || {
        let mut command = example("reminder");
        command.env("REMINDERS_DB", dir.path().join("reminders.db"));
        Program::start(command, &bot, &dir.path().join("log"))
    };
    let mut program = start();
    program.says("listening", 1).await;
    let group = alice.create_group("life", &[&bot]).await;
    acquainted(&bot, &group).await;
    let tail = alice.tail().await;
    alice.say(&group, "remind me in 1s to wake up").await;
    hears(&alice, &tail, &group, "I will, at ").await;
    hears(&alice, &tail, &group, "alice: wake up").await;

    // Killed after the promise, and asked while it is away.
    alice.say(&group, "remind me in 2s to stretch").await;
    wait_for("the second promise", LONG, || async {
        (count(&alice, &tail, &group, "I will").await == 2).then_some(())
    })
    .await;
    program.kill().await;
    alice.say(&group, "Remind me in 1 s eat").await;
    let mut program = start();
    program.says("listening", 2).await;
    for what in ["alice: stretch", "alice: eat"] {
        hears(&alice, &tail, &group, what).await;
    }
    // Killed again: what has been said is not said again.
    program.kill().await;
    let mut program = start();
    program.says("listening", 3).await;
    alice.say(&group, "remind me in 0s to end").await;
    hears(&alice, &tail, &group, "alice: end").await;
    for what in ["alice: wake up", "alice: stretch", "alice: eat", "alice: end"] {
        assert_eq!(count(&alice, &tail, &group, what).await, 1, "{what}\n{}", program.said());
    }
    program.stop().await;
    up.stop().await;
}

#[tokio::test]
async fn the_webhook_bot_is_called() {
    let dir = TempDir::new().expect("a directory");
    let listen = format!("127.0.0.1:{}", port());
    let target = format!("http://{listen}");
    let launch = Launch::up(&dir.path().join("up"));
    let launch = launch.arg("--webhook-target", &target).arg("--webhook-retries", "1s,1s,1s,1s");
    let up = launch.start().await;
    let [alice, bot] = bots(&up, ["alice", "loud"]).await;
    let early = alice.create_group("early", &[&bot]).await;
    let start = || {
        let mut command = example("webhook");
        command.env("WEBHOOK_LISTEN", &listen).env("WEBHOOK_STATE", dir.path().join("hook.json"));
        Program::start(command, &bot, &dir.path().join("log"))
    };
    let mut program = start();
    program.says("listening", 1).await;
    let late = alice.create_group("late", &[&bot]).await;
    let tail = alice.tail().await;
    for group in [&early, &late] {
        alice.insist(group, &format!("1 {group}"), "quiet").await;
        hears(&alice, &tail, group, "QUIET").await;
    }
    let forged = Client::new().post(&target).body("{\"type\": \"message.received\"}").send().await;
    assert_eq!(forged.expect("an answer").status(), 401);

    // What is said while it is away waits at the gateway, which is restarted as well.
    program.stop().await;
    alice.say(&late, "anybody?").await;
    let up = up.kill().await.start().await;
    let mut program = start();
    program.says("listening", 2).await;
    hears(&alice, &tail, &late, "ANYBODY?").await;
    let hooks = bot.api.get("/v1/webhooks").await.expect(200);
    assert_eq!(hooks["items"].as_array().map(Vec::len), Some(1), "it uses its webhook again");
    program.stop().await;
    up.stop().await;
}

/// Speaks across a bridge, whose program `command` is.
pub(super) async fn bridge(command: Command, dir: &Path) {
    let up = Launch::up(&dir.join("up")).start().await;
    let [alice, bob, bot] = bots(&up, ["alice", "bob", "bridge"]).await;
    let here = alice.create_group("here", &[&bot]).await;
    let there = bob.create_group("there", &[&bot]).await;
    let mut command = command;
    command.env("BRIDGE_GROUPS", format!("{here},{there}"));
    let mut program = Program::start(command, &bot, &dir.join("log"));
    program.says("listening", 1).await;
    acquainted(&bot, &here).await;
    acquainted(&bot, &there).await;
    let (alices, bobs) = (alice.tail().await, bob.tail().await);
    alice.say(&here, "hello over there").await;
    hears(&bob, &bobs, &there, "alice: hello over there").await;
    bob.say(&there, "hello yourself").await;
    hears(&alice, &alices, &here, "bob: hello yourself").await;
    send_file(&alice, &here, "plan.pdf", b"the plan").await;
    let file = hears(&bob, &bobs, &there, "alice: plan.pdf").await;
    assert_eq!(file["content"]["mime"], "application/pdf", "{file}");
    assert_eq!(download(&bob, &file).await, "the plan");
    program.stop().await;
    up.stop().await;
}

#[tokio::test]
async fn the_bridge_joins_two_groups() {
    let dir = TempDir::new().expect("a directory");
    bridge(example("bridge"), dir.path()).await;
}

#[tokio::test]
async fn the_alert_bot_tells_what_alertmanager_sends() {
    let dir = TempDir::new().expect("a directory");
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bot] = bots(&up, ["alice", "alerts"]).await;
    let group = alice.create_group("on duty", &[&bot]).await;
    bot.accept(&group).await;
    let mut command = example("alerts");
    let listen = format!("127.0.0.1:{}", port());
    command.env("ALERT_GROUP", &group).env("ALERT_SECRET", "s3cret").env("ALERT_LISTEN", &listen);
    let mut program = Program::start(command, &bot, &dir.path().join("log"));
    program.says("alerts at", 1).await;
    let tail = alice.tail().await;
    let notification =
        std::fs::read_to_string(files::checkout("examples/python/alerts/notification.json"))
            .expect("read a file");
    let post = async |secret: &str, body: &str| {
        let request = Client::new().post(format!("http://{listen}/")).bearer_auth(secret);
        request.body(body.to_owned()).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(post("wrong", &notification).await, 401);
    assert_eq!(post("s3cret", "{}").await, 400);
    // Twice, as when the first answer was lost.
    assert_eq!(post("s3cret", &notification).await, 200);
    assert_eq!(post("s3cret", &notification).await, 200);
    let told = hears(&alice, &tail, &group, "DiskFull at db1:9100").await;
    let lines = "🔥 firing: DiskFull at db1:9100\n5 % left on /var\n\
                 ✅ resolved: DiskFull at db2:9100";
    assert_eq!(body_of(&told), lines);
    let resolved = notification.replace("firing", "resolved");
    assert_eq!(post("s3cret", &resolved).await, 200);
    hears(&alice, &tail, &group, "resolved: DiskFull at db1:9100").await;
    assert_eq!(alice.heard(&tail, &group).await.len(), 2, "{}", program.said());
    program.stop().await;
    up.stop().await;
}

#[tokio::test]
async fn the_on_call_bot_asks_until_somebody_reacts() {
    let dir = TempDir::new().expect("a directory");
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bot] = bots(&up, ["alice", "oncall"]).await;
    let group = alice.create_group("on call", &[&bot]).await;
    let start = |wait: &str| {
        let mut command = example("oncall");
        command.env("ONCALL", "alice, bob").env("ONCALL_WAIT", wait);
        command.env("ONCALL_DB", dir.path().join("oncall.db"));
        Program::start(command, &bot, &dir.path().join("log"))
    };
    let mut program = start("2");
    program.says("listening", 1).await;
    acquainted(&bot, &group).await;
    let tail = alice.tail().await;
    alice.insist(&group, "page", "page the disk is full").await;
    hears(&alice, &tail, &group, "@alice: the disk is full (says alice)").await;
    program.kill().await;
    // It goes on where it was, and asks the next one: after this wait, if it was killed before it
    // had noted the first question.
    let mut program = start("30");
    program.says("listening", 2).await;
    let question = hears(&alice, &tail, &group, "@bob: the disk is full").await;
    let id = question["message_id"].as_str().expect("an id");
    let react = async |key: &str| {
        let path = format!("/v1/groups/{group}/messages/{id}/reactions/{key}");
        alice.api.put(&path, &json!({})).await.expect(200);
    };
    react("%F0%9F%91%8D").await;
    react("%F0%9F%91%80").await;
    hears(&alice, &tail, &group, "alice takes it: the disk is full").await;
    react("%E2%9C%85").await;
    hears(&alice, &tail, &group, "closed by alice: the disk is full").await;
    assert_eq!(count(&alice, &tail, &group, "@alice").await, 1, "asked once");
    program.stop().await;
    up.stop().await;
}

#[tokio::test]
async fn the_file_bot_keeps_files_and_gives_them_back() {
    let dir = TempDir::new().expect("a directory");
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bot] = bots(&up, ["alice", "files"]).await;
    let group = alice.create_group("papers", &[&bot]).await;
    let mut command = example("files");
    command.env("FILES_DIR", dir.path().join("kept"));
    let mut program = Program::start(command, &bot, &dir.path().join("log"));
    program.says("listening", 1).await;
    let tail = alice.tail().await;
    send_file(&alice, &group, "..%2F..%2Fetc%2Fpasswd", b"hello").await;
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let kept = format!("kept passwd: 5 bytes, SHA-256 {digest}");
    hears(&alice, &tail, &group, &kept).await;
    alice.say(&group, "list").await;
    alice.say(&group, "get passwd").await;
    let file = hears(&alice, &tail, &group, "as kept: passwd").await;
    assert_eq!(download(&alice, &file).await, "hello");
    alice.say(&group, "get ../../up/admin-token").await;
    hears(&alice, &tail, &group, "there is no admin-token").await;
    assert!(alice.heard(&tail, &group).await.contains(&"passwd".to_owned()), "the list");
    program.stop().await;
    up.stop().await;
}

#[tokio::test]
async fn the_rust_bot_needs_no_gateway() {
    let dir = TempDir::new().expect("a directory");
    let up = Launch::up(&dir.path().join("up")).start().await;
    let alice = Bot::create(&up, "alice").await;
    let (node, fingerprint) =
        (up.field("node").to_owned(), up.field("node_fingerprint").to_owned());
    let program_file = files::target_dir().join("debug/examples/echo");
    let hint = "is absent: cargo build -p quicproquo-client --example echo";
    assert!(program_file.exists(), "{} {hint}", program_file.display());
    let none = Bot { api: Api::new("", ""), ..alice.clone() };
    let start = |fingerprint: &str| {
        let mut command = Command::new(&program_file);
        command.env("QPQ_NODE", &node).env("QPQ_NODE_FINGERPRINT", fingerprint);
        command.env("ECHO_DATA", dir.path().join("echo")).env("ECHO_NAME", "echo-rust");
        Program::start(command, &none, &dir.path().join("log"))
    };
    let mut program = start(&fingerprint);
    program.says("listening as echo-rust", 1).await;
    let body = json!({ "name": "rust", "members": ["echo-rust"] });
    let made = alice.api.post("/v1/groups", &body).await.expect(201);
    let group = made["group_id"].as_str().expect("an id");
    let tail = alice.tail().await;
    alice.insist(group, "1", "first").await;
    hears(&alice, &tail, group, "first").await;
    for n in 0..5 {
        alice.insist(group, &format!("2-{n}"), &format!("before {n}")).await;
    }
    program.kill().await;
    for n in 0..5 {
        alice.insist(group, &format!("3-{n}"), &format!("after {n}")).await;
    }
    let mut program = start(&fingerprint);
    program.says("listening as echo-rust", 2).await;
    let up = up.kill().await.start().await;
    alice.insist(group, "4", "last").await;
    hears(&alice, &tail, group, "last").await;
    let mut heard = alice.heard(&tail, group).await;
    heard.sort();
    let mut expected = vec!["first".to_owned(), "last".to_owned()];
    for n in 0..5 {
        expected.extend([format!("before {n}"), format!("after {n}")]);
    }
    expected.sort();
    assert_eq!(heard, expected, "each once\n{}", program.said());
    program.stop().await;
    let mut program = start("");
    assert!(!program.end().await.success());
    assert!(program.said().contains("set QPQ_NODE_FINGERPRINT"), "{}", program.said());
    up.stop().await;
}

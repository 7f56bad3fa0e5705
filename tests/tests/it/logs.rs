//! Logs that can be kept: at `info` they name nobody.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use quicproquo_tests::files::contains;
use quicproquo_tests::{Bot, Launch};
use serde_json::{Value, json};
use tempfile::TempDir;

const ALICE: &str = "canary-alice-51d3";
const BOB: &str = "canary-bob-e07f";
const GROUP: &str = "canary group 77ab";
const TEXT: &str = "canary text 0c41";

/// What must not be found, each with what it is.
type Canaries = Vec<(String, Vec<u8>)>;

/// An identity in every form in which a log might have it.
fn forms(bot: &Bot) -> Canaries {
    let hex = bot.identity.to_lowercase();
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("an identity is hexadecimal"))
        .collect();
    let list = format!("{bytes:?}");
    let forms = [
        ("hexadecimal", hex.clone()),
        ("upper-case hexadecimal", hex.to_uppercase()),
        ("the start in hexadecimal", hex[..12].to_owned()),
        ("base64", STANDARD.encode(&bytes)),
        ("base64 without padding", STANDARD_NO_PAD.encode(&bytes)),
        ("base64url", URL_SAFE_NO_PAD.encode(&bytes)),
        ("a list of numbers", list[1..list.len() - 1].to_owned()),
        ("its token", bot.api.token().to_owned()),
    ];
    forms
        .into_iter()
        .map(|(form, text)| (format!("{}: {form}", bot.identity), text.into_bytes()))
        .collect()
}

/// A conversation between two processes; returns what must not be in their logs, and the logs.
async fn converse(dir: &Path, filter: &str) -> (Canaries, Vec<u8>) {
    let json = |launch: Launch| launch.log(filter).env("QPQ_LOG_FORMAT", "json");
    let (node_dir, gateway_dir) = (dir.join("node"), dir.join("gateway"));
    let node = json(Launch::node(&node_dir)).start().await;
    let gateway = json(Launch::gateway(&gateway_dir, &node)).start().await;
    let alice = Bot::create(&gateway, ALICE).await;
    let bob = Bot::create(&gateway, BOB).await;
    let group = alice.create_group(GROUP, &[&bob]).await;
    bob.accept(&group).await;
    let tail = bob.tail().await;
    alice.say(&group, TEXT).await;
    bob.hears(&tail, &group, &[TEXT.to_owned()]).await;
    // What goes wrong is logged as well: a refused token, an unknown name, an outage.
    let stranger = quicproquo_tests::Api::new(&gateway.url(), "qpq_canary_not_a_token_9a2f");
    assert_eq!(stranger.get("/v1/me").await.status, 401);
    let node = node.kill().await.start().await;
    let tail = alice.tail().await;
    bob.say(&group, TEXT).await;
    alice.hears(&tail, &group, &[TEXT.to_owned()]).await;
    alice.remove(&group, &bob).await;

    let mut canaries: Canaries =
        [ALICE, BOB, GROUP, TEXT, &group, "qpq_canary_not_a_token_9a2f", gateway.admin().token()]
            .into_iter()
            .map(|text| (text.to_owned(), text.as_bytes().to_vec()))
            .collect();
    canaries.extend([&alice, &bob].into_iter().flat_map(forms));
    gateway.stop().await;
    node.stop().await;
    let logs = [&node_dir, &gateway_dir]
        .map(|dir| std::fs::read(dir.with_extension("log")).expect("a log"))
        .concat();
    (canaries, logs)
}

fn found<'a>(canaries: &'a [(String, Vec<u8>)], logs: &[u8]) -> Vec<&'a str> {
    let hits = canaries.iter().filter(|(_, canary)| contains(logs, canary));
    hits.map(|(what, _)| what.as_str()).collect()
}

#[tokio::test]
async fn at_info_nobody_is_named() {
    let dir = TempDir::new().unwrap();
    let (canaries, logs) = converse(dir.path(), "info").await;
    let lines = String::from_utf8(logs.clone()).expect("logs are text");
    let mut events = 0;
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(event["level"].is_string() && event["fields"].is_object(), "{line}");
        events += 1;
    }
    assert!(events > 0, "a log without a line shows nothing");
    assert_eq!(found(&canaries, &logs), Vec::<&str>::new(), "{lines}");
}

/// The control: the search does find what is there.
#[tokio::test]
async fn at_debug_identities_are_named() {
    let dir = TempDir::new().unwrap();
    let (canaries, logs) = converse(dir.path(), "debug").await;
    let found = found(&canaries, &logs);
    assert!(found.iter().any(|what| what.ends_with(": hexadecimal")), "{found:?}");
    assert!(!found.iter().any(|what| what.contains("token")), "{found:?}");
}

/// Who may read what a bot reads is decided by the admin token alone, and its decisions are kept.
#[tokio::test]
async fn what_the_admin_token_opens_is_written_down() {
    let dir = TempDir::new().unwrap();
    let launch = Launch::up(&dir.path().join("up")).log("warn,qpq_audit=info");
    let up = launch.env("QPQ_LOG_FORMAT", "json").start().await;
    let (bot, admin) = (Bot::create(&up, "alice").await, up.admin());
    let (path, tokens) = (format!("/v1/bots/{}", bot.id), format!("/v1/bots/{}/tokens", bot.id));
    // What is refused opens nothing.
    let wanted = json!({ "scopes": ["messages:read"] });
    bot.api.post(&tokens, &wanted).await.expect_problem(403, "bot-token-refused");
    let issued = admin.post(&tokens, &wanted).await.expect(201);
    let (id, secret) = (issued["token_id"].as_str().unwrap(), issued["token"].as_str().unwrap());
    admin.patch(&path, &json!({ "name": "weather" })).await.expect(200);
    admin.delete(&format!("{tokens}/{id}")).await.expect(204);
    let export = json!({ "passphrase": "correct horse battery staple" });
    admin.post(&format!("{path}/export"), &export).await.expect(200);
    admin.delete(&path).await.expect(204);

    let log = String::from_utf8(up.log()).expect("logs are text");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let audited: Vec<_> = lines.filter(|line| line["target"] == "qpq_audit").collect();
    let acts: Vec<_> = audited.iter().filter_map(|line| line["fields"]["act"].as_str()).collect();
    let all = [
        "bot_created",
        "token_issued",
        "bot_changed",
        "token_revoked",
        "bot_exported",
        "bot_deleted",
    ];
    assert_eq!(acts, all);
    assert!(audited.iter().all(|line| line["fields"]["bot_id"] == bot.id.as_str()), "{log}");
    for at in [1, 3] {
        assert_eq!(audited[at]["fields"]["token_id"], id);
    }
    for text in [secret, bot.api.token(), &bot.identity] {
        assert!(!log.contains(text), "{text} is in the log");
    }
    up.stop().await;
}

//! The main job: two bots talk through gateway and node.

use quicproquo_tests::bot::body_of;
use quicproquo_tests::{Bot, Launch, Socket, bots, pair};
use serde_json::json;
use tempfile::TempDir;

#[tokio::test]
async fn two_bots_talk() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let group = alice.create_group("tea", &[&bob]).await;
    bob.accept(&group).await;

    let mut ear = Socket::open(&bob.api, "").await;
    let sent = alice.say(&group, "hello bob").await;
    assert_eq!(sent["group_id"], group.as_str());
    assert_eq!(sent["sender"]["identity"], alice.identity.as_str());
    assert!(["queued", "sent"].contains(&sent["delivery"]["state"].as_str().unwrap()));

    let frame = ear.event("message.received").await;
    let message = &frame["event"]["data"];
    assert_eq!(body_of(message), "hello bob");
    assert_eq!(message["message_id"], sent["message_id"]);
    assert_eq!(message["type"], "text");
    assert_eq!(message["sender"]["identity"], alice.identity.as_str());
    assert_eq!(message["security"]["protocol"], "mls-1.0");
    assert_eq!(message["security"]["post_quantum"], "envelope");

    let tail = alice.tail().await;
    bob.say(&group, "hello alice").await;
    alice.hears(&tail, &group, &["hello alice".to_owned()]).await;

    up.stop().await;
}

#[tokio::test]
async fn both_post_quantum_policies_and_both_profiles_work() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    for (policy, profile) in [
        ("envelope", "standard"),
        ("native", "standard"),
        ("envelope", "plain"),
        ("native", "plain"),
    ] {
        // A plain group has no extensions, so nowhere to keep a name.
        let name = if profile == "plain" { "" } else { policy };
        let body = json!({
            "name": name,
            "members": [bob.identity],
            "post_quantum": policy,
            "profile": profile,
        });
        let created = alice.api.post("/v1/groups", &body).await.expect(201);
        assert_eq!(created["post_quantum"], policy);
        let group = created["group_id"].as_str().unwrap();
        bob.accept(group).await;
        let tail = bob.tail().await;
        alice.say(group, "over here").await;
        bob.hears(&tail, group, &["over here".to_owned()]).await;
    }
}

#[tokio::test]
async fn what_was_said_before_accepting_is_there_after() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let start = bob.tail().await;
    let group = alice.create_group("early", &[&bob]).await;
    let said: Vec<String> = (0..5).map(|n| format!("early {n}")).collect();
    for text in &said {
        alice.say(&group, text).await;
    }
    bob.event(&start, "invitation.received").await;
    assert!(bob.heard(&start, &group).await.is_empty(), "hidden until accepted");
    bob.accept(&group).await;
    bob.hears(&start, &group, &said).await;
}

#[tokio::test]
async fn history_pages_from_newest_to_oldest() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    let said: Vec<String> = (0..7).map(|n| format!("page {n}")).collect();
    for text in &said {
        alice.say(&group, text).await;
    }
    bob.hears(&tail, &group, &said).await;

    for bot in [&alice, &bob] {
        assert_eq!(history(bot, &group).await, said);
    }
    let page = bob.api.get(&format!("/v1/groups/{group}/messages?limit=3")).await.expect(200);
    let id = page["items"][0]["message_id"].as_str().unwrap();
    let one = bob.api.get(&format!("/v1/groups/{group}/messages/{id}")).await.expect(200);
    assert_eq!(body_of(&one), "page 6");
}

/// The whole history, oldest first, read in pages of three.
async fn history(bot: &Bot, group: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut before = String::new();
    loop {
        let path = format!("/v1/groups/{group}/messages?limit=3{before}");
        let page = bot.api.get(&path).await.expect(200);
        let items = page["items"].as_array().cloned().unwrap_or_default();
        assert!(items.len() <= 3, "a page is no longer than asked for");
        found.extend(items.iter().map(body_of));
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    found.reverse();
    found
}

#[tokio::test]
async fn custom_types_and_replies_pass_through() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    let first = alice.say(&group, "question").await;
    let path = format!("/v1/groups/{group}/messages");
    let custom = json!({ "type": "com.example.move", "content": { "from": "e2", "to": "e4" } });
    alice.api.post(&path, &custom).await.expect(201);
    let reply = json!({
        "type": "text",
        "content": { "body": "answer" },
        "reply_to": first["message_id"],
    });
    alice.api.post(&path, &reply).await.expect(201);
    bob.hears(&tail, &group, &["question".into(), String::new(), "answer".into()]).await;
    let events = bob.events(&tail).await;
    let messages: Vec<_> = events.iter().filter(|e| e["type"] == "message.received").collect();
    assert_eq!(messages[1]["data"]["type"], "com.example.move");
    assert_eq!(messages[1]["data"]["content"]["to"], "e4");
    assert_eq!(messages[2]["data"]["relates_to"]["message_id"], first["message_id"]);
}

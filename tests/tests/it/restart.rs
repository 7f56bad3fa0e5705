//! Clean restarts of either half under a conversation.

use quicproquo_tests::{Bot, LONG, Launch, Socket, pair, wait_for};
use serde_json::json;
use tempfile::TempDir;

#[tokio::test]
async fn the_node_restarts() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let tail = bob.tail().await;
    alice.say(&group, "before").await;
    bob.hears(&tail, &group, &["before".into()]).await;

    let stopped = node.stop().await;
    // Taken while the node is away: durable here, sent later.
    let sent = alice.say(&group, "meanwhile").await;
    assert_eq!(sent["delivery"]["state"], "queued");
    let _node = stopped.start().await;
    alice.say(&group, "after").await;
    bob.hears(&tail, &group, &["before".into(), "meanwhile".into(), "after".into()]).await;
}

#[tokio::test]
async fn messages_and_changes_wait_for_the_node_together() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let other = alice.create_group("other", &[&bob]).await;
    bob.accept(&other).await;
    let tail = bob.tail().await;
    let path = format!("/v1/groups/{group}");
    let rename = async |name: &str| {
        alice.api.patch(&format!("{path}?wait=0"), &json!({ "name": name })).await.expect(202)
    };

    // The message waits for the first change, and the second change for the message.
    let stopped = node.stop().await;
    rename("one").await;
    let sent = alice.say(&group, "between two changes").await;
    assert_eq!(sent["delivery"]["state"], "queued");
    rename("two").await;
    let _node = stopped.start().await;
    bob.hears(&tail, &group, &["between two changes".into()]).await;
    for bot in [&alice, &bob] {
        wait_for("the second change", LONG, || async {
            (bot.group(&group).await["name"] == "two").then_some(())
        })
        .await;
    }
    let tail = bob.tail().await;
    alice.say(&other, "elsewhere").await;
    bob.hears(&tail, &other, &["elsewhere".into()]).await;
}

#[tokio::test]
async fn the_gateway_restarts() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let tail = bob.tail().await;
    alice.say(&group, "before").await;
    bob.hears(&tail, &group, &["before".into()]).await;

    let mut ear = Socket::open(&bob.api, "").await;
    let stopped = gateway.stop().await;
    assert_eq!(ear.closed().await.code, 1012, "listeners are told that this is a restart");
    let gateway = stopped.start().await;
    alice.say(&group, "after").await;
    bob.hears(&tail, &group, &["before".into(), "after".into()]).await;
    let list = gateway.admin().get("/v1/bots").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn both_restart_and_groups_still_change() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let up = up.stop().await.start().await;
    let carol = Bot::create(&up, "carol").await;
    alice.add(&group, &[&carol]).await;
    carol.accept(&group).await;
    let (bobs, carols) = (bob.tail().await, carol.tail().await);
    alice.say(&group, "all three").await;
    bob.hears(&bobs, &group, &["all three".into()]).await;
    carol.hears(&carols, &group, &["all three".into()]).await;
}

#[tokio::test]
async fn a_bot_that_could_not_be_made_leaves_its_name_free_and_the_absence_of_the_node_is_told() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).log("warn").start().await;
    let away = node.stop().await;
    let new = json!({ "name": "alice" });
    let (admin, path) = (gateway.admin(), "/v1/bots");
    for _ in 0..2 {
        admin.post(path, &new).await.expect_problem(503, "node-unreachable");
    }
    let log = String::from_utf8(gateway.log()).unwrap();
    assert!(log.contains("the node cannot be reached"), "{log}");
    let node = away.start().await;
    admin.post(path, &new).await.expect(201);
    gateway.stop().await;
    node.stop().await;
}

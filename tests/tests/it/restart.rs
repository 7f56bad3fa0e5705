//! Clean restarts of either half under a conversation.

use quicproquo_tests::{Bot, Launch, Socket, pair};
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

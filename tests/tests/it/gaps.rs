//! What a node lost is told to the bot it was for.

use quicproquo_tests::{Bot, LONG, Launch, Running, wait_for};
use serde_json::Value;
use tempfile::TempDir;

async fn meet(dir: &TempDir, node: Launch) -> (Running, Running, Running, Bot, Bot, String) {
    let node = node.start().await;
    let here = Launch::gateway(&dir.path().join("here"), &node).start().await;
    let there = Launch::gateway(&dir.path().join("there"), &node).start().await;
    let alice = Bot::create(&here, "alice").await;
    let bob = Bot::create(&there, "bob").await;
    let group = alice.create_group("gaps", &[&bob]).await;
    bob.accept(&group).await;
    (node, here, there, alice, bob, group)
}

async fn gap(bob: &Bot, tail: &str) -> Value {
    wait_for("a gap to be told", LONG, async || {
        let events = bob.events(tail).await;
        events.into_iter().find(|event| event["type"] == "gap.detected")
    })
    .await
}

#[tokio::test]
async fn a_full_queue_is_a_gap() {
    let dir = TempDir::new().unwrap();
    let small = Launch::node(&dir.path().join("node")).arg("--node-quotas-queue-rows", "16");
    let (_node, _here, there, alice, bob, group) = meet(&dir, small).await;
    let tail = bob.tail().await;
    let stopped = there.stop().await;
    // Half of the queue is the most that one sender gets of it.
    for n in 0..12 {
        alice.say(&group, &format!("message {n}")).await;
    }
    let _there = stopped.start().await;
    let gap = gap(&bob, &tail).await;
    assert_eq!(gap["data"]["lost"], 4, "{gap}");
    let heard = bob.heard(&tail, &group).await;
    let first: Vec<String> = (0..8).map(|n| format!("message {n}")).collect();
    assert_eq!(heard, first);
    // What comes after the gap is heard again.
    let tail = bob.tail().await;
    alice.say(&group, "after the gap").await;
    bob.hears(&tail, &group, &["after the gap".into()]).await;
}

#[tokio::test]
async fn expired_rows_are_a_gap() {
    let dir = TempDir::new().unwrap();
    let brief = Launch::node(&dir.path().join("node")).arg("--node-quotas-ttl-secs", "3");
    let (_node, _here, there, alice, bob, group) = meet(&dir, brief).await;
    let tail = bob.tail().await;
    let stopped = there.stop().await;
    for n in 0..3 {
        alice.say(&group, &format!("message {n}")).await;
    }
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    let _there = stopped.start().await;
    let gap = gap(&bob, &tail).await;
    assert_eq!(gap["data"]["lost"], 3, "{gap}");
    assert!(bob.heard(&tail, &group).await.is_empty());
    let tail = bob.tail().await;
    alice.say(&group, "after the gap").await;
    bob.hears(&tail, &group, &["after the gap".into()]).await;
}

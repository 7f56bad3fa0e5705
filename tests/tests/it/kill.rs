//! SIGKILL in the middle of a burst: nothing acknowledged is lost, nothing is doubled.

use std::sync::atomic::{AtomicUsize, Ordering};

use quicproquo_tests::{Bot, LONG, Launch, pair, wait_for};
use tempfile::TempDir;

const BURST: usize = 60;

/// Sends the burst one after the other, each until it is taken.
async fn burst(sender: &Bot, group: &str, taken: &AtomicUsize) -> Vec<String> {
    let mut said = Vec::with_capacity(BURST);
    for n in 0..BURST {
        let text = format!("burst {n}");
        sender.insist(group, &format!("key-{n}"), &text).await;
        taken.fetch_add(1, Ordering::SeqCst);
        said.push(text);
    }
    said
}

/// Waits until so many messages of the burst were taken.
async fn reached(taken: &AtomicUsize, count: usize) {
    wait_for("the burst to be under way", LONG, || async {
        (taken.load(Ordering::SeqCst) >= count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_node_is_killed_in_a_burst() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let tail = bob.tail().await;

    let taken = AtomicUsize::new(0);
    let murder = async {
        reached(&taken, BURST / 4).await;
        let node = node.kill().await.start().await;
        reached(&taken, BURST / 2).await;
        node.kill().await.start().await
    };
    let (said, _node) = tokio::join!(burst(&alice, &group, &taken), murder);
    bob.hears(&tail, &group, &said).await;
}

#[tokio::test]
async fn the_gateway_is_killed_in_a_burst() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let tail = bob.tail().await;

    let taken = AtomicUsize::new(0);
    let murder = async {
        reached(&taken, BURST / 4).await;
        let gateway = gateway.kill().await.start().await;
        reached(&taken, BURST / 2).await;
        gateway.kill().await.start().await
    };
    let (said, _gateway) = tokio::join!(burst(&alice, &group, &taken), murder);
    bob.hears(&tail, &group, &said).await;
}

#[tokio::test]
async fn everything_is_killed_in_a_burst() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;

    let taken = AtomicUsize::new(0);
    let murder = async {
        reached(&taken, BURST / 4).await;
        let up = up.kill().await.start().await;
        reached(&taken, BURST / 2).await;
        up.kill().await.start().await
    };
    let (said, _up) = tokio::join!(burst(&alice, &group, &taken), murder);
    bob.hears(&tail, &group, &said).await;
    // The groups are whole: both still understand each other.
    let tail = alice.tail().await;
    bob.say(&group, "still here").await;
    alice.hears(&tail, &group, &["still here".into()]).await;
}

#[tokio::test]
async fn membership_changes_survive_a_killed_gateway() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let mut gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let path = format!("/v1/groups/{group}");
    for round in 0..4 {
        let name = format!("round {round}");
        let request = alice.api.request(reqwest::Method::PATCH, &path);
        let body = serde_json::json!({ "name": name });
        let request = request.header("Idempotency-Key", format!("rename-{round}")).json(&body);
        // The kill may come before, in the middle of or after the change.
        let (_, launch) = tokio::join!(alice.api.try_send(request), gateway.kill());
        gateway = launch.start().await;
        let request = alice.api.request(reqwest::Method::PATCH, &path);
        let request = request.header("Idempotency-Key", format!("rename-{round}")).json(&body);
        let answer = alice.api.send(request).await;
        assert!((200..=202).contains(&answer.status), "the answer was: {}", answer.text);
        for bot in [&alice, &bob] {
            wait_for("the new name", LONG, || async {
                (bot.group(&group).await["name"] == name.as_str()).then_some(())
            })
            .await;
        }
    }
    assert_eq!(alice.group(&group).await["epoch"], bob.group(&group).await["epoch"]);
    let tail = bob.tail().await;
    alice.say(&group, "whole").await;
    bob.hears(&tail, &group, &["whole".into()]).await;
}

//! Backup of a running node and its return, as an operator does them.

use quicproquo_tests::{Launch, SOON, pair, tool, wait_for};
use tempfile::TempDir;

#[tokio::test]
async fn a_running_node_is_backed_up_and_comes_back_elsewhere() {
    let dir = TempDir::new().unwrap();
    let (first, copy, second) =
        (dir.path().join("node"), dir.path().join("backup"), dir.path().join("restored"));
    let node = Launch::node(&first).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let tail = bob.tail().await;
    alice.say(&group, "before").await;
    bob.hears(&tail, &group, &["before".into()]).await;

    let target = copy.to_str().unwrap();
    let ended = tool(&first, &["node", "backup", target, "--json"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let line: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(line["records"].as_u64().unwrap() > 0, "{line}");
    let again = tool(&first, &["node", "backup", target]).await;
    assert_eq!(again.code, 2, "a backup is not written over: {}", again.stderr);
    assert!(again.stderr.contains("is not empty"), "{}", again.stderr);
    let over = tool(&first, &["node", "restore", target]).await;
    assert_eq!(over.code, 2, "a node's data is not written over: {}", over.stderr);

    let fingerprint = node.field("node_fingerprint").to_owned();
    let address = node.field("node").to_owned();
    drop(node.stop().await);
    let ended = tool(&second, &["node", "restore", target]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let node = Launch::node(&second).arg("--node-listen", &address).start().await;
    assert_eq!(node.field("node_fingerprint"), fingerprint);

    // The bots go on, and are told that rows may be missing.
    let tail = bob.tail().await;
    alice.say(&group, "after").await;
    bob.hears(&tail, &group, &["after".into()]).await;
    wait_for("the gap to be told", SOON, || async {
        let page = bob.api.get(&format!("/v1/events?after={tail}&timeout=0")).await;
        page.text.contains("gap.detected").then_some(())
    })
    .await;
}

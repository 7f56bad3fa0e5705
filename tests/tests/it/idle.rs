//! Many `WebSockets` that say nothing (T15).

use quicproquo_tests::seed::{say, setting};
use quicproquo_tests::{Launch, Socket, pair};
use tempfile::TempDir;

/// It is 4,200 in a release build.
const EACH: u64 = 9_000;
/// The whole process with 10,000 of them.
const WHOLE: u64 = 120_000_000;

/// The long form has 10,000 sockets and needs a limit of 20,000 open files.
#[tokio::test]
async fn idle_sockets_hold_little_and_are_all_told() {
    let count = setting("QPQ_IDLE_SOCKETS", 1_000, 9_900);
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    drop(Socket::open(&bob.api, "").await);
    let before = gateway.resident();
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(Socket::open(&bob.api, "types=message.received").await);
    }
    let whole = gateway.resident();
    let each = whole.saturating_sub(before) / count;
    say(&format!(
        "{count} idle sockets: {} MiB, {} before, {each} bytes each",
        whole / 1024 / 1024,
        before / 1024 / 1024
    ));
    assert!(each < EACH, "{each} bytes of each socket");
    assert!(whole < WHOLE, "{whole} bytes in all");
    alice.say(&group, "to all of you").await;
    for socket in &mut idle {
        let frame = socket.event("message.received").await;
        assert_eq!(frame["event"]["data"]["content"]["body"], "to all of you");
    }
    drop(idle);
    gateway.stop().await;
    node.stop().await;
}

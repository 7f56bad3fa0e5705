//! Many `WebSockets` that say nothing (T15).

use quicproquo_tests::seed::{say, setting};
use quicproquo_tests::{Launch, Socket, pair};
use tempfile::TempDir;

/// 10,000 in 120 MB. It is 9,100 in every build, since what a socket has is mostly buffers; now and
/// then less, out of what the process held before.
const EACH: u64 = 12_000;

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
    let grown = gateway.resident().saturating_sub(before);
    say(&format!(
        "{count} idle sockets: {} MiB more, {} bytes each",
        grown / 1024 / 1024,
        grown / count
    ));
    assert!(grown / count < EACH, "{} bytes of each socket", grown / count);
    alice.say(&group, "to all of you").await;
    for socket in &mut idle {
        let frame = socket.event("message.received").await;
        assert_eq!(frame["event"]["data"]["content"]["body"], "to all of you");
    }
    drop(idle);
    gateway.stop().await;
    node.stop().await;
}

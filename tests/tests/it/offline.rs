//! A bot whose gateway is down while others talk.

use quicproquo_tests::{Bot, Launch};
use tempfile::TempDir;

#[tokio::test]
async fn a_hundred_messages_wait_for_a_bot_that_is_away() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let here = Launch::gateway(&dir.path().join("here"), &node).start().await;
    let there = Launch::gateway(&dir.path().join("there"), &node).start().await;
    let alice = Bot::create(&here, "alice").await;
    let bob = Bot::create(&there, "bob").await;
    let group = alice.create_group("away", &[&bob]).await;
    bob.accept(&group).await;
    let tail = bob.tail().await;

    let stopped = there.stop().await;
    let said: Vec<String> = (0..100).map(|n| format!("while away {n}")).collect();
    for text in &said {
        alice.say(&group, text).await;
    }

    let _there = stopped.start().await;
    bob.hears(&tail, &group, &said).await;
    let tail = alice.tail().await;
    bob.say(&group, "back again").await;
    alice.hears(&tail, &group, &["back again".into()]).await;
}

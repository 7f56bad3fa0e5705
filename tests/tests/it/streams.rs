//! One log, two doors: WebSocket with a named consumer, and long poll.

use std::time::Duration;

use quicproquo_tests::bot::body_of;
use quicproquo_tests::{Launch, Socket, pair, within};
use serde_json::json;
use tempfile::TempDir;

#[tokio::test]
async fn a_consumer_goes_on_after_what_it_has_acknowledged() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;

    let mut ear = Socket::open(&bob.api, "consumer=worker").await;
    for text in ["one", "two", "three"] {
        alice.say(&group, text).await;
    }
    let one = ear.event("message.received").await;
    assert_eq!(body_of(&one["event"]["data"]), "one");
    ear.ack(&one).await;
    let two = ear.event("message.received").await;
    assert_eq!(body_of(&two["event"]["data"]), "two");
    // Frames are handled in their order: now the acknowledgement has been taken.
    ear.ping().await;
    drop(ear);

    // "two" was delivered and not acknowledged: it comes again, also after a restart.
    let _up = up.stop().await.start().await;
    let mut ear = Socket::open(&bob.api, "consumer=worker").await;
    for text in ["two", "three"] {
        let frame = ear.event("message.received").await;
        assert_eq!(body_of(&frame["event"]["data"]), text);
        ear.ack(&frame).await;
    }
}

#[tokio::test]
async fn a_long_poll_answers_as_soon_as_something_happens() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    let path = format!("/v1/events?after={tail}&timeout=50000&types=message.received");
    let poll = within("the poll to answer before its timeout", Duration::from_secs(20), async {
        let (page, _) = tokio::join!(bob.api.get(&path), alice.say(&group, "wake up"));
        page.expect(200)
    })
    .await;
    assert_eq!(body_of(&poll["items"][0]["data"]), "wake up");
    // The cursor of one door is good at another.
    let after = format!("after={}", poll["next"].as_str().unwrap());
    let mut ear = Socket::open(&bob.api, &after).await;
    alice.say(&group, "next").await;
    assert_eq!(body_of(&ear.event("message.received").await["event"]["data"]), "next");
}

#[tokio::test]
async fn a_message_can_be_sent_through_the_socket() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    let mut socket = Socket::open(&alice.api, "").await;
    let message = json!({ "type": "text", "content": { "body": "by socket" } });
    let send = json!({ "type": "send", "id": "s1", "group_id": group, "message": message });
    socket.send(&send).await;
    loop {
        let frame = socket.frame().await.expect("the stream is open");
        if frame["type"] == "result" {
            assert_eq!(frame["id"], "s1", "{frame}");
            break;
        }
    }
    bob.hears(&tail, &group, &["by socket".into()]).await;
    socket.send(&json!({ "type": "ping" })).await;
    while socket.frame().await.expect("the stream is open")["type"] != "pong" {}
}

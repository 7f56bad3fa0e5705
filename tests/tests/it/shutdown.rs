//! Messages that are on their way through a WebSocket when the gateway is told to stop.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use quicproquo_tests::seed::say;
use quicproquo_tests::{Api, Bot, LONG, Launch, Running, SOON, Socket, pair, wait_for, within};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// After this the gateway drops what is not finished.
const END: Duration = Duration::from_secs(10);

fn frame(group: &str, text: &str, wait: u64) -> Value {
    let message = json!({ "type": "text", "content": { "body": text } });
    json!({
        "type": "send",
        "id": text,
        "group_id": group,
        "message": message,
        "idempotency_key": text,
        "wait": wait,
    })
}

/// The same bot at a gateway that was started again.
fn again(up: &Running, bot: &Bot) -> Bot {
    Bot { api: Api::new(&up.url(), bot.api.token()), ..bot.clone() }
}

/// Reads to the end; answers which sends had a result, and the close code.
async fn results(socket: &mut Socket) -> (BTreeSet<String>, u16) {
    let mut found = BTreeSet::new();
    loop {
        match socket.frame().await {
            Ok(frame) if frame["type"] == "result" => {
                assert_eq!(frame["status"], 201, "{frame}");
                found.insert(frame["id"].as_str().unwrap().to_owned());
            }
            Ok(_) => {}
            Err(closed) => return (found, closed.code),
        }
    }
}

/// Sends all again under their keys; answers how many had been taken before.
async fn repeat(bot: &Bot, group: &str, texts: &[String]) -> usize {
    let mut socket = Socket::open(&bot.api, "types=group.left").await;
    let mut replayed = 0;
    for text in texts {
        socket.send(&frame(group, text, 0)).await;
        let result = within("a result", SOON, async {
            loop {
                let frame = socket.frame().await.expect("the stream is open");
                if frame["type"] == "result" {
                    return frame;
                }
            }
        })
        .await;
        assert_eq!((&result["id"], &result["status"]), (&json!(text), &json!(201)), "{result}");
        replayed += usize::from(result["replayed"] == true);
    }
    replayed
}

#[tokio::test]
async fn a_send_that_waits_for_the_node_is_sent_once() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let tail = bob.tail().await;
    let mut socket = Socket::open(&alice.api, "types=group.left").await;
    // The node says nothing: the result waits, longer than the gateway lives.
    node.signal("STOP").await;
    socket.send(&frame(&group, "on its way", 60_000)).await;
    socket.ping().await;
    let begun = Instant::now();
    let ((results, code), stopped) = tokio::join!(results(&mut socket), gateway.stop());
    assert_eq!(code, 1012);
    assert!(results.is_empty(), "nobody has answered: {results:?}");
    assert!(begun.elapsed() < END, "it took {:?}", begun.elapsed());
    node.signal("CONT").await;
    let gateway = stopped.start().await;
    let (alice, bob) = (again(&gateway, &alice), again(&gateway, &bob));
    let texts = ["on its way".to_owned()];
    assert_eq!(repeat(&alice, &group, &texts).await, 1, "it had been taken");
    alice.say(&group, "afterwards").await;
    bob.hears(&tail, &group, &["on its way".to_owned(), "afterwards".to_owned()]).await;
}

/// How many wait for the node: as many as one connection may have under way.
const WAITING: usize = 64;

#[tokio::test]
async fn whoever_waits_for_the_node_at_the_end_has_the_result_before_the_close() {
    let dir = TempDir::new().unwrap();
    let node = Launch::node(&dir.path().join("node")).start().await;
    let gateway = Launch::gateway(&dir.path().join("gateway"), &node).start().await;
    let (alice, bob, group) = pair(&gateway).await;
    let tail = bob.tail().await;
    let texts: Vec<String> = (0..WAITING).map(|number| format!("send-{number}")).collect();
    let mut socket = Socket::open(&alice.api, "types=group.left").await;
    node.signal("STOP").await;
    for text in &texts {
        socket.send(&frame(&group, text, 60_000)).await;
    }
    let queued = format!("/v1/bots/{}", alice.id);
    wait_for("all to be taken", SOON, async || {
        let bot = gateway.admin().get(&queued).await.expect(200);
        (bot["health"]["outbox"] == WAITING).then_some(())
    })
    .await;
    let address = alice.api.base().trim_start_matches("http://").to_owned();
    let node_returns = async {
        wait_for("the end to begin", SOON, async || {
            TcpStream::connect(&address).await.is_err().then_some(())
        })
        .await;
        node.signal("CONT").await;
    };
    let ((results, code), stopped, ()) =
        tokio::join!(results(&mut socket), gateway.stop(), node_returns);
    assert_eq!(code, 1012);
    assert_eq!(results, texts.iter().cloned().collect());
    let gateway = stopped.start().await;
    let (alice, bob) = (again(&gateway, &alice), again(&gateway, &bob));
    assert_eq!(repeat(&alice, &group, &texts).await, WAITING);
    bob.hears(&tail, &group, &texts).await;
}

/// How many are sent at once: more than have a result when the end comes.
const SENDS: usize = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_at_the_moment_of_the_end_are_taken_once() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let tail = bob.tail().await;
    let texts: Vec<String> = (0..SENDS).map(|number| format!("send-{number}")).collect();
    let mut socket = Socket::open(&alice.api, "types=group.left").await;
    for text in &texts {
        socket.send(&frame(&group, text, 2_000)).await;
    }
    // The end comes when some have been answered and others have not.
    while socket.frame().await.expect("the stream is open")["type"] != "result" {}
    let ((results, code), stopped) = tokio::join!(results(&mut socket), up.stop());
    assert_eq!(code, 1012);
    let up = stopped.start().await;
    let (alice, bob) = (again(&up, &alice), again(&up, &bob));
    let replayed = repeat(&alice, &group, &texts).await;
    let answered = results.len() + 1;
    say(&format!("{answered} of {SENDS} had a result, {replayed} had been taken"));
    assert_eq!(answered, replayed, "what is taken has a result: {results:?}");
    // Each once. Those that had not been taken come behind those that had.
    alice.say(&group, "afterwards").await;
    let heard = wait_for("the last message", LONG, async || {
        let heard = bob.heard(&tail, &group).await;
        (heard.last().is_some_and(|last| last == "afterwards")).then_some(heard)
    })
    .await;
    let expected = texts.into_iter().chain(["afterwards".to_owned()]);
    assert_eq!(heard, expected.collect::<Vec<_>>());
}

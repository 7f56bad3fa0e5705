//! Readers that do not read are closed, harm nobody and lose nothing (T16).

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use quicproquo_tests::bot::body_of;
use quicproquo_tests::seed::{pick, say, setting};
use quicproquo_tests::{Bot, LONG, Launch, Socket, pair, wait_for, within};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

const MESSAGES: usize = 16;
/// Between the frames of somebody who reads slowly: in all more than the 10 s in which something
/// must be read.
const PAUSE: Duration = Duration::from_secs(1);
/// Of each message that those that do not read are sent: in all more than gateway and kernel keep
/// for them.
const SIZE: usize = 20 * 1024;

/// Seconds after the last message in which all that do not read are closed: 10 of them without
/// progress, and some for what begins late. The short form shares its machine with other tests.
fn last() -> f64 {
    pick(30.0, 15.0)
}

/// A socket with a small window, whose owner does not read.
async fn mute(bot: &Bot, query: &str) -> WebSocketStream<TcpStream> {
    let address: SocketAddr =
        bot.api.base().trim_start_matches("http://").parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small window");
    let stream = socket.connect(address).await.expect("a connection");
    let url = format!("ws://{address}/v1/events/ws?{query}");
    let mut request = url.into_client_request().expect("a URL");
    let bearer = format!("Bearer {}", bot.api.token()).parse().expect("a header");
    request.headers_mut().insert("authorization", bearer);
    within("the handshake", LONG, client_async(request, stream)).await.expect("it opens").0
}

/// Live connections by consumer.
async fn connections(bot: &Bot) -> BTreeMap<String, u64> {
    let all = bot.api.get("/v1/events/consumers").await.expect(200);
    let one = |item: &Value| {
        let name = item["name"].as_str().expect("a name").to_owned();
        (name, item["connections"].as_u64().expect("a number"))
    };
    all["items"].as_array().expect("a list").iter().map(one).collect()
}

fn number_of(event: &Value) -> usize {
    let text = body_of(&event["data"]);
    text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// The next frame of a type, whenever it comes: with a thousand sockets a machine may be slow.
async fn next(ear: &mut Socket, kind: &str) -> Value {
    loop {
        let frame = ear.next().await.expect("the stream is open");
        if frame["type"] == kind {
            return frame;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_never_read_are_closed_and_resume_without_gaps() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let light = alice.create_group("light", &[&bob]).await;
    bob.accept(&light).await;
    let mute_query =
        |number| format!("consumer=mute-{number}&types=message.received&groups={group}");
    let (healthy_ones, mute_ones) =
        (setting("QPQ_READERS", 30, 900), setting("QPQ_MUTE_READERS", 4, 100));
    let mut mutes = Vec::new();
    for number in 0..mute_ones {
        mutes.push(mute(&bob, &mute_query(number)).await);
    }
    let mut healthy = Vec::new();
    for _ in 0..healthy_ones {
        let query = format!("types=message.received&groups={light}");
        let mut ear = Socket::open(&bob.api, &query).await;
        healthy.push(async move {
            for number in 0..MESSAGES {
                let frame = next(&mut ear, "event").await;
                assert_eq!(number_of(&frame["event"]), number);
            }
            // Still open, and still answered.
            ear.send(&json!({ "type": "ping" })).await;
            next(&mut ear, "pong").await;
        });
    }
    // The control: who reads with pauses is not closed.
    let query = format!("types=message.received&groups={group}");
    let mut patient = mute(&bob, &query).await;
    let linger = async {
        let mut number = 0;
        while number < MESSAGES {
            let frame = patient.next().await.expect("it is open").expect("a frame");
            let Ok(text) = frame.to_text() else { continue };
            let Ok(frame) = serde_json::from_str::<Value>(text) else { continue };
            if frame["type"] == "event" {
                assert_eq!(number_of(&frame["event"]), number);
                number += 1;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let speak = async {
        let filler = "x".repeat(SIZE);
        for number in 0..MESSAGES {
            alice.say(&group, &format!("{number} {filler}")).await;
            alice.say(&light, &number.to_string()).await;
        }
    };
    let hear = futures::future::join_all(healthy);
    let said = Cell::new(None);
    let speak = async {
        speak.await;
        said.set(Some(Instant::now()));
    };
    let close = wait_for("those that do not read to be closed", 3 * LONG, || async {
        let mut live = connections(&bob).await.into_iter();
        live.all(|(_, count)| count == 0).then_some(())
    });
    let close = async {
        close.await;
        Instant::now()
    };
    let all = async { tokio::join!(speak, hear, linger, close) };
    let all = Box::pin(within("the healthy ones to hear everything", 3 * LONG, all));
    let (.., closed) = all.await;
    let after = said.get().map_or(0.0, |said| closed.duration_since(said).as_secs_f64());
    say(&format!(
        "{mute_ones} of {} sockets do not read: the last is closed {after:.1} s after the last \
         message was taken",
        mute_ones + healthy_ones
    ));
    assert!(after < last(), "the last is closed {after:.1} s after the last message was taken");
    // They did not get everything: it was not the end that closed them.
    for mut mute in mutes {
        let mut frames = 0;
        let drained = within("what was buffered", LONG, async {
            while let Some(Ok(message)) = mute.next().await {
                frames += usize::from(message.is_text());
            }
        });
        drained.await;
        assert!(frames < MESSAGES, "{frames} frames");
    }
    for number in 0..mute_ones {
        let mut ear = Socket::open(&bob.api, &mute_query(number)).await;
        for number in 0..MESSAGES {
            let frame = ear.event("message.received").await;
            assert_eq!(number_of(&frame["event"]), number);
            ear.ack(&frame).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_on_too_late_is_told_why_it_was_closed() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let query = |name: &str| format!("consumer={name}&types=message.received&groups={group}");
    let mut late = mute(&bob, &query("late")).await;
    // The control: it has as much to read, and reads it.
    let mut prompt = Socket::open(&bob.api, &query("prompt")).await;
    let filler = "x".repeat(SIZE);
    for number in 0..MESSAGES {
        alice.say(&group, &format!("{number} {filler}")).await;
        let frame = prompt.event("message.received").await;
        assert_eq!(number_of(&frame["event"]), number);
        prompt.ack(&frame).await;
    }
    wait_for("the one that does not read to be given up", 3 * LONG, || async {
        (connections(&bob).await["late"] == 0).then_some(())
    })
    .await;
    prompt.ping().await;
    // Longer than others get for their last frame.
    tokio::time::sleep(3 * PAUSE).await;
    let mut numbers = Vec::new();
    let code = within("the close frame", LONG, async {
        loop {
            match late.next().await.expect("a close frame comes before the end").expect("a frame") {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).expect("JSON");
                    if frame["type"] == "event" {
                        numbers.push(number_of(&frame["event"]));
                    }
                }
                Message::Close(close) => return close.map(|close| u16::from(close.code)),
                _ => {}
            }
        }
    });
    assert_eq!(code.await, Some(4008));
    // What it got is whole and in order, and not everything: it was not the end that closed it.
    assert!(numbers.len() < MESSAGES, "{numbers:?}");
    assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
}

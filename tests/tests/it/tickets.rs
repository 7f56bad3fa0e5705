//! Tickets for `WebSockets`: good once, for half a minute, and no longer than their token; and how
//! long a `WebSocket` is held for somebody who says nothing.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use quicproquo_tests::bot::find_token;
use quicproquo_tests::{Api, Bot, LONG, Launch, Running, SOON, bots, wait_for, within};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::access::in_two_seconds;
use crate::sockets::Page;

/// A ticket, as a query.
async fn ticket(api: &Api) -> String {
    let issued = api.post("/v1/events/ticket", &json!({})).await.expect(201);
    format!("ticket={}", issued["ticket"].as_str().expect("a ticket"))
}

/// Whether a ticket opens a WebSocket; if not, it is told as one that nobody was given.
async fn opens(up: &Running, ticket: &str) -> bool {
    let (frame, code) = Page::open(&up.url(), ticket, "").await.first().await;
    if code.is_none() {
        return true;
    }
    let kind = &frame["problem"]["type"];
    assert_eq!((code, kind), (Some(4401), &json!("urn:quicproquo:problem:token-invalid")));
    false
}

async fn issue(up: &Running, bot: &Bot, body: Value) -> (Api, String) {
    let tokens = format!("/v1/bots/{}/tokens", bot.id);
    let issued = up.admin().post(&tokens, &body).await.expect(201);
    let id = issued["token_id"].as_str().expect("an id");
    (Api::new(&up.url(), find_token(&issued).expect("a token")), format!("{tokens}/{id}"))
}

#[tokio::test]
async fn a_ticket_is_worth_what_its_token_is() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let reads = json!({ "scopes": ["messages:read"] });
    let (reader, id) = issue(&up, &alice, reads.clone()).await;
    let (first, second) = (ticket(&reader).await, ticket(&reader).await);
    assert!(opens(&up, &first).await, "the control: the token is still good");
    assert!(!opens(&up, &first).await, "once");
    up.admin().delete(&id).await.expect(204);
    assert!(!opens(&up, &second).await, "a ticket of a revoked token");

    let of_bob = ticket(&bob.api).await;
    up.admin().delete(&format!("/v1/bots/{}", bob.id)).await.expect(204);
    assert!(!opens(&up, &of_bob).await, "a ticket of a bot that was deleted");
    for nothing in ["ticket=", "ticket=qpq_nothing"] {
        assert!(!opens(&up, nothing).await, "{nothing}");
    }

    // No more is let in by it than by its token.
    let (other, _) = issue(&up, &alice, json!({ "scopes": ["messages:send"] })).await;
    let refused = other.post("/v1/events/ticket", &json!({})).await;
    refused.expect_problem(403, "scope-missing");
    up.admin()
        .post("/v1/events/ticket", &json!({}))
        .await
        .expect_problem(403, "admin-token-refused");
    let end = json!({ "scopes": ["messages:read"], "expires_at": in_two_seconds() });
    let (passing, _) = issue(&up, &alice, end).await;
    let last = ticket(&passing).await;
    wait_for("the token to expire", SOON, async || {
        (passing.get("/v1/me").await.status == 401).then_some(())
    })
    .await;
    assert!(!opens(&up, &last).await, "a ticket of a token that has expired");
    // There are 100 of a bot that nobody has used.
    let (hoarder, _) = issue(&up, &alice, reads).await;
    let mut tickets = Vec::new();
    for _ in 0..100 {
        tickets.push(ticket(&hoarder).await);
    }
    hoarder.post("/v1/events/ticket", &json!({})).await.expect_problem(503, "not-ready");
    assert!(opens(&up, &tickets[0]).await);
    ticket(&hoarder).await;
}

/// A WebSocket that never answers; reads to its end, and says how often it was pinged.
async fn mute(bot: &Bot) -> usize {
    let address = bot.api.base().trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let head = format!(
        "GET /v1/events/ws?types=group.left HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Bearer {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        bot.api.token()
    );
    socket.write_all(head.as_bytes()).await.expect("the head is sent");
    let mut got = Vec::new();
    let _ = within("the end", LONG, socket.read_to_end(&mut got)).await;
    let end = got.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("the headers");
    assert!(got.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&got));
    let (mut frames, mut pings) = (&got[end + 4..], 0);
    while let [kind, length, ..] = *frames {
        let (skip, length) = match length {
            126 => (4, usize::from(u16::from_be_bytes([frames[2], frames[3]]))),
            length => (2, usize::from(length)),
        };
        pings += usize::from(kind == 0x89);
        frames = &frames[skip + length..];
    }
    pings
}

#[tokio::test]
async fn a_ticket_has_half_a_minute_and_who_answers_no_ping_a_whole_one() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice] = bots(&up, ["alice"]).await;
    let (used, left) = (ticket(&alice.api).await, ticket(&alice.api).await);
    // One that answers, as every library does by itself.
    let url = up.url().replace("http://", "ws://") + "/v1/events/ws?types=group.left";
    let mut request = url.into_client_request().unwrap();
    let bearer = format!("Bearer {}", alice.api.token()).parse().unwrap();
    request.headers_mut().insert("authorization", bearer);
    let (mut socket, _) = connect_async(request).await.unwrap();
    let mut mute = Box::pin(mute(&alice));
    let (mut pings, mut used) = (0, Some(used));
    let mut soon = Box::pin(tokio::time::sleep(Duration::from_secs(15)));
    let unanswered = loop {
        let frame = tokio::select! {
            pings = &mut mute => break pings,
            frame = socket.next() => frame.expect("the stream is open").expect("a frame"),
            () = &mut soon, if used.is_some() => {
                let used = used.take().unwrap_or_default();
                assert!(opens(&up, &used).await, "in time");
                continue;
            }
        };
        match frame {
            Message::Ping(_) => pings += 1,
            Message::Text(text) => assert!(text.contains(r#""heartbeat_ms":25000"#), "{text}"),
            other => panic!("not a ping: {other:?}"),
        }
        // A ping comes every 25 s.
        if pings == 2 {
            assert!(!opens(&up, &left).await, "too late");
        }
    };
    assert_eq!((unanswered, pings), (2, 2));
    socket.send(Message::text(json!({ "type": "ping" }).to_string())).await.unwrap();
    let frame = within("the answer", SOON, socket.next()).await.unwrap().unwrap();
    assert!(frame.to_text().unwrap().contains("pong"), "{frame:?}");
}

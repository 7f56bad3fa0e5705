//! Who may open a WebSocket, and how it is told that it may not.

use futures::{SinkExt, StreamExt};
use quicproquo_tests::{Launch, SOON, pair, within};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A socket as a browser opens it: no header but the subprotocols.
pub(crate) struct Page(
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>,
);

impl Page {
    pub(crate) async fn open(url: &str, query: &str, protocols: &str) -> Self {
        let url = format!("{}/v1/events/ws?{query}", url.replace("http://", "ws://"));
        let mut request = url.into_client_request().expect("a URL");
        if !protocols.is_empty() {
            request
                .headers_mut()
                .insert("sec-websocket-protocol", protocols.parse().expect("a header"));
        }
        let (stream, response) = connect_async(request).await.expect("it opens");
        let chosen = response.headers().get("sec-websocket-protocol");
        assert_eq!(chosen.is_some(), !protocols.is_empty());
        assert!(chosen.is_none_or(|chosen| chosen == "qpq.v1"), "never the token");
        Self(stream)
    }

    async fn next(&mut self) -> Message {
        self.0.next().await.expect("the stream is open").expect("a frame")
    }

    /// The first frame, and the close code when it is an error.
    pub(crate) async fn first(&mut self) -> (Value, Option<u16>) {
        within("a frame", SOON, async {
            let frame = match self.next().await {
                Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
                Message::Close(close) => return (Value::Null, close.map(|c| c.code.into())),
                other => panic!("not a text: {other:?}"),
            };
            let frame: Value = frame;
            if frame["type"] == "hello" {
                return (frame, None);
            }
            match self.next().await {
                Message::Close(close) => (frame, close.map(|close| close.code.into())),
                other => panic!("not a close: {other:?}"),
            }
        })
        .await
    }

    async fn send(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).await.expect("it is sent");
    }
}

#[tokio::test]
async fn a_browser_comes_in_by_ticket_subprotocol_or_first_frame() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (_alice, bob, _) = pair(&up).await;
    let url = up.url();
    let ticket = bob.api.post("/v1/events/ticket", &json!({})).await.expect(201);
    let query = format!("ticket={}", ticket["ticket"].as_str().unwrap());
    let (hello, _) = Page::open(&url, &query, "").await.first().await;
    assert_eq!(hello["heartbeat_ms"], 25_000);
    // Once.
    let (error, code) = Page::open(&url, &query, "").await.first().await;
    assert_eq!(code, Some(4401));
    assert_eq!(error["problem"]["type"], "urn:quicproquo:problem:token-invalid");

    let offer = format!("qpq.v1, qpq.token.{}", bob.api.token());
    assert_eq!(Page::open(&url, "", &offer).await.first().await.1, None);
    let mut page = Page::open(&url, "", "qpq.v1").await;
    page.send(&json!({ "type": "auth", "token": bob.api.token() })).await;
    assert_eq!(page.first().await.0["type"], "hello");
}

#[tokio::test]
async fn a_browser_is_told_by_a_close_code() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (_alice, bob, _) = pair(&up).await;
    let url = up.url();
    let tokens = format!("/v1/bots/{}/tokens", bob.id);
    let token = up.admin().post(&tokens, &json!({ "scopes": ["groups:read"] })).await.expect(201);
    let narrow = token["token"].as_str().unwrap();
    let offer = |token: &str| format!("qpq.v1, qpq.token.{token}");
    for (query, protocols, code) in [
        ("", offer("qpq_nonsense"), 4401),
        ("", offer(up.admin().token()), 4403),
        ("", offer(narrow), 4403),
        ("after=c1_zz", offer(bob.api.token()), 1008),
        ("after=c1_ffff", offer(bob.api.token()), 1008),
    ] {
        let mut page = Page::open(&url, query, &protocols).await;
        let (frame, told) = page.first().await;
        assert_eq!(told, Some(code), "{query} {protocols}: {frame}");
    }
    let mut page = Page::open(&url, "", "qpq.v1").await;
    page.send(&json!({ "type": "auth", "token": narrow })).await;
    assert_eq!(page.first().await.1, Some(4403));
    let mut page = Page::open(&url, "", "qpq.v1").await;
    page.send(&json!({ "type": "ping" })).await;
    assert_eq!(page.first().await.1, Some(4401));
    // Who says nothing is told after 10 s.
    let mut page = Page::open(&url, "", "qpq.v1").await;
    assert_eq!(page.first().await, (Value::Null, Some(4408)));

    // What is too large is told, too.
    let mut page = Page::open(&url, "", &offer(bob.api.token())).await;
    page.first().await;
    page.0.send(Message::text(" ".repeat(1024 * 1024 + 1))).await.expect("it is sent");
    assert_eq!(page.first().await, (Value::Null, Some(4413)));

    // A close frame is answered by one.
    let mut page = Page::open(&url, "", &offer(bob.api.token())).await;
    page.first().await;
    page.0.close(None).await.unwrap();
    let answer = within("the answer", SOON, page.0.next()).await;
    assert!(matches!(answer, Some(Ok(Message::Close(_)))), "{answer:?}");

    // Others get an HTTP answer.
    let plain = quicproquo_tests::Api::new(&url, narrow).get("/v1/events/ws").await;
    plain.expect_problem(426, "upgrade-required");
}

//! A WebSocket listener of a bot's event log.

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::api::Api;
use crate::wait::{SOON, within};

/// An open event stream.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The first frame.
    pub hello: Value,
}

/// Why a stream ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close code, 1006 when there was none.
    pub code: u16,
}

impl Socket {
    /// Opens `/v1/events/ws` with a query (`consumer=x`, `after=...` or empty).
    pub async fn open(api: &Api, query: &str) -> Self {
        match Self::try_open(api, query).await {
            Ok(socket) => socket,
            Err(error) => panic!("the WebSocket opens: {error}"),
        }
    }

    /// Opens it, or answers how that was refused.
    ///
    /// # Errors
    /// What the WebSocket library says, the HTTP answer included.
    pub async fn try_open(api: &Api, query: &str) -> Result<Self, Error> {
        let url = format!("{}/v1/events/ws?{query}", api.base().replace("http://", "ws://"));
        let mut request = url.into_client_request()?;
        let bearer = format!("Bearer {}", api.token()).parse().expect("a token is ASCII");
        request.headers_mut().insert("authorization", bearer);
        let (stream, _) = within("the WebSocket", SOON, connect_async(request)).await?;
        let mut socket = Self { stream, hello: Value::Null };
        let hello = socket.frame().await.expect("a hello frame");
        assert_eq!(hello["type"], "hello", "the first frame is hello: {hello}");
        socket.hello = hello;
        Ok(socket)
    }

    /// The next JSON frame, which must come soon, or how the stream ended.
    ///
    /// # Errors
    /// [`Closed`] when the stream ended.
    pub async fn frame(&mut self) -> Result<Value, Closed> {
        within("a frame", SOON, self.next()).await
    }

    /// The next JSON frame, whenever it comes, or how the stream ended.
    ///
    /// # Errors
    /// [`Closed`] when the stream ended.
    pub async fn next(&mut self) -> Result<Value, Closed> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Ok(serde_json::from_str(&text).expect("frames are JSON"));
                }
                Some(Ok(Message::Close(close))) => {
                    return Err(Closed { code: close.map_or(1006, |c| c.code.into()) });
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Closed { code: 1006 }),
            }
        }
    }

    /// The next event frame of a type; others before it are skipped.
    pub async fn event(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await.expect("the stream is open");
            if frame["type"] == "event" && frame["event"]["type"] == kind {
                return frame;
            }
        }
    }

    /// Sends a JSON frame.
    pub async fn send(&mut self, frame: &Value) {
        let text = Message::text(frame.to_string());
        within("a frame to be sent", SOON, self.stream.send(text)).await.expect("a frame is sent");
    }

    /// Acknowledges one delivery.
    pub async fn ack(&mut self, delivery: &Value) {
        self.send(&json!({ "type": "ack", "ids": [delivery["delivery_id"]] })).await;
    }

    /// Acknowledges one delivery, unless the connection is gone: then the answer is `false`.
    pub async fn try_ack(&mut self, delivery: &Value) -> bool {
        let ack = json!({ "type": "ack", "ids": [delivery["delivery_id"]] });
        self.stream.send(Message::text(ack.to_string())).await.is_ok()
    }

    /// Waits until everything that was sent has been handled; what comes meanwhile is skipped.
    pub async fn ping(&mut self) {
        self.send(&json!({ "type": "ping" })).await;
        while self.frame().await.expect("the stream is open")["type"] != "pong" {}
    }

    /// Reads until the stream ends and answers how.
    pub async fn closed(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.frame().await {
                return closed;
            }
        }
    }
}

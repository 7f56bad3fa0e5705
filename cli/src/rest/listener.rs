//! A bot's event stream over WebSocket.

use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::exit::Failure;

/// How long to wait for the next event.
const PATIENCE: Duration = Duration::from_secs(30);

/// An open stream.
pub(crate) struct Listener {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Listener {
    pub(super) async fn open(base: &str, token: &str) -> Result<Self, Failure> {
        let url = format!("{}/v1/events/ws", base.replacen("http", "ws", 1));
        let mut request = url.into_client_request().map_err(Failure::other)?;
        let bearer = format!("Bearer {token}").parse().map_err(Failure::other)?;
        request.headers_mut().insert("authorization", bearer);
        let (stream, _) =
            connect_async_with_config(request, None, true).await.map_err(Failure::other)?;
        Ok(Self { stream })
    }

    /// The next event of a type; others are skipped.
    pub(crate) async fn event(&mut self, kind: &str) -> Result<Value, Failure> {
        let next = async {
            while let Some(message) = self.stream.next().await {
                let Message::Text(text) = message.map_err(Failure::other)? else { continue };
                let mut frame: Value = serde_json::from_str(&text).map_err(Failure::other)?;
                if frame["type"] == "event" && frame["event"]["type"] == kind {
                    return Ok(frame["event"].take());
                }
            }
            Err(Failure::other("the event stream ended"))
        };
        timeout(PATIENCE, next)
            .await
            .unwrap_or_else(|_| Err(Failure::other(format!("no {kind} came in time"))))
    }
}

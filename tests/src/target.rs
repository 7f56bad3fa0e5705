//! A target of webhooks: a small HTTP server that keeps what it gets and answers what it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::wait::{LONG, within};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// Names in lower case, in their order.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
    /// The body as it came.
    pub bytes: Vec<u8>,
}

impl Delivered {
    /// A header, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

/// A response, whole: status line, headers, body. `None` leaves the caller without one.
pub type Response = Option<String>;

/// A response with a status.
pub fn status(code: u16) -> Response {
    Some(format!("HTTP/1.1 {code} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"))
}

/// A 200 with a JSON body.
pub fn json(body: &Value) -> Response {
    let body = body.to_string();
    let length = body.len();
    Some(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    ))
}

/// Answers a request.
pub type Answer = Box<dyn Fn(&Delivered) -> Response + Send + Sync>;

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<VecDeque<Delivered>>,
    arrived: Notify,
}

/// A listening target.
#[derive(Debug)]
pub struct Target {
    /// `http://127.0.0.1:port`.
    pub origin: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Target {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Target {
    /// Listens on a free port.
    pub async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a target");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let (shared, answer) = (Arc::new(Shared::default()), Arc::new(answer));
        let inside = Arc::clone(&shared);
        let tasks = TaskTracker::new();
        let calls = tasks.clone();
        let task = tasks.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (shared, answer) = (Arc::clone(&inside), Arc::clone(&answer));
                calls.spawn(async move {
                    let _ = serve(socket, &shared, answer.as_ref()).await;
                });
            }
        });
        Self { origin, shared, task }
    }

    /// The next delivery, which must come in time.
    pub async fn next(&self) -> Delivered {
        within("a delivery", LONG, async {
            loop {
                let arrived = self.shared.arrived.notified();
                if let Some(delivered) = self.try_next() {
                    return delivered;
                }
                arrived.await;
            }
        })
        .await
    }

    /// A delivery that has come already.
    pub fn try_next(&self) -> Option<Delivered> {
        self.shared.queue.lock().expect("no panic").pop_front()
    }
}

async fn serve(mut socket: TcpStream, shared: &Shared, answer: &Answer) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let headers: Vec<_> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut delivered = Delivered { headers, body: String::new(), bytes: Vec::new() };
    let length: usize = delivered.header("content-length").parse().unwrap_or(0);
    while bytes.len() < head + length {
        if socket.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
    delivered.body = String::from_utf8_lossy(&bytes[head..]).into_owned();
    delivered.bytes = bytes.split_off(head);
    let response = answer(&delivered);
    shared.queue.lock().expect("no panic").push_back(delivered);
    shared.arrived.notify_waiters();
    match response {
        Some(response) => socket.write_all(response.as_bytes()).await,
        // Open, and silent, until the caller goes.
        None => socket.read(&mut [0]).await.map(drop),
    }
}

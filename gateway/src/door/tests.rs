//! Answers that are read slowly, and such that are not read.

use std::convert::Infallible;
use std::future::{pending, ready};

use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use futures::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

use super::*;

const STALLED: Duration = Duration::from_secs(5);
/// Of an answer; each reader takes longer for it than [`STALLED`].
const SIZE: usize = 2 * 1024 * 1024;
/// Read at once, and then there is a pause.
const BITE: usize = 32 * 1024;

async fn download() -> Response {
    let part = Bytes::from(vec![0; 64 * 1024]);
    let parts = std::iter::repeat_n(part, SIZE / (64 * 1024)).map(Ok::<_, Infallible>);
    Response::new(Body::from_stream(stream::iter(parts)))
}

/// One frame, and what became of its write.
fn frame(upgrade: WebSocketUpgrade, told: mpsc::UnboundedSender<bool>) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        let written = socket.send(Message::Binary(vec![0; SIZE].into())).await;
        let _ = told.send(written.is_err_and(|error| is_stall(&error)));
        pending::<()>().await;
    })
}

/// A door, where it is, and what became of its frames.
async fn door() -> (SocketAddr, mpsc::UnboundedReceiver<bool>, DoorEnd) {
    let (told, frames) = mpsc::unbounded_channel();
    let router = Router::new()
        .route("/download", get(download))
        .route("/frame", get(move |upgrade| ready(frame(upgrade, told.clone()))));
    let limits = DoorLimits { stalled: STALLED, ..DoorLimits::default() };
    let end = DoorEnd::default();
    let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = TaskTracker::new();
    let door = Door::new(router, limits, tasks.clone(), end.clone());
    tasks.spawn(door.serve(vec![listener]));
    (address, frames, end)
}

const FRAME: &str = "GET /frame HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
const DOWNLOAD: &str = "GET /download HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Asks, with a small window.
async fn ask(at: SocketAddr, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(at).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads with pauses, to the end or until a whole answer is there.
async fn sip(stream: &mut TcpStream, pause: Duration) -> usize {
    let (mut all, mut bite) = (0, vec![0; BITE]);
    while all < SIZE {
        match stream.read_exact(&mut bite).await {
            Ok(read) => all += read,
            Err(_) => break,
        }
        tokio::time::sleep(pause).await;
    }
    all
}

/// 64 pauses, together longer than a peer may stall.
const SLOWLY: Duration = Duration::from_millis(200);

#[tokio::test]
async fn who_reads_slowly_gets_everything() {
    let (at, mut frames, end) = door().await;
    let (mut download, mut frame) = (ask(at, DOWNLOAD).await, ask(at, FRAME).await);
    let read = tokio::join!(sip(&mut download, SLOWLY), sip(&mut frame, SLOWLY));
    assert_eq!(read, (SIZE, SIZE));
    assert_eq!(frames.recv().await, Some(false));
    end.hard.cancel();
}

#[tokio::test]
async fn who_stops_reading_is_left() {
    let (at, mut frames, end) = door().await;
    let (mut download, _frame) = (ask(at, DOWNLOAD).await, ask(at, FRAME).await);
    assert_eq!(frames.recv().await, Some(true));
    // As old as the other: what it reads now is what the kernels have kept.
    tokio::time::sleep(STALLED).await;
    assert!(sip(&mut download, Duration::ZERO).await < SIZE);
    end.hard.cancel();
}
